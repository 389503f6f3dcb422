<?php

declare(strict_types=1);

namespace SessionStore;

use UnexpectedValueException;

/**
 * Reads what serialize() wrote, for Payload. Whatever it does not know is an UnexpectedValueException.
 */
final class Serialized
{
    private int $offset = 0;

    public function __construct(private readonly string $text)
    {
    }

    /**
     * The format "php": key|value for each variable.
     *
     * @return array<string|array>
     */
    public function variables(): array
    {
        $variables = [];
        while ($this->offset < strlen($this->text)) {
            $key = $this->match('/\G([^|]*+)\|/');
            $variables[$key] = $this->value();
        }

        return $variables;
    }

    /**
     * An array, and nothing behind it.
     *
     * @return array<string|array>
     */
    public function array(): array
    {
        $array = $this->value();
        if (!is_array($array) || $this->offset !== strlen($this->text)) {
            throw new UnexpectedValueException();
        }

        return $array;
    }

    /**
     * An array is one of values; everything else, objects with all that is in them too, is text.
     */
    private function value(): string|array
    {
        $begin = $this->offset;
        switch ($this->text[$begin] ?? '') {
            case 'a':
                return $this->members((int) $this->match('/\Ga:(\d+):\{/'));
            case 's':
            case 'E':
                $this->quoted();
                $this->match('/\G(;)/');
                break;
            case 'O':
                $this->quoted();
                $this->members((int) $this->match('/\G:(\d+):\{/'));
                break;
            case 'C':
                $this->quoted();
                $inner = $this->take((int) $this->match('/\G:(\d+):\{/'));
                if (preg_match('/[rR]:\d+;/', $inner)) {
                    throw new UnexpectedValueException(); // it counts from the payload's beginning
                }
                $this->match('/\G(\})/');
                break;
            default:
                $this->match('/\G(N|b:[01]|i:-?\d+|d:[-+.\dEINFA]+);/');
        }

        return substr($this->text, $begin, $this->offset - $begin);
    }

    /**
     * @return array<string|array>
     */
    private function members(int $count): array
    {
        $members = [];
        for (; $count > 0; $count--) {
            $key = $this->key();
            $members[$key] = $this->value();
        }
        $this->match('/\G(\})/');

        return $members;
    }

    private function key(): int|string
    {
        if (($this->text[$this->offset] ?? '') === 'i') {
            return (int) $this->match('/\Gi:(-?\d+);/');
        }
        $key = $this->quoted();
        $this->match('/\G(;)/');

        return $key;
    }

    private function quoted(): string
    {
        $quoted = $this->take((int) $this->match('/\G[sOCE]:(\d+):"/'));
        $this->match('/\G(")/');

        return $quoted;
    }

    private function take(int $length): string
    {
        $taken = substr($this->text, $this->offset, $length);
        $this->offset += $length;

        return $taken;
    }

    /**
     * What the pattern's parentheses find here.
     */
    private function match(string $pattern): string
    {
        if (!preg_match($pattern, $this->text, $found, 0, $this->offset)) {
            throw new UnexpectedValueException();
        }
        $this->offset += strlen($found[0]);

        return $found[1];
    }
}
