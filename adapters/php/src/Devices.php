<?php

declare(strict_types=1);

namespace SessionStore;

/**
 * The sessions of the user whose the open one is.
 */
trait Devices
{
    abstract private function session(): Session;

    /**
     * None if it is nobody's.
     *
     * @return list<Device> this one first
     */
    public function devices(): array
    {
        return $this->session()->isStored() ? $this->store->devices($this->session()->id) : [];
    }

    /**
     * Ends one of them. False if it is none.
     */
    public function revoke(string $handle): bool
    {
        return $this->session()->isStored() && $this->store->revoke($this->session()->id, $handle);
    }

    /**
     * Ends all of them but this one: at a change of the password.
     *
     * @return list<string> their handles
     */
    public function revokeOthers(): array
    {
        return $this->session()->isStored() ? $this->store->revokeOthers($this->session()->id) : [];
    }

    /**
     * Ends all sessions of a user, also where none is open: when a password is reset, or an account closed.
     *
     * @return list<string> their handles
     */
    public function revokeAll(string $principal): array
    {
        return $this->store->revokeAll($principal);
    }
}
