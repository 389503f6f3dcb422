-- Versions: they begin at the creation time in microseconds and grow with every change of the content.
SELECT session_create('{"a": 1}', 'alice');
SELECT version = extract(epoch FROM created_at) * 1000000 AS creation_time, version < 2::bigint ^ 53 AS safe_in_javascript FROM session_load('alice');
SELECT bool_and(version = extract(epoch FROM created_at) * 1000000) AS creation_time
FROM unnest(ARRAY[session_create_raw('\x00'), session_regenerate('nobody')]) AS sid, session_load(sid);
SELECT s.version = l.version AS the_same FROM session_start() AS s, session_load(s.sid) AS l;
SELECT put = version AS the_same FROM session_put('bob', '{}') AS put, session_load(CASE WHEN put > 0 THEN 'bob' END);
SELECT put = version AS the_same FROM session_put_raw('carol', '\x00') AS put, session_load(CASE WHEN put > 0 THEN 'carol' END);

-- An id that is created anew does not repeat a version.
SELECT version AS before FROM session_load('bob') \gset
SELECT session_destroy('bob');
SELECT session_put('bob', '{}') > :before AS newer;

-- Every call that changes the content makes it grow, and returns it.
CREATE FUNCTION effect(call text) RETURNS TABLE (grew boolean, returned_it boolean) LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
    returned text;
BEGIN
    PERFORM session_put('effect', '{"a": 1}', '1 day');
    SELECT version INTO before FROM session_load('effect');
    EXECUTE 'SELECT ' || call INTO returned;
    RETURN QUERY SELECT version > before, version::text = returned FROM session_load('effect');
END
$$;
SELECT call, effect.* FROM unnest(ARRAY[
    $$session_set('effect', 'a', '2')$$, $$session_set('effect', 'b', '1')$$, $$session_set('effect', 'a', '1.0')$$,
    $$session_merge('effect', '{"a": 2}')$$, $$session_merge('effect', '{}', '{a}')$$,
    $$session_flush('effect')$$, $$session_release('effect', '{"a": 2}')$$, $$session_release_raw('effect', '\x00')$$,
    $$session_put('effect', '{"a": 2}')$$, $$session_put_raw('effect', '\x00')$$]) AS call, effect(call);

-- session_delete returns whether the key was there, and makes it grow if it was.
SELECT call, grew FROM unnest(ARRAY[$$session_delete('effect', 'a')$$, $$session_delete('effect', 'b')$$]) AS call, effect(call);

-- A write that changes nothing returns the current version.
SELECT call, effect.* FROM unnest(ARRAY[
    $$session_set('effect', 'a', '1')$$, $$session_merge('effect', '{"a": 1}', '{b}')$$, $$session_merge('effect', '{}')$$,
    $$session_release('effect', '{"a": 1}')$$, $$session_put('effect', '{"a": 1}')$$]) AS call, effect(call);

-- Reading, sliding, touching and regenerating leave it.
SELECT call, grew FROM unnest(ARRAY[
    $$session_get('effect')$$, $$session_read('effect')$$, $$session_exist('effect')$$, $$session_load('effect')$$, $$session_start('effect')$$,
    $$session_touch('effect')$$, $$session_touch('effect', '2 days', '2100-01-01')$$]) AS call, effect(call);
SELECT version, created_at FROM session_load('alice') \gset
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SELECT session_get('alice');
SELECT session_regenerate(session_regenerate(session_regenerate('alice', 'alice-2')), 'alice');
SELECT version = :version AS the_same, created_at = :'created_at' AS same_creation_time FROM session_load('alice');

-- A change of the lifetime alone is none of the content.
SELECT session_release('alice', '{"a": 1}', NULL, '2 hours') = :version AS the_same, session_release('alice', '{"a": 1}', :version, '0') = :version AS the_same;

-- A write that changes neither content nor expiry writes nothing. (A session without an idle limit never slides.)
SELECT session_create('{"a": 1, "b": [1, 2]}', 'dave', '0'), session_create_raw('\x010203', 'opaque', '0');
SELECT version AS dave, ctid AS dave_ctid, xmin AS dave_xmin, xmax AS dave_xmax FROM session WHERE session_key = sha256('dave') \gset
SELECT version AS opaque, ctid AS opaque_ctid, xmin AS opaque_xmin, xmax AS opaque_xmax FROM session WHERE session_key = sha256('opaque') \gset
SELECT session_set('dave', 'a', '1') = :dave AS set;
SELECT session_merge('dave', '{"b": [1, 2]}', '{c}') = :dave AS merge;
SELECT session_delete('dave', 'c') AS delete;
SELECT session_release('dave', '{"b": [1, 2], "a": 1}') = :dave AS release;
SELECT session_release('dave', '{"b": [1, 2], "a": 1}', :dave, '0', 'infinity') = :dave AS release;
SELECT session_put('dave', '{"b": [1, 2], "a": 1}', '0') = :dave AS put;
SELECT session_touch('dave') AS touch;
SELECT session_touch('dave', '0', 'infinity') AS touch;
SELECT session_get('dave', 'a'), session_exist('dave'), session_read('dave');
SELECT is_new FROM session_start('dave'), session_load('dave');
SELECT ctid = :'dave_ctid' AND xmin = :'dave_xmin' AND xmax = :'dave_xmax' AS nothing_written FROM session WHERE session_key = sha256('dave');
SELECT session_release_raw('opaque', '\x010203') = :opaque AS release;
SELECT session_put_raw('opaque', '\x010203', '0') = :opaque AS put;
SELECT ctid = :'opaque_ctid' AND xmin = :'opaque_xmin' AND xmax = :'opaque_xmax' AS nothing_written FROM session WHERE session_key = sha256('opaque');
SELECT session_create(sid => 'empty', lifetime => '0');
SELECT version AS empty, ctid AS empty_ctid FROM session WHERE session_key = sha256('empty') \gset
SELECT session_flush('empty') = :empty AS flush;
SELECT ctid = :'empty_ctid' AS nothing_written FROM session WHERE session_key = sha256('empty');

-- A save at the current version is done; at any other it is refused, whether that is older or newer.
SELECT session_set('dave', 'a', '2') AS now_at \gset
SELECT session_release('dave', '{"a": 3}', :dave) IS NULL AS refused, session_release('dave', '{"a": 3}', :now_at + 1) IS NULL AS refused,
    session_release('dave', '{"a": 3}', 0) IS NULL AS refused, session_release('dave', '{"a": 3}', -1) IS NULL AS refused, session_get('dave', 'a');
SELECT session_release('dave', '{"a": 3}', :now_at) > :now_at AS saved, session_get('dave');
SELECT session_release_raw('opaque', '\x04', :opaque + 1) IS NULL AS refused, session_release_raw('opaque', '\x04', :opaque) > :opaque AS saved;

-- A stale save is refused even when it would change nothing.
SELECT session_release('dave', '{"a": 3}', :now_at) IS NULL AS refused;

-- Versions that two changes in one statement return are different.
SELECT session_set('dave', 'x', '1') < session_set('dave', 'y', '1') AS grew_twice;

-- A counter: load, add, release at the version that was loaded.
SELECT session_put('counter', '{"n": 0}') > 0 AS put;
DO $$
BEGIN
    FOR n IN 1..100 LOOP
        PERFORM session_release('counter', jsonb_build_object('n', (data -> 'n')::int + 1), version) FROM session_load('counter');
    END LOOP;
END
$$;
SELECT session_get('counter');
