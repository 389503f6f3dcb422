-- Opaque payloads, for clients with a serializer of their own: gob, PHP, pickle, Marshal.
SELECT session_create_raw('\xdeadbeef', 'alice');
SELECT data, payload, lifetime, deadline FROM session_load('alice');
SELECT version = extract(epoch FROM created_at) * 1000000 AS begins_at_creation FROM session_load('alice');
SELECT session_create_raw('\x01') ~ '^[0-9a-f]{64}$' AS generated;

-- Calls that need no keys and values work as ever. session_start has no data to show.
SELECT session_exist('alice'), session_touch('alice') > now() AS touched, session_regenerate('alice', 'bob'), session_regenerate('bob', 'alice');
SELECT sid, data, is_new FROM session_start('alice');

-- Calls that do are 42809.
\set VERBOSITY sqlstate
SELECT session_get('alice');
SELECT session_get('alice', 'k');
SELECT session_read('alice');
SELECT session_set('alice', 'k', '1');
SELECT session_merge('alice', '{"k": 1}');
SELECT session_delete('alice', 'k');
\set VERBOSITY default
SELECT payload FROM session_load('alice');

-- session_release_raw saves it, like session_release: at a version if one is given, and never a session that is gone.
SELECT session_release_raw('alice', '\xcafe') AS version \gset
SELECT payload, version = :version AS that_version FROM session_load('alice');
SELECT session_release_raw('alice', '\xbabe', :version) > :version AS saved, session_release_raw('alice', '\xf00d', :version) IS NULL AS refused,
    session_release_raw('nobody', '\x00') IS NULL AS gone, session_exist('nobody');
SELECT payload FROM session_load('alice');
SELECT session_release_raw('alice', '\xbabe', NULL, '2 hours', '2100-01-01 00:00+00') > 0 AS saved;
SELECT lifetime, deadline FROM session_load('alice');

-- session_put_raw creates or replaces.
SELECT session_put_raw('carol', '\x01') > 0 AS created, session_put_raw('carol', '\x02') > 0 AS replaced;
SELECT payload FROM session_load('carol');

-- A session's kind changes with a call that brings the whole content, in both directions.
SELECT session_release('alice', '{"k": 1}') > 0 AS saved, session_get('alice');
SELECT session_release_raw('alice', '\x6b') > 0 AS saved;
SELECT data, payload FROM session_load('alice');
SELECT session_put('alice', '{"k": 2}') > 0 AS put, session_get('alice');
SELECT session_put_raw('alice', '\x6b') > 0 AS put;
SELECT data, payload FROM session_load('alice');
SELECT session_flush('alice') > 0 AS flushed, session_get('alice');

-- A change of the kind is a change of the content.
SELECT session_put('alice', '{}') < session_put_raw('alice', '') AS grew;

-- Payloads come back byte for byte: empty ones, zero bytes, bytes that are no text, and bytes that look like a stored session.
SELECT what, l.payload = given AS the_same, l.data IS NULL AS no_data FROM (VALUES
    ('empty', ''::bytea), ('a zero byte', '\x00'), ('zeros', '\x000000'), ('not UTF-8', '\xff80c0'), ('an empty map', '\xa0'), ('a map', '\xa1616b01'),
    ('a byte string', '\x4100'), ('quotes and backslashes', '\x27225c'), ('23 bytes', decode(repeat('17', 23), 'hex')), ('24 bytes', decode(repeat('18', 24), 'hex')),
    ('255 bytes', decode(repeat('ff', 255), 'hex')), ('256 bytes', decode(repeat('00', 256), 'hex')),
    ('65535 bytes', decode(repeat('ff', 65535), 'hex')), ('65536 bytes', decode(repeat('00', 65536), 'hex')),
    ('every byte', (SELECT string_agg(set_byte('\x00'::bytea, 0, n), '' ORDER BY n) FROM generate_series(0, 255) AS n)),
    ('noise', (SELECT string_agg(sha256(int4send(n)), '' ORDER BY n) FROM generate_series(1, 10000) AS n))
) AS sample (what, given), session_create_raw(given) AS sid, session_load(sid) AS l;
-- So they do when they replace another content. An empty payload is not NULL.
SELECT session_release_raw('alice', '\x00ff00') > 0 AS saved, session_put_raw('bob', '\x00ff00') > 0 AS put;
SELECT (session_load('alice')).payload, (session_load('bob')).payload;
SELECT session_release_raw('alice', '') > 0 AS saved, session_put_raw('bob', '') > 0 AS put;
SELECT (session_load('alice')).payload, (session_load('alice')).payload IS NULL AS is_null, (session_load('bob')).payload;
