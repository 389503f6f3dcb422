-- Looking in: what the sessions hold, for the owner.

CREATE VIEW @extschema@.session_live AS
SELECT
    pg_catalog.encode(session_key, 'hex') AS handle,
    principal,
    created_at,
    session_expiry AS expires_at,
    pg_catalog.make_interval(secs => lifetime) AS lifetime,
    deadline,
    pg_catalog.octet_length(session_data) AS size,
    @extschema@.session_decode(session_data) AS data
FROM @extschema@.session
WHERE session_expiry OPERATOR(pg_catalog.>) pg_catalog.statement_timestamp()
    -- No row is older than the absolute lifetime; NULL, which is no limit, is not false.
    AND (created_at OPERATOR(pg_catalog.>) (pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-)
        NULLIF(pg_catalog.current_setting('session_store.absolute_lifetime', true)::pg_catalog.interval,
            '0'::pg_catalog.interval))) IS NOT FALSE;

COMMENT ON VIEW @extschema@.session_live IS 'live sessions with their data; handle is the SHA-256 of the session id in hex';
COMMENT ON COLUMN @extschema@.session_live.size IS 'stored bytes';
COMMENT ON COLUMN @extschema@.session_live.data IS 'keys and values, NULL when the payload is opaque or damaged';
