<?php

declare(strict_types=1);

namespace SessionStore\Laravel;

use Illuminate\Database\Connection as IlluminateConnection;
use Illuminate\Database\DetectsLostConnections;
use PDOException;
use SessionStore\Connection;
use SessionStore\PdoConnection;

/**
 * Laravel's connection, which it opens anew when it is lost. Its own queries would write ids into error messages.
 */
final class LaravelConnection implements Connection
{
    use DetectsLostConnections;

    public function __construct(private readonly IlluminateConnection $database)
    {
    }

    public function rows(string $sql, array $parameters): array
    {
        try {
            return $this->ask($sql, $parameters);
        } catch (PDOException $exception) {
            if ($this->database->transactionLevel() > 0 || !$this->causedByLostConnection($exception)) {
                throw $exception;
            }
            $this->database->reconnect();

            return $this->ask($sql, $parameters);
        }
    }

    private function ask(string $sql, array $parameters): array
    {
        return (new PdoConnection($this->database->getPdo()))->rows($sql, $parameters);
    }
}
