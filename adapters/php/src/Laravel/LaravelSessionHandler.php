<?php

declare(strict_types=1);

namespace SessionStore\Laravel;

use Closure;
use Illuminate\Session\Store as IlluminateStore;
use LogicException;
use SessionHandlerInterface;
use SessionStore\Devices;
use SessionStore\Login;
use SessionStore\Session;
use SessionStore\Store;

/**
 * The handler of a Laravel session, whose Store calls read(), write() and destroy() and none of PHP's other ones.
 */
final class LaravelSessionHandler implements SessionHandlerInterface
{
    use Devices;

    private ?Session $session = null;
    /** What makes the session of the new id out of the one that Laravel gives up. */
    private ?Closure $renewal = null;
    private ?Login $login = null;
    private bool $loggedOut = false;

    public function __construct(private readonly Store $store, private readonly int $lifetime)
    {
    }

    public function open(string $path, string $name): bool
    {
        return true;
    }

    public function close(): bool
    {
        return true;
    }

    public function read(string $id): string
    {
        $this->renewal = $this->login = null;
        $this->loggedOut = false;
        $this->session = Session::find($this->store, $id, 'php_serialize');

        return $this->session->data();
    }

    public function write(string $id, string $data): bool
    {
        $bound = $this->login !== null && $this->renewal !== null;
        if ($this->session()->id !== $id) {
            $this->session = ($this->renewal ?? $this->session->copied(...))($id);
        }
        $this->session->save($data, $this->lifetime);
        if ($this->login && !$bound) {
            $this->store->bind($id, $this->login->principal, $this->login->attributes);
        } elseif ($this->loggedOut) {
            $this->store->bind($id, null);
        }
        $this->renewal = $this->login = null;
        $this->loggedOut = false;

        return true;
    }

    /**
     * Of the session that is open it comes from the Store, which then saves under another id.
     */
    public function destroy(string $id): bool
    {
        $calls = self::callsOfStore();
        // After regenerate() it has an id that is nowhere yet.
        $isMigrated = $this->session && in_array('migrate', $calls, true);
        $isOpen = $this->renewal || $this->session?->id === $id || $isMigrated;
        if ($isMigrated && !in_array('invalidate', $calls, true)) { // which calls migrate, too
            $this->renewal = $this->renewalOf($this->session);
            return true;
        }
        $this->store->destroy($isOpen ? $this->session->id : $id);
        if ($isOpen) {
            $this->session = Session::fresh($this->store, $id, 'php_serialize');
            $this->renewal = null;
        }

        return true;
    }

    public function gc(int $max_lifetime): int
    {
        return 0; // the extension removes what has expired
    }

    /**
     * Has the session be this user's from when it is saved.
     *
     * @param array<string, mixed> $attributes
     */
    public function login(string $principal, array $attributes): void
    {
        $this->login = new Login($principal, $attributes, null);
        $this->loggedOut = false;
    }

    public function logout(): void
    {
        $this->login = null;
        $this->loggedOut = true;
    }

    private function session(): Session
    {
        return $this->session ?? throw new LogicException('No session has been started.');
    }

    private function renewalOf(Session $session): Closure
    {
        return fn (string $id): Session => $this->login
            ? $session->loggedIn($id, $this->login, $this->lifetime)
            : $session->renewed($id);
    }

    /**
     * @return list<string> which functions of Laravel's session have led here
     */
    private static function callsOfStore(): array
    {
        $calls = array_filter(
            debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 20),
            static fn (array $frame): bool => ($frame['class'] ?? '') === IlluminateStore::class,
        );

        return array_column($calls, 'function');
    }
}
