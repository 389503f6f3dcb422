<?php

declare(strict_types=1);

namespace SessionStore;

/**
 * A session as one request has it. It is saved only where it is still as the request found it; otherwise what others
 * have saved meanwhile is merged in. One that has ended is not begun again.
 */
final class Session
{
    /** What the request's copy was when it last agreed with what is stored. */
    private string $base = '';
    private string $stored = '';
    /** 0 before it begins, null when it has ended. */
    private ?int $version = 0;
    /** If it is to begin with another than the rest. */
    private ?int $lifetime = null;

    private function __construct(
        private readonly Store $store,
        public readonly string $id,
        private readonly string $format,
    ) {
    }

    public static function fresh(Store $store, string $id, string $format): self
    {
        return new self($store, $id, $format);
    }

    /**
     * As the database has it, or fresh if it has none.
     */
    public static function find(Store $store, string $id, string $format): self
    {
        $session = new self($store, $id, $format);
        $found = $store->fetch($id);
        if ($found) {
            $session->base = $session->stored = $found->payload;
            $session->version = $found->version;
        }

        return $session;
    }

    public function data(): string
    {
        return $this->base;
    }

    public function isStored(): bool
    {
        return (bool) $this->version;
    }

    public function hasEnded(): bool
    {
        return $this->version === null;
    }

    /**
     * @param int $lifetime for a session that begins
     */
    public function save(string $data, int $lifetime): void
    {
        if ($this->hasEnded() || $data === $this->base || ($this->version === 0 && Payload::isEmpty($data))) {
            return;
        }
        do {
            $merged = $this->stored === $this->base
                ? $data
                : Payload::merge($this->base, $data, $this->stored, $this->format) ?? $data;
            if ($this->release($merged, $lifetime)) {
                $this->base = $data;
                return;
            }
        } while ($this->reload());
    }

    /**
     * Gives it another lifetime, now or when it begins; one that is over ends it. False if it has ended.
     */
    public function extend(int $lifetime): bool
    {
        if ($lifetime <= 0) {
            if ($this->isStored()) {
                $this->store->destroy($this->id);
            }
            $this->version = null;
        }
        $this->lifetime = $lifetime;

        return $this->version === 0 || ($this->isStored() && $this->store->touch($this->id, $lifetime));
    }

    /**
     * Takes a key out of what is stored. False if another request was faster.
     */
    public function take(string $key): bool
    {
        $remaining = Payload::without($this->base, $key, $this->format);
        if ($remaining === null) {
            return true; // it has been set since, and is nobody else's; or this is a format of which we know nothing
        }
        $this->base = $remaining;
        do {
            $without = Payload::without($this->stored, $key, $this->format);
            if ($without === null || $this->hasEnded()) {
                return false;
            }
            if ($this->release($without)) {
                return true;
            }
        } while ($this->reload());

        return false;
    }

    /**
     * The same session under another id, where it is now, unless it has ended.
     */
    public function renewed(string $id): self
    {
        $moved = $this->isStored() && $this->store->regenerate($this->id, $id);

        return $this->under($id, $moved || $this->version === 0 ? $this->version : null);
    }

    /**
     * Another session for the same content, which is yet to be saved there.
     */
    public function copied(string $id): self
    {
        $copy = self::fresh($this->store, $id, $this->format);
        if ($this->version !== 0) {
            $copy->version = $this->isStored() ? $this->store->copy($this->id, $id) : null;
        }

        return $copy;
    }

    /**
     * Under another id, and bound to the user. Has nothing of it if it was somebody else's.
     */
    public function loggedIn(string $id, Login $login, int $lifetime): self
    {
        $found = $this->hasEnded() ? null : $this->store->login(
            $this->isStored() ? $this->id : null,
            $id,
            $login->principal,
            $login->attributes,
            $login->maxSessions,
            $this->lifetime ?? $lifetime,
        );
        $session = $this->under($id, $found[0]->version ?? null);
        $session->stored = $found[0]->payload ?? '';
        if ($found[1] ?? false) {
            $session->base = $session->stored;
            $login->changedUser = true;
        }

        return $session;
    }

    private function under(string $id, ?int $version): self
    {
        $session = new self($this->store, $id, $this->format);
        $session->base = $this->base;
        $session->stored = $this->stored;
        $session->version = $version;
        $session->lifetime = $this->lifetime;

        return $session;
    }

    private function release(string $payload, ?int $lifetime = null): bool
    {
        $lifetime = $this->isStored() ? null : $this->lifetime ?? $lifetime;
        $version = $this->store->release($this->id, $payload, $this->version, $lifetime);
        if ($version === null) {
            return false;
        }
        $this->stored = $payload;
        $this->version = $version;

        return true;
    }

    private function reload(): bool
    {
        $found = $this->store->fetch($this->id, slide: false);
        $this->stored = $found->payload ?? '';
        $this->version = $found?->version;

        return $found !== null;
    }
}
