<?php

declare(strict_types=1);

namespace SessionStore;

use DateTimeImmutable;

/**
 * One of the sessions of a user.
 */
final class Device
{
    /**
     * @param array<string, mixed> $attributes what login() was given
     * @param ?DateTimeImmutable $lastSeen null where the lifetime has no idle limit
     * @param ?DateTimeImmutable $expiresAt null if it does not
     */
    public function __construct(
        public readonly string $handle,
        public readonly bool $isThis,
        public readonly array $attributes,
        public readonly DateTimeImmutable $createdAt,
        public readonly DateTimeImmutable $authenticatedAt,
        public readonly ?DateTimeImmutable $lastSeen,
        public readonly ?DateTimeImmutable $expiresAt,
    ) {
    }
}
