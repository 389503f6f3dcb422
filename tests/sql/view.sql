-- The view session_live: what the sessions hold, for the owner. session_key is the digest of the session id, in hex.
SELECT session_create('{"user": 7, "cart": ["tea", "milk"]}', 'alice', '2 hours', '2100-01-01 00:00+00');
SELECT session_create('{"user": 8, "cart": ["tea"]}', 'bob'), session_create('{"user": 9}', 'endless', '0'), session_create_raw('\xcafebabe', 'opaque');
UPDATE session SET principal = 'alice@example.org' WHERE session_key = sha256('alice');
SELECT session_key = encode(sha256('alice'), 'hex') AS is_the_digest, principal, lifetime, deadline, size, data FROM session_live WHERE principal IS NOT NULL;

-- It shows the dates and the size as they are stored.
SELECT count(*), bool_and(v.created_at = t.created_at AND v.expires_at = t.session_expiry AND v.size = octet_length(t.session_data)) AS as_stored
FROM session_live AS v JOIN session AS t ON t.session_key = decode(v.session_key, 'hex');

-- data is NULL when the payload is opaque, or damaged.
SELECT lifetime, size, data FROM session_live ORDER BY data NULLS LAST;
UPDATE session SET session_data = '\xa1' WHERE session_key = sha256('bob');
SELECT size, data FROM session_live WHERE session_key = encode(sha256('bob'), 'hex');
SELECT session_put('bob', '{"user": 8, "cart": ["tea"]}') > 0 AS replaced;

-- It can be queried like any jsonb, and sessions be ended by it through the table.
SELECT data -> 'user' AS "user" FROM session_live WHERE data @> '{"cart": ["tea"]}' ORDER BY 1;
SELECT item, count(*) FROM session_live, jsonb_array_elements_text(data -> 'cart') AS item GROUP BY item ORDER BY item;
DELETE FROM session WHERE session_key IN (SELECT decode(session_key, 'hex') FROM session_live WHERE data @> '{"user": 9}');
SELECT session_exist('endless'), session_all();

-- Expired sessions are not in it,
UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256('opaque');
SELECT data FROM session_live ORDER BY data;
-- nor those beyond the absolute lifetime.
UPDATE session SET created_at = now() - interval '8 hours 1 second' WHERE session_key = sha256('bob');
SET session_store.absolute_lifetime = '8h';
SELECT data FROM session_live ORDER BY data;
SET session_store.absolute_lifetime = '1000d';
SELECT data FROM session_live ORDER BY data;
RESET session_store.absolute_lifetime;

-- Looking does not keep a session alive.
UPDATE session SET session_expiry = now() + interval '1 minute';
SELECT count(data) FROM session_live;
SELECT bool_and(session_expiry < now() + interval '2 minutes') AS not_slid FROM session;

-- It works in a connection that has called nothing of the extension before.
\c -
SELECT count(*) FROM session_live;
\c -
SELECT session_key = encode(sha256('alice'), 'hex') AS alice FROM session_live WHERE data @> '{"user": 7}';

-- It is made with session_decode, which can be used on its own, for instance in an index.
SELECT session_decode(session_data) -> 'cart' AS cart FROM session ORDER BY 1;
SELECT session_decode('\xa0'), session_decode('\x4100') IS NULL AS opaque, session_decode('') IS NULL AS damaged, session_decode(NULL) IS NULL AS nothing;
CREATE INDEX ON session ((session_decode(session_data) -> 'user'));
SELECT session_create('{"user": 10}', 'carol'), session_set('carol', 'user', '11') > 0 AS set;
SELECT data FROM session_live WHERE data -> 'user' = '11';
