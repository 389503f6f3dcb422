-- How long sessions live: the arguments lifetime and deadline, the grid, sliding. Absolute lifetimes have a file of their own.

-- A session that nobody uses expires after its idle lifetime: session_store.max_lifetime, unless the call says otherwise.
SELECT lifetime, deadline FROM session_load(session_create());
SELECT lifetime, deadline FROM session_load(session_create(lifetime => '90 minutes'));
SELECT lifetime FROM session_load(session_create_raw('\x00', lifetime => '90 minutes'));
SET session_store.max_lifetime = '2h';
SELECT lifetime FROM session_load(session_create());
SELECT s.lifetime FROM session_start() AS n, session_load(n.sid) AS s;
SELECT lifetime FROM session_load(session_regenerate('nobody'));
SELECT session_read('read'), session_put('put', '{}') > 0 AS put, session_put_raw('raw', '\x00') > 0 AS raw;
SELECT sid, lifetime FROM unnest('{read,put,raw}'::text[]) AS sid, session_load(sid);
RESET session_store.max_lifetime;

-- Lifetimes are whole seconds; a fraction counts as a whole one, so that it never becomes 0. Months and years are as in extract(epoch FROM …).
SELECT given, lifetime FROM unnest(ARRAY['1 microsecond', '1.5 seconds', '1 day', '1 month', '1 year', '1 month -29 days', '68 years']) AS given,
    session_load(session_create(lifetime => given::interval));

-- '0' sets no idle limit.
SELECT lifetime, expires_at FROM session_load(session_create(lifetime => '0'));

-- Less than 0, and more than 68 years, is refused.
\set VERBOSITY sqlstate
SELECT session_create(lifetime => '-1 microsecond');
SELECT session_create(lifetime => '1 month -31 days');
SELECT session_create(lifetime => '68 years 1 second');
SELECT session_create(lifetime => '178000000 years');
SELECT session_create(lifetime => '-178000000 years');
\set VERBOSITY default

-- A deadline ends the session however active it is. It is exact.
SELECT session_create('{}', 'alice', '1 hour', '2100-01-01 00:00+00');
SELECT lifetime, deadline FROM session_load('alice');
SELECT session_create('{}', 'bob', '1 hour', now() + interval '10 minutes');
SELECT expires_at = deadline AS exact FROM session_load('bob');
SELECT session_set('bob', 'k', '1') > 0 AS set, session_touch('bob') = deadline AS not_moved FROM session_load('bob');
SELECT session_touch('bob', '1 day') = deadline AS not_moved FROM session_load('bob');

-- It works without an idle limit too.
SELECT lifetime, expires_at, deadline FROM session_load(session_create(lifetime => '0', deadline => '2100-01-01 00:00+00'));

-- 'infinity' is none. For a session that has a deadline it takes it away.
SELECT deadline FROM session_load(session_create(deadline => 'infinity'));
SELECT session_touch('bob', deadline => 'infinity') > now() + interval '23 hours' AS later;
SELECT lifetime, deadline FROM session_load('bob');

-- A deadline in the past makes the session absent at once.
SELECT session_create('{}', 'gone', deadline => now() - interval '1 second'), session_exist('gone');
SELECT session_create('{}', 'gone', deadline => '-infinity'), session_exist('gone');
SELECT session_put('gone', '{}', deadline => '2000-01-01') > 0 AS put, session_exist('gone');
SELECT session_create('{}', 'gone');
SELECT session_touch('gone', deadline => '2000-01-01') < now() AS ended, session_exist('gone');
SELECT session_create('{}', 'gone');
SELECT session_release('gone', '{"k": 1}', deadline => '2000-01-01') > 0 AS saved, session_exist('gone');
SELECT s.is_new, session_exist(s.sid) FROM session_start(deadline => '2000-01-01') AS s;

-- Where a session exists already NULL means "as it is".
SELECT session_create('{}', 'carol', '2 hours', '2100-01-01 00:00+00');
PREPARE carol AS SELECT lifetime, deadline FROM session_load('carol');
SELECT session_touch('carol') > now() AS touched;
EXECUTE carol;
SELECT session_touch('carol', '3 hours') > now() AS touched;
EXECUTE carol;
SELECT session_touch('carol', deadline => '2100-02-01 00:00+00') > now() AS touched;
EXECUTE carol;
SELECT session_release('carol', '{"a": 1}') > 0 AS saved;
EXECUTE carol;
SELECT session_release('carol', '{"a": 2}', NULL, '4 hours') > 0 AS saved;
EXECUTE carol;
SELECT session_release('carol', '{"a": 3}', NULL, NULL, 'infinity') > 0 AS saved;
EXECUTE carol;
SELECT session_release_raw('carol', '\x00', NULL, '5 hours', '2100-01-01 00:00+00') > 0 AS saved;
EXECUTE carol;
SELECT session_set('carol-2', 'a', '1') > 0 AS set FROM session_put('carol-2', '{}', '6 hours', '2100-01-01 00:00+00');
SELECT lifetime, deadline FROM session_load('carol-2');

-- Where it is replaced by put, NULL means the setting and none.
SELECT session_put('carol', '{}') > 0 AS put;
EXECUTE carol;
SELECT session_put_raw('carol', '\x00', '6 hours', '2100-01-01 00:00+00') > 0 AS put;
EXECUTE carol;
SELECT session_put_raw('carol', '\x00') > 0 AS put;
EXECUTE carol;

-- A save that changes the lifetime and nothing else takes effect.
SELECT session_release('carol', '{"a": 1}') > 0 AS saved;
SELECT session_release('carol', '{"a": 1}', NULL, '10 minutes') > 0 AS saved;
SELECT lifetime, expires_at < now() + interval '12 minutes' AS sooner FROM session_load('carol');

-- A save at a stale version changes neither.
SELECT session_release('carol', '{"a": 2}', 1, '7 hours', '2100-01-01 00:00+00') IS NULL AS refused;
EXECUTE carol;

-- The expiry is rounded up to a grid of one minute, or of a sixteenth of the lifetime if that is less: never early, late by at most one step.
CREATE FUNCTION on_grid(given interval, step interval) RETURNS TABLE (on_grid boolean, never_early boolean, late_by_a_step_at_most boolean)
BEGIN ATOMIC
    SELECT extract(epoch FROM expires_at) % extract(epoch FROM step) = 0,
        expires_at >= created_at + lifetime,
        expires_at <= created_at + lifetime + step
    FROM session_load(session_create(lifetime => given), false);
END;
SELECT given, step, grid.* FROM (VALUES
    (interval '1 second', interval '62.5 milliseconds'), ('100 seconds', '6.25 seconds'), ('8 minutes', '30 seconds'),
    ('16 minutes', '1 minute'), ('1 hour', '1 minute'), ('30 days', '1 minute')
) AS sample (given, step), on_grid(given, step) AS grid;

-- session_store.expiry_granularity is that minute.
SET session_store.expiry_granularity = '10min';
SELECT given, step, grid.* FROM (VALUES (interval '16 minutes', interval '1 minute'), ('30 days', '10 minutes')) AS sample (given, step), on_grid(given, step) AS grid;

-- 0 is exact.
SET session_store.expiry_granularity = 0;
SELECT expires_at = created_at + lifetime AS exact FROM session_load(session_create(lifetime => '1 hour'), false);
RESET session_store.expiry_granularity;

-- Deadlines are not rounded.
SELECT expires_at = deadline AS exact FROM session_load(session_create(lifetime => '1 day', deadline => date_trunc('hour', now()) + interval '1 hour 1.234567 seconds'));

-- Within one step using a session writes nothing: the row is not touched.
SET session_store.expiry_granularity = '1d';
SELECT session_create('{"k": 1}', 'dave', '30 days');
SELECT ctid, xmin FROM session WHERE session_key = sha256('dave') \gset
SELECT session_get('dave'), session_set('dave', 'k', '1') > 0 AS set, session_touch('dave') > now() AS touched;
SELECT is_new FROM session_start('dave');
SELECT ctid = :'ctid' AND xmin = :'xmin' AS nothing_written FROM session WHERE session_key = sha256('dave');
RESET session_store.expiry_granularity;

-- Sliding never shortens: an expiry later than the lifetime would give stays.
UPDATE session SET session_expiry = '2100-01-01 00:00+00' WHERE session_key = sha256('dave');
SELECT session_get('dave'), session_touch('dave') = '2100-01-01 00:00+00' AS touched, session_set('dave', 'k', '2') > 0 AS set,
    session_release('dave', '{}') > 0 AS saved, session_regenerate('dave', 'erin');
SELECT expires_at = '2100-01-01 00:00+00' AS as_it_was FROM session_load('erin');
SELECT session_expiry = '2100-01-01 00:00+00' AS as_it_was FROM session WHERE session_key = sha256('erin');

-- Nor does a shorter setting: it concerns new sessions only.
SET session_store.max_lifetime = '1min';
SELECT lifetime, session_touch('erin') = '2100-01-01 00:00+00' AS as_it_was FROM session_load('erin');
RESET session_store.max_lifetime;

-- The slide of a call that reads is written when its transaction commits.
SELECT session_create('{}', 'frank');
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('frank');
PREPARE frank AS SELECT session_expiry > now() + interval '59 minutes' AS slid FROM session WHERE session_key = sha256('frank');
BEGIN;
SELECT session_get('frank');
EXECUTE frank;
-- In the transaction the session is promised to live that long already.
SELECT expires_at > now() + interval '59 minutes' AS slid FROM session_load('frank', false);
COMMIT;
EXECUTE frank;
-- A rollback forgets it,
UPDATE session SET session_expiry = now() + interval '1 minute' WHERE session_key = sha256('frank');
BEGIN;
SELECT session_get('frank');
ROLLBACK;
EXECUTE frank;
-- and so does one to a savepoint, of what came after it.
BEGIN;
SAVEPOINT s;
SELECT session_get('frank');
ROLLBACK TO s;
COMMIT;
EXECUTE frank;
BEGIN;
SELECT session_get('frank');
SAVEPOINT s;
SELECT session_get('frank');
ROLLBACK TO s;
COMMIT;
EXECUTE frank;
