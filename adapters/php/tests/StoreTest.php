<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use PDO;
use SessionStore\Connection;
use SessionStore\PdoConnection;
use SessionStore\Store;

final class StoreTest extends TestCase
{
    /**
     * Where others can see it, and logs keep it.
     */
    public function testNoIdIsInAStatement(): void
    {
        foreach ([0, 1] as $emulate) {
            $pdo = new PDO('pgsql:', options: [PDO::ATTR_EMULATE_PREPARES => $emulate]);
            $process = $pdo->query('SELECT pg_backend_pid()')->fetchColumn();
            (new Store($pdo))->fetch('secret');
            $statement = self::one('SELECT query FROM pg_stat_activity WHERE pid = ?', $process);
            self::assertStringContainsString('session_fetch($1, $2)', $statement);
        }
    }

    /**
     * Between the statements of a copy all sessions of the user end, the new one maybe too early to be among them.
     */
    public function testACopyOfWhatEndsMeanwhileEndsAsWell(): void
    {
        $connection = new class (new PdoConnection(new PDO('pgsql:'))) implements Connection {
            public function __construct(private readonly Connection $connection)
            {
            }

            public function rows(string $sql, array $parameters): array
            {
                $rows = $this->connection->rows($sql, $parameters);
                if (str_contains($sql, 'session_create_raw')) {
                    $this->connection->rows('SELECT session_destroy(?)', ['old']);
                }

                return $rows;
            }
        };
        $store = new Store($connection);
        $store->release('old', 'a|i:1;', 0);
        self::assertNull($store->copy('old', 'new'));
        self::assertFalse(self::exists('new'));
    }
}
