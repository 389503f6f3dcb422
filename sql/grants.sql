-- Knowing the session id is the permission: functions that take one are for everybody. Those that
-- enumerate or collect are for whom the owner grants them to.

REVOKE EXECUTE ON FUNCTION @extschema@.session_all() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_clear() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_gc(bigint) FROM PUBLIC;

-- So are those that name a principal: an injection in a role without them becomes nobody.
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

GRANT SELECT ON @extschema@.session_store_stats TO pg_monitor;
