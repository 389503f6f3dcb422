<?php

/**
 * An application of Symfony's framework, with the configuration that the README has.
 */

declare(strict_types=1);

use SessionStore\Tests\Readme;
use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Bundle\SecurityBundle\SecurityBundle;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Kernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

require 'Symfony/Bundle/FrameworkBundle/autoload.php';
require 'Symfony/Bundle/SecurityBundle/autoload.php';

final class Shop extends Kernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        return [new FrameworkBundle(), new SecurityBundle()];
    }

    public function getProjectDir(): string
    {
        return getenv('SITE_DIRECTORY');
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $file = $this->getCacheDir() . '/framework.yaml';
        file_put_contents($file, Readme::block('yaml', 'handler_id'));
        $container->import($file);
        $container->extension('framework', ['secret' => 'secret', 'router' => ['utf8' => true]]);
        $container->extension('security', [
            'enable_authenticator_manager' => true,
            'password_hashers' => ['Symfony\Component\Security\Core\User\InMemoryUser' => 'plaintext'],
            'providers' => ['users' => ['memory' => ['users' => [
                'ada' => ['password' => 'secret', 'roles' => 'ROLE_USER'],
            ]]]],
            'firewalls' => ['main' => ['http_basic' => null, 'logout' => ['path' => '/kernel/logout']]],
        ]);
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('set', '/kernel/set')->controller([$this, 'set']);
        $routes->add('look', '/kernel/look')->controller([$this, 'look']);
        $routes->add('logout', '/kernel/logout');
    }

    public function set(Request $request): JsonResponse
    {
        $request->getSession()->set($request->query->get('key'), 1);

        return new JsonResponse();
    }

    public function look(Request $request): JsonResponse
    {
        $data = $request->getSession()->all();
        $token = $this->getContainer()->get('security.token_storage')->getToken();

        return new JsonResponse(['keys' => array_keys($data), 'user' => $token?->getUserIdentifier()]);
    }
}

$_SERVER['SESSION_DSN'] = 'pgsql:';
$kernel = new Shop('test', false);
$request = Request::createFromGlobals();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
