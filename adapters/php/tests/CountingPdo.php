<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use PDO;
use PDOStatement;

final class CountingPdo extends PDO
{
    public static int $statements = 0;

    public function prepare(string $query, array $options = []): PDOStatement|false
    {
        self::$statements++;

        return parent::prepare($query, $options);
    }
}
