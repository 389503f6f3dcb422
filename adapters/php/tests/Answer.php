<?php

declare(strict_types=1);

namespace SessionStore\Tests;

final class Answer
{
    public readonly int $status;
    /** @var list<string> */
    public readonly array $headers;
    public readonly string $body;

    public function __construct(string $text)
    {
        [$head, $this->body] = explode("\r\n\r\n", $text, 2) + [1 => ''];
        $this->headers = explode("\r\n", $head);
        $this->status = (int) explode(' ', $this->headers[0] . ' 0')[1];
    }

    public function said(): mixed
    {
        return unserialize($this->body);
    }

    public function header(string $name): ?string
    {
        foreach ($this->headers as $header) {
            if (stripos($header, "$name: ") === 0) {
                return substr($header, strlen($name) + 2);
            }
        }

        return null;
    }

    /**
     * @return array<string, string> those that were set, as they are
     */
    public function cookies(): array
    {
        $cookies = [];
        foreach (preg_grep('/^Set-Cookie: /i', $this->headers) as $header) {
            [$name, $value] = explode('=', explode(';', substr($header, 12))[0], 2);
            $cookies[$name] = $value;
        }

        return $cookies;
    }

    public function statements(): int
    {
        return (int) $this->header('X-Statements');
    }
}
