<?php

declare(strict_types=1);

namespace SessionStore;

/**
 * A way to ask the database.
 */
interface Connection
{
    /**
     * One round trip, without prepared statements, so that PgBouncer in transaction mode may be in between.
     *
     * @param string $sql with a ? for each parameter
     * @param list<int|string|null> $parameters
     *
     * @return list<list<mixed>>
     *
     * @throws \RuntimeException when the database says no, whatever the connection's error mode is
     */
    public function rows(string $sql, array $parameters): array;
}
