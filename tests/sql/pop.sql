-- Reading and dropping at once, ending all sessions, and renewing only what is there.

-- session_pop: a flash message or a one-time token is had once.
SELECT session_create('{"flash": "Saved.", "nothing": null, "cart": [1]}', 'alice');
SELECT version FROM session_fetch('alice') \gset
SELECT session_pop('alice', 'flash'), session_pop('alice', 'flash') IS NULL AS gone, session_get('alice');
SELECT version > :version AS grew FROM session_fetch('alice');

-- JSON null is a value. A key that is absent is none, and nothing is written then.
SELECT session_pop('alice', 'nothing'), session_pop('alice', 'nothing') IS NULL AS gone;
SELECT version, ctid FROM session WHERE session_key = sha256('alice') \gset
SELECT session_pop('alice', 'absent') IS NULL AS absent;
SELECT version = :version AND ctid = :'ctid' AS nothing_written FROM session WHERE session_key = sha256('alice');

-- NULL without a session, and none is created. An opaque one is 42809.
SELECT session_pop('nobody', 'flash') IS NULL AS nobody, session_exist('nobody');
SELECT session_create_raw('\x00', 'opaque');
\set VERBOSITY sqlstate
SELECT session_pop('opaque', 'k');
SELECT session_read_raw('alice');
\set VERBOSITY default

-- It keeps the session alive.
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SELECT session_pop('alice', 'absent') IS NULL AS absent;
SELECT session_expiry > now() + interval '59 minutes' AS slid FROM session WHERE session_key = sha256('alice');

-- session_regenerate begins an empty session where there is none: so a late renewal would bring a logout back. Not with must_exist.
SELECT session_regenerate('nobody', 'anew', must_exist => true) IS NULL AS nothing, session_exist('anew');
SELECT session_regenerate('nobody', must_exist => true) IS NULL AS nothing, session_all();
SET session_store.strict = on;
SELECT session_regenerate('nobody', 'anew', must_exist => true) IS NULL AS nothing;
RESET session_store.strict;
SELECT session_regenerate('alice', 'bob', must_exist => true), session_get('bob'), session_exist('alice');
SELECT session_regenerate('nobody', 'anew', must_exist => NULL), session_regenerate('nobody', 'anew too');
-- Where there is nothing to move, what has the new id is left alone, expired or not.
UPDATE session SET session_expiry = now() - interval '1 minute' WHERE session_key = sha256('anew');
SELECT session_regenerate('nobody', 'anew', must_exist => true) IS NULL AS nothing, session_regenerate('nobody', 'bob', must_exist => true) IS NULL AS nothing;
SELECT count(*) AS still_there FROM session WHERE session_key = sha256('anew');

-- session_merge can change how long the session lives in the same call.
SELECT session_merge('bob', '{"remembered": true}', '{cart}', '30 days', '2100-01-01 00:00+00') > 0 AS merged;
SELECT data, lifetime, deadline FROM session_load('bob');
SELECT session_merge('bob', '{}', lifetime => '1 hour') > 0 AS merged, session_merge('bob', '{}') > 0 AS merged_again;
SELECT data, lifetime, deadline FROM session_load('bob');

-- Calls nest in one statement: the outer one sees what the inner one did. A NULL id is absent.
SELECT session_get(session_regenerate('bob'), 'remembered');
SELECT session_release(session_regenerate('nobody', must_exist => true), '{}') IS NULL AS nothing;
SELECT session_set(session_create('{"a": 1}', 'carol'), 'b', '2') > 0 AS set, session_get('carol');
SELECT data FROM session_fetch(session_regenerate(session_create('{"a": 1}')));
SELECT session_destroy(session_regenerate(session_create('{}', 'dave'))), session_exist('dave');

-- session_clear ends all. How many there were; what had expired is no session.
SELECT session_all() AS live \gset
SELECT session_clear() = :live AS all, session_all(), session_exist('carol');
SELECT session_clear();
