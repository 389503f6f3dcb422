-- session_store.max_size bounds the stored bytes of one session. Beyond it a write is 54000, and the old data stays.
SET session_store.max_size = 100;
-- {"k": "x…"} takes five bytes more than its text when that is 24 to 255 bytes long.
SELECT session_create(jsonb_build_object('k', repeat('x', 95)), 'alice');
SELECT octet_length(session_data) FROM session;

\set VERBOSITY sqlstate
SELECT session_create(jsonb_build_object('k', repeat('x', 96)));
SELECT session_put('bob', jsonb_build_object('k', repeat('x', 96)));
SELECT session_create_raw(decode(repeat('00', 99), 'hex'));
SELECT session_put_raw('bob', decode(repeat('00', 99), 'hex'));
SELECT session_exist('bob'), session_all();
SELECT session_set('alice', 'k', to_jsonb(repeat('x', 96)));
SELECT session_set('alice', 'l', '1');
SELECT session_merge('alice', '{"l": 1}');
SELECT session_release('alice', jsonb_build_object('k', repeat('x', 96)));
SELECT session_release_raw('alice', decode(repeat('00', 99), 'hex'));
SELECT session_put('alice', jsonb_build_object('k', repeat('x', 96)));
SELECT session_put_raw('alice', decode(repeat('00', 99), 'hex'));
SELECT length(session_get('alice', 'k')::text) AS old_data_stays;

-- 98 bytes of payload fit: their head takes two.
SELECT session_create_raw(decode(repeat('00', 98), 'hex'), 'opaque');

-- What is replaced does not count: only the new content must fit.
SELECT session_merge('alice', '{"l": 1}', '{k}') > 0 AS merged;
SELECT session_get('alice');

-- A save that is not done anyway is no error.
SELECT session_release('nobody', jsonb_build_object('k', repeat('x', 1000))) IS NULL AS not_saved;
SELECT session_release('alice', jsonb_build_object('k', repeat('x', 1000)), 1) IS NULL AS not_saved;

-- A session that is above a lowered limit can still be read, kept alive and moved.
RESET session_store.max_size;
SELECT session_release('alice', jsonb_build_object('k', repeat('x', 1000), 'l', 1)) > 0 AS saved;
SET session_store.max_size = 100;
SELECT length(session_get('alice', 'k')::text), session_touch('alice', '2 hours') > now() AS touched;
SELECT session_regenerate('alice', 'alice-2'), session_regenerate('alice-2', 'alice');
SELECT session_set('alice', 'l', '1') > 0 AS nothing_changed, session_release('alice', session_get('alice'), NULL, '1 hour') > 0 AS lifetime_only;

-- A write that shrinks it is allowed, if the result is still above the limit too.
SELECT session_set('alice', 'k', to_jsonb(repeat('y', 900))) > 0 AS shrunk;
SELECT session_delete('alice', 'l');
SELECT session_release('alice', jsonb_build_object('k', repeat('z', 800))) > 0 AS shrunk;
SELECT session_put('alice', jsonb_build_object('k', repeat('z', 700))) > 0 AS shrunk;
-- One that makes it larger, or leaves it as large, is not.
SELECT session_set('alice', 'l', '1');
SELECT session_release('alice', jsonb_build_object('k', repeat('y', 700)));
SELECT session_get('alice') = jsonb_build_object('k', repeat('z', 700)) AS old_data_stays;
SELECT session_flush('alice') > 0 AS flushed;

-- An expired session of that size does not make room for another.
RESET session_store.max_size;
SELECT session_release('alice', jsonb_build_object('k', repeat('x', 1000))) > 0 AS saved;
UPDATE session SET session_expiry = now() - interval '1 second';
SET session_store.max_size = 100;
SELECT session_create(jsonb_build_object('k', repeat('x', 900)), 'alice');
SELECT session_put('alice', jsonb_build_object('k', repeat('x', 900)));
SELECT session_read('alice');

-- The default is 1 MB, of the session as it is stored.
RESET session_store.max_size;
SELECT session_set('alice', 'k', to_jsonb(repeat('x', 1048576 - 8))) > 0 AS set;
SELECT octet_length(session_data) FROM session WHERE session_key = sha256('alice');
SELECT session_set('alice', 'k', to_jsonb(repeat('x', 1048576 - 7)));
SELECT length(session_get('alice', 'k') #>> '{}') FROM session WHERE session_key = sha256('alice');
