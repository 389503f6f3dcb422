-- In a read-only transaction reading works and does not slide; what must write is refused with 25006.
SELECT session_create('{"user": 7}', 'alice'), session_create_raw('\xcafe', 'opaque'), session_create('{}', 'expired');
UPDATE session SET session_expiry = now() + interval '1 minute';
UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256('expired');
\set VERBOSITY sqlstate
SET default_transaction_read_only = on;

-- These work.
SELECT session_get('alice'), session_get('alice', 'user'), session_exist('alice'), session_read('alice'), session_all();
SELECT data, payload, lifetime, expires_at < now() + interval '2 minutes' AS not_slid FROM session_load('alice');
SELECT data, payload FROM session_load('opaque', false);
SELECT sid, data, is_new FROM session_start('alice');
SELECT session_new_id() ~ '^[0-9a-f]{64}$' AS is_hex, session_init('30 minutes');
SELECT data FROM session_live ORDER BY data;
SELECT session_get('nobody') IS NULL AS nobody, session_get('expired') IS NULL AS expired, session_exist('expired');

-- These would have to create a session.
SELECT session_start();
SELECT session_start('nobody');
SELECT session_start('expired');
SELECT session_read('nobody');
SELECT session_read('expired');
SELECT session_create();
SELECT session_create_raw('\x00');
SELECT session_put('nobody', '{}');
SELECT session_put_raw('nobody', '\x00');

-- In strict mode session_read need not.
SET session_store.strict = on;
SELECT session_read('nobody') IS NULL AS nobody, session_read('alice');
RESET session_store.strict;

-- These would have to change one, and do not ask whether there is anything to change.
SELECT session_set('alice', 'k', '1');
SELECT session_set('alice', 'user', '7');
SELECT session_set('nobody', 'k', '1');
SELECT session_merge('alice', '{}');
SELECT session_delete('alice', 'user');
SELECT session_flush('alice');
SELECT session_release('alice', '{}');
SELECT session_release_raw('alice', '\x00');
SELECT session_put('alice', '{}');
SELECT session_touch('alice');
SELECT session_touch('alice', '2 hours');
SELECT session_regenerate('alice');
SELECT session_regenerate('alice', 'bob');
SELECT session_destroy('alice');
SELECT session_destroy('nobody');
SELECT session_gc();

-- Nothing has changed: no session slid, none came, none went.
RESET default_transaction_read_only;
SELECT session_decode(session_data), session_expiry < now() + interval '2 minutes' AS not_slid FROM session ORDER BY 1;

-- It is the same in a transaction that becomes read-only: what was read before does not slide either.
BEGIN;
SELECT session_get('alice');
SET TRANSACTION READ ONLY;
SELECT session_get('alice');
COMMIT;
SELECT session_expiry < now() + interval '2 minutes' AS not_slid FROM session WHERE session_key = sha256('alice');

-- An argument that could not be right is reported first.
BEGIN READ ONLY;
SELECT session_set('alice', NULL, '1');
ROLLBACK;
