<?php

declare(strict_types=1);

namespace SessionStore;

/**
 * Who the session is to be bound to when its id is renewed.
 */
final class Login
{
    public bool $changedUser = false;

    /**
     * @param array<string, mixed> $attributes
     */
    public function __construct(
        public readonly string $principal,
        public readonly array $attributes,
        public readonly ?int $maxSessions,
    ) {
    }
}
