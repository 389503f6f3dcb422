<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use SessionStore\Device;

/**
 * New ids, logins, logouts and devices.
 */
final class RenewalTest extends TestCase
{
    public function testARenewalMovesTheSession(): void
    {
        $browser = self::browser();
        $browser->visit('login', 'ada');
        $before = $browser->id();
        $answer = $browser->ask('renew', true);
        self::assertSame($answer->said(), $browser->id());
        self::assertSame(3, $answer->statements());
        self::assertNotSame($before, $browser->id());
        self::assertFalse(self::exists($before));
        self::assertSame('ada', self::principal($browser->id()));
        self::assertSame(['before' => 'ada', 'user' => 'ada', 'renewed' => true], $browser->visit('look'));
        self::assertSame(1, self::rows());
        self::assertCount(1, $browser->visit('revokeAll', 'ada'));
        self::assertSame([], $browser->visit('look'));
    }

    public function testARenewalAloneWritesNoContent(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        self::assertSame(2, $browser->ask('renewOnly', true)->statements());
        $browser->visit('renewTwice');
        self::assertSame(['a' => 1], $browser->visit('look'));
        self::assertSame(1, self::rows());
    }

    public function testARenewalOfNothingLeavesNothing(): void
    {
        foreach ([true, false] as $destroy) {
            $answer = self::browser()->ask('renewOnly', $destroy);
            self::assertSame([], $answer->cookies());
            self::assertSame(0, $answer->statements());
        }
        self::assertSame(0, self::rows());
    }

    public function testARenewalKeepsWhatIsSetMeanwhile(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        $renewal = $browser->begin('renew', true, 500);
        usleep(200_000);
        $browser->visit('set', 'meanwhile', 1);
        $renewal();
        self::assertEquals(['a' => 1, 'meanwhile' => 1, 'renewed' => true], $browser->visit('look'));
    }

    public function testALateRenewalBringsNoLogoutBack(): void
    {
        foreach ([['renew', true], ['renew', false], ['popAndRenew', 'a']] as $renewal) {
            $browser = self::browser();
            $browser->visit('set', 'a', 1);
            $browser->visit('set', 'b', 1);
            $late = $browser->begin(...[...$renewal, 500]);
            usleep(200_000);
            $browser->visit('end');
            self::assertSame([], $late()->cookies());
            self::assertSame(0, self::rows());
        }
    }

    public function testARenewalThatDoesNotDestroyLeavesTheOldSessionAlive(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        $before = $browser->id();
        $browser->visit('renew', false);
        self::assertNotSame($before, $browser->id());
        self::assertSame(['a' => 1, 'renewed' => true], $browser->visit('look'));
        $browser->visit('set', 'b', 2);
        $browser->cookies['PHPSESSID'] = $before;
        self::assertSame(['a' => 1, 'renewed' => true], $browser->visit('look'));
    }

    public function testWhatIsLeftAliveIsTheUsersAsWell(): void
    {
        $browser = self::browser(lifetime: 600);
        $browser->visit('login', 'ada');
        $before = $browser->id();
        $browser->visit('remember', 7200);
        $browser->visit('renew', false);
        self::assertGreaterThan(7190, self::secondsLeft($browser->id()));
        self::assertSame(['ada', 'ada'], [self::principal($before), self::principal($browser->id())]);
        self::assertSame(['browser' => 'Firefox'], $browser->visit('devices')[0]->attributes);
        self::assertCount(2, $browser->visit('revokeAll', 'ada'));
        self::assertSame([], $browser->visit('look'));
    }

    public function testALogoutEndsTheSessionAndAnotherMayBegin(): void
    {
        $browser = self::browser();
        $browser->visit('login', 'ada');
        $before = $browser->id();
        $browser->visit('endAndBegin');
        self::assertNotSame($before, $browser->id());
        self::assertFalse(self::exists($before));
        self::assertNull(self::principal($browser->id()));
        self::assertSame(['b' => 2], $browser->visit('look'));
        $browser = self::browser();
        $browser->visit('endAndBegin');
        self::assertSame(['b' => 2], $browser->visit('look'));
    }

    public function testEmptyingAndRenewingIsALogout(): void
    {
        $browser = self::browser();
        $browser->visit('login', 'ada');
        self::assertSame([], $browser->ask('emptyAndRenew')->cookies());
        self::assertSame(0, self::rows());
        self::assertTrue($browser->visit('login', 'ada'));
    }

    public function testAnotherUserGetsNothing(): void
    {
        $browser = self::browser();
        $browser->visit('login', 'ada');
        self::assertTrue($browser->visit('login', 'eve'));
        self::assertSame(['user' => 'eve'], $browser->visit('look'));
        self::assertSame('eve', self::principal($browser->id()));
        self::assertSame(1, self::rows());
        $browser->visit('loginAndSet', 'ada', 'user', 'eve');
        self::assertSame(['user' => 'eve'], $browser->visit('look'));
    }

    public function testALateLoginBringsNothingBack(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        $late = $browser->begin('login', 'ada', 500);
        usleep(200_000);
        $browser->visit('end');
        $answer = $late();
        self::assertFalse($answer->said());
        self::assertSame([], $answer->cookies());
        self::assertSame(0, self::rows());
    }

    public function testALateLoginSendsNoCookieWithItsFirstOutputEither(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        $late = $browser->begin('loginThenOutput', 'ada', 500);
        usleep(200_000);
        $browser->visit('login', 'ada');
        $answer = $late();
        self::assertStringStartsWith('0', ltrim($answer->body));
        self::assertSame([], $answer->cookies());
    }

    public function testNobodyBecomesAnotherUserByAZeroByte(): void
    {
        foreach ([[], ['connection' => 'pgsql']] as $with) {
            $browser = self::browser(...$with);
            $browser->visit('set', 'a', 1);
            self::assertSame('InvalidArgumentException', $browser->visit('fail', 'login', "ada\0x"));
            self::assertSame(0, self::one('SELECT count(*) FROM session WHERE principal IS NOT NULL'));
            self::assertSame('InvalidArgumentException', $browser->visit('fail', 'revokeAll', "ada\0x"));
        }
    }

    public function testALoginThatCannotSendItsCookieIsNone(): void
    {
        $browser = self::browser();
        $browser->visit('set', 'a', 1);
        self::assertStringContainsString('before any output', $browser->visit('loginAfterOutput'));
        self::assertNull(self::principal($browser->id()));
    }

    public function testALoginNeedsNoCookies(): void
    {
        $browser = self::browser(unopened: '1', ini: ['session.use_cookies' => '0']);
        [$loggedIn, $id] = $browser->visit('loginWithoutCookies');
        self::assertTrue($loggedIn);
        self::assertSame('ada', self::principal($id));
        self::assertSame([], $browser->cookies);
        self::assertSame('', Site::get()->complaints());
    }

    public function testALoginEndsTheLongestUnusedSessionsBeyondALimit(): void
    {
        [$first, $second] = [self::browser(), self::browser()];
        $first->visit('login', 'ada', maxSessions: 1);
        $second->visit('login', 'ada', maxSessions: 1);
        self::assertSame([], $first->visit('look'));
        self::assertNotSame([], $second->visit('look'));
    }

    public function testALoginIsForAsLongAsItsSessionIs(): void
    {
        $browser = self::browser(lifetime: 600);
        $answer = $browser->ask('login', 'ada', remember: 7200);
        self::assertCount(1, preg_grep('/^Set-Cookie:/', $answer->headers));
        self::assertStringContainsString('Max-Age=7200', $answer->header('Set-Cookie'));
        self::assertGreaterThan(7190, self::secondsLeft($browser->id()));
        $browser->visit('set', 'a', 1);
        self::assertGreaterThan(7190, self::secondsLeft($browser->id()));
        $browser->visit('login', 'ada');
        self::assertLessThan(700, self::secondsLeft($browser->id()));
    }

    public function testWhoIsRememberedBeforeTheLoginIsSoAfterIt(): void
    {
        $browser = self::browser(lifetime: 600);
        $browser->visit('set', 'a', 1);
        $answer = $browser->ask('rememberAndLogIn', 7200);
        self::assertCount(1, preg_grep('/^Set-Cookie:/', $answer->headers));
        self::assertStringContainsString('Max-Age=7200', $answer->header('Set-Cookie'));
        self::assertGreaterThan(7190, self::secondsLeft($browser->id()));
        self::assertSame('ada', self::principal($browser->id()));
    }

    public function testDevices(): void
    {
        self::assertSame([], self::browser()->visit('devices'));
        [$phone, $desk, $eve] = [self::browser(), self::browser(connection: 'pgsql'), self::browser()];
        $phone->visit('login', 'ada');
        $desk->visit('login', 'ada');
        $eve->visit('login', 'eve');
        [$this_, $other] = $desk->visit('devices');
        self::assertInstanceOf(Device::class, $this_);
        self::assertSame([true, false], [$this_->isThis, $other->isThis]);
        self::assertSame(['browser' => 'Firefox'], $other->attributes);
        foreach ([$this_->createdAt, $this_->authenticatedAt, $this_->lastSeen] as $time) {
            self::assertEqualsWithDelta(time(), $time->getTimestamp(), 65);
        }
        self::assertGreaterThan(time() + 1400, $this_->expiresAt->getTimestamp());
        foreach ([$eve->visit('devices')[0]->handle, '', "\0", "\xff", str_repeat('x', 300)] as $handle) {
            self::assertFalse($desk->visit('revoke', $handle));
        }
        self::assertTrue($desk->visit('revoke', $other->handle));
        self::assertSame([], $phone->visit('look'));
        $phone->visit('login', 'ada');
        self::assertSame([$desk->visit('devices')[0]->handle], $phone->visit('revokeOthers'));
        self::assertSame([], $desk->visit('look'));
        self::assertSame('eve', $eve->visit('look')['user']);
    }
}
