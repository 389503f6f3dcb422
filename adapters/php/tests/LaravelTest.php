<?php

declare(strict_types=1);

namespace SessionStore\Tests;

use Illuminate\Auth\AuthServiceProvider;
use Illuminate\Auth\GenericUser;
use Illuminate\Config\Repository;
use Illuminate\Cookie\CookieServiceProvider;
use Illuminate\Database\DatabaseServiceProvider;
use Illuminate\Encryption\EncryptionServiceProvider;
use Illuminate\Foundation\Application;
use Illuminate\Hashing\HashServiceProvider;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Session\Middleware\StartSession;
use Illuminate\Session\SessionServiceProvider;
use Illuminate\Session\Store;
use PDOException;
use RuntimeException;
use SessionStore\Laravel\SessionStoreServiceProvider;

/**
 * Laravel's own session middleware and guard, in an application for each request.
 */
final class LaravelTest extends TestCase
{
    private const NAME = 'laravel_session';

    private ?string $cookie = null;
    private array $config = [];

    public static function setUpBeforeClass(): void
    {
        require_once 'Illuminate/autoload.php';
        self::owner()->exec('
            DROP TABLE IF EXISTS laravel_users;
            CREATE TABLE laravel_users AS SELECT 7 AS id, NULL AS remember_token;
            GRANT SELECT ON laravel_users TO app');
    }

    protected function setUp(): void
    {
        parent::setUp();
        $this->cookie = null;
        $this->config = [];
    }

    private function application(): Application
    {
        $app = new Application();
        $app->instance('config', new Repository(array_replace_recursive([
            'app' => ['key' => str_repeat('k', 32), 'cipher' => 'AES-256-CBC'],
            'auth' => [
                'defaults' => ['guard' => 'web'],
                'guards' => ['web' => ['driver' => 'session', 'provider' => 'users']],
                'providers' => ['users' => ['driver' => 'database', 'table' => 'laravel_users']],
            ],
            'database' => ['default' => 'pgsql', 'connections' => ['pgsql' => [
                'driver' => 'pgsql', 'host' => getenv('PGHOST'), 'port' => getenv('PGPORT'),
                'database' => getenv('PGDATABASE'), 'username' => getenv('PGUSER'), 'password' => getenv('PGPASSWORD'),
            ]]],
            'session' => [
                'driver' => parse_ini_string(Readme::block('ini', 'SESSION_DRIVER'))['SESSION_DRIVER'],
                'lifetime' => 30, 'expire_on_close' => false, 'encrypt' => false,
                'connection' => null, 'table' => 'sessions', 'lottery' => [100, 100], 'cookie' => self::NAME,
                'path' => '/', 'domain' => null, 'secure' => false,
            ],
        ], $this->config)));
        foreach (
            [
                DatabaseServiceProvider::class, EncryptionServiceProvider::class, CookieServiceProvider::class,
                HashServiceProvider::class, AuthServiceProvider::class, SessionServiceProvider::class,
                SessionStoreServiceProvider::class,
            ] as $provider
        ) {
            $app->register($provider);
        }
        $app->boot();

        return $app;
    }

    /**
     * A request: what $do returns, which is called with the session and the application.
     */
    private function visit(callable $do, ?Application $app = null): mixed
    {
        $app ??= $this->application();
        $cookies = $this->cookie === null ? [] : [self::NAME => $this->cookie];
        $server = ['HTTP_USER_AGENT' => 'Firefox', 'REMOTE_ADDR' => '192.0.2.7'];
        $request = Request::create('/', 'POST', [], $cookies, [], $server);
        $app->instance('request', $request);
        $said = null;
        $next = static function () use ($do, $app, &$said): Response {
            $said = $do($app->make('session.store'), $app);
            return new Response();
        };
        $answer = $app->make(StartSession::class)->handle($request, $next);
        foreach ($answer->headers->getCookies() as $cookie) {
            $this->cookie = $cookie->getValue();
        }

        return $said;
    }

    private function put(string $key, mixed $value): void
    {
        $this->visit(static fn (Store $session) => $session->put($key, $value));
    }

    private function get(string $key): mixed
    {
        return $this->visit(static fn (Store $session) => $session->get($key));
    }

    private function logIn(int $user): void
    {
        $this->visit(static fn (Store $session, Application $app) => $app->make('auth')->guard()
            ->login(new GenericUser(['id' => $user, 'remember_token' => ''])));
    }

    public function testWhatIsPutIsThereInTheNextRequest(): void
    {
        $this->put('a', "\0\xff");
        self::assertSame("\0\xff", $this->get('a'));
        self::assertEqualsWithDelta(1830, self::secondsLeft($this->cookie), 31);
        self::assertSame(1, self::rows());
    }

    public function testAnUnchangedSessionIsNotWritten(): void
    {
        self::awaitEarlyInAMinute();
        $this->put('a', 1);
        $written = self::written();
        $this->get('a');
        self::assertSame($written, self::written());
    }

    public function testParallelRequestsKeepWhatTheyPut(): void
    {
        $this->put('cart', []);
        $this->visit(function (Store $session): void {
            $this->put('cart.other', 2);
            $session->put('cart.ours', 1);
        });
        self::assertEquals(['ours' => 1, 'other' => 2], $this->get('cart'));
    }

    public function testALoginMovesTheSessionAndMakesItTheUsers(): void
    {
        $this->put('a', 1);
        $before = $this->cookie;
        $this->visit(static function (Store $session, Application $app): void {
            $app->make('auth')->guard()->login(new GenericUser(['id' => 7, 'remember_token' => '']));
            $session->regenerate(); // as the documentation has it
        });
        self::assertNotSame($before, $this->cookie);
        self::assertFalse(self::exists($before));
        self::assertSame('7', self::principal($this->cookie));
        self::assertSame(1, $this->get('a'));
        self::assertSame(1, self::rows());
        [$device] = $this->visit(static fn (Store $session): array => $session->getHandler()->devices());
        self::assertSame(['address' => '192.0.2.7', 'browser' => 'Firefox'], $device->attributes);
        $this->visit(static fn (Store $session): bool => $session->regenerate(true));
        self::assertSame('7', self::principal($this->cookie));
        self::owner()->query("SELECT session_revoke_all('7')");
        self::assertNull($this->get('a'));
    }

    public function testARegenerationThatDoesNotDestroyLeavesTheOldOne(): void
    {
        $this->logIn(7);
        $before = $this->cookie;
        $this->visit(static fn (Store $session): bool => $session->regenerate());
        self::assertNotSame($before, $this->cookie);
        self::assertSame(['7', '7'], [self::principal($before), self::principal($this->cookie)]);
    }

    private function regenerateAndLogIn(int $user): void
    {
        $this->visit(static function (Store $session, Application $app) use ($user): void {
            $session->regenerate();
            $app->make('auth')->guard()->login(new GenericUser(['id' => $user, 'remember_token' => '']));
        });
    }

    public function testOneThatIsRegeneratedBeforeALoginIsMovedByIt(): void
    {
        $this->put('a', 1);
        $before = $this->cookie;
        $this->regenerateAndLogIn(7);
        self::assertFalse(self::exists($before));
        self::assertSame('7', self::principal($this->cookie));
        self::assertSame(1, $this->get('a'));
        self::assertSame(1, self::rows());
    }

    public function testOneThatIsRegeneratedBeforeALoginAsSomebodyElseIsTheirs(): void
    {
        $this->logIn(7);
        $before = $this->cookie;
        $this->regenerateAndLogIn(8);
        self::assertFalse(self::exists($before));
        self::assertSame('8', self::principal($this->cookie));
        self::assertTrue($this->visit(static fn (Store $session): bool => in_array(8, $session->all(), true)));
    }

    public function testOneThatIsRegeneratedAndInvalidatedEnds(): void
    {
        $this->logIn(7);
        $before = $this->cookie;
        $this->visit(static function (Store $session, Application $app): void {
            $session->regenerate();
            $app->make('auth')->guard()->logout();
            $session->invalidate();
        });
        self::assertFalse(self::exists($before));
        self::assertNull(self::principal($this->cookie));
    }

    public function testALogoutEndsTheSession(): void
    {
        $this->logIn(7);
        $this->put('a', 1);
        $before = $this->cookie;
        $this->visit(static function (Store $session, Application $app): void {
            $app->make('auth')->guard()->logout();
            $session->invalidate();
            $session->regenerateToken();
        });
        self::assertFalse(self::exists($before));
        self::assertNull(self::principal($this->cookie));
        self::assertNull($this->get('a'));
        self::assertSame(1, self::rows());
    }

    public function testInvalidatingAloneEndsTheSession(): void
    {
        $this->logIn(7);
        $before = $this->cookie;
        $this->visit(static fn (Store $session): bool => $session->invalidate());
        self::assertFalse(self::exists($before));
        self::assertNull(self::principal($this->cookie));
        self::assertSame(1, self::rows());
    }

    public function testALogoutAloneUnbinds(): void
    {
        $this->logIn(7);
        $this->visit(static fn (Store $session, Application $app) => $app->make('auth')->guard()->logout());
        self::assertNull(self::principal($this->cookie));
        self::assertSame(1, self::rows());
    }

    public function testALoginThatIsInvalidatedAtOnceLeavesNothing(): void
    {
        $this->put('a', 1);
        $before = $this->cookie;
        $this->visit(static function (Store $session, Application $app): void {
            $app->make('auth')->guard()->login(new GenericUser(['id' => 7, 'remember_token' => '']));
            $app->make('auth')->guard()->logout();
            $session->invalidate();
        });
        self::assertFalse(self::exists($before));
        self::assertNull(self::principal($this->cookie));
        self::assertSame(1, self::rows());
    }

    public function testALateRequestBringsNoLogoutBack(): void
    {
        foreach ([static fn () => null, static fn (Store $session): bool => $session->regenerate(true)] as $do) {
            $this->logIn(7);
            $this->visit(function (Store $session) use ($do): void {
                $session->put('late', 1);
                self::owner()->query("SELECT session_revoke_all('7')");
                $do($session);
            });
            self::assertSame(0, self::rows());
        }
    }

    public function testAnotherSessionCanBeEndedByItsId(): void
    {
        $this->put('a', 1);
        $other = $this->cookie;
        $this->cookie = null;
        $this->put('a', 2);
        $this->visit(static fn (Store $session): bool => $session->getHandler()->destroy($other));
        self::assertFalse(self::exists($other));
        self::assertSame(2, $this->get('a'));
    }

    /** Named in the README: Store::setId() takes whatever has forty letters. */
    public function testAWellFormedUnknownIdIsAdopted(): void
    {
        $this->cookie = str_repeat('x', 40);
        $this->put('a', 1);
        self::assertSame(str_repeat('x', 40), $this->cookie);
        self::assertSame(1, $this->get('a'));
    }

    public function testEncryptedSessionsAreKeptWhole(): void
    {
        $this->config = ['session' => ['encrypt' => true]];
        $this->put('a', 1);
        $this->visit(function (Store $session): void {
            $this->put('b', 2);
            $session->put('c', 3);
        });
        self::assertSame([1, null, 3], [$this->get('a'), $this->get('b'), $this->get('c')]);
    }

    public function testAnApplicationServesOneRequestAfterTheOther(): void
    {
        $app = $this->application();
        $this->visit(static fn (Store $session, Application $app) => $app->make('auth')->guard()
            ->login(new GenericUser(['id' => 7, 'remember_token' => ''])), $app);
        $ada = $this->cookie;
        $this->cookie = null;
        $app->make('session')->forgetDrivers();
        $app->forgetInstance('session.store');
        $this->visit(static fn (Store $session) => $session->put('a', 1), $app);
        self::assertNotSame($ada, $this->cookie);
        self::assertNull(self::principal($this->cookie));
    }

    public function testNobodyIsLoggedOutByMovingIn(): void
    {
        $this->config = ['session' => ['driver' => 'database', 'table' => 'sessions']];
        self::owner()->exec('
            DROP TABLE IF EXISTS sessions;
            CREATE TABLE sessions (id varchar(255) PRIMARY KEY, user_id bigint, ip_address varchar(45), user_agent text,
                payload text NOT NULL, last_activity integer NOT NULL);
            GRANT ALL ON sessions TO app');
        $this->put('a', 1);
        $visitor = $this->cookie;
        $this->cookie = null;
        $this->put('a', "\0\xff");
        $this->logIn(7);
        $user = $this->cookie;
        $this->config = [];
        self::owner()->exec(Readme::block('sql', 'last_activity'));
        self::assertSame("\0\xff", $this->get('a'));
        self::assertSame($user, $this->cookie);
        self::assertSame(7, $this->visit(static fn (Store $session, Application $app) => $app->make('auth')->id()));
        self::assertSame(['7', null], [self::principal($user), self::principal($visitor)]);
        self::assertEqualsWithDelta(7230, self::secondsLeft($visitor), 31);
        [$device] = $this->visit(static fn (Store $session): array => $session->getHandler()->devices());
        self::assertSame(['address' => '192.0.2.7', 'browser' => 'Firefox'], $device->attributes);
        $this->cookie = $visitor;
        self::assertSame(1, $this->get('a'));
        self::owner()->exec('DROP TABLE sessions');
    }

    public function testALostConnectionIsOpenedAnewUnlessATransactionIsLostWithIt(): void
    {
        $app = $this->application();
        $this->visit(static fn (Store $session) => $session->put('a', 1), $app);
        self::endConnections();
        self::assertSame(1, $this->visit(static fn (Store $session): mixed => $session->get('a'), $app));
        $app->make('db')->connection()->beginTransaction();
        self::endConnections();
        $this->expectException(PDOException::class);
        $this->visit(static fn () => null, $app);
    }

    public function testALoginThatFailedIsNotThatOfTheNextRequest(): void
    {
        $app = $this->application();
        $this->visit(static fn () => null, $app);
        $visitor = $this->cookie;
        try {
            $this->visit(static function (Store $session, Application $app): void {
                $app->make('auth')->guard()->login(new GenericUser(['id' => 7, 'remember_token' => '']));
                throw new RuntimeException();
            }, $app);
        } catch (RuntimeException) {
            // which leaves the session unsaved
        }
        $this->visit(static fn (Store $session): bool => $session->regenerate(), $app);
        self::assertTrue(self::exists($visitor));
        self::assertNull(self::principal($this->cookie));
    }

    public function testALoginByAnotherGuardIsNotTheSessions(): void
    {
        $this->config = ['auth' => ['defaults' => ['guard' => 'admin'], 'guards' => ['admin' => [
            'driver' => 'session', 'provider' => 'users',
        ]]]];
        $this->visit(static fn (Store $session, Application $app) => $app->make('auth')->guard('web')
            ->login(new GenericUser(['id' => 7, 'remember_token' => ''])));
        self::assertNull(self::principal($this->cookie));
    }
}
