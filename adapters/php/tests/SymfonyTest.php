<?php

declare(strict_types=1);

namespace SessionStore\Tests;

/**
 * Symfony's sessions, which keep everything under one key, and put a proxy before the handler.
 */
final class SymfonyTest extends TestCase
{
    private static function symfony(mixed ...$with): Browser
    {
        return self::browser(...$with, symfony: '1');
    }

    public function testAVisitThatKeepsNothingLeavesNeitherRowNorCookie(): void
    {
        $answer = self::symfony()->ask('symfonyLook');
        self::assertSame([[], []], [$answer->said(), $answer->cookies()]);
        self::assertSame(1, $answer->statements());
        self::assertSame(0, self::rows());
    }

    public function testParallelRequestsKeepWhatTheySet(): void
    {
        $browser = self::symfony();
        $browser->visit('symfonySet', 'begun', true);
        $expected = ['begun' => true];
        $requests = [];
        for ($tab = 0; $tab < 12; $tab++) {
            $requests[] = ['symfonySet', "key$tab", $tab, 50];
            $requests[] = ['symfonyFlash', "message $tab", 50];
            $expected["key$tab"] = $tab;
        }
        $browser->everywhere($requests);
        self::assertEquals($expected, $browser->visit('symfonyLook'));
        self::assertCount(12, $browser->visit('symfonyShow'));
        self::assertSame([], $browser->visit('symfonyShow'));
    }

    public function testAMessageThatIsShownWhileAnotherIsAddedIsNotShownAgain(): void
    {
        $browser = self::symfony();
        $browser->visit('symfonyFlash', 'first');
        $adding = $browser->begin('symfonyFlash', 'second', 500);
        usleep(200_000);
        self::assertSame(['first'], $browser->visit('symfonyShow'));
        $adding();
        self::assertSame(['second'], array_values($browser->visit('symfonyShow')));
        $browser->visit('symfonyFlash', 'third');
        $showing = $browser->begin('symfonyShow', 500);
        usleep(200_000);
        $browser->visit('symfonyFlash', 'fourth');
        self::assertSame(['third'], $showing()->said());
        self::assertSame(['fourth'], array_values($browser->visit('symfonyShow')));
    }

    public function testMigratingMovesTheSession(): void
    {
        $browser = self::symfony();
        $browser->visit('symfonySet', 'a', 1);
        $browser->visit('symfonyLogin', 'ada');
        $before = $browser->id();
        $browser->visit('symfonyMigrate', true);
        self::assertNotSame($before, $browser->id());
        self::assertFalse(self::exists($before));
        self::assertSame('ada', self::principal($browser->id()));
        self::assertSame(['a' => 1, 'user' => 'ada'], $browser->visit('symfonyLook'));
        self::owner()->query("SELECT session_revoke_all('ada')");
        self::assertSame([], $browser->visit('symfonyLook'));
    }

    public function testMigratingWithoutDestroyingLeavesTheOldOne(): void
    {
        $browser = self::symfony();
        $browser->visit('symfonyLogin', 'ada');
        $before = $browser->id();
        $browser->visit('symfonyMigrate', false);
        self::assertSame(['ada', 'ada'], [self::principal($before), self::principal($browser->id())]);
        self::assertSame(['user' => 'ada'], $browser->visit('symfonyLook'));
    }

    public function testAnotherUserGetsNothing(): void
    {
        $browser = self::symfony();
        $browser->visit('symfonyLogin', 'ada');
        $browser->visit('symfonySet', 'a', 1);
        self::assertSame([], $browser->visit('symfonyLogin', 'eve'));
        self::assertSame(['user' => 'eve'], $browser->visit('symfonyLook'));
    }

    /** invalidate() is clear() and migrate(true). */
    public function testInvalidatingEndsTheSession(): void
    {
        $browser = self::symfony();
        $browser->visit('symfonyLogin', 'ada');
        $before = $browser->id();
        $browser->visit('symfonyInvalidate');
        self::assertFalse(self::exists($before));
        self::assertSame([], $browser->visit('symfonyLook'));
        self::assertSame(0, self::rows());
        $browser->visit('symfonyLogin', 'ada');
        $browser->visit('symfonyInvalidateAndSay', 'goodbye');
        self::assertNull(self::principal($browser->id()));
        self::assertSame(['goodbye'], $browser->visit('symfonyShow'));
    }

    public function testWithAThresholdWhatDoesNotChangeIsNotWritten(): void
    {
        foreach (['0' => false, '60' => true] as $threshold => $stays) {
            self::owner()->exec('DELETE FROM session');
            $browser = self::symfony(threshold: (string) $threshold);
            self::awaitEarlyInAMinute();
            $browser->visit('symfonySet', 'a', 1);
            $written = self::written();
            usleep(1_100_000);
            $browser->visit('symfonyLook');
            self::assertSame($stays, self::written() === $written);
        }
    }
}
