-- A renewal with a grace: the id that the session had keeps reaching it for a while.

SELECT session_create('{"a": 1}', 'one');
SELECT version FROM session_fetch('one') \gset
SELECT session_regenerate('one', 'two', '1 minute');
SELECT session_get('one'), session_get('two'), session_all();
SELECT version = :version AS same, data FROM session_fetch('one');
SELECT valid_until - moved_at AS grace, moved_key = sha256('one') AS "from", session_key = sha256('two') AS "to",
    created_at = (SELECT created_at FROM session) AS same_session
FROM session_moved;

-- It is the same session by either id: what one writes the other reads.
SELECT session_set('one', 'b', '2') > :version AS written, session_get('two');
SELECT session_set('two', 'c', '3') > :version AS written, session_get('one');
SELECT sid, data, is_new FROM session_start('one');
SELECT session_read('one'), session_exist('one'), session_touch('one', '2 hours') > now() + interval '119 minutes' AS touched;
SELECT session_put('one', '{"put": true}') > :version AS put, session_get('two'), count(*) FROM session GROUP BY 1, 2;

-- It is taken: nothing begins under it, and nothing is moved there.
\set VERBOSITY sqlstate
SELECT session_create('{}', 'one');
SELECT session_create_raw('raw', 'one');
SELECT session_create('{}', 'other');
SELECT session_regenerate('other', 'one');
SELECT session_regenerate('nobody', 'one');
SELECT session_regenerate('two', 'one', '1 minute');
\set VERBOSITY default
SELECT session_save('one', '{}', 0) IS NULL AS refused, session_release('one', '{}', 0) IS NULL AS refused_too,
    session_release_raw('one', 'raw', 0) IS NULL AS refused_again;
SELECT session_get('two'), session_get('other'), session_all();

-- Another request has renewed it: to renew it again with a grace moves nothing, and gives it back as it came.
SELECT session_regenerate('one', 'three', '1 minute'), session_regenerate('one', grace => '1 second'), session_regenerate('one', grace => '1 second', must_exist => true);
SELECT session_exist('three'), session_exist('two'), count(*) FROM session_moved;

-- A chain of renewals is followed.
SELECT session_regenerate('two', 'three', '1 minute'), session_regenerate('three', 'four', '1 minute');
SELECT session_get('one'), session_get('two'), session_get('three'), session_get('four');

-- Without a grace it is moved by whatever id, and all that reached it before are dead at once.
SELECT session_regenerate('one', 'five');
SELECT sid, session_exist(sid) FROM unnest('{one,two,three,four,five}'::text[]) AS sid;
SELECT session_create('{}', 'two') AS free_again, session_exist('one') AS leads_there;

-- Ending it by an old id ends it. A session that begins under an id anew is another one, which old ids do not reach.
SELECT session_regenerate('five', 'six', '1 minute'), session_destroy('five'), session_exist('five'), session_exist('six');
SELECT session_create('{"another": true}', 'six'), session_get('five'), session_destroy('six'), session_destroy('five');

-- Also where a session gets an id again that it had: what is dead stays dead.
SELECT session_create('{"k": 1}', 'a'), session_regenerate('a', 'b', '1 minute'), session_regenerate('b', 'c'), session_regenerate('c', 'b');
SELECT session_exist('a'), session_get('b'), session_regenerate('b', 'c', '1 minute'), session_exist('a'), session_get('b');
SELECT session_destroy('b'), session_exist('c');

-- Rows that lead round in a circle, as only the owner can make them, lead nowhere.
INSERT INTO session_moved
SELECT sha256(moved_key), sha256(session_key), now(), now(), now() + interval '5 minutes'
FROM (VALUES ('y'::bytea, 'z'::bytea), ('z', 'y')) AS circle (moved_key, session_key);
SELECT session_exist('y'), session_create('{}', 'z'), session_exist('y'), session_destroy('z');

-- When the grace is over the old id is any other one.
SELECT session_create('{"k": 1}', 'old'), session_regenerate('old', 'new', '5 minutes');
SELECT session_get('old');
UPDATE session_moved SET valid_until = now() WHERE moved_key = sha256('old');
SELECT session_get('old'), session_exist('old'), session_destroy('old'), session_get('new');
SELECT session_regenerate('old', grace => '1 minute', must_exist => true) IS NULL AS absent;
SELECT session_create('{"of": "another"}', 'old'), session_get('old'), session_get('new');
SELECT session_regenerate('old', 'older', '1 minute'), session_get('old'), session_get('new');

-- Each renewal of a chain has a grace of its own.
SELECT session_create('{}', 'p'), session_regenerate('p', 'q', '5 minutes'), session_regenerate('q', 'r', '5 minutes');
UPDATE session_moved SET valid_until = now() WHERE moved_key = sha256('q');
SELECT session_exist('p'), session_exist('q'), session_exist('r');

-- A session ends at its own time, whoever asks.
SELECT session_create('{}', 'm'), session_regenerate('m', 'n', '1 minute');
UPDATE session SET session_expiry = now() WHERE session_key = sha256('n');
SELECT session_exist('m'), session_get('m'), session_destroy('m');

-- From nothing to five minutes. NULL and 0 are none. Where there is no session there is nothing to leave behind.
SELECT count(*) FROM session_moved \gset
SELECT session_create('{}', 's'), session_regenerate('s', 't', '5 minutes'), session_exist('s');
SELECT session_create('{}', 'u'), session_regenerate('u', 'v', NULL), session_exist('u'), session_regenerate('v', 'u', '0'), session_exist('v');
SELECT session_regenerate('nobody', 'anew', '1 minute'), session_exist('nobody'), session_regenerate('nobody', grace => '1 minute', must_exist => true) IS NULL AS absent;
SELECT count(*) - :count AS left_behind FROM session_moved;
SELECT session_regenerate('t', grace => '5 minutes 1 microsecond');
\set VERBOSITY sqlstate
SELECT session_regenerate('t', grace => '-1 microsecond');
SELECT session_regenerate('t', grace => '1 month');
SELECT session_regenerate('t', grace => '-178000000 years');
SET session_store.strict = on;
SELECT session_regenerate('nobody', grace => '1 minute');
\set VERBOSITY default
RESET session_store.strict;

-- All in one statement, and rolled back.
SELECT session_get(session_regenerate('t', 'w', '1 minute')), session_get('t');
BEGIN;
SELECT session_regenerate('w', 'x', '1 minute'), session_exist('w'), session_exist('x');
ROLLBACK;
SELECT session_exist('t'), session_exist('w'), session_exist('x');

-- What is over goes with the expired sessions and is not counted with them.
SELECT session_gc() >= 0 AS collected, count(*) FILTER (WHERE valid_until <= now()) AS over FROM session_moved;
SELECT count(*) FILTER (WHERE valid_until <= now()) AS over, count(*) > 0 AS "left" FROM session_moved;
SELECT session_gc();
SELECT count(*) = session_all() AS no_more_live FROM session_live;
SELECT session_clear() > 0 AS cleared, session_exist('t'), session_exist('s');
