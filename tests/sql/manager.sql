-- The session manager: start, create, load, touch, new ids.

-- session_start is the one call at the beginning of a request. A visitor without a session id gets a new, empty session.
SELECT sid ~ '^[0-9a-f]{64}$' AS generated, data, is_new FROM session_start();
SELECT sid FROM session_start() \gset

-- The presented id is live: the session comes back as it is, under the same id.
SELECT session_set(:'sid', 'cart', '["tea"]') AS version \gset
SELECT sid = :'sid' AS same_id, data, version = :version AS same_version, is_new FROM session_start(:'sid');

-- It never adopts an id that it did not give out: neither an unknown one, nor one that can be no id at all.
SELECT what, s.sid = presented AS adopted, s.sid ~ '^[0-9a-f]{64}$' AS generated, data, is_new
FROM (VALUES
    ('unknown', 'made-up'), ('empty', ''), ('not ASCII', 'naïve'), ('too long', repeat('x', 257)), ('two lines', E'two\nlines'), ('NULL', NULL)
) AS visitor (what, presented), session_start(presented) AS s;
SELECT session_exist('made-up');

-- A new session may be given a lifetime and a deadline; to a live one they do nothing.
SELECT sid AS short FROM session_start(NULL, '10 minutes', '2100-01-01 00:00+00') \gset
SELECT lifetime, deadline FROM session_load(:'short');
SELECT is_new FROM session_start(:'short', '2 hours', 'infinity');
SELECT lifetime, deadline FROM session_load(:'short');

-- session_create begins a session with data. It returns the id, which the server generates unless it is given.
SELECT session_create('{"user": 7}') AS sid \gset
SELECT :'sid' ~ '^[0-9a-f]{64}$' AS generated, session_get(:'sid');
SELECT session_create('{"user": 8}', 'alice');
SELECT session_get('alice');
SELECT session_create(sid => 'bob', lifetime => '2 hours', deadline => '2100-01-01 00:00+00');
SELECT data, lifetime, deadline FROM session_load('bob');

-- session_fetch is the short way for clients: the content as text, and the version.
SELECT data, payload, version = (SELECT version FROM session_load('alice')) AS same_version FROM session_fetch('alice');
SELECT data, payload FROM session_fetch(session_create_raw('\x0102'));
SELECT count(*) FROM session_fetch('nobody');

-- Data defaults to no keys at all.
SELECT session_get(session_create());

-- Two created sessions never share an id.
SELECT count(DISTINCT session_create()) FROM generate_series(1, 100);

-- A live session is never overwritten.
\set VERBOSITY sqlstate
SELECT session_create('{"user": 9}', 'alice');
SELECT session_create_raw('\x00', 'alice');
\set VERBOSITY default
SELECT session_get('alice');

-- session_load tells all there is to know in one call.
UPDATE session SET principal = 'alice@example.org' WHERE session_key = sha256('alice');
SELECT data, payload, principal, lifetime, deadline FROM session_load('alice');
SELECT version = extract(epoch FROM created_at) * 1000000 AS begins_at_creation,
    created_at BETWEEN now() - interval '1 hour' AND now() AS created_just_now,
    expires_at - created_at >= lifetime AS expires_after_the_lifetime
FROM session_load('alice');

-- It slides the session unless told not to.
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SELECT expires_at < now() + interval '2 minutes' AS as_it_was FROM session_load('alice', false);
SELECT expires_at > now() + interval '59 minutes' AS slid FROM session_load('alice');
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SELECT expires_at > now() + interval '59 minutes' AS slid FROM session_load('alice', slide => true);

-- It never creates: no row when there is no live session.
SELECT * FROM session_load('nobody');
SELECT session_exist('nobody');

-- session_touch slides and returns the new expiry.
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('alice');
SELECT session_touch('alice') > now() + interval '59 minutes' AS slid;
SELECT session_expiry > now() + interval '59 minutes' AS stored FROM session WHERE session_key = sha256('alice');

-- "Remember me": a longer lifetime from now on. Then a shorter one, and an end.
SELECT session_touch('alice', '30 days') >= now() + interval '30 days' AS remembered;
SELECT lifetime, deadline FROM session_load('alice');
SELECT session_touch('alice', '5 minutes') < now() + interval '6 minutes' AS shortened;
SELECT session_touch('alice', deadline => now() + interval '2 minutes') = now() + interval '2 minutes' AS exactly_the_deadline;
SELECT lifetime FROM session_load('alice');

-- NULL when there is no live session, and none is created.
SELECT session_touch('nobody'), session_touch('nobody', '1 hour'), session_exist('nobody');

-- session_new_id: 32 random bytes in hex. It creates nothing.
SELECT session_new_id() ~ '^[0-9a-f]{64}$' AS is_hex;
SELECT count(DISTINCT session_new_id()) FROM generate_series(1, 1000);
SELECT session_exist(session_new_id());
