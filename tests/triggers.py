"""Triggers and rules that people put on a table."""

from around import KEEPER, LOOP, Around

EVENTS = "INSERT", "UPDATE", "DELETE"
EVENT = " OR ".join(EVENTS)
EACH_ROW = "FOR EACH ROW EXECUTE FUNCTION audit()"
BEFORE = f"CREATE TRIGGER before BEFORE {EVENT} ON session {EACH_ROW};"
AFTER = f"CREATE TRIGGER after AFTER {EVENT} ON session {EACH_ROW};"
BEFORE_STATEMENT = f"CREATE TRIGGER before_all BEFORE {EVENT} OR TRUNCATE ON session EXECUTE FUNCTION audit();"
AFTER_STATEMENT = f"CREATE TRIGGER after_all AFTER {EVENT} ON session EXECUTE FUNCTION audit();"
CONSTRAINT = f"CREATE CONSTRAINT TRIGGER later AFTER {EVENT} ON session"

TRANSITION = """
    CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            INSERT INTO public.audited SELECT TG_OP, 'STATEMENT', 'old', count(*) FROM old_rows;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO public.audited SELECT TG_OP, 'STATEMENT', 'new', count(*) FROM new_rows;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER i AFTER INSERT ON session REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION count_rows();
    CREATE TRIGGER u AFTER UPDATE ON session REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION count_rows();
    CREATE TRIGGER d AFTER DELETE ON session REFERENCING OLD TABLE AS old_rows EXECUTE FUNCTION count_rows();
"""

TRIGGERS = {
    "before each row": Around(BEFORE),
    "after each row": Around(AFTER),
    "before each statement": Around(BEFORE_STATEMENT),
    "after each statement": Around(AFTER_STATEMENT),
    "of every kind": Around(BEFORE + AFTER + BEFORE_STATEMENT + AFTER_STATEMENT + f"{CONSTRAINT} {EACH_ROW};"),
    "with transition tables": Around(TRANSITION),
    "constraint": Around(f"{CONSTRAINT} {EACH_ROW}"),
    "deferrable": Around(f"{CONSTRAINT} DEFERRABLE {EACH_ROW}"),
    # At commit, which is not the owner's doing.
    "deferred": Around(f"{CONSTRAINT} INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit('at commit')"),
    "of a column": Around(f"""
        CREATE TRIGGER k BEFORE UPDATE OF session_key ON session {EACH_ROW};
        CREATE TRIGGER e AFTER UPDATE OF session_expiry ON session {EACH_ROW};
        CREATE TRIGGER d AFTER UPDATE OF session_data ON session EXECUTE FUNCTION audit()"""),
    "with a condition": Around("""
        CREATE TRIGGER w AFTER UPDATE ON session FOR EACH ROW WHEN (NEW.version > same(OLD.version))
            EXECUTE FUNCTION audit();
        CREATE TRIGGER x BEFORE UPDATE ON session FOR EACH ROW WHEN (OLD.session_expiry < NEW.session_expiry)
            EXECUTE FUNCTION audit()"""),
    "always": Around(f"{AFTER} ALTER TABLE session ENABLE ALWAYS TRIGGER after"),
    "disabled": Around(f"{BEFORE} ALTER TABLE session DISABLE TRIGGER before"),
    "dropped": Around(f"{BEFORE} {AFTER} DROP TRIGGER before ON session; DROP TRIGGER after ON session"),
    "of a plain owner": Around(KEEPER + BEFORE + AFTER + BEFORE_STATEMENT + AFTER_STATEMENT),
    "into a foreign table": Around(
        f"{LOOP} CREATE TRIGGER f BEFORE {EVENT} ON session FOR EACH ROW EXECUTE FUNCTION note_far()",
        contrib="postgres_fdw",
    ),
    "into a foreign table, deferred": Around(
        f"{LOOP} {CONSTRAINT} INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_far()", contrib="postgres_fdw"
    ),
    "that changes settings": Around(f"""
        CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM set_config('synchronous_commit', 'on', true), set_config('enable_seqscan', 'on', true),
                set_config('plan_cache_mode', 'auto', true);
            RETURN coalesce(NEW, OLD);
        END $$;
        CREATE TRIGGER s BEFORE {EVENT} ON session FOR EACH ROW EXECUTE FUNCTION settle()"""),
    "that leaves a cursor open": Around(f"""
        CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE here refcursor; found record;
        BEGIN OPEN here FOR SELECT * FROM public.session; FETCH here INTO found; RETURN coalesce(NEW, OLD); END $$;
        CREATE TRIGGER c BEFORE {EVENT} ON session FOR EACH ROW EXECUTE FUNCTION leave()"""),
    "that reads the session": Around(f"""
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            -- Hand-written statements would find the row changed in their midst.
            IF session_user = 'app' AND TG_OP <> 'INSERT' AND OLD.session_key = sha256('s') THEN
                PERFORM public.session_get('s');
            END IF;
            RETURN coalesce(NEW, OLD);
        END $$;
        CREATE TRIGGER c BEFORE {EVENT} ON session FOR EACH ROW EXECUTE FUNCTION look()"""),
    "that catches errors": Around(f"""
        CREATE FUNCTION catch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM 1 / 0;
        EXCEPTION WHEN division_by_zero THEN
            INSERT INTO public.audited VALUES (TG_OP, 'caught', ''); RETURN coalesce(NEW, OLD);
        END $$;
        CREATE TRIGGER c BEFORE {EVENT} ON session FOR EACH ROW EXECUTE FUNCTION catch()"""),
}

NOTE = "INSERT INTO audited VALUES"
RULES = {
    "on insert": Around(f"CREATE RULE r AS ON INSERT TO session DO ALSO {NOTE} ('INSERT', 'rule')"),
    "on update": Around(f"CREATE RULE r AS ON UPDATE TO session DO ALSO {NOTE} ('UPDATE', 'rule')"),
    "on delete": Around(f"CREATE RULE r AS ON DELETE TO session DO ALSO {NOTE} ('DELETE', 'rule')"),
    "of every kind": Around(f"""
        CREATE RULE i AS ON INSERT TO session DO ALSO {NOTE} ('INSERT', 'rule', NEW.lifetime);
        CREATE RULE u AS ON UPDATE TO session WHERE NEW.session_key <> OLD.session_key
            DO ALSO {NOTE} ('UPDATE', 'rule', NEW.lifetime);
        CREATE RULE d AS ON DELETE TO session DO ALSO {NOTE} ('DELETE', 'rule', OLD.lifetime)"""),
    "disabled": Around(f"""
        CREATE RULE r AS ON UPDATE TO session DO ALSO {NOTE} ('UPDATE', 'rule'); ALTER TABLE session DISABLE RULE r"""),
    "of a plain owner": Around(
        f"{KEEPER} CREATE RULE r AS ON UPDATE TO session DO ALSO {NOTE} ('UPDATE', amiss('keeper'))"
    ),
}
