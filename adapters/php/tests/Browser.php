<?php

declare(strict_types=1);

namespace SessionStore\Tests;

/**
 * Keeps cookies; makes requests from many tabs at once.
 */
final class Browser
{
    /** @var array<string, string> */
    public array $cookies = [];
    /** More of them. */
    public string $headers = '';

    /**
     * @param array<string, string> $with how site.php is to have its sessions
     */
    public function __construct(private readonly int $port, private readonly array $with)
    {
    }

    public function id(): ?string
    {
        return isset($this->cookies['PHPSESSID']) ? urldecode($this->cookies['PHPSESSID']) : null;
    }

    /**
     * What a page says.
     */
    public function visit(string $page, mixed ...$arguments): mixed
    {
        $answer = $this->ask($page, ...$arguments);
        if ($answer->status !== 200) {
            throw new \RuntimeException("$page: $answer->status\n" . Site::get()->complaints());
        }

        return $answer->said();
    }

    public function ask(string $page, mixed ...$arguments): Answer
    {
        return $this->begin($page, ...$arguments)();
    }

    /**
     * A request that is under way; called, it waits for the answer.
     *
     * @return callable(): Answer
     */
    public function begin(string $page, mixed ...$arguments): callable
    {
        $socket = stream_socket_client("tcp://127.0.0.1:$this->port");
        $cookies = [];
        foreach ($this->cookies as $name => $value) {
            $cookies[] = "$name=$value";
        }
        $cookies = $cookies ? 'Cookie: ' . implode('; ', $cookies) . "\r\n" : '';
        $query = http_build_query(['with' => $this->with, 'arguments' => base64_encode(serialize($arguments))]);
        $path = str_contains($page, '?') ? $page : "$page?$query";
        $headers = "User-Agent: Firefox\r\n$cookies" . $this->headers;
        fwrite($socket, "GET /$path HTTP/1.0\r\nHost: 127.0.0.1\r\n$headers\r\n");

        return function () use ($socket): Answer {
            $answer = new Answer(stream_get_contents($socket));
            foreach ($answer->cookies() as $name => $value) {
                $this->cookies[$name] = $value;
            }

            return $answer;
        };
    }

    /**
     * @param list<array<mixed>> $requests page and arguments of each
     *
     * @return list<mixed> what they say
     */
    public function everywhere(array $requests): array
    {
        $underWay = array_map(fn (array $request): callable => $this->begin(...$request), $requests);

        return array_map(static fn (callable $answer): mixed => $answer()->said(), $underWay);
    }
}
