-- Who can do what: each function called, each relation used, and the extension itself, by each kind of role.
DROP EXTENSION session_store;
CREATE ROLE founder SUPERUSER;
CREATE ROLE keeper;
CREATE ROLE watcher IN ROLE pg_monitor;
CREATE ROLE stranger;
CREATE SCHEMA web;
GRANT USAGE ON SCHEMA web TO keeper, app, watcher;
SET ROLE founder;
CREATE EXTENSION session_store SCHEMA web;
RESET ROLE;
SELECT web.session_create('{"k": 1}', 'alice'), web.session_create_raw('\x00', 'opaque');

-- A call for each function: without an entry here it is listed below with "no call".
CREATE TABLE call (function text, arguments text);
INSERT INTO call VALUES
    ('session_all()', ''),
    ('session_attach(text)', $$'alice'$$), ('session_attributes()', ''), ('session_principal()', ''),
    ('session_bind(text,text,jsonb)', $$'alice', 'ada'$$),
    ('session_clear()', ''),
    ('session_create(jsonb,text,interval,timestamp with time zone)', $$'{}', 'bob'$$),
    ('session_create_raw(bytea,text,interval,timestamp with time zone)', $$'\x00', 'bob'$$),
    ('session_decode(bytea)', $$'\xa0'$$),
    ('session_delete(text,text)', $$'alice', 'k'$$),
    ('session_destroy(text)', $$'alice'$$),
    ('session_devices(text)', $$'alice'$$),
    ('session_exist(text)', $$'alice'$$),
    ('session_find(text)', $$'ada'$$),
    ('session_flush(text)', $$'alice'$$),
    ('session_gc(bigint)', '0'),
    ('session_get(text)', $$'alice'$$),
    ('session_get(text,text)', $$'alice', 'k'$$),
    ('session_init(interval)', $$'1 hour'$$),
    ('session_fetch(text,boolean)', $$'alice'$$), ('session_load(text,boolean)', $$'alice'$$),
    ('session_login(text,text,jsonb,text,integer,boolean,interval,timestamp with time zone)', $$'alice', 'ada'$$),
    ('session_merge(text,jsonb,text[],interval,timestamp with time zone)', $$'alice', '{}'$$),
    ('session_new_id()', ''),
    ('session_patch(text,json,text[],interval,timestamp with time zone)', $$'alice', '{}'::json$$),
    ('session_patch(text,text,text[],interval,timestamp with time zone)', $$'alice', '{}'$$),
    ('session_pop(text,text)', $$'alice', 'k'$$),
    ('session_put(text,jsonb,interval,timestamp with time zone)', $$'alice', '{}'$$),
    ('session_put_raw(text,bytea,interval,timestamp with time zone)', $$'alice', '\x00'$$),
    ('session_read(text,interval,timestamp with time zone)', $$'bob'$$),
    ('session_read_raw(text,interval,timestamp with time zone)', $$'bob'$$),
    ('session_regenerate(text,text,interval,boolean)', $$'alice', grace => '1 min'$$),
    ('session_release(text,jsonb,bigint,interval,timestamp with time zone)', $$'alice', '{}'$$),
    ('session_release_raw(text,bytea,bigint,interval,timestamp with time zone)', $$'alice', '\x00'$$),
    ('session_revoke(text,text)', $$'alice', 'handle'$$),
    ('session_revoke_all(text,text)', $$'ada'$$),
    ('session_revoke_handle(text)', $$'handle'$$),
    ('session_revoke_others(text)', $$'alice'$$),
    ('session_save(text,json,bigint,interval,timestamp with time zone)', $$'alice', '{}'::json$$),
    ('session_save(text,text,bigint,interval,timestamp with time zone)', $$'alice', '{}'$$),
    ('session_set(text,text,jsonb)', $$'alice', 'k', '2'$$),
    ('session_store_grant(regrole)', $$'app'$$),
    ('session_start(text,interval,timestamp with time zone)', ''),
    ('session_touch(text,interval,timestamp with time zone)', $$'alice', '2 hours'$$);

-- What can be tried: calls, the usual commands on each relation, and some on what belongs together.
SET client_min_messages = warning;
CREATE VIEW member AS SELECT classid, objid FROM pg_depend JOIN pg_extension AS e ON refobjid = e.oid WHERE deptype = 'e' AND extname = 'session_store';
CREATE VIEW deed AS
SELECT 1 AS part, function AS what, CASE WHEN call IS NULL THEN 'no call' ELSE format('SELECT web.%s(%s)', proname, arguments) END AS statement
FROM member JOIN pg_proc AS p ON objid = p.oid AND classid = 'pg_proc'::regclass, replace(p.oid::regprocedure::text, 'web.', '') AS function LEFT JOIN call USING (function)
UNION ALL
SELECT 2, command || ' ' || relname, format(statement, relname) FROM member JOIN pg_class AS c ON objid = c.oid AND classid = 'pg_class'::regclass,
    (VALUES ('SELECT', 'SELECT FROM web.%I', 'rv'), ('INSERT', 'INSERT INTO web.%I SELECT WHERE false', 'r'), ('DELETE', 'DELETE FROM web.%I WHERE false', 'r'), ('TRUNCATE', 'TRUNCATE web.%I', 'r'),
        ('CREATE TRIGGER', 'CREATE TRIGGER t BEFORE UPDATE ON web.%I FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'r')) AS command (command, statement, kinds)
WHERE strpos(kinds, relkind::text) > 0
UNION ALL
VALUES (3, 'ALTER EXTENSION', 'ALTER EXTENSION session_store UPDATE'), (3, 'DROP EXTENSION', 'DROP EXTENSION session_store'),
    (3, 'GRANT session_gc', 'GRANT EXECUTE ON FUNCTION web.session_gc TO stranger');

-- "yes", or the SQLSTATE. Each is undone.
CREATE FUNCTION try(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    RAISE SQLSTATE 'UNDO0';
EXCEPTION
    WHEN SQLSTATE 'UNDO0' THEN RETURN 'yes';
    WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
CREATE VIEW outcome AS SELECT part, what, role, try(role, statement) AS outcome FROM deed, unnest('{owner,keeper,app,watcher,stranger}'::name[]) WITH ORDINALITY AS role (role, number)
ORDER BY part, what COLLATE "C", number;

-- As installed by a superuser: the table owner is somebody else, "owner" is another superuser, "watcher" a member of pg_monitor,
-- "stranger" may not use the schema; "keeper" and "app" may, and nothing else.
CREATE TABLE installed AS SELECT * FROM outcome;
SELECT what, role, outcome FROM installed \crosstabview

-- Where the table alone is keeper's, the functions are as useful as before. What is different:
ALTER TABLE web.session OWNER TO keeper;
SELECT what, role, outcome FROM outcome EXCEPT SELECT what, role, outcome FROM installed ORDER BY 1, 2;

-- Where all is, as REASSIGN OWNED leaves it:
REASSIGN OWNED BY founder TO keeper;
ALTER ROLE founder NOSUPERUSER;
SELECT what, role, outcome FROM outcome EXCEPT SELECT what, role, outcome FROM installed ORDER BY 1, 2;

-- And where who created the extension is no superuser any more: it can do what keeper could.
REASSIGN OWNED BY keeper TO founder;
GRANT USAGE ON SCHEMA web TO founder;
SELECT count(*) FILTER (WHERE try('founder', statement) <> 'yes') AS refused FROM deed;
SELECT what, role, outcome FROM outcome EXCEPT SELECT what, role, outcome FROM installed ORDER BY 1, 2;

REASSIGN OWNED BY founder TO owner;
DROP OWNED BY founder, keeper, watcher, stranger;
DROP ROLE founder, keeper, watcher, stranger;
