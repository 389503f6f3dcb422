<?php

declare(strict_types=1);

namespace SessionStore;

use Closure;
use DateTimeImmutable;
use InvalidArgumentException;
use PDO;
use PgSql;

/**
 * The calls of the extension, each one statement. Payloads go as hexadecimal digits, which both drivers and all their
 * settings leave alone.
 */
final class Store
{
    /** Without a payload there are keys and values of a client in another language, or none yet. */
    private const CONTENT = "payload IS NOT NULL OR data::text = '{}'";
    private const FETCH = "SELECT encode(payload, 'hex'), version FROM session_fetch(?, ?) WHERE " . self::CONTENT;
    private const RELEASE = 'SELECT session_release_raw(?, ?, ?, ?)';
    private const DESTROY = 'SELECT session_destroy(?)::int';
    private const EXIST = 'SELECT session_exist(?)::int';
    private const TOUCH = 'SELECT count(session_touch(?, ?))';
    private const REGENERATE = 'SELECT session_regenerate(?, ?, must_exist => true)';
    private const LOGIN = "
        SELECT encode(now.payload, 'hex'), now.version, (was.principal <> login.principal)::int
        FROM (SELECT ?::text, ?::text) AS login (sid, principal)
        LEFT JOIN LATERAL session_load(login.sid, false) AS was ON true
        CROSS JOIN LATERAL session_login(
            login.sid, login.principal, ?::jsonb, ?, ?::int, must_exist => login.sid IS NOT NULL, lifetime => ?
        ) AS renewed (sid)
        CROSS JOIN LATERAL session_fetch(renewed.sid, false) AS now";
    private const BIND = 'SELECT session_bind(?, ?, ?::jsonb)::int';
    private const COPY = "
        SELECT now.version
        FROM session_load(?, false) AS old
        CROSS JOIN (SELECT ?::text) AS copy (sid)
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN old.principal IS NULL THEN session_create_raw('', copy.sid, old.lifetime, old.deadline)
                ELSE session_login(
                    NULL, old.principal, old.attributes, copy.sid, lifetime => old.lifetime, deadline => old.deadline
                )
            END
        ) AS begun (sid)
        CROSS JOIN LATERAL session_fetch(begun.sid, false) AS now";
    private const DEVICES = "
        SELECT handle, is_this::int, coalesce(attributes, '{}'), extract(epoch FROM created_at),
            extract(epoch FROM authenticated_at), extract(epoch FROM last_seen),
            extract(epoch FROM nullif(expires_at, 'infinity'))
        FROM session_devices(?)";
    private const REVOKE = 'SELECT session_revoke(?, ?)::int';
    private const REVOKE_OTHERS = 'SELECT session_revoke_others(?)';
    private const REVOKE_ALL = 'SELECT session_revoke_all(?)';

    private ?Connection $connection = null;

    /**
     * @param Connection|PDO|PgSql\Connection|Closure|string $where a closure returns one of the others
     */
    public function __construct(private readonly Connection|PDO|PgSql\Connection|Closure|string $where)
    {
    }

    /**
     * Has the next statement look after its connection: in a process that serves many requests it may be long dead.
     */
    public function reconnect(): void
    {
        $this->connection = null;
    }

    public function fetch(string $id, bool $slide = true): ?Stored
    {
        $rows = self::isText($id) ? $this->rows(self::FETCH, $id, $slide ? 't' : 'f') : [];

        return $rows ? self::stored($rows[0]) : null;
    }

    /**
     * Saves if the session is still at the version; 0 begins it. The new version, null if it is not or has ended.
     */
    public function release(string $id, string $payload, int $version, ?int $lifetime = null): ?int
    {
        if (!self::isText($id)) {
            return null;
        }
        $saved = $this->value(self::RELEASE, $id, '\x' . bin2hex($payload), $version, self::interval($lifetime));

        return $saved === null ? null : (int) $saved;
    }

    public function destroy(string $id): bool
    {
        return self::isText($id) && (bool) $this->value(self::DESTROY, $id);
    }

    public function touch(string $id, int $lifetime): bool
    {
        return self::isText($id) && (bool) $this->value(self::TOUCH, $id, self::interval($lifetime));
    }

    /**
     * Moves the session to a new id. False, and nothing done, if it has ended.
     */
    public function regenerate(string $id, string $new): bool
    {
        return $this->value(self::REGENERATE, $id, $new) !== null;
    }

    /**
     * Moves the session to a new id and binds it to the user, or begins one.
     *
     * @param array<string, mixed> $attributes
     *
     * @return ?array{Stored, bool} what it holds, and whether it was somebody else's; null if it has ended
     */
    public function login(
        ?string $id,
        string $new,
        string $principal,
        array $attributes,
        ?int $maxSessions,
        int $lifetime,
    ): ?array {
        $parameters = [$id, $principal, self::json($attributes), $new, $maxSessions, self::interval($lifetime)];
        $rows = $this->rows(self::LOGIN, ...$parameters);

        return $rows ? [self::stored($rows[0]), (bool) $rows[0][2]] : null;
    }

    /**
     * Binds the session without a new id; null unbinds it.
     *
     * @param array<string, mixed> $attributes
     */
    public function bind(string $id, ?string $principal, array $attributes = []): bool
    {
        return (bool) $this->value(self::BIND, $id, $principal, $principal === null ? null : self::json($attributes));
    }

    /**
     * Begins an empty session that is the same user's and lasts as long. The version, null if the old one has ended.
     */
    public function copy(string $id, string $new): ?int
    {
        $version = $this->value(self::COPY, $id, $new);
        // What ended the old one, and all others of the user, may have come before the new one was there to be ended.
        if ($version !== null && !$this->value(self::EXIST, $id)) {
            $this->destroy($new);
            $version = null;
        }

        return $version === null ? null : (int) $version;
    }

    /**
     * @return list<Device> this one first
     */
    public function devices(string $id): array
    {
        return array_map(static fn (array $row): Device => new Device(
            $row[0],
            (bool) $row[1],
            json_decode($row[2], true),
            ...array_map(self::time(...), array_slice($row, 3)),
        ), $this->rows(self::DEVICES, $id));
    }

    public function revoke(string $id, string $handle): bool
    {
        return self::isText($handle) && (bool) $this->value(self::REVOKE, $id, $handle);
    }

    /**
     * @return list<string> the handles of what has ended
     */
    public function revokeOthers(string $id): array
    {
        return array_column($this->rows(self::REVOKE_OTHERS, $id), 0);
    }

    /**
     * @return list<string> the handles of what has ended
     */
    public function revokeAll(string $principal): array
    {
        return array_column($this->rows(self::REVOKE_ALL, $principal), 0);
    }

    /**
     * @return list<list<mixed>>
     */
    private function rows(string $sql, int|string|null ...$parameters): array
    {
        foreach ($parameters as $parameter) {
            if (is_string($parameter) && str_contains($parameter, "\0")) {
                // The drivers would cut it off there, and make one user another.
                throw new InvalidArgumentException('Text for the database cannot hold a zero byte.');
            }
        }

        return ($this->connection ??= $this->connect())->rows($sql, $parameters);
    }

    private function connect(): Connection
    {
        $where = $this->where instanceof Closure ? ($this->where)() : $this->where;

        return match (true) {
            is_string($where) => PdoConnection::persistent($where),
            $where instanceof PDO => new PdoConnection($where),
            $where instanceof PgSql\Connection => new PgsqlConnection($where),
            default => $where,
        };
    }

    /** A PDO may have been told to return '' for NULL. */
    private function value(string $sql, int|string|null ...$parameters): int|string|null
    {
        $value = $this->rows($sql, ...$parameters)[0][0] ?? null;

        return $value === '' ? null : $value;
    }

    /** Whether it may be an id or a handle. SQL text cannot carry what else a browser may send. */
    private static function isText(string $text): bool
    {
        return (bool) preg_match('/\A[ -~]{1,256}\z/', $text);
    }

    /** Seconds do not depend on the connection's time zone and style of dates. */
    private static function time(?string $seconds): ?DateTimeImmutable
    {
        return $seconds ? DateTimeImmutable::createFromFormat('U.u', $seconds) : null;
    }

    /**
     * @param array{?string, int|string} $row
     */
    private static function stored(array $row): Stored
    {
        return new Stored(hex2bin((string) $row[0]), (int) $row[1]);
    }

    /** Zero would be no limit, and the extension has one. */
    private static function interval(?int $seconds): ?string
    {
        return $seconds === null ? null : min(max($seconds, 1), 2_000_000_000) . ' seconds';
    }

    private static function json(array $attributes): string
    {
        return json_encode((object) $attributes, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
    }
}
