-- From 0.1.0. Requests wait for the locks taken here until the update commits, so put what changes the table last.

CREATE FUNCTION @extschema@.session_fetch(sid text, slide boolean DEFAULT true)
RETURNS TABLE (data json, payload bytea, version bigint)
LANGUAGE c ROWS 1
AS 'MODULE_PATHNAME', 'session_fetch_wrapper';

COMMENT ON FUNCTION @extschema@.session_fetch(text, boolean) IS 'the content of a live session as text for a client, which takes half as long as session_load; no row if there is none';

-- For values stored from now on; the others stay as they are, readable.
DO $$
BEGIN
    ALTER TABLE @extschema@.session ALTER COLUMN session_data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL; -- This server was built without it.
END
$$;
