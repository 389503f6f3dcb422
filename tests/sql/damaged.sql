-- Damaged bytes in session_data, which only the table's owner can write: an error for that session alone, and never a crash.
CREATE TABLE damage (what text, bytes bytea);
INSERT INTO damage VALUES
    ('nothing', ''),
    ('one reserved byte', '\xff'),
    ('a number', '\x01'), ('a text', '\x6161'), ('a list', '\x80'), ('null', '\xf6'), ('a tag', '\xc1a0'),
    ('a map without its entries', '\xa1'), ('a map without its value', '\xa1616b'), ('a map cut in a key', '\xa16a6b'), ('a map cut in a value', '\xa1616b6a6b'),
    ('bytes after the map', '\xa000'), ('bytes after the last value', '\xa1616b0101'),
    ('a map of indefinite length', '\xbf616b01ff'), ('a map of 2^64 - 1 entries', '\xbbffffffffffffffff'), ('a map of 2^32 entries and one there', '\xbb0000000100000000616b01'),
    ('a key that is a number', '\xa10101'), ('a key that is bytes', '\xa1416b01'), ('a key that is not UTF-8', '\xa161ff01'), ('a key of 2^64 - 1 bytes', '\xa17bffffffffffffffff'),
    ('a value of 2^64 - 1 bytes', '\xa1616b7bffffffffffffffff'), ('a list of 2^64 - 1 values', '\xa1616b9bffffffffffffffff'), ('a list of 2^63 - 1 values', '\xa1616b9b7fffffffffffffff'),
    ('a reserved head', '\xa1616b1c'), ('a bare break', '\xa1616bff'), ('a value that is not UTF-8', '\xa2616b01616c61ff'), ('an unassigned simple value', '\xa2616b01616cf8ff'),
    ('a payload that is too short', '\x44aabb'), ('a payload that is too long', '\x41aabb'), ('a payload of indefinite length', '\x5f41aaff'),
    ('lists without end', decode('a1616b' || repeat('81', 100000), 'hex')), ('maps without end', decode('a1616b' || repeat('a1616b', 100000), 'hex')),
    ('tags without end', decode('a1616b' || repeat('c4', 100000), 'hex')), ('zeros', decode(repeat('00', 1000), 'hex')), ('noise', sha256('noise') || sha256('more'));

-- Runs a call on a session with these bytes; its SQLSTATE.
CREATE FUNCTION outcome(bytes bytea, call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM session WHERE session_key <> sha256('bob');
    PERFORM session_put('alice', '{"k": 1}');
    UPDATE session SET session_data = bytes WHERE session_key = sha256('alice');
    EXECUTE 'SELECT ' || call;
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

SELECT session_create('{"user": 8}', 'bob');

-- Calls that need what the session holds are XX001 (data_corrupted).
SELECT what, array_agg(DISTINCT outcome(bytes, call)) AS sqlstates FROM damage, unnest(ARRAY[
    $$session_get('alice')$$, $$session_get('alice', 'k')$$, $$session_get('alice', 'absent')$$, $$session_read('alice')$$,
    $$session_load('alice')$$, $$session_load('alice', false)$$, $$session_fetch('alice')$$, $$session_start('alice')$$,
    $$session_set('alice', 'k', '2')$$, $$session_set('alice', 'absent', '2')$$, $$session_merge('alice', '{"k": 2}')$$, $$session_merge('alice', '{}', '{k}')$$,
    $$session_delete('alice', 'k')$$, $$session_delete('alice', 'absent')$$]) AS call
GROUP BY what ORDER BY what COLLATE "C";

-- Calls that do not need it work.
SELECT call, array_agg(DISTINCT outcome(bytes, call)) AS sqlstates FROM damage, unnest(ARRAY[
    $$session_exist('alice')$$, $$session_touch('alice')$$, $$session_touch('alice', '2 hours', '2100-01-01')$$, $$session_regenerate('alice')$$, $$session_regenerate('alice', 'carol')$$,
    $$session_release('alice', '{"k": 2}')$$, $$session_release_raw('alice', '\x00')$$, $$session_put('alice', '{"k": 2}')$$, $$session_put_raw('alice', '\x00')$$,
    $$session_flush('alice')$$, $$session_destroy('alice')$$, $$session_all()$$, $$session_gc()$$, $$count(data) FROM session_live$$]) AS call
GROUP BY call ORDER BY call COLLATE "C";

-- They do what they say.
DELETE FROM session WHERE session_key <> sha256('bob');
SELECT session_create('{"k": 1}', 'alice');
UPDATE session SET session_data = '\xff' WHERE session_key = sha256('alice');
SELECT session_regenerate('alice', 'carol'), session_exist('alice'), session_exist('carol');
SELECT session_release('carol', '{"k": 2}') > 0 AS saved, session_get('carol');
UPDATE session SET session_data = '\xff' WHERE session_key = sha256('carol');
SELECT session_destroy('carol'), session_exist('carol');

-- Values that are CBOR but no JSON of ours: the other keys of such a session can still be read.
TRUNCATE damage;
INSERT INTO damage VALUES
    ('a float', '\xa2616b01616cf97e00'), ('bytes', '\xa2616b01616c4100'), ('an unknown tag', '\xa2616b01616cc101'),
    ('a decimal without its mantissa', '\xa2616b01616cc48120'), ('a decimal with an endless exponent', '\xa2616b01616cc4821b7fffffffffffffff01'),
    ('a decimal with an endless scale', '\xa2616b01616cc4823b7fffffffffffffff01'), ('a bignum that is text', '\xa2616b01616cc26161'),
    ('a bignum too large for numeric', decode('a2616b01616cc25a00010000' || repeat('ff', 65536), 'hex')), ('a map with numbers for keys', '\xa2616b01616ca10101');
SELECT what, outcome(bytes, $$session_get('alice', 'k')$$) AS k, outcome(bytes, $$session_get('alice', 'l')$$) AS l,
    outcome(bytes, $$session_get('alice')$$) AS "all", outcome(bytes, $$session_load('alice')$$) AS load, session_decode(bytes) IS NULL AS decode
FROM damage ORDER BY what COLLATE "C";

-- The key can be replaced or dropped, and the session is whole again.
SELECT what, outcome(bytes, $$session_set('alice', 'l', '2')$$) AS set, session_get('alice'),
    outcome(bytes, $$session_delete('alice', 'l')$$) AS delete, session_get('alice'), outcome(bytes, $$session_merge('alice', '{}', '{l}')$$) AS merge, session_get('alice')
FROM damage ORDER BY what COLLATE "C";

-- All this time the other sessions are fine,
SELECT session_get('bob'), session_set('bob', 'user', '9') > 0 AS set, session_all();
UPDATE session SET session_data = '\xff' WHERE session_key = sha256('alice');
\set VERBOSITY sqlstate
SELECT session_get('alice');
SELECT session_get('alice'), session_get('bob');
\set VERBOSITY default
SELECT session_get('bob');

-- and the view shows NULL for the damaged one.
SELECT data, size FROM session_live ORDER BY data;

-- Once it has expired it is collected like any other.
UPDATE session SET session_expiry = now() - interval '1 second' WHERE session_key = sha256('alice');
SELECT session_exist('alice'), session_get('alice') IS NULL AS gone, session_gc(), session_all();
UPDATE session SET session_data = '\xff', session_expiry = now() - interval '1 second' WHERE session_key = sha256('bob');
SELECT session_read('bob');
