<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use RuntimeException;

/**
 * PHP's built-in server with site.php, and browsers that keep their cookie.
 */
final class Site
{
    private const WORKERS = 16;
    private static ?self $running = null;

    /** @var resource */
    private $process;

    private function __construct(private readonly int $port, private readonly string $directory)
    {
        $command = [
            PHP_BINARY, '-d', 'output_buffering=65536', '-d', 'display_errors=0', '-d', 'log_errors=1',
            '-d', 'session.gc_probability=1', '-d', 'session.gc_divisor=1',
            '-S', "127.0.0.1:$port", __DIR__ . '/site.php',
        ];
        mkdir($directory);
        $output = ['file', $this->log(), 'w'];
        $environment = ['PHP_CLI_SERVER_WORKERS' => (string) self::WORKERS, 'SITE_DIRECTORY' => $directory] + getenv();
        // PHP does not end its workers; this does, also when these tests are killed.
        $ending = 'trap "trap - TERM; kill 0" TERM; "$@" & wait';
        array_unshift($command, 'setsid', 'setpriv', '--pdeathsig', 'TERM', 'sh', '-c', $ending, 'sh');
        $streams = [['file', '/dev/null', 'r'], $output, $output];
        $this->process = proc_open($command, $streams, $pipes, null, $environment);
        for ($tries = 0; !@fsockopen('127.0.0.1', $port); $tries++) {
            if ($tries === 500) {
                throw new RuntimeException("The site does not start:\n" . file_get_contents($this->log()));
            }
            usleep(20_000);
        }
    }

    public static function get(): self
    {
        if (!self::$running) {
            $free = stream_socket_server('tcp://127.0.0.1:0');
            $port = (int) substr(strrchr(stream_socket_get_name($free, false), ':'), 1);
            fclose($free);
            self::$running = new self($port, sys_get_temp_dir() . '/session_store_site.' . getmypid());
            register_shutdown_function(self::$running->stop(...));
        }

        return self::$running;
    }

    public function browser(mixed ...$with): Browser
    {
        return new Browser($this->port, $with);
    }

    /**
     * What the server has logged, without who came and went.
     */
    public function complaints(): string
    {
        return implode("\n", preg_grep('/PHP (?!8)/', file($this->log(), FILE_IGNORE_NEW_LINES)));
    }

    private function log(): string
    {
        return "$this->directory/log";
    }

    private function stop(): void
    {
        proc_terminate($this->process);
        proc_close($this->process);
        exec('rm -rf ' . escapeshellarg($this->directory));
    }
}
