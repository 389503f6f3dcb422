-- Knowing the session id is the permission: a role that has no privilege on anything can use every function that takes one.
SELECT session_create('{"user": 7}', 'alice');
SET ROLE app;

-- The manager
SELECT data, is_new FROM session_start('alice');
SELECT sid ~ '^[0-9a-f]{64}$' AS generated, is_new FROM session_start();
SELECT session_create('{}', 'bob'), session_touch('bob', '2 hours') > now() AS touched, session_new_id() ~ '^[0-9a-f]{64}$' AS new_id;
SELECT data, lifetime FROM session_load('bob');

-- The provider
SELECT session_init('30 minutes'), session_read('carol'), session_exist('carol'), session_regenerate('carol', 'carol-2'), session_regenerate('carol-2') <> 'carol-2' AS regenerated;
SELECT session_create('{}', 'dave'), session_destroy('dave');

-- The store
SELECT session_set('bob', 'k', '1') > 0 AS set, session_get('bob'), session_get('bob', 'k'), session_merge('bob', '{"l": 2}', '{k}') > 0 AS merged, session_delete('bob', 'l'), session_flush('bob') > 0 AS flushed;
SELECT session_release('bob', '{}') > 0 AS released, session_put('bob', '{"k": 2}') > 0 AS put;
SELECT session_create_raw('\x00', 'opaque'), session_release_raw('opaque', '\x01') > 0 AS released, session_put_raw('opaque', '\x02') > 0 AS put;
SELECT payload FROM session_load('opaque');

-- Its reads keep sessions alive, although it could not write the table itself.
RESET ROLE;
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SET ROLE app;
SELECT session_get('alice');
RESET ROLE;
SELECT session_expiry > now() + interval '59 minutes' AS slid FROM session WHERE session_key = sha256('alice');

-- It can neither read nor write the table, nor look into the view.
SET ROLE app;
\set VERBOSITY sqlstate
SELECT count(*) FROM session;
SELECT session_key FROM session;
INSERT INTO session DEFAULT VALUES;
UPDATE session SET version = 0;
DELETE FROM session;
TRUNCATE session;
SELECT count(*) FROM session_live;
SELECT count(*) FROM session_store_stats;
DROP TABLE session;
DROP EXTENSION session_store;

-- It can neither count nor collect.
SELECT session_all();
SELECT session_gc();
SELECT session_gc(0);
\set VERBOSITY default

-- The functions give it no more than their results: it is itself again after every call, also after one that failed.
SELECT session_get('bob'), current_user;
\set VERBOSITY sqlstate
SELECT session_set('nobody', 'k', '1');
\set VERBOSITY default
SELECT current_user, has_table_privilege('session', 'SELECT') AS may_read;

-- The owner can let it.
RESET ROLE;
GRANT EXECUTE ON FUNCTION session_all(), session_gc(bigint) TO app;
GRANT SELECT ON session_live TO app;
UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256('alice');
SET ROLE app;
SELECT session_gc(), session_all() > 0 AS counted;
SELECT data FROM session_live WHERE session_key = encode(sha256('bob'), 'hex');
\set VERBOSITY sqlstate
SELECT count(*) FROM session;
\set VERBOSITY default
RESET ROLE;

-- In short: these are not for everybody.
REVOKE EXECUTE ON FUNCTION session_all(), session_gc(bigint) FROM app;
REVOKE SELECT ON session_live FROM app;
SELECT p.oid::regprocedure AS function FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE e.extname = 'session_store' AND NOT has_function_privilege('app', p.oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT relname, has_table_privilege('app', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') AS any_for_app
FROM pg_class AS c WHERE relname IN ('session', 'session_live') ORDER BY relname;

-- The owner of the table need not be a superuser, and the functions still need no more than its rights.
CREATE ROLE keeper_of_sessions;
ALTER TABLE session OWNER TO keeper_of_sessions;
SET ROLE app;
SELECT session_put('bob', '{"k": 3}') > 0 AS put, session_get('bob'), session_regenerate('bob', 'bob-2'), session_destroy('bob-2'), session_read('bob');
RESET ROLE;
SELECT session_all() > 0 AS counted, session_gc();
ALTER TABLE session OWNER TO CURRENT_USER;
DROP ROLE keeper_of_sessions;
