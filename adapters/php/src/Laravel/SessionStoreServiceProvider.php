<?php

declare(strict_types=1);

namespace SessionStore\Laravel;

use Illuminate\Auth\Events\Login;
use Illuminate\Auth\Events\Logout;
use Illuminate\Contracts\Container\Container;
use Illuminate\Support\ServiceProvider;
use SessionStore\Store;

/**
 * Adds the session driver "session_store". Sessions become those of the users that the default guard logs in.
 */
final class SessionStoreServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        $this->app->make('session')->extend('session_store', static function (Container $app): LaravelSessionHandler {
            $config = $app->make('config');
            $connection = new LaravelConnection($app->make('db')->connection($config->get('session.connection')));

            return new LaravelSessionHandler(new Store($connection), 60 * (int) $config->get('session.lifetime'));
        });

        $events = $this->app->make('events');
        $events->listen(Login::class, function (Login $event): void {
            $request = $this->app->make('request');
            $attributes = ['browser' => $request->userAgent(), 'address' => $request->ip()];
            $this->handlerOf($event->guard)?->login((string) $event->user->getAuthIdentifier(), $attributes);
        });
        $events->listen(Logout::class, function (Logout $event): void {
            $this->handlerOf($event->guard)?->logout();
        });
    }

    /** A session has one principal. */
    private function handlerOf(string $guard): ?LaravelSessionHandler
    {
        $handler = $guard === $this->app->make('config')->get('auth.defaults.guard')
            ? $this->app->make('session')->driver()->getHandler()
            : null;

        return $handler instanceof LaravelSessionHandler ? $handler : null;
    }
}
