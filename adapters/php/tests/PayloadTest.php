<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use ArrayObject;
use LogicException;
use PHPUnit\Framework\TestCase;
use SessionStore\Payload;
use stdClass;

final class PayloadTest extends TestCase
{
    private static function encode(array $variables, string $format): string
    {
        if ($format === 'php_serialize') {
            return serialize($variables);
        }
        $text = '';
        foreach ($variables as $name => $value) {
            $text .= "$name|" . serialize($value);
        }

        return $text;
    }

    private static function decode(string $payload, string $format): array
    {
        if ($format === 'php_serialize') {
            return unserialize($payload);
        }
        $variables = [];
        for ($rest = $payload; $rest !== ''; $rest = substr($rest, strlen(serialize($value)))) {
            [$name, $rest] = explode('|', $rest, 2);
            $variables[$name] = $value = @unserialize($rest);
        }

        return $variables;
    }

    /**
     * @return iterable<string, array{array, array, array, array}> base, ours, theirs, merged
     */
    public static function merges(): iterable
    {
        yield 'different keys' => [
            ['a' => 1], ['a' => 1, 'b' => 2], ['a' => 1, 'c' => 3], ['a' => 1, 'c' => 3, 'b' => 2],
        ];
        yield 'the same key' => [['a' => 1], ['a' => 2], ['a' => 3], ['a' => 2]];
        yield 'only ours' => [['a' => 1], ['a' => 2], ['a' => 1], ['a' => 2]];
        yield 'only theirs' => [['a' => 1, 'x' => 0], ['a' => 1, 'x' => 1], ['a' => 3, 'x' => 0], ['a' => 3, 'x' => 1]];
        yield 'removed by us' => [['a' => 1, 'b' => 1], ['a' => 1], ['a' => 2, 'b' => 1], ['a' => 2]];
        yield 'removed by them' => [['a' => 1, 'b' => 1], ['a' => 2, 'b' => 1], ['a' => 1], ['a' => 2]];
        yield 'removed by both' => [['a' => 1, 'b' => 1], ['b' => 2], ['b' => 1], ['b' => 2]];
        yield 'begun by both' => [[], ['a' => ['x' => 1]], ['a' => ['y' => 2]], ['a' => ['y' => 2, 'x' => 1]]];
        yield 'deep' => [
            ['s' => ['t' => ['a' => 1]]], ['s' => ['t' => ['a' => 1, 'b' => 1]]],
            ['s' => ['t' => ['a' => 2], 'u' => []]],
            ['s' => ['t' => ['a' => 2, 'b' => 1], 'u' => []]],
        ];
        yield 'an array by us, a number by them' => [['a' => 1], ['a' => [1]], ['a' => 2], ['a' => [1]]];
        yield 'appended by both' => [
            ['l' => ['a']], ['l' => ['a', 'b']], ['l' => ['a', 'c']], ['l' => ['a', 'c', 'b']],
        ];
        yield 'the same appended by both' => [
            ['l' => ['a']], ['l' => ['a', 'b']], ['l' => ['a', 'b']], ['l' => ['a', 'b']],
        ];
        yield 'first ones appended by both' => [[], ['l' => ['a']], ['l' => ['b']], ['l' => ['b', 'a']]];
        yield 'a member of a list changed' => [
            ['l' => [['q' => 1], ['q' => 2]]], ['l' => [['q' => 5], ['q' => 2]]], ['l' => [['q' => 1], ['q' => 6]]],
            ['l' => [['q' => 5], ['q' => 6]]],
        ];
        yield 'shown by us while they add another' => [
            ['f' => ['a'], 'x' => 1], ['x' => 1], ['f' => ['a', 'b'], 'x' => 1], ['f' => ['b'], 'x' => 1],
        ];
        yield 'shown by them while we add another' => [
            ['f' => ['a'], 'x' => 1], ['f' => ['a', 'b'], 'x' => 1], ['x' => 1], ['x' => 1, 'f' => ['b']],
        ];
        yield 'removed by us, changed by them' => [['a' => ['x' => 1]], [], ['a' => ['x' => 2]], []];
        yield 'emptied by us' => [['a' => 1], [], ['a' => 1, 'b' => 2], ['b' => 2]];
        yield 'shifted by us, appended by them' => [
            ['q' => ['a', 'b']], ['q' => ['b']], ['q' => ['a', 'b', 'c']], ['q' => ['b', 'c']],
        ];
        yield 'changed by them, appended by us' => [
            ['q' => [['n' => 1]]], ['q' => [['n' => 1], ['n' => 2]]], ['q' => [['n' => 5]]],
            ['q' => [['n' => 5], ['n' => 2]]],
        ];
        yield 'shifted by us, changed by them' => [
            ['q' => [['n' => 1], ['n' => 2]]], ['q' => [['n' => 2]]], ['q' => [['n' => 9], ['n' => 2]]],
            ['q' => [['n' => 2]]],
        ];
        yield 'two things that came under a number by chance' => [
            ['c' => [1 => ['sku' => 'b']]], ['c' => [1 => ['sku' => 'b'], 2 => ['sku' => 'x', 'qty' => 1]]],
            ['c' => [1 => ['sku' => 'b'], 2 => ['sku' => 'y', 'size' => 'L']]],
            ['c' => [1 => ['sku' => 'b'], 2 => ['sku' => 'x', 'qty' => 1]]],
        ];
        yield 'numbers as keys' => [
            ['n' => [7 => 'a']], ['n' => [7 => 'a', 9 => 'b']], ['n' => [7 => 'a', -2 => 'c']],
            ['n' => [7 => 'a', -2 => 'c', 9 => 'b']],
        ];
        yield 'text of all kinds' => [
            ['a' => 1], ['a' => 1, 'b' => "\0;}\"|ü\xff"], ['a' => "s:3:\"x\";}N;"],
            ['a' => "s:3:\"x\";}N;", 'b' => "\0;}\"|ü\xff"],
        ];
        $object = new stdClass();
        $object->list = ['a' => new ArrayObject([1]), 'b' => [true, null, 0.1, -INF, 1e30]];
        yield 'objects' => [['a' => 1], ['a' => 1, 'o' => $object, 'e' => Colour::Red], ['a' => 2], [
            'a' => 2, 'o' => $object, 'e' => Colour::Red,
        ]];
    }

    /**
     * @dataProvider merges
     */
    public function testWhatTwoRequestsChangedIsMerged(array $base, array $ours, array $theirs, array $merged): void
    {
        foreach (['php', 'php_serialize'] as $format) {
            $payloads = array_map(static fn (array $of): string => self::encode($of, $format), [$base, $ours, $theirs]);
            $text = Payload::merge(...[...$payloads, $format]);
            self::assertIsString($text);
            self::assertEquals($merged, self::decode($text, $format));
            self::assertSame(self::encode($merged, $format), $text);
        }
    }

    public function testNothingIsUnserialized(): void
    {
        foreach (['php', 'php_serialize'] as $format) {
            $woken = self::encode(['a' => new NeverWoken(), 'x' => 1], $format);
            $ours = self::encode(['a' => new NeverWoken(), 'x' => 2], $format);
            $theirs = self::encode(['a' => new NeverWoken(), 'x' => 1, 'y' => 3], $format);
            $merged = Payload::merge($woken, $ours, $theirs, $format);
            self::assertSame(self::encode(['a' => new NeverWoken(), 'x' => 2, 'y' => 3], $format), $merged);
        }
    }

    /**
     * @return iterable<string, array{string, string}>
     */
    public static function others(): iterable
    {
        $list = [1];
        yield 'a reference' => [serialize(['a' => &$list, 'b' => &$list]), 'php_serialize'];
        $object = new stdClass();
        yield 'an object twice' => [serialize(['a' => $object, 'b' => $object]), 'php_serialize'];
        yield 'an object within itself' => ['a|O:8:"stdClass":1:{s:1:"o";r:1;}', 'php'];
        yield 'a reference within what an object wrote itself' => ['a|C:1:"L":4:{r:2;}', 'php'];
        yield 'php_binary' => ["\1ai:1;", 'php_binary'];
        yield 'igbinary' => ["\0\0\0\2\x14\1\x11\1a\6\1", 'igbinary'];
        yield 'encrypted' => ['eyJpdiI6IkJ', 'php_serialize'];
        yield 'no array' => ['i:1;', 'php_serialize'];
        yield 'something behind it' => ['a:0:{}a:0:{}', 'php_serialize'];
        yield 'too short' => ['a|s:5:"abc";', 'php'];
        yield 'a wrong count' => ['a:2:{i:0;i:1;}', 'php_serialize'];
        yield 'a wrong length' => ['a|s:1:"abc";', 'php'];
        yield 'no value' => ['abc', 'php'];
        yield 'an unknown type' => ['a|S:1:"a";', 'php'];
        yield 'a negative count' => ['a:-1:{}', 'php_serialize'];
    }

    /**
     * @dataProvider others
     */
    public function testWhatCannotBeTakenApartIsLeftAlone(string $payload, string $format): void
    {
        self::assertNull(Payload::merge('', $payload, 'x|i:1;', $format));
        self::assertNull(Payload::merge($payload, '', '', $format));
        self::assertNull(Payload::without($payload, 'a', $format));
    }

    public function testAnEmptySessionIsOneInEachFormat(): void
    {
        foreach (['', serialize([]), "\0\0\0\2\x14\0"] as $empty) {
            self::assertTrue(Payload::isEmpty($empty));
        }
        self::assertFalse(Payload::isEmpty(serialize([0])));
    }

    public function testTextThatLooksLikeAReferenceIsNone(): void
    {
        self::assertSame('b|i:1;a|s:4:"R:1;";', Payload::merge('', 'a|s:4:"R:1;";', 'b|i:1;', 'php'));
    }

    public function testAKeyIsTakenOut(): void
    {
        self::assertSame('b|i:1;', Payload::without('a|a:1:{s:1:"x";N;}b|i:1;', 'a', 'php'));
        self::assertSame('a:0:{}', Payload::without('a:1:{s:1:"a";i:1;}', 'a', 'php_serialize'));
        self::assertNull(Payload::without('b|i:1;', 'a', 'php'));
        self::assertNull(Payload::without('', 'a', 'php'));
    }

    public function testWhatPhpWritesIsRebuiltToTheByte(): void
    {
        $random = static function (int $depth) use (&$random): mixed {
            $kind = random_int(0, $depth > 3 ? 5 : 8);

            return match (true) {
                $kind === 0 => null,
                $kind === 1 => (bool) random_int(0, 1),
                $kind === 2 => random_int(PHP_INT_MIN, PHP_INT_MAX),
                $kind === 3 => random_int(-1000, 1000) / 7,
                $kind < 6 => random_bytes(random_int(1, 20)),
                $kind === 6 => (object) [bin2hex(random_bytes(2)) => $random($depth + 1)],
                default => array_map(static fn () => $random($depth + 1), array_flip(
                    array_map(static fn () => bin2hex(random_bytes(random_int(1, 3))), range(0, random_int(0, 5)))
                )),
            };
        };
        for ($number = 0; $number < 300; $number++) {
            $theirs = ['a' => $random(0), 'b' => $random(0)];
            foreach (['php', 'php_serialize'] as $format) {
                $ours = self::encode(['c' => 1], $format);
                $merged = Payload::merge('', $ours, self::encode($theirs, $format), $format);
                self::assertSame(self::encode($theirs + ['c' => 1], $format), $merged);
            }
        }
    }
}

enum Colour
{
    case Red;
}

final class NeverWoken
{
    public int $value = 1;

    public function __wakeup(): void
    {
        throw new LogicException('woken');
    }

    public function __destruct()
    {
        // An object that nobody made would end here.
    }
}
