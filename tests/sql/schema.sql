-- The schema is chosen at CREATE EXTENSION. All this happens in one connection, which has to notice every change.
SELECT session_create('{"in": "public"}', 'alice'), session_get('alice');
DROP EXTENSION session_store;

-- DROP EXTENSION leaves nothing behind.
SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'session%') AS relations, (SELECT count(*) FROM pg_proc WHERE proname LIKE 'session\_%' AND pronamespace = 'public'::regnamespace) AS functions,
    (SELECT count(*) FROM pg_type WHERE typname LIKE '%session%' AND typnamespace = 'public'::regnamespace) AS types, (SELECT count(*) FROM pg_extension WHERE extname LIKE 'session%') AS extensions;

-- In a schema of its own
CREATE SCHEMA web;
CREATE EXTENSION session_store SCHEMA web;
SELECT web.session_exist('alice'), web.session_create('{"in": "web"}', 'alice'), web.session_get('alice');
SELECT data FROM web.session_live;

-- it works for an application that may use the schema.
GRANT USAGE ON SCHEMA web TO app;
SET ROLE app;
SELECT web.session_get('alice'), web.session_set('alice', 'k', '1') > 0 AS set;
RESET ROLE;

-- The schema can be renamed under the connection.
ALTER SCHEMA web RENAME TO net;
SELECT net.session_get('alice'), net.session_set('alice', 'k', '2') > 0 AS set, net.session_exist('alice'), net.session_all(), net.session_gc();
SELECT net.session_regenerate('alice', 'bob'), net.session_touch('bob', '2 hours') > now() AS touched, net.session_release('bob', '{"in": "net"}') > 0 AS saved, net.session_destroy('bob');
UPDATE net.session SET session_expiry = now() + interval '1 minute';
SELECT net.session_read('alice');

-- A commit that would slide a session is not disturbed when the schema was renamed before it.
SELECT net.session_put('alice', '{"in": "net"}') > 0 AS put;
UPDATE net.session SET session_expiry = now() + interval '1 minute';
BEGIN;
SELECT net.session_get('alice');
ALTER SCHEMA net RENAME TO "Net of 100% ""Sessions"" - it's naïve; \o/";
COMMIT;

-- Any name will do.
SELECT "Net of 100% ""Sessions"" - it's naïve; \o/".session_touch('alice') > now() + interval '59 minutes' AS slid;
SELECT "Net of 100% ""Sessions"" - it's naïve; \o/".session_get('alice'), "Net of 100% ""Sessions"" - it's naïve; \o/".session_set('alice', 'k', '3') > 0 AS set, "Net of 100% ""Sessions"" - it's naïve; \o/".session_all();
SELECT data FROM "Net of 100% ""Sessions"" - it's naïve; \o/".session_live;

-- Views and functions that call ours go along.
CREATE VIEW of_alice AS SELECT "Net of 100% ""Sessions"" - it's naïve; \o/".session_get('alice');
ALTER SCHEMA "Net of 100% ""Sessions"" - it's naïve; \o/" RENAME TO web;
SELECT * FROM of_alice;
DROP VIEW of_alice;

-- A renaming that is rolled back never was.
BEGIN;
ALTER SCHEMA web RENAME TO other;
SELECT other.session_get('alice');
ROLLBACK;
SELECT web.session_get('alice');
BEGIN;
SAVEPOINT s;
ALTER SCHEMA web RENAME TO other;
SELECT other.session_get('alice');
ROLLBACK TO s;
SELECT web.session_get('alice');
COMMIT;

-- Dropped and created again elsewhere, under the connection.
DROP EXTENSION session_store;
CREATE EXTENSION session_store SCHEMA public;
SELECT session_exist('alice'), session_create('{"in": "public"}', 'alice'), session_get('alice');
BEGIN;
DROP EXTENSION session_store;
CREATE EXTENSION session_store SCHEMA web;
SELECT web.session_exist('alice'), web.session_create('{"in": "web"}', 'alice'), web.session_get('alice');
ROLLBACK;
SELECT session_get('alice');

-- Dropped in the transaction that used it: nothing is left to slide at the commit.
UPDATE session SET session_expiry = now() + interval '1 minute';
BEGIN;
SELECT session_get('alice');
DROP EXTENSION session_store;
COMMIT;

-- Dropped with the schema.
CREATE EXTENSION session_store SCHEMA web;
SELECT web.session_create('{}', 'alice');
DROP SCHEMA web CASCADE;
SELECT count(*) AS extensions FROM pg_extension WHERE extname = 'session_store';

-- A schema with a name that needs quotes
CREATE SCHEMA "Web Sessions, 100% naïve;";
CREATE EXTENSION session_store SCHEMA "Web Sessions, 100% naïve;";
SELECT "Web Sessions, 100% naïve;".session_create('{"in": "quotes"}', 'alice'), "Web Sessions, 100% naïve;".session_get('alice');
SELECT data FROM "Web Sessions, 100% naïve;".session_live;
DROP EXTENSION IF EXISTS session_store;

-- Without SCHEMA it goes to the first schema of the search_path.
CREATE SCHEMA first;
SET search_path = first, public;
CREATE EXTENSION session_store;
RESET search_path;
SELECT first.session_create('{"in": "first"}', 'alice'), first.session_get('alice');
DROP EXTENSION session_store;

-- A table or view named session that is in the way is reported, with a way around it.
\set SHOW_CONTEXT never
CREATE TABLE session (id int);
CREATE EXTENSION session_store;
DROP TABLE session;
CREATE VIEW session AS SELECT 1 AS id;
CREATE EXTENSION session_store;
\set VERBOSITY sqlstate
CREATE EXTENSION session_store;
\set VERBOSITY default

-- It is not in the way elsewhere, and neither is disturbed.
CREATE SCHEMA web;
CREATE EXTENSION session_store SCHEMA web;
SELECT web.session_create('{"in": "web"}', 'alice'), web.session_get('alice'), id FROM session;

-- Its objects stay where they are: the extension as such cannot be moved, as the schema is part of its statements.
\set VERBOSITY sqlstate
ALTER EXTENSION session_store SET SCHEMA public;
\set VERBOSITY default

-- Who moves the table alone is told so, as often as it takes.
DROP VIEW session;
ALTER TABLE web.session SET SCHEMA public;
SELECT web.session_get('alice');
SELECT web.session_get('alice');
ALTER TABLE public.session SET SCHEMA web;
SELECT web.session_get('alice');
