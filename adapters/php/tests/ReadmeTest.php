<?php

declare(strict_types=1);

namespace SessionStore\Tests;

/**
 * Its code runs. SQL does in MovingInTest and LaravelTest, what is Symfony's in KernelTest.
 */
final class ReadmeTest extends TestCase
{
    public function testASessionIsKept(): void
    {
        $block = Readme::block('php', '->register()');
        $block = str_replace("require 'vendor/autoload.php';", '', $block);
        $block = preg_replace("/'pgsql:[^']+'/", "'pgsql:'", $block, -1, $replaced);
        self::assertSame(1, $replaced);
        $browser = self::browser(unopened: '1');
        $browser->visit('readme', $block);
        $browser->visit('readme', $block);
        self::assertSame(['cart' => ['umbrella', 'umbrella']], self::reader($browser)->visit('look'));
    }

    public function testTheUsersSessionsAreListedAndEnded(): void
    {
        $block = Readme::block('php', '->login(');
        [$lines, $logout] = explode('session_destroy();', $block);
        self::assertSame('// logout', trim($logout));
        $other = self::browser();
        $other->visit('login', 'ada');
        $browser = self::browser();
        $browser->visit('set', 'message', 'hello');
        self::assertStringContainsString('Firefox', $browser->visit('readme', $lines));
        self::assertSame('ada', self::principal($browser->id()));
        self::assertSame(['user' => 'ada'], $browser->visit('look'));
        self::assertSame([], $other->visit('look'));
        $browser->visit('readme', $block);
        self::assertSame(0, self::rows());
    }

    private static function reader(Browser $browser): Browser
    {
        $reader = self::browser();
        $reader->cookies = $browser->cookies;

        return $reader;
    }
}
