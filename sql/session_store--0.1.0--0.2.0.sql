-- From 0.1.0. Requests wait for the locks taken here until the update commits, so put what changes the table last.
-- The table keeps its order of columns: another takes a copy of all rows, and only the size of WAL depends on it.

CREATE FUNCTION @extschema@.session_fetch(sid text, slide boolean DEFAULT true)
RETURNS TABLE (data json, payload bytea, version bigint)
LANGUAGE c ROWS 1
AS 'MODULE_PATHNAME', 'session_fetch_wrapper';

COMMENT ON FUNCTION @extschema@.session_fetch(text, boolean) IS 'the content of a live session as text for a client, which takes half as long as session_load; no row if there is none';

CREATE OR REPLACE VIEW @extschema@.session_live AS
SELECT
    pg_catalog.encode(session_key, 'hex') AS handle,
    principal,
    created_at,
    LEAST(session_expiry, created_at OPERATOR(pg_catalog.+) absolute.lifetime) AS expires_at,
    pg_catalog.make_interval(secs => session.lifetime) AS lifetime,
    deadline,
    pg_catalog.octet_length(session_data) AS size,
    @extschema@.session_decode(session_data) AS data
FROM @extschema@.session
CROSS JOIN (
    -- In seconds, for days are not all of one length. NULL, which LEAST ignores, is no limit.
    SELECT CASE WHEN seconds OPERATOR(pg_catalog.>) 0 THEN pg_catalog.make_interval(secs => seconds) END AS lifetime
    FROM pg_catalog.date_part('epoch',
        pg_catalog.current_setting('session_store.absolute_lifetime', true)::pg_catalog.interval) AS seconds
) AS absolute
WHERE LEAST(session_expiry, created_at OPERATOR(pg_catalog.+) absolute.lifetime)
    OPERATOR(pg_catalog.>) pg_catalog.statement_timestamp();

-- For values stored from now on; the others stay as they are, readable.
DO $$
BEGIN
    ALTER TABLE @extschema@.session ALTER COLUMN session_data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL; -- This server was built without it.
END
$$;
