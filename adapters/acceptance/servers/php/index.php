<?php

/**
 * A small application with sessions in the database.
 */

declare(strict_types=1);

use SessionStore\Device;
use SessionStore\PostgreSqlSessionHandler;

require __DIR__ . '/../../../php/autoload.php';

const MONTH = 30 * 24 * 3600;

$lifetime = (int) (getenv('COOKIE_SECONDS') ?: 3600);
$rolling = getenv('ROLLING') === 'yes';
$sessions = (new PostgreSqlSessionHandler('pgsql:', $lifetime))->register(); // where it is, PGHOST and so on say

$open = static fn (): bool => session_start([
    'cookie_lifetime' => $lifetime,
    'cookie_httponly' => true,
    'serialize_handler' => 'php_serialize', // which can have keys such as 7
]);
$wait = static fn () => usleep(1000 * (int) ($_GET['wait'] ?? 0));
$ours = static fn (string $key): bool => in_array($key, ['user', 'remember', 'flash'], true);

$pages = [
    'GET /session' => static fn (): array => [
        'data' => (object) array_filter($_SESSION, static fn ($key): bool => !$ours((string) $key), ARRAY_FILTER_USE_KEY),
    ],
    'POST /set' => static function () use ($wait): array {
        $wait();
        $_SESSION[$_GET['key']] = $_GET['value'];
        return [];
    },
    'POST /unset' => static function () use ($wait): array {
        $wait();
        unset($_SESSION[$_GET['key']]);
        return [];
    },
    'POST /login' => static function () use ($sessions, $wait): array {
        $wait();
        if ($sessions->login($_GET['user'], ['browser' => $_SERVER['HTTP_USER_AGENT'] ?? null])) {
            $_SESSION['user'] = $_GET['user'];
            $_SESSION['remember'] = ($_GET['remember'] ?? '') === 'yes';
            if ($_SESSION['remember']) {
                $sessions->remember(MONTH);
            }
        }
        return [];
    },
    'GET /whoami' => static fn (): array => ['user' => $_SESSION['user'] ?? null],
    'POST /logout' => static function (): array {
        session_destroy();
        return [];
    },
    'POST /flash' => static function (): array {
        $_SESSION['flash'] = $_GET['message'];
        return [];
    },
    'GET /flash' => static fn (): array => ['message' => $sessions->pop('flash')],
    'GET /devices' => static fn (): array => ['devices' => array_map(static fn (Device $device): array => [
        'handle' => $device->handle,
        'is_this' => $device->isThis,
        'attributes' => $device->attributes,
        'last_seen' => $device->lastSeen?->format(DATE_ATOM),
    ], $sessions->devices())],
    'POST /revoke' => static fn (): array => ['revoked' => $sessions->revoke($_GET['handle'])],
    'POST /revoke_others' => static fn (): array => ['revoked' => count($sessions->revokeOthers())],
];

$page = $_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$answer = (object) [];
if (isset($pages[$page])) {
    $open();
    $answer = (object) $pages[$page]();
    if ($rolling && session_status() === PHP_SESSION_ACTIVE) {
        $sessions->remember(empty($_SESSION['remember']) ? $lifetime : MONTH);
    }
    session_write_close();
}
header('Content-Type: application/json');
echo json_encode($answer, JSON_THROW_ON_ERROR);
