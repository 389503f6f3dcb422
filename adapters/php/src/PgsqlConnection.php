<?php

declare(strict_types=1);

namespace SessionStore;

use PgSql;

final class PgsqlConnection implements Connection
{
    public function __construct(private readonly PgSql\Connection $connection)
    {
    }

    public function rows(string $sql, array $parameters): array
    {
        $number = 0;
        $numbered = preg_replace_callback('/\?/', static function () use (&$number): string {
            return '$' . ++$number;
        }, $sql);
        $result = @pg_query_params($this->connection, $numbered, $parameters);
        if (!$result) {
            throw new \RuntimeException(pg_last_error($this->connection));
        }

        return pg_fetch_all($result, PGSQL_NUM);
    }
}
