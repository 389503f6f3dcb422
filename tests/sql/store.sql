-- The session store: values by key, and the whole map.
SELECT session_create('{"user": 7, "cart": ["tea"], "note": null}', 'alice');

-- session_get returns all values, or one.
SELECT session_get('alice');
SELECT session_get('alice', 'cart'), session_get('alice', 'user');

-- JSON null is a value; an absent key is SQL NULL. So is an absent session, and getting creates none.
SELECT session_get('alice', 'note'), session_get('alice', 'note') IS NULL AS note_is_null, session_get('alice', 'nope') IS NULL AS nope_is_null;
SELECT session_get('nobody') IS NULL AS all_values, session_get('nobody', 'user') IS NULL AS one_value, session_exist('nobody');

-- Keys are exact: case counts, and a path is a key like any other.
SELECT session_get('alice', 'User') IS NULL AS other_case, session_get('alice', 'cart,0') IS NULL AS no_path, session_get('alice', '') IS NULL AS empty_key;

-- session_set sets one key, replaces its old value and returns the version.
SELECT session_set('alice', 'theme', '"dark"') AS first \gset
SELECT session_set('alice', 'theme', '{"name": "light"}') AS second \gset
SELECT :second > :first AS grew, session_get('alice');

-- A SQL NULL value is stored as JSON null.
SELECT session_set('alice', 'theme', NULL) > :second AS set;
SELECT session_get('alice', 'theme'), session_get('alice') ? 'theme' AS there;

-- session_delete drops one key and tells whether it was there.
SELECT session_delete('alice', 'theme'), session_delete('alice', 'theme');
SELECT session_get('alice');

-- session_merge sets the keys of the patch and drops others, at once. It is shallow: a value is replaced, not merged.
SELECT session_merge('alice', '{"cart": {"tea": 1}, "step": 1}', '{note}') > :second AS merged;
SELECT session_get('alice');
SELECT session_merge('alice', '{"cart": {"milk": 2}}') > :second AS merged;
SELECT session_get('alice');

-- Keys to drop need not exist. A key that the patch sets as well is set. JSON null in the patch is a value.
SELECT session_merge('alice', '{"step": 2, "note": null}', ARRAY['step', 'nope', 'nope']) > :second AS merged;
SELECT session_get('alice');

-- It can do either alone, and remove = NULL drops nothing.
SELECT session_merge('alice', '{}', remove => '{note}') > :second AS merged;
SELECT session_merge('alice', '{"step": 3}', NULL) > :second AS merged;
SELECT session_merge('alice', '{"step": 3}', '{}') > :second AS merged;
SELECT session_get('alice');

-- session_flush drops all keys; the session stays.
SELECT session_flush('alice') > :second AS flushed;
SELECT session_get('alice'), session_exist('alice');

-- session_release saves the whole map and returns the version.
SELECT session_release('alice', '{"a": 1, "b": 2}') AS version \gset
SELECT session_get('alice');

-- With a version it saves only if nobody else has changed the session since.
SELECT session_release('alice', '{"a": 2}', :version) > :version AS saved;
SELECT session_release('alice', '{"a": 3}', :version) IS NULL AS refused, session_get('alice');
SELECT session_release('alice', '{"a": 3}', version => (SELECT version FROM session_load('alice'))) > :version AS saved;
SELECT session_get('alice');

-- Of a session that is gone it saves nothing, without an error, as frameworks save late.
SELECT session_release('nobody', '{"a": 1}') IS NULL AS not_saved, session_exist('nobody');

-- session_put is for stores without a notion of new: it creates or replaces.
SELECT session_put('bob', '{"a": 1}') AS version \gset
SELECT session_put('bob', '{"b": 2}') > :version AS replaced, session_get('bob');
SELECT session_destroy('bob'), session_put('bob', '{"c": 3}') > :version AS resurrected, session_get('bob');

-- Lifetime and deadline can change with a save. NULL leaves them; put returns to the setting and none.
SELECT session_release('alice', '{}', NULL, '2 hours', '2100-01-01 00:00+00') > 0 AS saved;
SELECT lifetime, deadline FROM session_load('alice');
SELECT session_release('alice', '{"a": 4}') > 0 AS saved;
SELECT lifetime, deadline FROM session_load('alice');
SELECT session_put('alice', '{"a": 5}') > 0 AS put;
SELECT data, lifetime, deadline FROM session_load('alice');
SELECT session_put('alice', '{"a": 6}', lifetime => '3 hours', deadline => '2100-01-01 00:00+00') > 0 AS put;
SELECT data, lifetime, deadline FROM session_load('alice');

-- Every call that finds a live session slides it.
CREATE FUNCTION slides(call text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM session_put('slider', '{"k": 1}');
    UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('slider');
    EXECUTE call;
    RETURN expires_at > now() + interval '59 minutes' FROM session_load('slider', false);
END
$$;
SELECT call, slides('SELECT ' || call) FROM unnest(ARRAY[
    $$session_start('slider')$$, $$session_touch('slider')$$, $$session_load('slider')$$, $$session_read('slider')$$,
    $$session_get('slider')$$, $$session_get('slider', 'k')$$, $$session_get('slider', 'absent')$$,
    $$session_set('slider', 'k', '2')$$, $$session_set('slider', 'k', '1')$$,
    $$session_merge('slider', '{"k": 2}')$$, $$session_merge('slider', '{}')$$,
    $$session_delete('slider', 'k')$$, $$session_delete('slider', 'absent')$$, $$session_flush('slider')$$,
    $$session_release('slider', '{"k": 2}')$$, $$session_release('slider', '{"k": 1}')$$, $$session_release('slider', '{}', 1)$$, $$session_release_raw('slider', '\x00')$$,
    $$session_put('slider', '{"k": 2}')$$, $$session_put('slider', '{"k": 1}')$$, $$session_put_raw('slider', '\x00')$$]) AS call;
-- These two only look.
SELECT call, slides('SELECT ' || call) FROM unnest(ARRAY[$$session_exist('slider')$$, $$session_load('slider', false)$$]) AS call;
