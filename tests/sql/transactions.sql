-- Sessions are rows: calls are part of the transaction that makes them, and see what it did before.

-- Two calls in one statement see each other, from left to right.
SELECT session_create('{}', 'alice'), session_exist('alice'), session_get('alice');
SELECT session_set('alice', 'a', '1') > 0 AS set, session_get('alice', 'a'), session_delete('alice', 'a'), session_get('alice', 'a') IS NULL AS gone;
SELECT session_put('alice', '{"n": 1}') < session_put('alice', '{"n": 2}') AS grew, session_get('alice');
SELECT session_read('bob'), session_exist('bob'), session_destroy('bob'), session_exist('bob'), session_read('bob');
SELECT session_regenerate('bob', 'carol'), session_exist('bob'), session_destroy('carol'), session_exist('carol');
SELECT session_get(session_create('{"nested": true}'));
SELECT n, session_set('alice', 'n', to_jsonb(n)) > 0 AS set, session_get('alice', 'n') FROM generate_series(1, 3) AS n;

-- So do calls in a FROM clause, in a CASE and in common table expressions.
SELECT data FROM session_put('alice', '{"n": 3}') AS put, session_load(CASE WHEN put > 0 THEN 'alice' END);
SELECT CASE WHEN session_set('alice', 'n', '4') > 0 THEN session_get('alice', 'n') END AS n;
WITH saved AS MATERIALIZED (SELECT session_set('alice', 'n', '5') AS version) SELECT version > 0 AS set, session_get('alice', 'n') FROM saved;
WITH first AS MATERIALIZED (SELECT session_destroy('alice') AS destroyed), second AS MATERIALIZED (SELECT destroyed, session_read('alice') AS read FROM first)
SELECT destroyed, read, session_exist('alice') FROM second;

-- One call for many sessions.
SELECT count(session_create(jsonb_build_object('n', n), 'many ' || n)) FROM generate_series(1, 100) AS n;
SELECT sum((session_get('many ' || n, 'n'))::int) FROM generate_series(1, 100) AS n;
SELECT count(*) FILTER (WHERE session_destroy('many ' || n)) FROM generate_series(0, 100) AS n;

-- Calls in one transaction roll back together.
BEGIN;
SELECT session_put('alice', '{"n": 6}') > 0 AS put;
SELECT session_create('{}', 'dave'), session_regenerate('dave', 'erin');
SELECT session_get('alice'), session_exist('dave'), session_exist('erin'), session_all();
ROLLBACK;
SELECT session_get('alice'), session_exist('dave'), session_exist('erin'), session_all();
BEGIN;
SELECT session_destroy('alice'), session_exist('alice');
ROLLBACK;
SELECT session_exist('alice');

-- They roll back to a savepoint, with everything since.
BEGIN;
SELECT session_put('alice', '{"n": 7}') > 0 AS put;
SAVEPOINT s;
SELECT session_set('alice', 'n', '8') > 0 AS set, session_create('{}', 'dave');
ROLLBACK TO s;
SELECT session_get('alice'), session_exist('dave');
SELECT session_set('alice', 'm', '1') > 0 AS set;
RELEASE s;
COMMIT;
SELECT session_get('alice'), session_exist('dave');

-- An error of ours in a transaction is like any other error.
BEGIN;
SELECT session_set('alice', 'n', '9') > 0 AS set;
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT session_set('nobody', 'n', '1');
SELECT session_get('alice');
\set VERBOSITY default
ROLLBACK TO s;
SELECT session_get('alice', 'n');
COMMIT;
SELECT session_get('alice', 'n');

-- PL/pgSQL: a block with an exception clause undoes what failed, and no more.
CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM session_set('alice', 'before', '"kept"');
    BEGIN
        PERFORM session_set('alice', 'within', '"undone"');
        EXECUTE statement;
        RETURN 'done';
    EXCEPTION WHEN OTHERS THEN
        PERFORM session_set('alice', 'caught', to_jsonb(SQLSTATE));
        RETURN SQLERRM;
    END;
END
$$;
SELECT session_put('alice', '{}') > 0 AS put, attempt($$SELECT session_set('nobody', 'k', '1')$$), session_get('alice');
SELECT session_put('alice', '{}') > 0 AS put, attempt($$SELECT session_create('{}', 'alice')$$), session_get('alice');
SELECT session_put('alice', '{}') > 0 AS put, attempt($$SELECT session_regenerate(session_create(), 'alice')$$), session_get('alice');
SELECT session_put('alice', '{}') > 0 AS put, attempt($$SELECT session_get('alice', NULL)$$), session_get('alice');
SELECT session_put('alice', '{}') > 0 AS put, attempt('SELECT 1 / 0'), session_get('alice');
SELECT session_put('alice', '{}') > 0 AS put, attempt($$SELECT session_set('alice', 'also', '1')$$), session_get('alice');

-- Errors in a row, each caught, leave nothing behind.
DO $$
BEGIN
    FOR n IN 1..1000 LOOP
        BEGIN
            PERFORM session_set('nobody', 'k', '1');
        EXCEPTION WHEN no_data_found THEN
            PERFORM session_set('alice', 'errors', to_jsonb(n));
        END;
    END LOOP;
END
$$;
SELECT session_get('alice', 'errors');

-- A procedure may commit between calls.
DO $$
BEGIN
    FOR n IN 1..4 LOOP
        PERFORM session_put('alice', jsonb_build_object('n', n));
        IF n % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
    END LOOP;
END
$$;
SELECT session_get('alice');

-- Prepared statements, with generic plans too.
PREPARE set_key (text, text, jsonb) AS SELECT session_set($1, $2, $3) > 0 AS set;
PREPARE get_key (text, text) AS SELECT session_get($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE set_key('alice', 'k', '1');
EXECUTE get_key('alice', 'k');
EXECUTE set_key('alice', 'k', NULL);
EXECUTE get_key('alice', 'k');
EXECUTE get_key('alice', 'absent');
RESET plan_cache_mode;
PREPARE start AS SELECT sid = $1 AS same, is_new FROM session_start($1);
EXECUTE start('alice');
EXECUTE start('nobody');
EXECUTE start(NULL);

-- They go on working after the table was changed, its plans thrown away, and the table emptied.
ALTER TABLE session SET (fillfactor = 80);
EXECUTE get_key('alice', 'k');
ANALYZE session;
DISCARD PLANS;
EXECUTE get_key('alice', 'k');
CREATE INDEX another ON session (version);
EXECUTE set_key('alice', 'k', '2');
DROP INDEX another;
EXECUTE get_key('alice', 'k');
VACUUM FULL session;
EXECUTE get_key('alice', 'k');
TRUNCATE session;
EXECUTE get_key('alice', 'k');
SELECT session_put('alice', '{"k": 3}') > 0 AS put;
EXECUTE get_key('alice', 'k');

-- A cursor calls as it fetches, and so sees the session as it is then.
BEGIN;
DECLARE counted CURSOR FOR SELECT n, session_get('alice', 'k') FROM generate_series(1, 3) AS n;
FETCH 1 FROM counted;
SELECT session_set('alice', 'k', '4') > 0 AS set;
FETCH 1 FROM counted;
SELECT session_destroy('alice');
FETCH 1 FROM counted;
COMMIT;
SELECT session_put('alice', '{"k": 5}') > 0 AS put;

-- A cursor that is held goes on after its transaction.
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT n, session_get('alice', 'k') FROM generate_series(1, 2) AS n;
COMMIT;
FETCH ALL FROM held;
CLOSE held;

-- Stricter isolation levels show a transaction its own changes as well.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT session_get('alice'), session_set('alice', 'k', '6') > 0 AS set, session_get('alice');
SELECT session_create('{}', 'fresh'), session_exist('fresh'), session_touch('fresh', '2 hours') > now() AS touched, session_destroy('fresh');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT session_get('alice'), session_set('alice', 'k', '7') > 0 AS set, session_get('alice');
SELECT session_read('fresh'), session_regenerate('fresh', 'fresher'), session_destroy('fresher');
COMMIT;
SELECT session_get('alice');

-- Calls work in triggers, defaults and constraints of other tables.
CREATE TABLE login (who text, sid text DEFAULT session_create('{"from": "default"}'), CHECK (session_exist(sid)));
INSERT INTO login VALUES ('alice') RETURNING session_get(sid);
CREATE FUNCTION on_login() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM session_set(NEW.sid, 'who', to_jsonb(NEW.who));
    RETURN NEW;
END
$$;
CREATE TRIGGER on_login AFTER INSERT ON login FOR EACH ROW EXECUTE FUNCTION on_login();
INSERT INTO login VALUES ('bob');
SELECT who, session_get(sid) FROM login ORDER BY who;
\set VERBOSITY sqlstate
INSERT INTO login VALUES ('mallory', 'made-up');
