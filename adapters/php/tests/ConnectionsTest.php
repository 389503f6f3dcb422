<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use PDO;

/**
 * The application's connections, whatever their settings and state.
 */
final class ConnectionsTest extends TestCase
{
    /**
     * @return iterable<string, array{array<mixed>}>
     */
    public static function connections(): iterable
    {
        yield 'opened when it is needed' => [['connection' => 'persistent']];
        yield 'pgsql' => [['connection' => 'pgsql']];
        foreach ([PDO::ERRMODE_SILENT, PDO::ERRMODE_WARNING, PDO::ERRMODE_EXCEPTION] as $mode) {
            yield "error mode $mode" => [['options' => [PDO::ATTR_ERRMODE => $mode]]];
        }
        foreach ([PDO::NULL_NATURAL, PDO::NULL_EMPTY_STRING, PDO::NULL_TO_STRING] as $nulls) {
            yield "nulls $nulls" => [['options' => [PDO::ATTR_ORACLE_NULLS => $nulls]]];
        }
        yield 'numbers as text, names in capitals, emulated statements' => [['options' => [
            PDO::ATTR_STRINGIFY_FETCHES => 1,
            PDO::ATTR_CASE => PDO::CASE_UPPER,
            PDO::ATTR_EMULATE_PREPARES => 1,
            PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_OBJ,
        ]]];
    }

    /**
     * @dataProvider connections
     */
    public function testEveryCallWorks(array $with): void
    {
        $browser = self::browser(...$with);
        self::assertSame([], $browser->visit('look'));
        $browser->visit('set', 'a', "\0\xff'\\");
        $browser->visit('renew', true);
        $browser->visit('renew', false);
        $late = $browser->begin('set', 'late', 1, 400);
        usleep(150_000);
        $browser->visit('set', 'flash', 'x');
        $late();
        self::assertSame('x', $browser->visit('pop', 'flash'));
        self::assertSame(['a' => "\0\xff'\\", 'renewed' => true, 'late' => 1], $browser->visit('look'));
        self::assertTrue($browser->visit('login', 'ada'));
        self::assertTrue($browser->visit('remember', 7200));
        [$device] = $browser->visit('devices');
        self::assertTrue($device->isThis);
        self::assertEqualsWithDelta(time(), $device->lastSeen->getTimestamp(), 65);
        self::assertFalse($browser->visit('revoke', 'x'));
        self::assertSame([], $browser->visit('revokeOthers'));
        $late = $browser->begin('set', 'late', 1, 400);
        usleep(150_000);
        self::assertSame([$device->handle], $browser->visit('revokeAll', 'ada'));
        $late();
        self::assertSame([], $browser->visit('look'));
        $browser->visit('set', 'a', 1);
        $browser->visit('end');
        self::assertSame('', Site::get()->complaints());
    }

    public function testASaveInATransactionIsRolledBackWithIt(): void
    {
        $browser = self::browser(connection: 'application');
        $browser->visit('set', 'a', 1);
        $browser->visit('rollBack');
        self::assertSame(['a' => 1], $browser->visit('look'));
    }

    public function testAConnectionOfItsOwnIsInNoTransaction(): void
    {
        $browser = self::browser(connection: 'persistent');
        $browser->visit('set', 'a', 1);
        $browser->visit('rollBackElsewhere');
        self::assertSame(['a' => 'saved'], $browser->visit('look'));
    }

    public function testASaveInAFailedTransactionIsAnException(): void
    {
        foreach ([PDO::ERRMODE_SILENT, PDO::ERRMODE_WARNING, PDO::ERRMODE_EXCEPTION] as $mode) {
            $browser = self::browser(connection: 'application', options: [PDO::ATTR_ERRMODE => $mode]);
            $browser->visit('set', 'a', 1);
            self::assertSame('25P02', $browser->visit('saveInFailedTransaction'));
            self::assertSame(['a' => 1], $browser->visit('look'));
        }
    }

    public function testWithoutADatabaseNoCookieIsSent(): void
    {
        foreach ([[], ['symfony' => '1']] as $with) {
            $browser = self::browser(...$with, connection: 'away', unopened: '1');
            $browser->cookies['PHPSESSID'] = 'abcdef';
            [$exception, $cookies] = $browser->visit('startFails');
            self::assertSame('PDOException', $exception);
            self::assertSame([], $cookies);
        }
    }

    public function testAPersistentConnectionThatTheServerHasEndedIsReplaced(): void
    {
        $browser = self::browser(connection: 'persistent');
        $browser->visit('set', 'a', 1);
        $tabs = array_fill(0, 20, ['look']);
        $browser->everywhere($tabs);
        self::endConnections();
        self::assertSame(array_fill(0, 20, ['a' => 1]), $browser->everywhere($tabs));
    }
}
