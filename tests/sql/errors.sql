-- What a client reads when a call is refused. No message holds a session id or a session value.
SELECT session_create('{"secret": "s3cret"}', 'alice');
SELECT session_create_raw('\x73336372657400', 'opaque');

-- A NULL that means nothing, 22004.
SELECT session_get('alice', NULL);
SELECT session_set('alice', NULL, '1');
SELECT session_release('alice', NULL);
SELECT session_put_raw('alice', NULL);
SELECT session_merge('alice', NULL);
SELECT session_init(NULL);

-- No session id, 22023.
SELECT session_get('sécret');

-- A lifetime out of range, 22023.
SELECT session_touch('alice', '-1 minute');
SELECT session_init('100 years');

-- Something other than a JSON object, 22023.
SELECT session_release('alice', '["s3cret"]');
SELECT session_merge('alice', '"s3cret"');

-- Collecting fewer than no rows, 22023.
SELECT session_gc(-1);

-- No live session, P0002.
SELECT session_set('nobody', 'secret', '"s3cret"');

-- The id is taken, 23505.
SELECT session_create('{"secret": "s3cret"}', 'alice');
SELECT session_regenerate('opaque', 'alice');

-- The new id is the old one, 22023.
SELECT session_regenerate('alice', 'alice');

-- A key-wise call on an opaque payload, 42809.
SELECT session_get('opaque');
SELECT session_set('opaque', 'secret', '"s3cret"');

-- Too large, 54000.
SET session_store.max_size = 100;
SELECT session_set('alice', 'secret', to_jsonb(repeat('s3cret', 20)));
RESET session_store.max_size;

-- Too deep, 54000.
SELECT session_set('alice', 'secret', (repeat('[', 200) || repeat(']', 200))::jsonb);

-- Damaged, XX001.
UPDATE session SET session_data = '\xa1667365637265' WHERE session_key = sha256('alice');
SELECT session_get('alice');

-- A call that must write in a read-only transaction, 25006.
BEGIN READ ONLY;
SELECT session_set('opaque', 'secret', '"s3cret"');
ROLLBACK;

-- The table is not where it was, 42P01.
ALTER TABLE session RENAME TO moved;
SELECT session_get('alice');
