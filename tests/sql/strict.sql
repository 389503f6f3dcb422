-- session_store.strict: session_read and session_regenerate never adopt an unknown id.
SELECT session_create('{"user": 7}', 'alice'), session_create('{}', 'expired');
UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256('expired');
SET session_store.strict = on;

-- session_read of an unknown id is NULL, and creates nothing.
SELECT session_read('nobody') IS NULL AS nobody, session_read('expired') IS NULL AS expired, session_exist('nobody'), session_exist('expired');

-- Of a live session it returns the values, and slides it.
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SELECT session_read('alice');
SELECT session_expiry > now() + interval '59 minutes' AS slid FROM session WHERE session_key = sha256('alice');

-- session_regenerate of a missing session fails, and creates nothing.
\set VERBOSITY sqlstate
SELECT session_regenerate('nobody', 'anew');
SELECT session_regenerate('expired', 'anew');
SELECT session_regenerate('nobody');
\set VERBOSITY default
SELECT session_exist('nobody'), session_exist('anew');
SELECT session_regenerate('alice', 'bob');
SELECT session_get('bob');

-- Calls whose purpose is to create are not affected.
SELECT is_new FROM session_start('nobody');
SELECT session_create('{}', 'carol'), session_create('{}', 'expired');
SELECT session_create_raw('\x00', 'dave'), session_put('erin', '{}') > 0 AS put, session_put_raw('frank', '\x00') > 0 AS put_raw;

-- Off again, they adopt.
SET session_store.strict = off;
SELECT session_read('nobody'), session_regenerate('nobody too', 'anew'), session_get('anew');
