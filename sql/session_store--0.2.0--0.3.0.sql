-- From 0.2.0. Requests wait for the locks taken here until the update commits, so put what changes the table last.

DO $$
BEGIN
    IF pg_catalog.to_regclass('@extschema@.session_moved') IS NOT NULL THEN
        RAISE EXCEPTION
            USING MESSAGE = 'relation "session_moved" already exists in schema @extschema@',
                ERRCODE = 'duplicate_table',
                HINT = 'This version has a table of that name. Rename or move yours, then update.';
    END IF;
END
$$;

CREATE TABLE @extschema@.session_moved (
    moved_key bytea NOT NULL CONSTRAINT session_moved_moved_key_check
        CHECK (pg_catalog.octet_length(moved_key) OPERATOR(pg_catalog.=) 32),
    session_key bytea NOT NULL CONSTRAINT session_moved_session_key_check
        CHECK (pg_catalog.octet_length(session_key) OPERATOR(pg_catalog.=) 32),
    created_at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    CONSTRAINT session_moved_key PRIMARY KEY (moved_key)
)
WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX session_moved_session_key ON @extschema@.session_moved (session_key);
CREATE INDEX session_moved_valid_until ON @extschema@.session_moved (valid_until);

COMMENT ON TABLE @extschema@.session_moved IS 'ids that sessions had before session_regenerate with a grace, which reach them for that long';
COMMENT ON COLUMN @extschema@.session_moved.moved_key IS 'SHA-256 of the id that the session had';
COMMENT ON COLUMN @extschema@.session_moved.session_key IS 'SHA-256 of the id that it got';
COMMENT ON COLUMN @extschema@.session_moved.created_at IS 'when the session was created, by which it is recognised';
COMMENT ON COLUMN @extschema@.session_moved.moved_at IS 'when it was moved';
COMMENT ON COLUMN @extschema@.session_moved.valid_until IS 'until when the old id reaches it';

REVOKE ALL ON TABLE @extschema@.session_moved FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.session_moved', '');

-- To whom the sessions were handed over.
DO $$
BEGIN
    EXECUTE (
        SELECT pg_catalog.format('ALTER TABLE @extschema@.session_moved OWNER TO %I', pg_catalog.pg_get_userbyid(relowner))
        FROM pg_catalog.pg_class
        WHERE oid OPERATOR(pg_catalog.=) '@extschema@.session'::pg_catalog.regclass);
END
$$;

CREATE TYPE @extschema@.session_content AS (data json, payload bytea, version bigint);

COMMENT ON TYPE @extschema@.session_content IS 'the content of a session, as session_fetch returns it';

-- Functions whose arguments or result change. Each keeps its owner and the grants that it has.
DO $$
DECLARE
    -- In the order in which they are created below.
    replaced CONSTANT text[] := ARRAY['session_start(text, interval, timestamptz)', 'session_fetch(text, boolean)',
        'session_load(text, boolean)', 'session_read(text)', 'session_regenerate(text, text)', 'session_merge(text, jsonb, text[])'];
    created CONSTANT text[] := ARRAY[
        'session_start(presented text DEFAULT NULL, lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL)
            RETURNS TABLE (sid text, data json, version bigint, is_new boolean, payload bytea) ROWS 1',
        'session_fetch(sid text, slide boolean DEFAULT true) RETURNS SETOF @extschema@.session_content ROWS 1',
        'session_load(sid text, slide boolean DEFAULT true)
            RETURNS TABLE (data jsonb, payload bytea, version bigint, principal text, created_at timestamptz, expires_at timestamptz,
            lifetime interval, deadline timestamptz, attributes jsonb, authenticated_at timestamptz, handle text) ROWS 1',
        'session_read(sid text, lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL) RETURNS jsonb',
        'session_regenerate(oldsid text, sid text DEFAULT NULL, grace interval DEFAULT ''0'',
            must_exist boolean DEFAULT false) RETURNS text',
        'session_merge(sid text, patch jsonb, remove text[] DEFAULT NULL, lifetime interval DEFAULT NULL,
            deadline timestamptz DEFAULT NULL) RETURNS bigint'];
    signatures CONSTANT text[] := ARRAY['session_start(text, interval, timestamptz)', 'session_fetch(text, boolean)',
        'session_load(text, boolean)', 'session_read(text, interval, timestamptz)', 'session_regenerate(text, text, interval, boolean)',
        'session_merge(text, jsonb, text[], interval, timestamptz)'];
    symbols CONSTANT text[] := ARRAY['session_start_0_3_wrapper', 'session_fetch_wrapper', 'session_load_0_3_wrapper',
        'session_read_0_3_wrapper',
        'session_regenerate_0_3_wrapper', 'session_merge_0_3_wrapper'];
    before record;
    function regprocedure;
    granted record;
    detail text;
BEGIN
    FOR number IN 1 .. pg_catalog.cardinality(replaced) LOOP
        SELECT proowner, proacl INTO before
        FROM pg_catalog.pg_proc
        WHERE oid OPERATOR(pg_catalog.=) ('@extschema@.' OPERATOR(pg_catalog.||) replaced[number])::pg_catalog.regprocedure;
        BEGIN
            EXECUTE 'DROP FUNCTION @extschema@.' OPERATOR(pg_catalog.||) replaced[number];
        EXCEPTION WHEN dependent_objects_still_exist THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
            RAISE EXCEPTION USING MESSAGE = SQLERRM, ERRCODE = SQLSTATE, DETAIL = detail,
                HINT = 'This version has other arguments or another result there. Drop what depends on it, update, and create it again.';
        END;
        EXECUTE 'CREATE FUNCTION @extschema@.' OPERATOR(pg_catalog.||) created[number]
            OPERATOR(pg_catalog.||) pg_catalog.format(' LANGUAGE c AS ''MODULE_PATHNAME'', %L', symbols[number]);
        function := ('@extschema@.' OPERATOR(pg_catalog.||) signatures[number])::pg_catalog.regprocedure;
        EXECUTE pg_catalog.format('ALTER FUNCTION %s OWNER TO %I', function, pg_catalog.pg_get_userbyid(before.proowner));
        -- Not what the default privileges of the database give to new functions, but what the old one had.
        IF before.proacl IS NOT NULL
            OR (SELECT proacl IS NOT NULL FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.=) function)
        THEN
            FOR granted IN
                SELECT pg_catalog.format(command, function, CASE WHEN grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC'
                    ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END) AS command
                FROM (
                    SELECT 'REVOKE ALL ON FUNCTION %s FROM %s' AS command, grantee
                    FROM pg_catalog.pg_proc,
                        pg_catalog.aclexplode(COALESCE(proacl, pg_catalog.acldefault('f', proowner)))
                    WHERE oid OPERATOR(pg_catalog.=) function
                    UNION ALL
                    SELECT CASE WHEN is_grantable THEN 'GRANT EXECUTE ON FUNCTION %s TO %s WITH GRANT OPTION'
                        ELSE 'GRANT EXECUTE ON FUNCTION %s TO %s' END, grantee
                    FROM pg_catalog.aclexplode(COALESCE(before.proacl, pg_catalog.acldefault('f', before.proowner)))
                ) AS change
            LOOP
                EXECUTE granted.command;
            END LOOP;
        END IF;
        -- Else a dump would take these grants for the extension's own, and leave them out.
        DELETE FROM pg_catalog.pg_init_privs
        WHERE objoid OPERATOR(pg_catalog.=) function
            AND classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass;
        DELETE FROM pg_catalog.pg_shdepend
        WHERE deptype OPERATOR(pg_catalog.=) 'i' AND objid OPERATOR(pg_catalog.=) function
            AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
            AND dbid OPERATOR(pg_catalog.=) (
                SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database());
    END LOOP;
END
$$;

CREATE FUNCTION @extschema@.session_read_raw(sid text, lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL)
RETURNS TABLE (payload bytea, version bigint)
LANGUAGE c ROWS 1
AS 'MODULE_PATHNAME', 'session_read_raw_wrapper';

CREATE FUNCTION @extschema@.session_save(sid text, data json, version bigint DEFAULT NULL,
    lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_save_wrapper';

CREATE FUNCTION @extschema@.session_save(sid text, data text, version bigint DEFAULT NULL,
    lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_save_text_wrapper';

CREATE FUNCTION @extschema@.session_patch(sid text, patch text, remove text[] DEFAULT NULL,
    lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_patch_text_wrapper';

CREATE FUNCTION @extschema@.session_patch(sid text, patch json, remove text[] DEFAULT NULL,
    lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_patch_wrapper';

CREATE FUNCTION @extschema@.session_pop(sid text, key text)
RETURNS jsonb
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_pop_wrapper';

CREATE FUNCTION @extschema@.session_clear()
RETURNS bigint
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_clear_wrapper';

CREATE FUNCTION @extschema@.session_login(oldsid text, principal text, attributes jsonb DEFAULT NULL, sid text DEFAULT NULL,
    max_sessions integer DEFAULT NULL, must_exist boolean DEFAULT false, lifetime interval DEFAULT NULL,
    deadline timestamptz DEFAULT NULL)
RETURNS text
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_login_wrapper';

CREATE FUNCTION @extschema@.session_bind(sid text, principal text, attributes jsonb DEFAULT NULL)
RETURNS boolean
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_bind_wrapper';

CREATE FUNCTION @extschema@.session_devices(sid text)
RETURNS TABLE (handle text, is_this boolean, attributes jsonb, created_at timestamptz, authenticated_at timestamptz,
    last_seen timestamptz, expires_at timestamptz)
LANGUAGE c ROWS 10
AS 'MODULE_PATHNAME', 'session_devices_wrapper';

CREATE FUNCTION @extschema@.session_find(principal text)
RETURNS TABLE (handle text, is_this boolean, attributes jsonb, created_at timestamptz, authenticated_at timestamptz,
    last_seen timestamptz, expires_at timestamptz, data jsonb, payload bytea, version bigint, lifetime interval)
LANGUAGE c ROWS 10
AS 'MODULE_PATHNAME', 'session_find_wrapper';

CREATE FUNCTION @extschema@.session_revoke(sid text, handle text)
RETURNS boolean
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_revoke_wrapper';

CREATE FUNCTION @extschema@.session_revoke_others(sid text)
RETURNS SETOF text
LANGUAGE c ROWS 10
AS 'MODULE_PATHNAME', 'session_revoke_others_wrapper';

CREATE FUNCTION @extschema@.session_revoke_all(principal text, keep text DEFAULT NULL)
RETURNS SETOF text
LANGUAGE c ROWS 10
AS 'MODULE_PATHNAME', 'session_revoke_all_wrapper';

CREATE FUNCTION @extschema@.session_revoke_handle(handle text)
RETURNS boolean
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_revoke_handle_wrapper';

CREATE FUNCTION @extschema@.session_attach(sid text)
RETURNS text
LANGUAGE c
AS 'MODULE_PATHNAME', 'session_attach_wrapper';

CREATE FUNCTION @extschema@.session_principal()
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'session_principal_wrapper';

CREATE FUNCTION @extschema@.session_attributes()
RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'session_attributes_wrapper';

REVOKE EXECUTE ON FUNCTION @extschema@.session_clear() FROM PUBLIC;
-- Nor are those that name a principal: an injection in a role without them becomes nobody.
REVOKE EXECUTE ON FUNCTION @extschema@.session_login(text, text, jsonb, text, integer, boolean, interval, timestamptz) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_bind(text, text, jsonb) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_find(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_revoke_all(text, text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_revoke_handle(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.session_store_grant(role regrole) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS known WHERE known.oid OPERATOR(pg_catalog.=) role) THEN
        RAISE undefined_object USING MESSAGE = 'there is no such role', HINT = 'Pass the name of a role.';
    END IF;
    EXECUTE 'GRANT EXECUTE ON FUNCTION
        @extschema@.session_login(text, text, jsonb, text, integer, boolean, interval, timestamptz),
        @extschema@.session_bind(text, text, jsonb), @extschema@.session_find(text),
        @extschema@.session_revoke_all(text, text), @extschema@.session_revoke_handle(text),
        @extschema@.session_gc(bigint), @extschema@.session_all(), @extschema@.session_clear()
        TO ' OPERATOR(pg_catalog.||) role::pg_catalog.text;
END
$$;

REVOKE EXECUTE ON FUNCTION @extschema@.session_store_grant(regrole) FROM PUBLIC;


COMMENT ON FUNCTION @extschema@.session_start(text, interval, timestamptz) IS 'the presented session, kept alive, or a new one under a fresh id if it is not live';
COMMENT ON FUNCTION @extschema@.session_fetch(text, boolean) IS 'the content of a live session as text for a client, and its version: what a request needs; no row if there is none';
COMMENT ON FUNCTION @extschema@.session_load(text, boolean) IS 'all there is to know of a live session, which is kept alive unless slide is false; no row if there is none';
COMMENT ON FUNCTION @extschema@.session_read(text, interval, timestamptz) IS 'all values of a session, which is created if there is none (NULL instead if session_store.strict)';
COMMENT ON FUNCTION @extschema@.session_regenerate(text, text, interval, boolean) IS 'move a session to a new id, generated unless given; returns the new id; 23505 if that is live; if there is none an empty session begins, or with must_exist nothing and NULL; for the time of grace the old id reaches it, and renewing that one with a grace moves nothing and returns it';
COMMENT ON FUNCTION @extschema@.session_clear() IS 'end all sessions; returns how many';
COMMENT ON FUNCTION @extschema@.session_merge(text, jsonb, text[], interval, timestamptz) IS 'drop the keys of remove and set those of patch, at once; returns the version; P0002 if there is no live session';
COMMENT ON FUNCTION @extschema@.session_save(text, text, bigint, interval, timestamptz) IS 'session_release for a client that has JSON text: keeps the order of keys, all digits and U+0000';
COMMENT ON FUNCTION @extschema@.session_save(text, json, bigint, interval, timestamptz) IS 'session_save for an argument that is a json already';
COMMENT ON FUNCTION @extschema@.session_patch(text, text, text[], interval, timestamptz) IS 'session_merge for a client that has JSON text; returns the version, NULL if there is no live session';
COMMENT ON FUNCTION @extschema@.session_patch(text, json, text[], interval, timestamptz) IS 'session_patch for an argument that is a json already';
COMMENT ON FUNCTION @extschema@.session_pop(text, text) IS 'drop one key and return its value; NULL if the session or the key is absent';
COMMENT ON FUNCTION @extschema@.session_release(text, jsonb, bigint, interval, timestamptz) IS 'save all values; returns the version, NULL if the session is gone or no longer at the given version; at version 0 it is created, NULL if there is one';
COMMENT ON FUNCTION @extschema@.session_read_raw(text, interval, timestamptz) IS 'the opaque payload of a session, which is created with an empty one if there is none (no row instead if session_store.strict)';
COMMENT ON FUNCTION @extschema@.session_release_raw(text, bytea, bigint, interval, timestamptz) IS 'session_release for an opaque payload';

COMMENT ON FUNCTION @extschema@.session_login(text, text, jsonb, text, integer, boolean, interval, timestamptz) IS 'move a session to a new id and bind it to a principal; returns the new id; if there is none one begins, or with must_exist nothing and NULL; with max_sessions the longest unused others beyond it end';
COMMENT ON FUNCTION @extschema@.session_bind(text, text, jsonb) IS 'bind a session to a principal without a new id, or with NULL to nobody; returns whether there is a live one';
COMMENT ON FUNCTION @extschema@.session_devices(text) IS 'the live sessions of the same principal, this one first; none when it belongs to nobody';
COMMENT ON FUNCTION @extschema@.session_find(text) IS 'the live sessions of a principal with their content';
COMMENT ON FUNCTION @extschema@.session_revoke(text, text) IS 'end the session with this handle if it is of the same principal; returns whether it was';
COMMENT ON FUNCTION @extschema@.session_revoke_others(text) IS 'end the other sessions of the same principal; returns their handles';
COMMENT ON FUNCTION @extschema@.session_revoke_all(text, text) IS 'log out everywhere: end all sessions of a principal, but maybe for one; returns their handles';
COMMENT ON FUNCTION @extschema@.session_revoke_handle(text) IS 'end the session with this handle; returns whether there was a live one';
COMMENT ON FUNCTION @extschema@.session_attach(text) IS 'have the transaction carry the principal and the attributes of a session, for policies; returns the principal';
COMMENT ON FUNCTION @extschema@.session_principal() IS 'the principal that session_attach has the transaction carry; NULL without';
COMMENT ON FUNCTION @extschema@.session_attributes() IS 'the attributes beside it; NULL without';
COMMENT ON FUNCTION @extschema@.session_store_grant(regrole) IS 'grant a role the calls of an application that are not for everybody';

-- No view may stand on a column whose collation changes.
ALTER VIEW @extschema@.session_live RENAME COLUMN handle TO session_key;
CREATE OR REPLACE VIEW @extschema@.session_live AS
SELECT NULL::pg_catalog.text AS session_key, NULL::pg_catalog.text AS principal, NULL::pg_catalog.timestamptz AS created_at,
    NULL::pg_catalog.timestamptz AS expires_at, NULL::pg_catalog.interval AS lifetime, NULL::pg_catalog.timestamptz AS deadline,
    NULL::pg_catalog.int4 AS size, NULL::pg_catalog.jsonb AS data;
DO $$
BEGIN
    ALTER TABLE @extschema@.session ALTER COLUMN principal TYPE text COLLATE "C";
EXCEPTION WHEN feature_not_supported THEN
    RAISE feature_not_supported USING MESSAGE = SQLERRM,
        HINT = 'The column has another collation in this version. Drop what depends on it, update, and create it again.';
END
$$;
ALTER TABLE @extschema@.session
    ADD COLUMN attributes jsonb,
    ADD COLUMN authenticated_at timestamptz,
    ADD COLUMN handle uuid;
COMMENT ON COLUMN @extschema@.session.attributes IS 'what the application keeps of it beside the content, such as the device';
COMMENT ON COLUMN @extschema@.session.authenticated_at IS 'when the session came to belong to the principal, or the principal logged in again';
COMMENT ON COLUMN @extschema@.session.handle IS 'by which the sessions of a principal are told apart; no id';

CREATE OR REPLACE VIEW @extschema@.session_live AS
SELECT
    pg_catalog.encode(session_key, 'hex') AS session_key,
    principal COLLATE pg_catalog."default" AS principal,
    created_at,
    LEAST(session_expiry, COALESCE(authenticated_at, created_at) OPERATOR(pg_catalog.+) absolute.lifetime) AS expires_at,
    pg_catalog.make_interval(secs => session.lifetime) AS lifetime,
    deadline,
    pg_catalog.octet_length(session_data) AS size,
    @extschema@.session_decode(session_data) AS data,
    attributes,
    authenticated_at,
    handle::pg_catalog.text AS handle
FROM @extschema@.session
CROSS JOIN (
    -- In seconds, for days are not all of one length. NULL, which LEAST ignores, is no limit.
    SELECT CASE WHEN seconds OPERATOR(pg_catalog.>) 0 THEN pg_catalog.make_interval(secs => seconds) END AS lifetime
    FROM pg_catalog.date_part('epoch',
        pg_catalog.current_setting('session_store.absolute_lifetime', true)::pg_catalog.interval) AS seconds
) AS absolute
WHERE LEAST(session_expiry, COALESCE(authenticated_at, created_at) OPERATOR(pg_catalog.+) absolute.lifetime)
    OPERATOR(pg_catalog.>) pg_catalog.statement_timestamp();

COMMENT ON VIEW @extschema@.session_live IS 'live sessions with their data';
COMMENT ON COLUMN @extschema@.session_live.session_key IS 'SHA-256 of the session id in hex';
COMMENT ON COLUMN @extschema@.session_live.handle IS 'by which the sessions of a principal are told apart';
COMMENT ON COLUMN @extschema@.session_live.size IS 'stored bytes';
COMMENT ON COLUMN @extschema@.session_live.data IS 'keys and values, NULL when the payload is opaque or damaged';

ALTER TABLE @extschema@.session SET (toast.autovacuum_vacuum_scale_factor = 0.05);
