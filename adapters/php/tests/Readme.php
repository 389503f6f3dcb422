<?php

declare(strict_types=1);

namespace SessionStore\Tests;

final class Readme
{
    /**
     * Its block of code that has a text in it.
     */
    public static function block(string $language, string $text): string
    {
        preg_match_all("/^```$language\n(.*?)^```/ms", file_get_contents(__DIR__ . '/../README.md'), $blocks);
        foreach ($blocks[1] as $block) {
            if (str_contains($block, $text)) {
                return $block;
            }
        }
        throw new \OutOfBoundsException("The README has no such $language: $text");
    }
}
