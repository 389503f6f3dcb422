<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use PDO;
use PHPUnit\Framework\TestCase as PHPUnitTestCase;

abstract class TestCase extends PHPUnitTestCase
{
    private static ?PDO $owner = null;

    protected function setUp(): void
    {
        self::owner()->exec('DELETE FROM session');
    }

    protected static function owner(): PDO
    {
        if (!self::$owner) {
            $url = parse_url(getenv('OWNER_URL'));
            $dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s', $url['host'], $url['port'], ltrim($url['path'], '/'));
            self::$owner = new PDO($dsn, $url['user'], $url['pass']);
        }

        return self::$owner;
    }

    /**
     * The only column of the only row.
     */
    protected static function one(string $sql, mixed ...$parameters): mixed
    {
        $statement = self::owner()->prepare($sql);
        $statement->execute($parameters);

        return $statement->fetchColumn();
    }

    protected static function rows(): int
    {
        return self::one('SELECT count(*) FROM session');
    }

    protected static function exists(string $id): bool
    {
        return self::one('SELECT session_exist(?)', $id);
    }

    protected static function principal(string $id): ?string
    {
        return self::one('SELECT principal FROM session_load(?, false)', $id) ?: null;
    }

    protected static function secondsLeft(string $id): int
    {
        return (int) self::one('SELECT extract(epoch FROM expires_at - now()) FROM session_load(?, false)', $id);
    }

    /** Ends move by whole minutes, and the first use in the next one is written. */
    protected static function awaitEarlyInAMinute(): void
    {
        while (self::one('SELECT extract(second FROM clock_timestamp())') > 55) {
            usleep(200_000);
        }
    }

    /** What is written moves. */
    protected static function written(): string
    {
        return self::one('SELECT (ctid, xmin)::text FROM session');
    }

    /** Of the application, as a restart of the server would. */
    protected static function endConnections(): void
    {
        self::owner()->query("
            SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND usename = 'app'");
    }

    protected static function browser(mixed ...$with): Browser
    {
        return Site::get()->browser(...$with);
    }
}
