<?php

declare(strict_types=1);

namespace SessionStore\Tests;

final class Readme
{
    private const PAGES = [__DIR__ . '/../README.md', __DIR__ . '/../GUIDE.md'];

    /**
     * Its block of code, or that of the guide, that has a text in it.
     */
    public static function block(string $language, string $text): string
    {
        $pages = implode(array_map(file_get_contents(...), self::PAGES));
        preg_match_all("/^```$language\n(.*?)^```/ms", $pages, $blocks);
        foreach ($blocks[1] as $block) {
            if (str_contains($block, $text)) {
                return $block;
            }
        }
        throw new \OutOfBoundsException("The README has no such $language: $text");
    }
}
