<?php

declare(strict_types=1);

namespace SessionStore\Tests;

/**
 * What requests cost, and what they leave behind.
 */
final class RequestsTest extends TestCase
{
    private const PARALLEL = 12;

    public function testAVisitThatKeepsNothingLeavesNeitherRowNorCookie(): void
    {
        foreach (['php', 'php_serialize'] as $format) {
            $answer = self::browser(ini: ['session.serialize_handler' => $format])->ask('look');
            self::assertSame([], $answer->said());
            self::assertSame([], $answer->cookies());
            self::assertSame(0, $answer->statements());
        }
        self::assertSame(0, self::rows());
    }

    public function testOnlyTheSessionsCookieIsWithdrawn(): void
    {
        $answer = self::browser()->ask('lookWithCookies');
        self::assertSame(['theme' => 'dark', 'PHPSESSIDs' => 'another'], $answer->cookies());
    }

    public function testACookieThatIsOnItsWayStays(): void
    {
        $browser = self::browser();
        $browser->ask('lookAfterOutput');
        self::assertNotNull($browser->id());
        self::assertSame(0, self::rows());
        $browser = self::browser();
        $browser->ask('setAfterOutput', 'a', 1);
        self::assertSame(['a' => 1], $browser->visit('look'));
        self::assertSame('', Site::get()->complaints());
    }

    public function testWhatRequestsCost(): void
    {
        $browser = self::browser();
        self::assertSame(1, $browser->ask('set', 'a', 1)->statements(), 'a first visit');
        self::assertSame(1, $browser->ask('look')->statements(), 'a visit that looks');
        self::assertSame(1, $browser->ask('set', 'a', 1)->statements(), 'one that changes nothing');
        self::assertSame(2, $browser->ask('set', 'a', 2)->statements(), 'one that changes something');
        self::assertSame(3, $browser->ask('login', 'ada')->statements(), 'a login');
        self::assertSame(2, $browser->ask('end')->statements(), 'a logout');
        self::assertSame(1, $browser->ask('look')->statements(), 'a visit with an id that has ended');
    }

    public function testAnUnchangedSessionIsNotWritten(): void
    {
        self::awaitEarlyInAMinute();
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        $written = self::written();
        $browser->visit('look');
        $browser->visit('set', 'a', 1);
        self::assertSame($written, self::written());
        $eager = self::browser(ini: ['session.lazy_write' => '0']);
        $eager->cookies = $browser->cookies;
        $eager->visit('look');
        self::assertSame($written, self::written());
    }

    public function testLookingKeepsItAlive(): void
    {
        $browser = self::browser(lifetime: 600);
        $browser->visit('set', 'a', 1);
        self::owner()->exec("UPDATE session SET session_expiry = now() + interval '10 s'");
        $browser->visit('look');
        self::assertGreaterThan(590, self::secondsLeft($browser->id()));
    }

    public function testASessionThatBecomesEmptyStays(): void
    {
        $browser = self::browser();
        $browser->visit('login', 'ada');
        $browser->visit('clear');
        self::assertSame('ada', self::principal($browser->id()));
        self::assertSame([], $browser->visit('look'));
    }

    public function testParallelRequestsKeepWhatTheySet(): void
    {
        foreach (['php', 'php_serialize'] as $format) {
            $browser = self::browser(ini: ['session.serialize_handler' => $format]);
            $browser->visit('set', 'begun', true);
            $requests = $expected = [];
            for ($tab = 0; $tab < self::PARALLEL; $tab++) {
                $requests[] = ['set', "key$tab", $tab, 50];
                $requests[] = ['setWithin', 'cart', "item$tab", $tab, 50];
                $requests[] = ['append', 'list', $tab, 50];
                $expected += ["key$tab" => $tab];
            }
            $browser->everywhere($requests);
            $found = $browser->visit('look');
            sort($found['list']);
            self::assertSame(range(0, self::PARALLEL - 1), $found['list']);
            self::assertCount(self::PARALLEL, $found['cart']);
            self::assertEquals($expected, array_intersect_key($found, $expected));
        }
    }

    public function testWhatCannotBeMergedIsTheLaterSave(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        $later = $browser->begin('setReference', 'list', 500);
        usleep(200_000);
        $browser->visit('set', 'lost', 1);
        $later();
        self::assertSame(['a' => 1, 'list' => [1, 2], 'reference' => [1, 2]], $browser->visit('look'));
    }

    public function testALateSaveBringsNothingBack(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        $late = $browser->begin('set', 'b', 2, 500);
        usleep(200_000);
        $browser->visit('end');
        self::assertSame(200, $late()->status);
        self::assertSame(0, self::rows());
        self::assertSame('', Site::get()->complaints());
    }

    public function testGarbageIsNotOurs(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        self::owner()->exec("UPDATE session SET session_expiry = now() - interval '10 s'");
        self::assertSame(1, self::browser()->ask('set', 'a', 1)->statements());
        self::assertSame(2, self::rows());
    }

    public function testBytesComeBackAsTheyWere(): void
    {
        $bytes = implode('', array_map(chr(...), range(0, 255)));
        foreach (['pdo', 'pgsql', 'persistent'] as $connection) {
            $browser = self::browser(connection: $connection);
            $browser->visit('set', 'bytes', $bytes . '\\000\\x00' . str_repeat($bytes, 100));
            self::assertSame($bytes . '\\000\\x00' . str_repeat($bytes, 100), $browser->visit('look')['bytes']);
            $browser->visit('decode', "decoded|s:3:\"\0\1\2\";");
            self::assertSame("\0\1\2", $browser->visit('look')['decoded']);
        }
    }

    public function testAnIdThatABrowserMakesUpIsNotAdopted(): void
    {
        foreach (['0123456789abcdef0123456789abcdef', 'made,up', 'ü', '%00', '%FF', str_repeat('x', 3000), ''] as $id) {
            $browser = self::browser();
            $browser->cookies['PHPSESSID'] = $id;
            $answer = $browser->ask('look');
            self::assertSame([[], []], [$answer->said(), $answer->cookies()], $id);
            $browser->visit('set', 'a', 1);
            self::assertNotSame($id, $browser->cookies['PHPSESSID']);
            self::assertSame(['a' => 1], $browser->visit('look'));
        }
        self::assertSame(7, self::rows());
        self::assertSame('', Site::get()->complaints());
    }

    public function testWithoutStrictModeTwoThatBeginTheSameSessionKeepBoth(): void
    {
        $browser = self::browser(loose: '1', ini: ['session.use_strict_mode' => '0']);
        $browser->cookies['PHPSESSID'] = 'shared';
        $browser->everywhere([['set', 'a', 1, 300], ['set', 'b', 2, 300], ['set', 'c', 3, 300]]);
        self::assertEquals(['a' => 1, 'b' => 2, 'c' => 3], $browser->visit('look'));
        self::assertSame(1, self::rows());
    }

    public function testClosingAbortingResettingAndOnlyReading(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'b', 1);
        self::assertSame(['b' => 1, 'a' => 1], $browser->visit('closeTwice'));
        self::assertSame(['b' => 1, 'a' => 1, 'c' => 3], $browser->visit('look'));
        $browser->visit('abort');
        self::assertSame(['b' => 1, 'a' => 1, 'c' => 3], $browser->visit('reset'));
        self::assertSame(1, $browser->visit('look')['a']);
        $reader = self::browser(unopened: '1');
        $reader->cookies = $browser->cookies;
        self::assertSame('unsaved', $reader->visit('readAndClose')['a']);
        self::assertSame(1, $browser->visit('look')['a']);
        self::assertStringContainsString('session_start() comes first', $browser->visit('afterClosing'));
    }

    public function testLifetimes(): void
    {
        $browser = self::browser(ini: ['session.gc_maxlifetime' => '300']);
        $browser->visit('set', 'a', 1);
        self::assertEqualsWithDelta(330, self::secondsLeft($browser->id()), 31);
        $browser = self::browser(lifetime: 7200);
        $browser->visit('set', 'a', 1);
        self::assertEqualsWithDelta(7230, self::secondsLeft($browser->id()), 31);
        foreach (['0' => 1, '9999999999' => 2_000_000_000] as $ini => $seconds) {
            $odd = self::browser(ini: ['session.gc_maxlifetime' => (string) $ini]);
            $odd->visit('set', 'a', 1);
            self::assertSame($seconds, self::one("
                SELECT lifetime FROM session WHERE session_key = sha256(convert_to(?, 'UTF8'))
            ", $odd->id()));
        }
        self::assertStringContainsString('Max-Age=5000', $browser->ask('remember', 5000)->header('Set-Cookie'));
        self::assertEqualsWithDelta(5030, self::secondsLeft($browser->id()), 31);
        $browser = self::browser();
        $browser->visit('rememberAndSet', 5000);
        self::assertEqualsWithDelta(5030, self::secondsLeft($browser->id()), 31);
    }

    public function testASessionWithNoTimeLeftEnds(): void
    {
        foreach ([0, -5] as $seconds) {
            $browser = self::browser();
            $browser->visit('set', 'a', 1);
            self::assertFalse($browser->visit('remember', $seconds));
            self::assertFalse(self::exists($browser->id()));
        }
        self::assertSame(0, self::rows());
    }

    public function testNobodyIsRememberedWithoutASession(): void
    {
        $browser = self::browser();
        self::assertSame([], $browser->ask('remember', 5000)->cookies());
        $browser->visit('set', 'a', 1);
        $late = $browser->begin('remember', 5000, 500);
        usleep(200_000);
        $browser->visit('end');
        self::assertSame([], $late()->cookies());
    }

    public function testOfParallelRequestsOnePopsAValue(): void
    {
        foreach (['php', 'php_serialize'] as $format) {
            $browser = self::browser(ini: ['session.serialize_handler' => $format]);
            $browser->visit('set', 'flash', 'saved');
            $popped = $browser->everywhere(array_fill(0, self::PARALLEL, ['pop', 'flash', 100]));
            self::assertSame(['saved'], array_values(array_filter($popped)));
            $browser->visit('set', 'flash', 'again');
            self::assertSame('again', $browser->visit('setPopSet'));
            self::assertEquals(['before' => 1, 'after' => 1], $browser->visit('look'));
            self::assertNull($browser->visit('pop', 'nothing'));
        }
    }
}
