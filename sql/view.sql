-- Looking in: what the sessions hold, for the owner, and how expiry goes, for monitoring.

CREATE VIEW @extschema@.session_live AS
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

CREATE VIEW @extschema@.session_store_stats AS
SELECT
    EXISTS (
        -- The lock by which a launcher makes itself known.
        SELECT FROM pg_catalog.pg_locks
        WHERE granted AND locktype OPERATOR(pg_catalog.=) 'advisory'
            AND database OPERATOR(pg_catalog.=) '0'
            AND classid OPERATOR(pg_catalog.=) '1936028531'
            AND objid OPERATOR(pg_catalog.=) '0'
            AND objsubid OPERATOR(pg_catalog.=) '3'
            AND mode OPERATOR(pg_catalog.=) 'ExclusiveLock'
    ) AS launcher_running,
    -- Calling a function of the library loads it, and with it the setting.
    CASE WHEN @extschema@.session_decode(NULL) IS NULL THEN
        pg_catalog.current_setting('session_store.gc_interval')::pg_catalog.interval
            OPERATOR(pg_catalog.>) '0'::pg_catalog.interval
    END AS sweeping_enabled,
    sweep.sweeps,
    sweep.total_rows,
    sweep.last_start,
    sweep.last_duration,
    sweep.last_rows,
    sweep.last_error,
    sweep.last_error_at,
    waiting.rows AS expired_waiting,
    GREATEST(pg_catalog.pg_stat_get_live_tuples(pg_class.oid) OPERATOR(pg_catalog.-) waiting.rows, 0) AS live_estimate
FROM @extschema@.session_sweep AS sweep
CROSS JOIN (
    SELECT pg_catalog.count(*) AS rows
    FROM (
        SELECT FROM @extschema@.session
        WHERE session_expiry OPERATOR(pg_catalog.<=) pg_catalog.statement_timestamp()
        ORDER BY session_expiry
        LIMIT 10000
    ) AS expired
) AS waiting
JOIN pg_catalog.pg_class ON pg_class.oid OPERATOR(pg_catalog.=) '@extschema@.session'::pg_catalog.regclass;

COMMENT ON VIEW @extschema@.session_store_stats IS 'how the expiry of sessions in this database goes';
COMMENT ON COLUMN @extschema@.session_store_stats.launcher_running IS 'whether the cluster has a launcher';
COMMENT ON COLUMN @extschema@.session_store_stats.sweeping_enabled IS 'false while session_store.gc_interval is 0';
COMMENT ON COLUMN @extschema@.session_store_stats.sweeps IS 'sweeps since the extension was created';
COMMENT ON COLUMN @extschema@.session_store_stats.total_rows IS 'expired sessions that they removed';
COMMENT ON COLUMN @extschema@.session_store_stats.expired_waiting IS 'expired sessions not removed yet, counted up to 10000';
COMMENT ON COLUMN @extschema@.session_store_stats.live_estimate IS 'live sessions, from the statistics of the table';
