-- Knowing the session id is the permission: functions that take one are for everybody. Those that
-- enumerate or collect are for whom the owner grants them to.

REVOKE EXECUTE ON FUNCTION @extschema@.session_all() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_clear() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION @extschema@.session_gc(bigint) FROM PUBLIC;

GRANT SELECT ON @extschema@.session_store_stats TO pg_monitor;
