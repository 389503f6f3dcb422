<?php

/**
 * What site.php serves: the first argument is the handler, or Symfony's session.
 */

declare(strict_types=1);

use SessionStore\PostgreSqlSessionHandler;
use Symfony\Component\HttpFoundation\Session\Session;

$wait = static fn (int $milliseconds) => usleep($milliseconds * 1000);
/** Sends what there is, with the headers. */
$send = static function (string $text = ''): void {
    while (ob_get_level()) {
        ob_end_flush();
    }
    echo $text;
    flush();
};

return [
    'look' => static fn (): array => $_SESSION,
    'ignore' => static fn () => null,
    'set' => static function ($sessions, string|int $key, mixed $value, int $waiting = 0) use ($wait): void {
        $wait($waiting);
        $_SESSION[$key] = $value;
    },
    'setWithin' => static function ($sessions, string $key, string $member, mixed $value, int $waiting) use ($wait) {
        $wait($waiting);
        $_SESSION[$key][$member] = $value;
    },
    'append' => static function ($sessions, string $key, mixed $value, int $waiting = 0) use ($wait): void {
        $wait($waiting);
        $_SESSION[$key][] = $value;
    },
    'clear' => static function (): void {
        $_SESSION = [];
    },
    'setReference' => static function ($sessions, string $key, int $waiting = 0) use ($wait): void {
        $wait($waiting);
        $_SESSION[$key] = [1, 2];
        $_SESSION['reference'] = &$_SESSION[$key];
    },
    'setAfterOutput' => static function ($sessions, string $key, mixed $value) use ($send): void {
        $send(' ');
        $_SESSION[$key] = $value;
    },
    'lookAfterOutput' => static function () use ($send): void {
        $send(' ');
    },
    'lookWithCookies' => static function (): void {
        setcookie('theme', 'dark');
        setcookie('PHPSESSIDs', 'another');
    },
    'closeTwice' => static function (): array {
        $_SESSION['a'] = 1;
        session_write_close();
        session_write_close();
        $_SESSION['b'] = 2; // which is too late
        session_start();
        $seen = $_SESSION;
        $_SESSION['c'] = 3;
        return $seen;
    },
    'abort' => static function (): void {
        $_SESSION['a'] = 'aborted';
        session_abort();
    },
    'reset' => static function (): array {
        $_SESSION['a'] = 'reset';
        session_reset();
        return $_SESSION;
    },
    'readAndClose' => static function (): array {
        session_start(['read_and_close' => true]);
        $_SESSION['a'] = 'unsaved';
        return $_SESSION;
    },
    'decode' => static function ($sessions, string $encoded): void {
        session_decode($encoded);
    },
    'renew' => static function ($sessions, bool $destroy, int $waiting = 0) use ($wait): string {
        $wait($waiting);
        $_SESSION['renewed'] = true;
        session_regenerate_id($destroy);
        return session_id();
    },
    'renewOnly' => static fn ($sessions, bool $destroy): bool => session_regenerate_id($destroy),
    'popAndRenew' => static function (PostgreSqlSessionHandler $sessions, string $key, int $waiting) use ($wait): void {
        $wait($waiting);
        $sessions->pop($key);
        session_regenerate_id(true);
        $_SESSION['renewed'] = true;
    },
    'renewTwice' => static function (): void {
        session_regenerate_id(true);
        session_regenerate_id(true);
    },
    'emptyAndRenew' => static function (): void {
        $_SESSION = [];
        session_regenerate_id(true);
    },
    'end' => static function (): void {
        session_destroy();
    },
    'endAndBegin' => static function (): void {
        session_destroy();
        session_start();
        $_SESSION['b'] = 2;
    },
    'login' => static function (
        PostgreSqlSessionHandler $sessions,
        string $user,
        int $waiting = 0,
        ?int $maxSessions = null,
        ?int $remember = null,
    ) use ($wait): bool {
        $wait($waiting);
        $_SESSION['before'] = $user;
        $loggedIn = $sessions->login($user, ['browser' => $_SERVER['HTTP_USER_AGENT']], $maxSessions);
        $_SESSION['user'] = $user;
        if ($remember) {
            $sessions->remember($remember);
        }
        return $loggedIn;
    },
    'loginAndSet' => static function (PostgreSqlSessionHandler $sessions, string $user, string $key, mixed $value) {
        $sessions->login($user);
        $_SESSION[$key] = $value;
    },
    'fail' => static function (PostgreSqlSessionHandler $sessions, string $call, mixed ...$arguments): string {
        try {
            $sessions->$call(...$arguments);
            return '';
        } catch (Throwable $exception) {
            return get_class($exception);
        }
    },
    'loginThenOutput' => static function (
        PostgreSqlSessionHandler $sessions,
        string $user,
        int $waiting,
    ) use (
        $wait,
        $send
    ): void {
        $wait($waiting);
        echo (int) $sessions->login($user);
        $send();
    },
    'rememberAndLogIn' => static fn (PostgreSqlSessionHandler $sessions, int $seconds): bool
        => $sessions->remember($seconds) && $sessions->login('ada'),
    'loginAfterOutput' => static function (PostgreSqlSessionHandler $sessions) use ($send): string {
        $send();
        try {
            $sessions->login('ada');
            return '';
        } catch (LogicException $exception) {
            return $exception->getMessage();
        }
    },
    'remember' => static fn (PostgreSqlSessionHandler $sessions, int $seconds, int $waiting = 0): bool
        => $wait($waiting) || $sessions->remember($seconds),
    'rememberAndSet' => static function (PostgreSqlSessionHandler $sessions, int $seconds): void {
        $sessions->remember($seconds);
        $_SESSION['a'] = 1;
    },
    'devices' => static fn (PostgreSqlSessionHandler $sessions): array => $sessions->devices(),
    'revoke' => static fn (PostgreSqlSessionHandler $sessions, string $handle): bool => $sessions->revoke($handle),
    'revokeOthers' => static fn (PostgreSqlSessionHandler $sessions): array => $sessions->revokeOthers(),
    'revokeAll' => static fn (PostgreSqlSessionHandler $sessions, string $user): array => $sessions->revokeAll($user),
    'pop' => static fn (PostgreSqlSessionHandler $sessions, string $key, int $waiting = 0): mixed
        => $wait($waiting) ?? $sessions->pop($key),
    'setPopSet' => static function (PostgreSqlSessionHandler $sessions): mixed {
        $_SESSION['before'] = 1;
        $popped = $sessions->pop('flash');
        $_SESSION['after'] = 1;
        return $popped;
    },
    'rollBackElsewhere' => static function (): void {
        $pdo = new PDO('pgsql:', options: [PDO::ATTR_PERSISTENT => true]);
        $pdo->beginTransaction();
        $_SESSION['a'] = 'saved';
        session_write_close();
        $pdo->rollBack();
    },
    'loginWithoutCookies' => static function (PostgreSqlSessionHandler $sessions): array {
        session_start();
        $_SESSION['a'] = 1;
        $loggedIn = $sessions->login('ada') && $sessions->remember(7200);
        session_write_close();
        return [$loggedIn, session_id()];
    },
    'rollBack' => static function (PostgreSqlSessionHandler $sessions) use ($connect): void {
        $connect()->beginTransaction();
        $_SESSION['a'] = 'rolled back';
        session_write_close();
        $connect()->rollBack();
    },
    'saveInFailedTransaction' => static function (PostgreSqlSessionHandler $sessions) use ($connect): string {
        $connect()->beginTransaction();
        try {
            @$connect()->query('SELECT 1 / 0');
        } catch (PDOException) {
            // which it is in one of the modes
        }
        $_SESSION['a'] = 'lost';
        try {
            session_write_close();
            return '';
        } catch (PDOException $exception) {
            $connect()->rollBack();
            return $exception->errorInfo[0];
        }
    },
    'afterClosing' => static function (PostgreSqlSessionHandler $sessions): string {
        session_write_close();
        try {
            $sessions->devices();
            return '';
        } catch (LogicException $exception) {
            return $exception->getMessage();
        }
    },

    'createTable' => static function () use (&$handler): void {
        $handler->createTable();
    },
    'readme' => static function (PostgreSqlSessionHandler $sessions, string $block): string {
        [$user, $handle] = [(object) ['id' => 'ada'], 'of another device'];
        ob_start();
        session_status() === PHP_SESSION_ACTIVE || str_contains($block, 'session_start()') || session_start();
        eval($block);
        session_status() === PHP_SESSION_ACTIVE && session_write_close();
        return ob_get_clean();
    },
    'startFails' => static function () use (&$session): array {
        try {
            $session ? $session->start() : session_start();
            return [];
        } catch (Throwable $exception) {
            return [get_class($exception), preg_grep('/^Set-Cookie/i', headers_list())];
        }
    },

    'symfonySet' => static function (Session $session, string $key, mixed $value, int $waiting = 0) use ($wait): void {
        $wait($waiting);
        $session->set($key, $value);
    },
    'symfonyLook' => static fn (Session $session): array => $session->all(),
    'symfonyFlash' => static function (Session $session, string $message, int $waiting = 0) use ($wait): void {
        $wait($waiting);
        $session->getFlashBag()->add('notice', $message);
    },
    'symfonyShow' => static function (Session $session, int $waiting = 0) use ($wait): array {
        $wait($waiting);
        return $session->getFlashBag()->get('notice');
    },
    'symfonyMigrate' => static fn (Session $session, bool $destroy): bool => $session->migrate($destroy),
    'symfonyInvalidate' => static fn (Session $session): bool => $session->invalidate(),
    'symfonyInvalidateAndSay' => static function (Session $session, string $message): void {
        $session->invalidate();
        $session->getFlashBag()->add('notice', $message);
    },
    'symfonyLogin' => static function (Session $session, string $user) use ($sessions): array {
        $sessions->login($user);
        $kept = $session->all();
        $session->set('user', $user);
        return $kept;
    },
];
