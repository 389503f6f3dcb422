<?php

declare(strict_types=1);

namespace SessionStore;

use PDO;
use PDOException;

final class PdoConnection implements Connection
{
    /** Both are the application's to choose for its own statements, so they are said with each of ours. */
    private const OPTIONS = [PDO::ATTR_EMULATE_PREPARES => false, PDO::PGSQL_ATTR_DISABLE_PREPARES => true];

    public function __construct(private readonly PDO $pdo)
    {
    }

    /**
     * A connection that stays open for the next request, and is opened anew if the server has ended it meanwhile.
     */
    public static function persistent(string $dsn): self
    {
        // A name of its own, for it must not be one that the application has a transaction in.
        $connect = static fn (): PDO => new PDO($dsn, options: [PDO::ATTR_PERSISTENT => self::class]);
        // PDO looks at what has come in, without asking: the first time it meets a goodbye, the second time the end.
        $connect();

        return new self($connect());
    }

    public function rows(string $sql, array $parameters): array
    {
        $statement = @$this->pdo->prepare($sql, self::OPTIONS);
        if (!$statement || !@$statement->execute($parameters)) {
            $info = ($statement ?: $this->pdo)->errorInfo();
            $exception = new PDOException("SQLSTATE[$info[0]]: $info[2]");
            $exception->errorInfo = $info;
            throw $exception;
        }

        return $statement->fetchAll(PDO::FETCH_NUM);
    }
}
