<?php

declare(strict_types=1);

namespace SessionStore;

use Closure;
use LogicException;
use PDO;
use PgSql;
use ReflectionReference;
use SessionHandlerInterface;
use SessionIdInterface;
use SessionUpdateTimestampHandlerInterface;
use Symfony\Component\HttpFoundation\Session\Session as Symfony;
use Throwable;

/**
 * Keeps PHP's sessions in PostgreSQL, by the extension session_store.
 *
 * Nothing is locked during a request. What does not change is not written, and what two requests change at once is
 * merged. A session that another request has ended stays so: write() then says true and saves nothing, for to PHP its
 * false is a failure.
 */
class PostgreSqlSessionHandler implements
    SessionHandlerInterface,
    SessionUpdateTimestampHandlerInterface,
    SessionIdInterface
{
    use Devices;

    private readonly Store $store;
    private ?Session $session = null;
    /** What validateId() has found, or createId() has made, for the read() that follows. */
    private ?Session $looked = null;
    /** Why validateId() could not find out. */
    private ?Throwable $failure = null;
    /** What makes the session of the new id out of the one that session_regenerate_id() gives up. */
    private ?Closure $renewal = null;
    private ?Login $login = null;
    /** For how long this request has the session and its cookie remembered. */
    private ?int $remembered = null;

    /**
     * @param PDO|PgSql\Connection|Closure|string $connection PDO's DSN, for a persistent connection that is opened when
     *                                                        it is needed; or a connection; or a closure that returns
     *                                                        one, called whenever a session is opened
     * @param ?int $lifetime for how many seconds a session may be idle; without it session.gc_maxlifetime
     */
    public function __construct(
        PDO|PgSql\Connection|Closure|string $connection,
        private readonly ?int $lifetime = null,
    ) {
        $this->store = new Store($connection);
    }

    /**
     * Has PHP use it, without adopting ids that browsers make up.
     */
    public function register(): static
    {
        ini_set('session.use_strict_mode', '1');
        session_set_save_handler($this, true);

        return $this;
    }

    // Called by PHP

    public function open(string $path, string $name): bool
    {
        $this->store->reconnect();
        $this->looked = $this->failure = $this->remembered = null;

        return true;
    }

    public function close(): bool
    {
        $this->session = $this->looked = $this->failure = null;

        return true;
    }

    // phpcs:ignore PSR1.Methods.CamelCapsMethodName
    public function create_sid(): string
    {
        $id = session_create_id();
        $this->looked = $this->fresh($id);

        return $id;
    }

    public function validateId(string $id): bool
    {
        if ($this->looked?->id !== $id) {
            try {
                $this->looked = $this->renewal() ? $this->fresh($id) : $this->find($id);
            } catch (Throwable $failure) {
                // Said no now, PHP would send the browser a new id in the place of one that may be good.
                $this->failure = $failure;
                return true;
            }
        }

        return $this->looked->isStored();
    }

    public function read(string $id): string
    {
        if ($this->failure) {
            throw $this->failure;
        }
        $renewal = $this->renewal();
        $this->session = match (true) {
            $renewal !== null => $renewal($id),
            $this->looked?->id === $id => $this->looked,
            default => $this->find($id),
        };
        $this->looked = $this->renewal = null;

        return $this->session->data();
    }

    public function write(string $id, string $data): bool
    {
        $session = $this->session?->id === $id ? $this->session : $this->find($id);
        $session->save($data, $this->lifetime());
        if (!$session->isStored()) {
            $this->withdrawCookie($id);
        }
        if (self::isCalledBy('session_regenerate_id')) {
            $this->renewal = $session->copied(...);
        }

        return true;
    }

    public function updateTimestamp(string $id, string $data): bool
    {
        return $this->write($id, $data); // looking it up has kept it alive
    }

    public function destroy(string $id): bool
    {
        $this->withdrawCookie($id);
        $session = $this->session?->id === $id ? $this->session : null;
        $login = $this->login;
        if ($session && self::isCalledBy('session_regenerate_id') && ($login || !self::isLogout())) {
            $this->renewal = $login
                ? fn (string $new): Session => $session->loggedIn($new, $login, $this->lifetime())
                : $session->renewed(...);
        } elseif (!$session || $session->isStored()) {
            $this->store->destroy($id);
        }

        return true;
    }

    public function gc(int $max_lifetime): int
    {
        return 0; // the extension removes what has expired
    }

    // For the application

    /**
     * Renews the session's id and binds it to the user. One that was another user's is emptied, $_SESSION too.
     *
     * @param array<string, mixed> $attributes what devices() shows of it
     * @param ?int $maxSessions the user's longest unused ones beyond it end
     *
     * @return bool false, and nothing done, if another request has ended or renewed the session meanwhile
     */
    public function login(string $principal, array $attributes = [], ?int $maxSessions = null): bool
    {
        $this->session();
        if (headers_sent()) {
            throw new LogicException('A login comes before any output: PHP renews no id after it.');
        }
        $login = $this->login = new Login($principal, $attributes, $maxSessions);
        $remembered = $this->remembered; // PHP closes and opens the session to renew its id
        try {
            session_regenerate_id(true);
        } finally {
            $this->login = null;
        }
        if ($this->session()->hasEnded()) {
            $this->withdrawCookie(session_id()); // now, for output may send it before the session is written
            return false;
        }
        if ($remembered !== null) {
            $this->sendCookie($remembered);
        }
        if ($login->changedUser) {
            self::forget();
        }

        return true;
    }

    /**
     * Gives the session this lifetime from now on, and the cookie as well: "remember me", or a cookie that rolls. At
     * zero or less it ends.
     *
     * @return bool false if the session has ended meanwhile, whose cookie is left alone
     */
    public function remember(int $seconds): bool
    {
        if (!$this->session()->extend($seconds)) {
            $this->withdrawCookie(session_id());
            return false;
        }
        $this->remembered = $seconds;
        $this->sendCookie($seconds);

        return true;
    }

    /**
     * Takes a value out of $_SESSION and the database at once: of parallel requests one gets it.
     */
    public function pop(string $key): mixed
    {
        $value = $_SESSION[$key] ?? null;
        unset($_SESSION[$key]);

        return $this->session()->take($key) ? $value : null;
    }

    // How

    private function session(): Session
    {
        return $this->session ?? throw new LogicException('No session is open: session_start() comes first.');
    }

    private function fresh(string $id): Session
    {
        return Session::fresh($this->store, $id, ini_get('session.serialize_handler'));
    }

    private function find(string $id): Session
    {
        return Session::find($this->store, $id, ini_get('session.serialize_handler'));
    }

    private function lifetime(): int
    {
        return $this->lifetime ?? (int) ini_get('session.gc_maxlifetime');
    }

    private function renewal(): ?Closure
    {
        return $this->renewal && self::isCalledBy('session_regenerate_id') ? $this->renewal : null;
    }

    /** PHP destroys for session_destroy(), too, and does not say which it is. */
    private static function isCalledBy(string $function, ?string $class = null): bool
    {
        // Between PHP and this handler may be others, such as Symfony's proxy.
        foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 20) as $frame) {
            if ($frame['function'] === $function && ($frame['class'] ?? null) === $class) {
                return true;
            }
        }

        return false;
    }

    /** What is emptied before it gets a new id is not to stay the user's. Symfony refills it at once. */
    private static function isLogout(): bool
    {
        return !$_SESSION || self::isCalledBy('invalidate', Symfony::class);
    }

    private function sendCookie(int $seconds): void
    {
        if (filter_var(ini_get('session.use_cookies'), FILTER_VALIDATE_BOOLEAN)) {
            $this->withdrawCookie(session_id());
            $parameters = session_get_cookie_params();
            unset($parameters['lifetime']);
            setcookie(session_name(), session_id(), ['expires' => time() + $seconds] + $parameters);
        }
    }

    /**
     * Takes back the cookie that PHP was about to send for a session that there is none of.
     */
    private function withdrawCookie(string $id): void
    {
        if (headers_sent()) {
            return;
        }
        $ours = 'Set-Cookie: ' . session_name() . '=' . urlencode($id);
        $cookies = preg_grep('/^Set-Cookie:/i', headers_list());
        $others = array_filter($cookies, static fn (string $cookie): bool => !str_starts_with("$cookie;", "$ours;"));
        if (count($others) < count($cookies)) {
            header_remove('Set-Cookie');
            foreach ($others as $cookie) {
                header($cookie, false);
            }
        }
    }

    private static function forget(): void
    {
        foreach (array_keys($_SESSION) as $key) {
            if (ReflectionReference::fromArrayElement($_SESSION, $key)) {
                $_SESSION[$key] = []; // somebody else holds it too, as Symfony does its bags
            } else {
                unset($_SESSION[$key]);
            }
        }
    }
}
