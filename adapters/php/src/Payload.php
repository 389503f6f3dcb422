<?php

declare(strict_types=1);

namespace SessionStore;

use UnexpectedValueException;

/**
 * Arrays in PHP's session formats, taken apart without unserializing anything: a value is the text that it was
 * serialized to, or an array of such. Objects are text as well, so that none is woken.
 */
final class Payload
{
    /**
     * What two requests made of the same session, put together.
     *
     * @param string $ours what is saved last, and counts where both have changed the same
     * @param string $format session.serialize_handler
     *
     * @return ?string null if it cannot be told, as in other formats and with references, which count values from the
     *                 payload's beginning
     */
    public static function merge(string $base, string $ours, string $theirs, string $format): ?string
    {
        $parsed = [self::parse($base, $format), self::parse($ours, $format), self::parse($theirs, $format)];

        return in_array(null, $parsed, true) ? null : self::build(self::mergeValues(...$parsed) ?? [], $format);
    }

    /**
     * The payload without a key; null if it has none, or cannot be taken apart.
     */
    public static function without(string $payload, string $key, string $format): ?string
    {
        $values = self::parse($payload, $format);
        if ($values === null || !array_key_exists($key, $values)) {
            return null;
        }
        unset($values[$key]);

        return self::build($values, $format);
    }

    public static function isEmpty(string $payload): bool
    {
        return $payload === '' || $payload === 'a:0:{}';
    }

    /**
     * @return ?array<string|array>
     */
    public static function parse(string $payload, string $format): ?array
    {
        if ($payload === '') {
            return [];
        }
        try {
            return match ($format) {
                'php' => (new Serialized($payload))->variables(),
                'php_serialize' => (new Serialized($payload))->array(),
                default => null,
            };
        } catch (UnexpectedValueException) {
            return null;
        }
    }

    /**
     * Null is for what is not there.
     */
    private static function mergeValues(
        string|array|null $base,
        string|array|null $ours,
        string|array|null $theirs,
    ): string|array|null {
        if ($ours === $base || $ours === $theirs) {
            return $theirs;
        }
        if ($theirs === $base || !self::areMergeable($base, $ours, $theirs)) {
            return $ours;
        }
        $before = is_array($base) ? $base : [];
        if (self::isAppendedTo($before, $ours) && self::isAppendedTo($before, $theirs)) {
            return [...$theirs, ...array_slice($ours, count($before))];
        }
        $merged = [];
        foreach (array_keys(($theirs ?? []) + ($ours ?? [])) as $key) {
            $value = self::mergeValues($before[$key] ?? null, $ours[$key] ?? null, $theirs[$key] ?? null);
            if ($value !== null) {
                $merged[$key] = $value;
            }
        }

        return $merged === [] && ($ours === null || $theirs === null) ? null : $merged;
    }

    /** Two arrays, or one that the other request has removed while this one put something in. */
    private static function areMergeable(
        string|array|null $base,
        string|array|null $ours,
        string|array|null $theirs,
    ): bool {
        return is_array($ours ?? $base) && is_array($theirs ?? $base);
    }

    private static function isAppendedTo(array $list, ?array $longer): bool
    {
        return $longer !== null && array_is_list($longer) && array_slice($longer, 0, count($list)) === $list;
    }

    /**
     * @param array<string|array> $values
     */
    private static function build(array $values, string $format): string
    {
        if ($format === 'php_serialize') {
            return self::serialize($values);
        }
        $text = '';
        foreach ($values as $key => $value) {
            $text .= $key . '|' . self::serialize($value);
        }

        return $text;
    }

    private static function serialize(string|array $value): string
    {
        if (is_string($value)) {
            return $value;
        }
        $text = 'a:' . count($value) . ':{';
        foreach ($value as $key => $member) {
            $text .= is_int($key) ? "i:$key;" : 's:' . strlen($key) . ':"' . $key . '";';
            $text .= self::serialize($member);
        }

        return $text . '}';
    }
}
