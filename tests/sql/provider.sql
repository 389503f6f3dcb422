-- The session provider, as beego's interface has it.
PREPARE expire(bytea) AS UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256($1);

-- SessionExist tells whether there is a live session, and creates none.
SELECT session_exist('alice');
SELECT count(*) FROM session;

-- SessionRead creates the session if there is none.
SELECT session_read('alice');
SELECT session_exist('alice');
SELECT session_set('alice', 'user', '7') > 0 AS set;
SELECT session_read('alice');

-- SessionExist only looks: it does not keep the session alive. SessionRead does.
UPDATE session SET session_expiry = now() + interval '1 minute';
SELECT session_exist('alice');
SELECT session_expiry < now() + interval '2 minutes' AS as_it_was FROM session;
SELECT session_read('alice');
SELECT session_expiry > now() + interval '59 minutes' AS slid FROM session;

-- SessionAll counts live sessions.
SELECT session_all();
SELECT session_read('bob'), session_read('carol');
SELECT session_all();

-- SessionRegenerate moves the session to a new id. Everything but the id stays, and the old id is free.
UPDATE session SET principal = 'alice@example.org' WHERE session_key = sha256('alice');
SELECT session_touch('alice', '1 day', '2100-01-01 00:00+00') IS NOT NULL AS touched;
SELECT version, created_at FROM session_load('alice') \gset
SELECT session_regenerate('alice', 'alice-2');
SELECT session_exist('alice'), session_exist('alice-2'), session_all();
SELECT data, principal, lifetime, deadline, version = :version AS same_version, created_at = :'created_at' AS same_creation_time
FROM session_load('alice-2');

-- Without a new id the server generates one.
SELECT session_regenerate('alice-2') AS sid \gset
SELECT :'sid' ~ '^[0-9a-f]{64}$' AS generated, session_get(:'sid'), session_exist('alice-2');
SELECT session_regenerate(:'sid', 'alice');

-- The freed id begins anew.
SELECT session_read('alice-2');
SELECT session_destroy('alice-2');

-- It slides the session.
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('bob');
SELECT session_regenerate('bob', 'bob-2');
SELECT session_expiry > now() + interval '59 minutes' AS slid FROM session WHERE session_key = sha256('bob-2');
SELECT session_regenerate('bob-2', 'bob');

-- A live target is never overwritten: both sessions stay as they were.
SELECT session_set('bob', 'user', '8') > 0 AS set;
\set VERBOSITY sqlstate
SELECT session_regenerate('alice', 'bob');
-- Nor when there is no session to move.
SELECT session_regenerate('nobody', 'bob');
-- The new id must be new.
SELECT session_regenerate('alice', 'alice');
SELECT session_regenerate('nobody', 'nobody');
\set VERBOSITY default
SELECT session_get('alice'), session_get('bob'), session_exist('nobody');

-- An id that was used and expired can be regenerated to. Nothing of the expired session remains.
SELECT session_create('{"old": true}', 'dave');
EXECUTE expire('dave');
SELECT session_regenerate('alice', 'dave');
SELECT session_get('dave'), session_exist('alice');
SELECT session_regenerate('dave', 'alice');

-- A missing old id gives an empty session under the new id.
SELECT session_regenerate('nobody', 'erin');
SELECT session_get('erin'), session_exist('nobody');
SELECT session_get(session_regenerate('nobody'));

-- SessionDestroy ends a session, and tells whether there was one.
SELECT session_destroy('erin');
SELECT session_exist('erin'), session_get('erin');
SELECT session_destroy('erin');
SELECT session_destroy('nobody');

-- A late save does not resurrect it, by neither of the two release functions, with or without a version.
SELECT session_release('erin', '{"late": true}') IS NULL AS not_saved;
SELECT session_release('erin', '{"late": true}', 1, '1 day', 'infinity') IS NULL AS not_saved;
SELECT session_release_raw('erin', '\x6c617465') IS NULL AS not_saved;
SELECT session_exist('erin');

-- SessionRelease saves the whole map: what is not in it is gone.
SELECT session_set('alice', 'cart', '["tea"]') > 0 AS set;
SELECT session_release('alice', '{"user": 7, "theme": "dark"}') > 0 AS saved;
SELECT session_get('alice');

-- SessionGC removes the expired sessions and no others, and tells how many.
DELETE FROM session;
SELECT session_create(jsonb_build_object('n', n), 'live-' || n) FROM generate_series(1, 3) AS n;
SELECT count(session_create('{}', 'expired-' || n)) FROM generate_series(1, 5) AS n;
SELECT session_gc();
UPDATE session SET session_expiry = now() - interval '1 day' WHERE session_key NOT IN (sha256('live-1'), sha256('live-2'), sha256('live-3'));
SELECT count(*) FROM session;
SELECT session_all();
SELECT session_gc();
SELECT session_gc();
SELECT count(*) FROM session;
SELECT session_get('live-1'), session_get('live-2'), session_get('live-3');

-- It can be told to remove some only, those first that expired first.
SELECT count(session_create('{}', 'expired-' || n)) FROM generate_series(1, 5) AS n;
UPDATE session SET session_expiry = now() - interval '1 day' WHERE session_key NOT IN (sha256('live-1'), sha256('live-2'), sha256('live-3'));
SELECT session_gc(2);
SELECT session_gc(0);
SELECT session_gc(max_rows => 2);
SELECT session_gc(NULL);
SELECT session_all(), count(*) FROM session;

-- SessionInit sets the idle lifetime of the sessions that this connection begins.
SELECT session_init('20 minutes');
SELECT session_read('frank');
SELECT lifetime FROM session_load('frank');
SHOW session_store.max_lifetime;

-- The others keep theirs.
SELECT lifetime FROM session_load('live-1');

-- A rollback takes it back, as with SET.
BEGIN;
SELECT session_init('1 minute');
ROLLBACK;
SHOW session_store.max_lifetime;

-- '0' sets no idle limit.
SELECT session_init('0');
SELECT expires_at FROM session_load(session_create());
