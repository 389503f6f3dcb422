<?php

/**
 * Answers /PAGE with what a function in pages.php returns, within a session.
 *
 * ?with[…]= says how: the connection, an error mode, settings of PHP's, plain PHP or Symfony's sessions, their handler.
 */

declare(strict_types=1);

use SessionStore\PostgreSqlSessionHandler;
use SessionStore\Tests\CountingPdo;
use Symfony\Component\HttpFoundation\Session\Session;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\PdoSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\MetadataBag;
use Symfony\Component\HttpFoundation\Session\Storage\NativeSessionStorage;

require __DIR__ . '/bootstrap.php';

if (str_starts_with($_SERVER['REQUEST_URI'], '/kernel/')) {
    require __DIR__ . '/kernel.php';
    return;
}
$with = $_GET['with'] ?? [];
foreach ($with['ini'] ?? [] as $name => $value) {
    ini_set($name, $value);
}

$pdo = null;
$connect = static function () use (&$pdo, $with): PDO {
    return $pdo ??= new CountingPdo('pgsql:', options: array_map('intval', $with['options'] ?? []));
};
$sessions = new PostgreSqlSessionHandler(match ($with['connection'] ?? 'pdo') {
    'pdo' => $connect,
    'application' => $connect(),
    'persistent' => 'pgsql:',
    'pgsql' => pg_connect(''),
    'away' => 'pgsql:port=1',
}, isset($with['lifetime']) ? (int) $with['lifetime'] : null);

$handler = $sessions;
if (isset($with['symfony']) || isset($with['theirs'])) {
    require 'Symfony/Component/HttpFoundation/autoload.php';
}
if (isset($with['theirs'])) {
    $handler = new PdoSessionHandler('pgsql:');
}
$session = null;
if (isset($with['symfony'])) {
    $bag = new MetadataBag('_sf2_meta', (int) ($with['threshold'] ?? 0));
    $session = new Session(new NativeSessionStorage([], $handler, $bag));
} elseif ($handler !== $sessions || isset($with['loose'])) {
    session_set_save_handler($handler, true);
} else {
    $sessions->register();
}

$page = (require __DIR__ . '/pages.php')[ltrim(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH), '/')];
$arguments = unserialize(base64_decode($_GET['arguments']));
if (isset($with['unopened'])) {
    $said = $page($sessions, ...$arguments);
} elseif ($session) {
    $session->start();
    $said = $page($session, ...$arguments);
    $session->save();
} else {
    session_start();
    $said = $page($sessions, ...$arguments);
    session_write_close();
}
if (!headers_sent()) {
    header('X-Statements: ' . CountingPdo::$statements);
}
echo serialize($said);
