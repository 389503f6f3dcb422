-- Whatever jsonb can hold comes back as it was, digit for digit. (Equality of jsonb overlooks trailing zeros; so compare the text.)
CREATE TABLE sample (what text PRIMARY KEY, value jsonb);
INSERT INTO sample VALUES
    ('null', 'null'), ('true', 'true'), ('false', 'false'), ('empty text', '""'), ('empty list', '[]'), ('empty object', '{}'), ('empty key', '{"": ""}'),
    ('0', '0'), ('-0', '-0'), ('0.0', '0.0'), ('0.000', '0.000'), ('-1', '-1'), ('23', '23'), ('24', '24'), ('-24', '-24'), ('-25', '-25'),
    ('1.5', '1.5'), ('1.50', '1.50'), ('-0.0001', '-0.0001'), ('100', '100'), ('100.00', '100.00'), ('1e2', '1e2'), ('1.0e-5', '1.0e-5'), ('12345678901234567890.0987654321', '12345678901234567890.0987654321'),
    ('2^31', '2147483648'), ('2^53 + 1', '9007199254740993'), ('2^63 - 1', '9223372036854775807'), ('-2^63', '-9223372036854775808'), ('-2^63 - 1', '-9223372036854775809'),
    ('2^64 - 1', '18446744073709551615'), ('2^64', '18446744073709551616'), ('-2^64', '-18446744073709551616'), ('-2^64 - 1', '-18446744073709551617'),
    ('2^128', to_jsonb(2::numeric ^ 128)), ('-2^128', to_jsonb(-(2::numeric ^ 128))), ('1e400', '1e400'), ('-1e400', '-1e400'), ('10^1000', to_jsonb(10::numeric ^ 1000)), ('10^1000 + 0.1', to_jsonb(10::numeric ^ 1000 + 0.1)),
    ('1e-400', '1e-400'), ('1e-16383', '1e-16383'), ('1e131071', '1e131071'), ('1e131071 + 1e-16383', to_jsonb(1e131071 + 1e-16383)), ('0 with 2000 digits', to_jsonb(round(0::numeric, 2000))),
    ('text', '"plain"'), ('escapes', '"\" \\ \/ \b \f \n \r \t \u0001 \u007f"'), ('letters', '"naïve ŁÓDŹ Ελλάδα 日本語"'), ('emoji', '"👩‍👩‍👧 \ud83d\ude00"'), ('emoji key', '{"👍🏽": "👎"}'),
    ('last characters', '"\uffff \udbff\udfff"'), ('number in text', '"1.50"'), ('null in text', '"null"'),
    ('duplicate-looking keys', '{"a": 1, "A": 2, "a ": 3, " a": 4, "á": 5, "á": 6, "1": 7, "1.0": 8, "01": 9, "null": 10}'),
    ('duplicate keys', '{"a": 1, "a": 2}'), ('nested empties', '{"a": {}, "b": [], "c": [{}], "d": [[]], "e": {"": {"": []}}}'),
    ('mixed', '[null, true, false, 0, 1.0, "", [], {}, {"a": [1, {"b": [2, {"c": 3}]}]}]'),
    ('100 keys', (SELECT jsonb_object_agg('key ' || n, n) FROM generate_series(1, 100) AS n)), ('1000 keys', (SELECT jsonb_object_agg(md5(n::text), n / 7.0) FROM generate_series(1, 1000) AS n)),
    ('keys of every length', (SELECT jsonb_object_agg(repeat('k', n), n) FROM generate_series(0, 300) AS n)), ('1000 values', (SELECT jsonb_agg(n * n) FROM generate_series(-500, 500) AS n)),
    ('lengths around a head', (SELECT jsonb_agg(repeat('x', n)) FROM unnest('{0,1,23,24,25,255,256,257,65535,65536}'::int[]) AS n));

-- Of this table every row comes back. The list shows those that do not, by any way in or out.
CREATE FUNCTION round_trips(value jsonb) RETURNS TABLE (way text, returned text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM session_put('trip', jsonb_build_object('v', value));
    RETURN QUERY SELECT 'get', (session_get('trip') -> 'v')::text;
    RETURN QUERY SELECT 'get key', session_get('trip', 'v')::text;
    RETURN QUERY SELECT 'read', (session_read('trip') -> 'v')::text;
    RETURN QUERY SELECT 'load', (data -> 'v')::text FROM session_load('trip');
    RETURN QUERY SELECT 'start', (data -> 'v')::text FROM session_start('trip');
    -- Before 0.3.0 the view calls the digest handle.
    RETURN QUERY SELECT 'view', (data -> 'v')::text FROM session_live AS live, row_to_json(live) AS row
    WHERE encode(sha256('trip'), 'hex') IN (row ->> 'session_key', row ->> 'handle');
    PERFORM session_flush('trip'), session_set('trip', 'v', value);
    RETURN QUERY SELECT 'set', session_get('trip', 'v')::text;
    RETURN QUERY SELECT 'set, get all', (session_get('trip') -> 'v')::text;
    PERFORM session_flush('trip'), session_merge('trip', jsonb_build_object('v', value, 'w', value));
    RETURN QUERY SELECT 'merge', session_get('trip', 'v')::text;
    PERFORM session_delete('trip', 'w'), session_set('trip', 'a', '1'), session_set('trip', 'zz', '1');
    RETURN QUERY SELECT 'neighbours changed', session_get('trip', 'v')::text;
    PERFORM session_flush('trip'), session_release('trip', jsonb_build_object('v', value));
    RETURN QUERY SELECT 'release', session_get('trip', 'v')::text;
    RETURN QUERY SELECT 'create', session_get(session_create(jsonb_build_object('v', value)), 'v')::text;
    IF jsonb_typeof(value) = 'object' THEN
        PERFORM session_put('trip', value);
        RETURN QUERY SELECT 'whole', session_get('trip')::text;
        RETURN QUERY SELECT 'key of the whole', session_get('trip', key)::text FROM jsonb_each(value) WHERE session_get('trip', key)::text IS DISTINCT FROM jsonb_each.value::text;
    END IF;
END
$$;
SELECT what, way FROM sample, round_trips(value) WHERE returned IS DISTINCT FROM value::text ORDER BY what;
SELECT count(*) AS samples FROM sample;
SELECT count(*) AS round_trips FROM sample, round_trips(value) WHERE jsonb_typeof(value) <> 'object';

-- Some of them, to look at.
\pset format unaligned
SELECT session_get(session_create('{"price": 1.50, "small": -0.0001, "big": 18446744073709551616, "exponent": 1.5e3, "zero": -0.00}'));
SELECT session_get(session_create('{"": "empty key", "key with \"quotes\"": "\u00e9", "👍🏽": "👩‍👩‍👧", "nested": {"a": [1, [2.0, {"b": null}]]}}'));
SELECT session_get(session_create('{"v": 1e400}'), 'v')::text = '1' || repeat('0', 400) AS exact;
SELECT session_get(session_create('{"á": 1, "á": 2, "A": 3, "a": 4}'));
\pset format aligned

-- The same document has the same bytes, however it came about.
SELECT session_put('one', '{"b": {"y": 1, "x": [1.0]}, "a": 2}') > 0 AS put, session_put('other', '{"c": 3}') > 0 AS put;
SELECT session_set('other', 'b', '{"x": [1.0], "y": 1}') < session_merge('other', '{"a": 2}', '{c}') AS changed;
SELECT count(DISTINCT session_data) FROM session WHERE session_key IN (sha256('one'), sha256('other'));

-- A key holds JSON null, which is a value; or it is absent.
SELECT session_create('{"there": null}', 'null');
SELECT session_get('null', 'there') = 'null' AS json_null, session_get('null', 'absent') IS NULL AS sql_null;
SELECT session_set('null', 'absent', NULL) > 0 AS set;
SELECT session_get('null');

-- A value is what it is: a number is no text, and text is not parsed.
SELECT session_set('null', 'v', '"{\"a\": 1}"') > 0 AS set, jsonb_typeof(session_get('null', 'v'));
SELECT session_set('null', 'v', to_jsonb(now())) > 0 AS set, jsonb_typeof(session_get('null', 'v'));

-- Arrays and objects nest to 120 levels, the document itself included.
CREATE FUNCTION lists(depth int) RETURNS jsonb RETURN (repeat('[', depth) || repeat(']', depth))::jsonb;
CREATE FUNCTION objects(depth int) RETURNS jsonb RETURN (repeat('{"k": ', depth - 1) || '{}' || repeat('}', depth - 1))::jsonb;
SELECT session_put('deep', objects(120)) > 0 AS put, session_get('deep') = objects(120) AS the_same;
SELECT session_put('deep', jsonb_build_object('k', lists(119))) > 0 AS put, session_get('deep', 'k') = lists(119) AS the_same;
SELECT session_set('deep', 'l', objects(119)) > 0 AS set, session_get('deep', 'l') = objects(119) AS the_same, session_get('deep') -> 'k' = lists(119) AS still_there;
SELECT session_merge('deep', jsonb_build_object('k', objects(119))) > 0 AS merged, session_get('deep', 'k') = objects(119) AS the_same;
-- A number at the bottom counts for nothing.
SELECT session_set('deep', 'l', jsonb_set(lists(118), array_fill('0'::text, '{118}'), '-12345678901234567890.5')) > 0 AS set;
SELECT session_get('deep', 'l')::text LIKE '%[-12345678901234567890.5]%' AS there;
\set VERBOSITY sqlstate
SELECT session_create(objects(121));
SELECT session_put('deep', objects(121));
SELECT session_release('deep', jsonb_build_object('k', lists(120)));
SELECT session_set('deep', 'k', lists(120));
SELECT session_merge('deep', jsonb_build_object('k', lists(120)));
SELECT session_set('deep', 'k', lists(5000));
\set VERBOSITY default
SELECT session_get('deep', 'k') = objects(119) AS as_it_was;

-- A text of a megabyte needs a larger session_store.max_size, and comes back whole.
SET session_store.max_size = '4MB';
SELECT session_put('large', jsonb_build_object('v', string_agg(md5(n::text), '' ORDER BY n))) > 0 AS put FROM generate_series(1, 32768) AS n;
SELECT length(v) AS length, md5(v) = (SELECT md5(string_agg(md5(n::text), '' ORDER BY n)) FROM generate_series(1, 32768) AS n) AS the_same FROM (SELECT session_get('large', 'v') #>> '{}' AS v) AS got;
SELECT session_set('large', 'w', '1') > 0 AS set, length(session_get('large') ->> 'v') AS length, session_get('large', 'w');
SELECT length(data ->> 'v') AS length FROM session_load('large');
