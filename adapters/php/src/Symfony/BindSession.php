<?php

declare(strict_types=1);

namespace SessionStore\Symfony;

use SessionStore\PostgreSqlSessionHandler;
use Symfony\Component\Security\Http\Event\LoginSuccessEvent;

/**
 * Has the session be the user's who has logged in. For the dispatchers of the firewalls that use the session.
 */
final class BindSession
{
    public function __construct(private readonly PostgreSqlSessionHandler $sessions)
    {
    }

    public function __invoke(LoginSuccessEvent $event): void
    {
        $user = $event->getUser()->getUserIdentifier();
        $request = $event->getRequest();
        // Some authenticators, such as http_basic, succeed with each request.
        if ($event->getPreviousToken()?->getUserIdentifier() === $user || !$request->hasSession()) {
            return;
        }
        $request->getSession()->start();
        $this->sessions->login($user, ['browser' => $request->headers->get('User-Agent', '')]);
    }
}
