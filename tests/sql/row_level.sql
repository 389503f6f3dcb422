-- Row-level security on the table, set by its owner, concerns those who read the table, and not the functions.
CREATE ROLE keeper_of_policies;
ALTER TABLE session OWNER TO keeper_of_policies;
GRANT SELECT, UPDATE, DELETE ON session TO app;
SELECT session_create('{"user": 7}', 'alice'), session_create('{}', 'expired'), session_create_raw('\x00', 'opaque');
ALTER TABLE session ENABLE ROW LEVEL SECURITY;
ALTER TABLE session FORCE ROW LEVEL SECURITY;
CREATE POLICY nothing ON session USING (false) WITH CHECK (false);

-- A policy that shows nothing hides the rows from a role that may read the table, and, as it is forced, from the owner.
SET ROLE app;
SELECT count(*) FROM session;
RESET ROLE;
SET ROLE keeper_of_policies;
SELECT count(*) FROM session;
RESET ROLE;

-- The functions work for everybody, as before.
SET ROLE app;
SELECT session_get('alice'), session_get('alice', 'user'), session_exist('alice'), session_read('alice');
SELECT data FROM session_load('alice');
SELECT is_new FROM session_start('alice');
SELECT is_new FROM session_start();
SELECT session_create('{"k": 1}', 'bob'), session_set('bob', 'k', '2') > 0 AS set, session_merge('bob', '{"l": 1}') > 0 AS merged, session_delete('bob', 'l'), session_get('bob');
SELECT session_release('bob', '{"k": 3}') > 0 AS released, session_put('bob', '{"k": 4}') > 0 AS put, session_flush('bob') > 0 AS flushed, session_touch('bob', '2 hours') > now() AS touched;
SELECT session_release_raw('opaque', '\x01') > 0 AS released, session_put_raw('opaque', '\x02') > 0 AS put;
SELECT session_regenerate('bob', 'bob-2'), session_destroy('bob-2'), session_exist('bob-2');
RESET ROLE;

-- So they do with row_security = off, which makes an error of a query that a policy would change.
SET ROLE app;
SET row_security = off;
\set VERBOSITY sqlstate
SELECT count(*) FROM session;
\set VERBOSITY default
SELECT session_get('alice'), session_set('alice', 'k', '1') > 0 AS set, session_put('carol', '{}') > 0 AS put, session_destroy('carol');
RESET row_security;
RESET ROLE;

-- Sliding, counting and collecting are not disturbed either, whoever calls.
GRANT EXECUTE ON FUNCTION session_all(), session_gc(bigint) TO app;
UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256('expired');
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SET ROLE app;
SELECT session_get('alice'), session_exist('expired'), session_all();
SELECT session_gc();
RESET ROLE;
SELECT session_expiry > now() + interval '59 minutes' AS slid FROM session WHERE session_key = sha256('alice');
SELECT count(*) FROM session WHERE session_key = sha256('expired');

-- Only the calls act with the owner's rights: what a caller does itself between them is still his own.
SET ROLE app;
SELECT session_get('alice', 'user'), (SELECT count(*) FROM session) AS rows_he_sees, current_user, session_get('alice', 'user');
RESET ROLE;

ALTER TABLE session OWNER TO CURRENT_USER;
DROP ROLE keeper_of_policies;
