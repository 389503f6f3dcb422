-- The settings. They are known once a connection has called any function of the extension.
SELECT session_all();
SHOW session_store.max_lifetime;
SHOW session_store.absolute_lifetime;
SHOW session_store.expiry_granularity;
SHOW session_store.strict;
SHOW session_store.max_size;

-- Their defaults, and who may set them: "user" is anyone, "superuser" superusers only, "sighup" takes a reload.
SELECT name, boot_val, unit, min_val, max_val, context, short_desc <> '' AS described
FROM pg_settings WHERE name LIKE 'session\_store.%' ORDER BY name COLLATE "C";

-- Values outside the range are refused, and so are settings that do not exist.
\set VERBOSITY sqlstate
SET session_store.max_lifetime = -1;
SET session_store.max_lifetime = '70 years';
SET session_store.max_lifetime = '30000d';
SET session_store.absolute_lifetime = -1;
SET session_store.expiry_granularity = -1;
SET session_store.max_size = 0;
SET session_store.max_size = '1TB';
SET session_store.strict = 'perhaps';
-- Those of the background worker are set for the whole server.
SET session_store.gc_interval = '10s';
SET session_store.gc_batch_size = 10;
-- A misspelt name is noticed.
SET session_store.max_lifetme = '1h';
SHOW session_store.max_lifetme;

-- An application may set what concerns its own new sessions,
SET ROLE app;
SET session_store.max_lifetime = '30min';
SET session_store.strict = on;
SHOW session_store.max_lifetime;
-- and not the rules that are the owner's.
SET session_store.absolute_lifetime = 0;
SET session_store.expiry_granularity = '1s';
SET session_store.max_size = '1GB';
SELECT set_config('session_store.max_size', '1000', false);
RESET ROLE;
\set VERBOSITY default

-- RESET returns to the default, and session_init is the same as SET.
RESET session_store.max_lifetime;
RESET session_store.strict;
SHOW session_store.max_lifetime;
SELECT session_init('90 seconds');
SHOW session_store.max_lifetime;
SET session_store.max_lifetime = 45;
SHOW session_store.max_lifetime;
SELECT session_init('68 years');
SELECT setting FROM pg_settings WHERE name = 'session_store.max_lifetime';
RESET session_store.max_lifetime;

-- session_init takes what a lifetime argument takes.
\set VERBOSITY sqlstate
SELECT session_init('-1 second');
SELECT session_init('68 years 1 second');
\set VERBOSITY default
SELECT session_init('1 microsecond');
SHOW session_store.max_lifetime;

-- It works for an application, in a read-only transaction, and within one transaction.
SET ROLE app;
BEGIN READ ONLY;
SELECT session_init('5 minutes');
COMMIT;
SHOW session_store.max_lifetime;
RESET ROLE;
BEGIN;
SELECT session_init('6 minutes');
SAVEPOINT s;
SELECT session_init('7 minutes');
SELECT lifetime FROM session_load(session_create());
ROLLBACK TO s;
SELECT lifetime FROM session_load(session_create());
COMMIT;
SHOW session_store.max_lifetime;

-- SET LOCAL and the SET clause of a function have their usual reach.
BEGIN;
SET LOCAL session_store.max_lifetime = '8min';
SELECT lifetime FROM session_load(session_create());
COMMIT;
SELECT lifetime FROM session_load(session_create());
CREATE FUNCTION short_session() RETURNS text SET session_store.max_lifetime = '1min' RETURN session_create();
SELECT lifetime FROM session_load(short_session());
SELECT lifetime FROM session_load(session_create());

-- The durable form: ALTER DATABASE, ALTER ROLE.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_store.max_lifetime = %L', current_database(), '2h'); END $$;
DO $$ BEGIN EXECUTE format('ALTER ROLE app IN DATABASE %I SET session_store.max_lifetime = %L', current_database(), '3h'); END $$;
\c -
SELECT lifetime FROM session_load(session_create());
\c - app
SELECT lifetime FROM session_load(session_create());
