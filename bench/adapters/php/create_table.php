<?php

/**
 * Makes the table of Symfony's PdoSessionHandler.
 */

declare(strict_types=1);

use Symfony\Component\HttpFoundation\Session\Storage\Handler\PdoSessionHandler;

require 'Symfony/Component/HttpFoundation/autoload.php';

(new PdoSessionHandler('pgsql:'))->createTable();
