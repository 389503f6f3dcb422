<?php

declare(strict_types=1);

namespace SessionStore;

/**
 * What the database holds of a session.
 */
final class Stored
{
    public function __construct(public readonly string $payload, public readonly int $version)
    {
    }
}
