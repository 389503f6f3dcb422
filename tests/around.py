"""What puts something around the table, and the means for it: an audit, another owner, a server elsewhere."""

from dataclasses import dataclass

AUDIT = """
    CREATE TABLE audited (op text, level text, timing text, rows bigint DEFAULT 1);
    ALTER TABLE audited REPLICA IDENTITY FULL;
    GRANT ALL ON audited TO PUBLIC;
    GRANT ALL ON SCHEMA public TO keeper;
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE keeper text := (SELECT relowner::regrole FROM pg_catalog.pg_class WHERE oid = TG_RELID);
    BEGIN
        INSERT INTO public.audited
        VALUES (TG_OP, TG_LEVEL, TG_WHEN || CASE WHEN TG_NARGS = 0 THEN public.amiss(keeper) ELSE '' END);
        RETURN coalesce(NEW, OLD);
    END $$;
    -- Code of others acts as the table's owner, and what it does is planned with the caller's settings.
    CREATE FUNCTION amiss(keeper text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE planning text := concat_ws(' ', current_setting('enable_seqscan'), current_setting('plan_cache_mode'));
    BEGIN
        RETURN CASE WHEN session_user <> 'app' THEN '' WHEN planning <> 'on auto' THEN ' with ' || planning
            WHEN current_user <> keeper THEN ' as ' || current_user ELSE '' END;
    END $$;
    -- What somebody's function would look like in an index, a constraint or a default: nothing of it is seen.
    CREATE FUNCTION same(value anyelement) RETURNS anyelement IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN value; END';
"""


@dataclass(frozen=True)
class Around:
    """A script, and what else a test has to know of it."""

    script: str = ""
    reset: str = ""  # puts rows of other tables back, after those of the table
    holds: str = "true"  # a condition on the database, whatever was called
    probe: str = ""  # a condition on rows that an index can answer
    contrib: str = ""  # an extension that it needs


KEEPER = "ALTER TABLE session OWNER TO keeper; SET ROLE keeper;"

# The server itself, as somebody else's.
LOOP = """
    CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host :'HOST', port :'PORT', dbname :'DBNAME');
    CREATE USER MAPPING FOR PUBLIC SERVER loop OPTIONS (user 'owner', password_required 'false');
    CREATE FOREIGN TABLE far (op text, level text, timing text) SERVER loop OPTIONS (table_name 'audited');
    GRANT ALL ON far TO PUBLIC;
    CREATE FUNCTION note_far() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.far VALUES (TG_OP, 'far', ''); RETURN coalesce(NEW, OLD); END $$;
"""
