<?php

/**
 * The requests of ../load on plain PHP, with the session handler that STORE names.
 */

declare(strict_types=1);

use SessionStore\PostgreSqlSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\PdoSessionHandler;

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/untouched') {
    echo 'none';
    return;
}

$ours = getenv('STORE') === 'session_store';
if ($ours) {
    require __DIR__ . '/../../../adapters/php/autoload.php';
    $handler = new PostgreSqlSessionHandler('pgsql:', 3600);
} else {
    require 'Symfony/Component/HttpFoundation/autoload.php';
    $handler = new PdoSessionHandler('pgsql:', ['db_connection_options' => [PDO::ATTR_PERSISTENT => true]]);
}
session_set_save_handler($handler, true);
session_start(['use_strict_mode' => true, 'gc_maxlifetime' => 3600]);

switch ($path) {
    case '/write':
        $_SESSION['seen'] = $_GET['seen'];
        break;
    case '/first':
        for ($i = 0; $i < 10; $i++) {
            $_SESSION["key$i"] = str_repeat("value $i of $_GET[seen] ", 3);
        }
        $_SESSION['seen'] = $_GET['seen'];
        break;
    case '/login':
        if ($ours) {
            $handler->login($_GET['user'], ['browser' => $_SERVER['HTTP_USER_AGENT']]);
        } else {
            session_regenerate_id(true);
        }
        $_SESSION['user'] = $_GET['user'];
        break;
    case '/logout':
        session_destroy();
        $_SESSION = [];
}

// What the session holds now, so that the caller sees that the store has done its work.
$seen = $_SESSION['seen'] ?? 'none';
session_write_close();
echo $seen;
