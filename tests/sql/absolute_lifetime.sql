-- session_store.absolute_lifetime: a session ends this long after its creation, however active it is.
SELECT session_create('{"old": true}', 'old'), session_create('{"young": true}', 'young');
SELECT session_create('{"old": true}', 'old and endless', '0');
UPDATE session SET created_at = now() - interval '8 hours 1 second' WHERE session_key <> sha256('young');
SELECT session_all();

-- It is checked whenever a session is read, so it also ends those that were created before it was set.
SET session_store.absolute_lifetime = '8h';
SELECT session_all();
SELECT data FROM session_live;
SELECT session_exist('old'), session_get('old') IS NULL AS get, session_get('old', 'old') IS NULL AS get_key, session_exist('old and endless'), session_get('young');
SELECT count(*) FROM session_load('old');
SELECT session_touch('old') IS NULL AS touch, session_touch('old', '1 day', 'infinity') IS NULL AS touch_lifetime, session_release('old', '{}') IS NULL AS release;
SELECT sid <> 'old' AS another_id, data FROM session_start('old');
\set VERBOSITY sqlstate
SELECT session_set('old', 'k', '1');
\set VERBOSITY default
SELECT session_get(session_regenerate('old'));

-- Without the limit they are live again, if no other limit has ended them meanwhile.
RESET session_store.absolute_lifetime;
SELECT session_get('old'), session_get('old and endless');

-- Under it their ids can be used again, and nothing comes back.
SET session_store.absolute_lifetime = '8h';
SELECT session_read('old');
SELECT session_regenerate('young', 'old and endless'), session_get('old and endless');
UPDATE session SET created_at = now() - interval '8 hours 1 second' WHERE session_key = sha256('old');
SELECT session_destroy('old');
RESET session_store.absolute_lifetime;
SELECT session_exist('old');

-- It caps the expiry, exactly.
SET session_store.absolute_lifetime = '10min';
SELECT expires_at = created_at + interval '10 minutes' AS capped FROM session_load(session_create(lifetime => '1 hour'));
SELECT expires_at = created_at + interval '10 minutes' AS capped FROM session_load(session_create(lifetime => '0'));
SELECT expires_at = created_at + interval '10 minutes' AS capped FROM session_load(session_create(deadline => '2100-01-01 00:00+00'));
SELECT expires_at = deadline AS capped_by_the_deadline FROM session_load(session_create(deadline => now() + interval '5 minutes'));
SELECT expires_at < created_at + interval '6 minutes' AS idle_limit_comes_first FROM session_load(session_create(lifetime => '5 minutes'));

-- Using the session, and changing its lifetime or its id, moves no absolute end.
SELECT session_create('{}', 'alice', '5 minutes');
UPDATE session SET created_at = now() - interval '9 minutes' WHERE session_key = sha256('alice');
UPDATE session SET session_expiry = now() + interval '10 seconds' WHERE session_key = sha256('alice');
SELECT session_touch('alice') = created_at + interval '10 minutes' AS slid_to_the_end FROM session_load('alice', false);
SELECT session_touch('alice', '1 day', 'infinity') = created_at + interval '10 minutes' AS at_the_end FROM session_load('alice', false);
SELECT session_set('alice', 'k', '1') > 0 AS set, session_release('alice', '{}') > 0 AS saved, session_regenerate('alice', 'bob');
SELECT expires_at = created_at + interval '10 minutes' AS at_the_end FROM session_load('bob');
SELECT session_expiry = created_at + interval '10 minutes' AS at_the_end FROM session WHERE session_key = sha256('bob');

-- Lowering it takes effect at once, whatever expiry was promised.
SET session_store.absolute_lifetime = '8min';
SELECT session_exist('bob');
SELECT session_release('bob', '{}') IS NULL AS not_saved;
RESET session_store.absolute_lifetime;
