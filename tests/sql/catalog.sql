-- What CREATE EXTENSION puts into a database. The first list is the reference of all functions.
\pset format unaligned
\pset tuples_only on
CREATE VIEW member AS SELECT p.* FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension AS e ON e.oid = d.refobjid WHERE e.extname = 'session_store';
SELECT format('%s(%s) → %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid)) FROM member ORDER BY proname COLLATE "C", pronargs;

-- Each has a comment.
SELECT format('%s: %s', oid::regprocedure, obj_description(oid, 'pg_proc')) FROM member ORDER BY proname COLLATE "C", pronargs;
\pset tuples_only off
\pset format aligned

-- None is STRICT; none runs with its owner's rights throughout, or under settings of its own; none is written in SQL.
SELECT count(*) FILTER (WHERE obj_description(oid, 'pg_proc') IS NULL) AS no_comment, count(*) FILTER (WHERE proisstrict) AS strict, count(*) FILTER (WHERE prosecdef) AS security_definer,
    count(*) FILTER (WHERE proconfig IS NOT NULL) AS with_settings, count(*) FILTER (WHERE proleakproof) AS leakproof FROM member;
SELECT DISTINCT lanname FROM member JOIN pg_language AS l ON l.oid = prolang;

-- All are volatile and for the leader of a parallel query alone, with these exceptions.
SELECT proname, CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility, CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel
FROM member WHERE provolatile <> 'v' OR proparallel <> 'u' ORDER BY proname;

-- The table: what changes comes last.
SELECT attname AS column, format_type(atttypid, atttypmod) AS type, attnotnull AS not_null, col_description(attrelid, attnum) IS NOT NULL AS has_comment
FROM pg_attribute WHERE attrelid = 'session'::regclass AND attnum > 0 ORDER BY attnum;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'session'::regclass AND contype <> 'n' ORDER BY contype, pg_get_constraintdef(oid);
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'session'::regclass ORDER BY indexrelid::regclass::text;
SELECT unnest(reloptions) AS reloptions FROM pg_class WHERE oid = 'session'::regclass;
SELECT obj_description('session'::regclass) IS NOT NULL AS table_has_comment, obj_description('session_live'::regclass) IS NOT NULL AS view_has_comment;

-- The primary key's length and the lifetime are checked, so that not even the owner writes a row that cannot be read.
\set VERBOSITY sqlstate
SELECT session_create('{}', 'alice');
UPDATE session SET session_key = 'alice';
UPDATE session SET lifetime = -1;
UPDATE session SET session_data = NULL;

-- The plain session id is nowhere in the row: neither as text nor as bytes.
SELECT session_key = sha256('alice') AS is_the_digest, strpos(session::text, 'alice') = 0 AND strpos(session::text, encode('alice', 'hex')) = 0 AS no_plain_id FROM session;

-- A digest is no id.
SELECT session_exist(encode(session_key, 'hex')), session_exist(session_key::text) FROM session;

-- The view
SELECT attname AS column, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 'session_live'::regclass AND attnum > 0 ORDER BY attnum;

-- pg_dump includes the sessions.
SELECT extconfig::regclass[], extcondition, extrelocatable FROM pg_extension WHERE extname = 'session_store';

-- Relations of the extension, and who has a privilege on them besides the owner.
SELECT c.oid::regclass AS relation, (SELECT string_agg(privilege_type || ' to ' || grantee::regrole, ', ') FROM aclexplode(relacl) WHERE grantee <> relowner) AS granted
FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE e.extname = 'session_store' ORDER BY relname;
