-- An expired session is as good as absent in every call, although its row is still there because no collection has come by.
SELECT session_create('{"old": true}', 'alice', '1 day', '2100-01-01 00:00+00');
SELECT session_create_raw('\x6f6c64', 'opaque');
SELECT session_create('{"user": 8}', 'live');
UPDATE session SET session_expiry = now() - interval '1 second', principal = 'alice@example.org' WHERE session_key <> sha256('live');
PREPARE row_of(bytea) AS SELECT count(*) AS rows_kept FROM session WHERE session_key = sha256($1);

-- The calls that only read:
SELECT session_exist('alice'), session_get('alice') IS NULL AS get, session_get('alice', 'old') IS NULL AS get_key;
SELECT * FROM session_load('alice');
SELECT * FROM session_load('alice', false);
SELECT session_exist('opaque'), session_get('opaque') IS NULL AS get, session_get('opaque', 'old') IS NULL AS get_key;
SELECT * FROM session_load('opaque');
SELECT * FROM session_fetch('alice');
SELECT * FROM session_fetch('opaque', false);
SELECT session_all();
SELECT data FROM session_live;

-- The calls that change a session cannot tell it from one that never was.
SELECT session_touch('alice') IS NULL AS touch, session_touch('alice', '2 days') IS NULL AS touch_lifetime,
    session_touch('alice', deadline => 'infinity') IS NULL AS touch_deadline;
\set VERBOSITY sqlstate
SELECT session_set('alice', 'new', '1');
SELECT session_merge('alice', '{"new": 1}');
SELECT session_delete('alice', 'old');
SELECT session_flush('alice');
SELECT session_set('opaque', 'new', '1');
\set VERBOSITY default
SELECT session_release('alice', '{"new": 1}') IS NULL AS release, session_release('alice', '{"new": 1}', 1) IS NULL AS release_version,
    session_release('alice', '{"new": 1}', NULL, '1 day', 'infinity') IS NULL AS release_lifetime,
    session_release_raw('alice', '\x6e6577') IS NULL AS release_raw;
SELECT session_release('alice', '{"new": 1}', (SELECT version FROM session WHERE session_key = sha256('alice'))) IS NULL AS release_its_version;

-- None of them has brought it back, and the row is as it was.
EXECUTE row_of('alice');
SELECT session_exist('alice'), session_expiry < now() AS expired, session_decode(session_data)
FROM session WHERE session_key = sha256('alice');

-- session_start does not continue it.
SELECT sid <> 'alice' AS another_id, data, is_new FROM session_start('alice');
SELECT session_exist('alice');

-- session_regenerate does not move it: the new id begins empty, under the usual lifetime.
SELECT session_regenerate('alice', 'anew');
SELECT data, principal, lifetime, deadline FROM session_load('anew');
SELECT session_exist('alice'), session_get(session_regenerate('alice'));

-- session_destroy finds nothing to end.
SELECT session_destroy('alice');
SELECT session_exist('alice');

-- Its id can be used again, and nothing of the old session comes back: no data, principal, lifetime, deadline, creation time, version.
CREATE FUNCTION begins_afresh(call text) RETURNS TABLE (data jsonb, payload bytea, principal text, lifetime interval, deadline timestamptz, newer boolean, later boolean)
LANGUAGE plpgsql AS $$
DECLARE
    old record;
BEGIN
    PERFORM session_put('again', '{"old": true}', '1 day', '2100-01-01 00:00+00');
    UPDATE session SET session_expiry = now() - interval '1 second', created_at = now() - interval '1 hour', principal = 'alice@example.org'
    WHERE session_key = sha256('again') RETURNING session.version, session.created_at INTO old;
    EXECUTE call;
    RETURN QUERY SELECT l.data, l.payload, l.principal, l.lifetime, l.deadline, l.version > old.version, l.created_at > old.created_at
    FROM session_load('again') AS l;
END
$$;
SELECT call, fresh.* FROM unnest(ARRAY[
    $$session_read('again')$$, $$session_create('{"new": 1}', 'again')$$, $$session_create_raw('\x00', 'again')$$,
    $$session_put('again', '{"new": 1}')$$, $$session_put_raw('again', '\x00')$$,
    $$session_regenerate('nobody', 'again')$$, $$session_regenerate(session_create('{"new": 1}'), 'again')$$]) AS call,
    begins_afresh('SELECT ' || call) AS fresh;

-- A version of the old session does not fit the new one.
SELECT session_create('{"old": true}', 'bob');
SELECT version AS old FROM session_load('bob') \gset
UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256('bob');
SELECT session_read('bob');
SELECT session_release('bob', '{"late": true}', :old) IS NULL AS refused, session_get('bob');

-- This also holds when the version had grown faster than the clock.
SELECT session_create('{"old": true}', 'carol');
UPDATE session SET session_expiry = now() - interval '1 second', version = version + 1000000000000 WHERE session_key = sha256('carol')
RETURNING version AS old \gset
SELECT session_put('carol', '{}') > :old AS newer;

-- Expiring is exact: what expires at the start of this statement is expired, what expires later is not.
BEGIN;
SELECT session_create('{}', 'edge');
UPDATE session SET session_expiry = statement_timestamp() WHERE session_key = sha256('edge');
SELECT session_exist('edge');
UPDATE session SET session_expiry = statement_timestamp() + interval '1 hour' WHERE session_key = sha256('edge');
SELECT session_exist('edge');
ROLLBACK;

-- What counts is the start of the client's statement, not of its transaction: a session that expires during a transaction is gone for the rest of it.
BEGIN;
SELECT session_create('{}', 'edge');
SELECT session_exist('edge');
UPDATE session SET session_expiry = clock_timestamp() WHERE session_key = sha256('edge') AND clock_timestamp() > now();
SELECT session_exist('edge'), session_get('edge') IS NULL AS gone, session_release('edge', '{}') IS NULL AS not_saved;
ROLLBACK;

-- Collection removes the row in the end, and no session was lost with it.
SELECT session_gc() > 0 AS collected;
EXECUTE row_of('opaque');
SELECT session_get('live');
