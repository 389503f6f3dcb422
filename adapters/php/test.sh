#!/usr/bin/env bash
# Format and lint, the package, and the tests: against PHP's built-in server, with Symfony's and Laravel's sessions, all of
# them Debian's. The database is in the environment (see with_server.py).
set -euo pipefail
cd "$(dirname "$0")"

../install php8.2-cli php8.2-pgsql php8.2-xml phpunit php-codesniffer composer php-symfony-framework-bundle \
    php-symfony-security-bundle php-symfony-yaml php-laravel-framework

package() { # Composer installs it, without a registry
    local application
    application=$(mktemp -d)
    cat >"$application/composer.json" <<JSON
{
    "repositories": [{"type": "path", "url": "$PWD"}, {"packagist.org": false}],
    "require": {"session-store/php": "*@dev"}
}
JSON
    COMPOSER_ALLOW_SUPERUSER=1 composer install --quiet --no-interaction --working-dir "$application"
    php -r 'require "$argv[1]/vendor/autoload.php"; new SessionStore\PostgreSqlSessionHandler("pgsql:");' "$application"
    rm -r "$application"
}

phpcs
composer validate --strict --no-interaction
package
phpunit
tests/suites/symfony
