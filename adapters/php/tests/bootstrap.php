<?php

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/' . substr($class, strlen('SessionStore\\Tests\\')) . '.php';
    if (str_starts_with($class, 'SessionStore\\Tests\\') && is_file($file)) {
        require $file;
    }
});
