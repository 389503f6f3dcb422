<?php

declare(strict_types=1);

namespace SessionStore\Tests;

/**
 * Symfony's framework with its security, configured as the README says.
 */
final class KernelTest extends TestCase
{
    private static function ask(Browser $browser, string $page): ?array
    {
        $answer = $browser->ask("kernel/$page");
        self::assertContains($answer->status, [200, 302], $answer->body . Site::get()->complaints());

        return json_decode($answer->body, true);
    }

    /** Parallel requests, each of which sets another key. */
    private static function setInTabs(Browser $browser): void
    {
        $tabs = array_map(static fn (int $tab): callable => $browser->begin("kernel/set?key=k$tab"), range(0, 7));
        array_walk($tabs, static fn (callable $answer) => $answer());
    }

    public function testAnAuthenticatorThatSucceedsWithEachRequestLogsInOnce(): void
    {
        $browser = self::browser();
        $browser->headers = 'Authorization: Basic ' . base64_encode('ada:secret') . "\r\n";
        self::ask($browser, 'set?key=cart');
        $id = $browser->id();
        self::assertSame('ada', self::principal($id));
        self::ask($browser, 'set?key=size');
        self::setInTabs($browser);
        self::assertCount(10, array_diff(self::ask($browser, 'look?')['keys'], ['_security_main']));
        self::assertSame($id, $browser->id());
        self::assertSame(1, self::rows());
    }

    public function testLoginAndLogout(): void
    {
        self::awaitEarlyInAMinute();
        $browser = self::browser();
        self::assertSame(['keys' => [], 'user' => null], self::ask($browser, 'look?'));
        self::assertSame([], $browser->cookies);
        self::ask($browser, 'set?key=cart');
        $before = $browser->id();

        $browser->headers = 'Authorization: Basic ' . base64_encode('ada:secret') . "\r\n";
        self::ask($browser, 'set?key=size');
        $browser->headers = '';
        self::assertFalse(self::exists($before));
        self::assertSame('ada', self::principal($browser->id()));
        self::assertSame(1, self::rows());
        $found = self::ask($browser, 'look?');
        self::assertSame('ada', $found['user']);
        self::assertContains('cart', $found['keys']);

        $written = self::written();
        self::ask($browser, 'look?');
        self::assertSame($written, self::written());

        self::setInTabs($browser);
        self::assertCount(10, array_diff(self::ask($browser, 'look?')['keys'], ['_security_main']));

        self::ask($browser, 'logout?');
        self::assertSame(0, self::rows());
        self::assertSame(['keys' => [], 'user' => null], self::ask($browser, 'look?'));
        self::assertSame('', Site::get()->complaints());
    }
}
