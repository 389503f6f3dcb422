<?php

declare(strict_types=1);

namespace SessionStore\Tests;

/**
 * From the table of Symfony's PdoSessionHandler, which plain PHP may have as well.
 */
final class MovingInTest extends TestCase
{
    public function testNobodyIsLoggedOut(): void
    {
        self::owner()->exec('DROP TABLE IF EXISTS sessions');
        self::browser(theirs: '1', unopened: '1')->visit('createTable');
        $theirs = ['theirs' => '1', 'ini' => ['session.gc_maxlifetime' => '900']];
        $browsers = ['plain' => self::browser(...$theirs), 'symfony' => self::browser(...$theirs, symfony: '1')];
        $browsers['symfony']->visit('symfonySet', 'a', "\0\xff");
        $browsers['plain']->visit('set', 'a', "\0\xff");
        $expired = self::browser(theirs: '1');
        $expired->visit('set', 'a', 1);
        self::owner()->prepare('UPDATE sessions SET sess_lifetime = extract(epoch FROM now()) - 1 WHERE sess_id = ?')
            ->execute([$expired->id()]);

        self::owner()->exec(Readme::block('sql', 'sess_data'));
        self::assertSame(2, self::rows());
        foreach (['symfony' => 'symfonyLook', 'plain' => 'look'] as $how => $page) {
            $browser = self::browser(...($how === 'symfony' ? ['symfony' => '1'] : []));
            $browser->cookies = $browsers[$how]->cookies;
            self::assertSame(['a' => "\0\xff"], $browser->visit($page));
            self::assertEqualsWithDelta(930, self::secondsLeft($browser->id()), 31);
        }
        self::assertFalse(self::exists($expired->id()));

        $browser->visit('set', 'a', 2);
        self::owner()->exec(Readme::block('sql', 'sess_data')); // once more does no harm to what lives
        self::assertSame(['a' => 2], $browser->visit('look'));
        self::owner()->exec('DROP TABLE sessions');
    }
}
