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
    /** What PHP's own formats make of an empty session, and igbinary and msgpack. */
    private const EMPTY = ['', 'a:0:{}', "\0\0\0\2\x14\0", "\x80", "\x90"];

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
        return in_array($payload, self::EMPTY, true);
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
        $lists = array_filter([$before, $ours ?? [], $theirs ?? []], array_is_list(...));
        if (count($lists) === 3 && ($before || ($ours && $theirs))) {
            return self::mergeLists($before, $ours ?? [], $theirs ?? []);
        }
        $merged = [];
        foreach (array_keys(($theirs ?? []) + ($ours ?? [])) as $key) {
            $values = [$before[$key] ?? null, $ours[$key] ?? null, $theirs[$key] ?? null];
            // Two new ones under a number have come there by chance, and are not to become one of both.
            $value = is_int($key) && $values[0] === null ? $values[1] ?? $values[2] : self::mergeValues(...$values);
            if ($value !== null) {
                $merged[$key] = $value;
            }
        }

        return $merged === [] && ($ours === null || $theirs === null) ? null : $merged;
    }

    /**
     * What has been appended stands behind what the other has made of the rest. Where both have made something of it,
     * it is merged place by place, if all is in its place still.
     *
     * @param list<string|array> $base
     * @param list<string|array> $ours
     * @param list<string|array> $theirs
     *
     * @return list<string|array>
     */
    private static function mergeLists(array $base, array $ours, array $theirs): array
    {
        $count = count($base);
        if (self::isAppendedTo($base, $ours)) {
            return [...$theirs, ...array_slice($ours, $count)];
        }
        if (self::isAppendedTo($base, $theirs)) {
            return [...$ours, ...array_slice($theirs, $count)];
        }

        return count($ours) === $count && count($theirs) === $count
            ? array_map(self::mergeValues(...), $base, $ours, $theirs)
            : $ours;
    }

    /** Two arrays, or one that the other request has removed while this one put something in. */
    private static function areMergeable(
        string|array|null $base,
        string|array|null $ours,
        string|array|null $theirs,
    ): bool {
        return is_array($ours ?? $base) && is_array($theirs ?? $base);
    }

    private static function isAppendedTo(array $list, array $longer): bool
    {
        return array_slice($longer, 0, count($list)) === $list;
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
