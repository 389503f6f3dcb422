-- The table, before the functions that use it.

DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'extension session_store needs a database in encoding UTF8'
            USING ERRCODE = 'feature_not_supported',
                DETAIL = pg_catalog.format('This database has encoding %s.', pg_catalog.getdatabaseencoding()),
                HINT = 'Session data is JSON, which is UTF-8. Create a database with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
    IF pg_catalog.to_regclass('@extschema@.session') IS NOT NULL OR pg_catalog.to_regclass('@extschema@.session_moved') IS NOT NULL THEN
        RAISE EXCEPTION
            USING MESSAGE = pg_catalog.format('relation "%s" already exists in schema @extschema@',
                    CASE WHEN pg_catalog.to_regclass('@extschema@.session') IS NULL THEN 'session_moved' ELSE 'session' END),
                ERRCODE = 'duplicate_table',
                HINT = 'Give the extension a schema of its own: CREATE SCHEMA web; CREATE EXTENSION session_store SCHEMA web;';
    END IF;
END
$$;

-- What changes comes last and together: of an update that stays on its page, WAL holds what lies between the first and
-- the last byte that differ.
CREATE TABLE @extschema@.session (
    created_at timestamptz NOT NULL,
    deadline timestamptz,
    lifetime integer NOT NULL CONSTRAINT session_lifetime_check
        CHECK (lifetime OPERATOR(pg_catalog.>=) 0 AND lifetime OPERATOR(pg_catalog.<=) 2145916800), -- 68 years
    session_key bytea NOT NULL CONSTRAINT session_session_key_check
        CHECK (pg_catalog.octet_length(session_key) OPERATOR(pg_catalog.=) 32),
    principal text COLLATE "C",
    attributes jsonb,
    authenticated_at timestamptz,
    handle uuid,
    session_data bytea NOT NULL,
    session_expiry timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT session_key PRIMARY KEY (session_key)
)
WITH (
    -- Room on each page for the new version of a row: an update within an expiry step is HOT.
    fillfactor = 90,
    -- Sessions churn: vacuum after a twentieth of them changed rather than a fifth.
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    -- So does what is stored apart because it is large; the settings above are not for it.
    toast.autovacuum_vacuum_scale_factor = 0.05
);

-- Sessions over 2 kB are compressed; pglz would take longer than all else that a write of one does.
DO $$
BEGIN
    ALTER TABLE @extschema@.session ALTER COLUMN session_data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL; -- This server was built without it.
END
$$;

CREATE INDEX session_expiry ON @extschema@.session (session_expiry);
CREATE INDEX session_principal ON @extschema@.session (principal) WHERE principal IS NOT NULL;

COMMENT ON TABLE @extschema@.session IS 'web sessions; written by the functions of extension session_store';
COMMENT ON COLUMN @extschema@.session.session_key IS 'SHA-256 of the session id, which itself is not stored';
COMMENT ON COLUMN @extschema@.session.session_data IS 'CBOR: a map of keys and values, or a byte string holding an opaque payload';
COMMENT ON COLUMN @extschema@.session.session_expiry IS 'when the session expires';
COMMENT ON COLUMN @extschema@.session.created_at IS 'when the session was created';
COMMENT ON COLUMN @extschema@.session.version IS 'grows with every change of session_data';
COMMENT ON COLUMN @extschema@.session.lifetime IS 'idle lifetime in seconds, 0 for no idle limit';
COMMENT ON COLUMN @extschema@.session.deadline IS 'absolute end, if any';
COMMENT ON COLUMN @extschema@.session.principal IS 'whom the session belongs to, if the application said so';
COMMENT ON COLUMN @extschema@.session.attributes IS 'what the application keeps of it beside the content, such as the device';
COMMENT ON COLUMN @extschema@.session.authenticated_at IS 'when the session came to belong to the principal, or the principal logged in again';
COMMENT ON COLUMN @extschema@.session.handle IS 'by which the sessions of a principal are told apart; no id';

REVOKE ALL ON TABLE @extschema@.session FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.session', '');

-- Ids that sessions had. Looked up only where there is no session with the id.
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

-- What session_fetch returns. PostgreSQL would build the type of a RETURNS TABLE anew for each call.
CREATE TYPE @extschema@.session_content AS (data json, payload bytea, version bigint);

COMMENT ON TYPE @extschema@.session_content IS 'the content of a session, as session_fetch returns it';

-- What the sweeps of the background worker did, in one row.
CREATE TABLE @extschema@.session_sweep (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    sweeps bigint NOT NULL DEFAULT 0,
    total_rows bigint NOT NULL DEFAULT 0,
    last_start timestamptz,
    last_duration interval,
    last_rows bigint,
    last_error text,
    last_error_at timestamptz
)
WITH (fillfactor = 10);

INSERT INTO @extschema@.session_sweep DEFAULT VALUES;

COMMENT ON TABLE @extschema@.session_sweep IS 'figures of the background sweeps; read them in session_store_stats';
REVOKE ALL ON TABLE @extschema@.session_sweep FROM PUBLIC;
