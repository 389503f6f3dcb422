-- Nothing depends on search_path. Here a schema full of traps comes first in it; each raises an error when it is used.
SELECT session_create('{"user": 7}', 'alice');
CREATE SCHEMA hostile;
GRANT USAGE, CREATE ON SCHEMA hostile TO app;
SET ROLE app;

-- A table and a view by the names of ours,
CREATE TABLE hostile.session (session_key int, session_data int);
CREATE VIEW hostile.session_live AS SELECT 'trapped' AS data;
-- operators and functions that a careless statement would find,
CREATE FUNCTION hostile.trap(bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE AGGREGATE hostile.count(*) (SFUNC = hostile.trap, STYPE = bigint, INITCOND = '0');
DO $$
DECLARE
    type text;
    operator text;
    signature text;
BEGIN
    FOREACH type IN ARRAY '{bytea,timestamptz,int8,int4,text,bool,oid,xid,tid,interval,jsonb,name}'::text[] LOOP
        EXECUTE format('CREATE FUNCTION hostile.trap(%s, %1$s) RETURNS bool LANGUAGE plpgsql AS ''BEGIN RAISE $m$trapped$m$; END''', type);
        FOREACH operator IN ARRAY '{=,<>,<,>,<=,>=,+,-,||}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR hostile.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = hostile.trap)', operator, type);
        END LOOP;
    END LOOP;
    FOREACH signature IN ARRAY ARRAY['octet_length(bytea)', 'sha256(bytea)', 'encode(bytea, text)', 'now()', 'statement_timestamp()', 'clock_timestamp()',
        'current_setting(text, boolean)', 'make_interval(int, int, int, int, int, int, double precision)', 'getdatabaseencoding()', 'to_regclass(text)',
        'format(text, text)', 'pg_extension_config_dump(regclass, text)', 'session_decode(bytea)', 'session_get(text)', 'session_new_id()'] LOOP
        EXECUTE format('CREATE FUNCTION hostile.%s RETURNS text LANGUAGE plpgsql AS ''BEGIN RAISE $m$trapped$m$; END''', signature);
    END LOOP;
END
$$;
-- and types, last because they are in the way from now on.
DO $$
DECLARE
    type text;
BEGIN
    FOREACH type IN ARRAY '{bytea,timestamptz,int8,int4,text,xid,interval,jsonb}'::text[] LOOP
        EXECUTE format('CREATE DOMAIN hostile.%I AS pg_catalog.%1$I CHECK (false)', type);
    END LOOP;
END
$$;
RESET ROLE;

PREPARE soon_to_expire AS UPDATE public.session SET session_expiry = pg_catalog.now() OPERATOR(pg_catalog.+) '1 minute'::pg_catalog.interval WHERE session_key OPERATOR(pg_catalog.=) pg_catalog.sha256('alice');
PREPARE expire AS UPDATE public.session SET session_expiry = pg_catalog.now() OPERATOR(pg_catalog.-) '1 minute'::pg_catalog.interval WHERE session_key OPERATOR(pg_catalog.=) pg_catalog.sha256('alice');
PREPARE slid AS SELECT session_expiry OPERATOR(pg_catalog.>) (pg_catalog.now() OPERATOR(pg_catalog.+) '59 minutes'::pg_catalog.interval) AS slid FROM public.session WHERE session_key OPERATOR(pg_catalog.=) pg_catalog.sha256('alice');
SET search_path = hostile, public, pg_catalog;

-- The traps work: this is what a careless statement runs into.
\set VERBOSITY terse
SELECT 1 = 1;
SELECT count(*) FROM public.session;
SELECT 'text'::text;
SELECT session_get('alice');
\set VERBOSITY default

-- As the owner every call does what it always does.
SELECT public.session_get('alice'), public.session_get('alice', 'user'), public.session_exist('alice'), public.session_read('alice'), public.session_all();
SELECT data, is_new FROM public.session_start('alice');
SELECT is_new FROM public.session_start('nobody');
SELECT data, payload, principal, lifetime FROM public.session_load('alice');
SELECT public.session_create('{"k": 1}', 'bob'), public.session_create_raw('\x00', 'opaque');
SELECT public.session_set('bob', 'k', '2') IS NULL AS no_set, public.session_merge('bob', '{"l": 3}', '{k}') IS NULL AS no_merge, public.session_delete('bob', 'l'), public.session_flush('bob') IS NULL AS no_flush;
SELECT public.session_release('bob', '{"k": 4}') IS NULL AS no_release, public.session_put('bob', '{"k": 5}') IS NULL AS no_put, public.session_put('carol', '{}') IS NULL AS no_put, public.session_get('bob');
SELECT public.session_release_raw('opaque', '\x01') IS NULL AS no_release_raw, public.session_put_raw('opaque', '\x02') IS NULL AS no_put_raw, public.session_touch('bob', '2 hours') IS NULL AS no_touch, public.session_touch('bob') IS NULL AS no_touch;
SELECT public.session_regenerate('bob', 'bob-2'), public.session_destroy('bob-2'), public.session_regenerate('nobody', 'bob'), public.session_destroy('bob');
SELECT public.session_init('1 hour'), public.session_new_id() IS NULL AS no_new_id, public.session_decode('\xa0');
SELECT data FROM public.session_live WHERE principal IS NULL AND data IS NOT NULL ORDER BY data USING OPERATOR(pg_catalog.>) LIMIT 1;

-- Sliding at the end of the transaction and collecting do too.
EXECUTE soon_to_expire;
SELECT public.session_get('alice');
EXECUTE slid;
EXECUTE expire;
SELECT public.session_exist('alice'), public.session_create('{"user": 8}', 'alice'), public.session_get('alice');
EXECUTE expire;
SELECT public.session_regenerate('carol', 'alice');
EXECUTE expire;
SELECT public.session_gc();

-- So does an application, whose first call this is in a new connection, with a temporary table of that name as well.
\c - app
CREATE TEMPORARY TABLE session (session_key int, session_data int);
SET search_path = hostile, pg_temp, public, pg_catalog;
SELECT public.session_put('alice', '{"user": 7}') IS NULL AS no_put, public.session_get('alice'), public.session_get('alice', 'user'), public.session_exist('alice'), public.session_read('alice');
SELECT data, is_new FROM public.session_start('alice');
SELECT data, payload, principal, lifetime FROM public.session_load('alice');
SELECT public.session_create('{"k": 1}', 'bob'), public.session_create_raw('\x00', 'opaque-2');
SELECT public.session_set('bob', 'k', '2') IS NULL AS no_set, public.session_merge('bob', '{"l": 3}', '{k}') IS NULL AS no_merge, public.session_delete('bob', 'l'), public.session_flush('bob') IS NULL AS no_flush;
SELECT public.session_release('bob', '{"k": 4}') IS NULL AS no_release, public.session_put('bob', '{"k": 5}') IS NULL AS no_put, public.session_get('bob');
SELECT public.session_release_raw('opaque-2', '\x01') IS NULL AS no_release_raw, public.session_put_raw('opaque-2', '\x02') IS NULL AS no_put_raw, public.session_touch('bob', '2 hours') IS NULL AS no_touch;
SELECT public.session_regenerate('bob', 'bob-2'), public.session_destroy('bob-2');
SET search_path = '';
SELECT public.session_get('alice');

-- The extension can be created under such a search_path, in another schema, and works there.
\c - owner
SET search_path = hostile, public, pg_catalog;
DROP EXTENSION session_store;
CREATE SCHEMA web;
CREATE EXTENSION session_store SCHEMA web;
SELECT web.session_create('{"user": 9}', 'alice'), web.session_get('alice'), web.session_all(), web.session_gc();
SELECT data, lifetime FROM web.session_live;
