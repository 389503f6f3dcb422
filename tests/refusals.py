"""What stands around the table and lets no write through: of its owner, or of a role whose code must not run."""

from surroundings import CART, CHILD, ONE_PART
from triggers import EVENT, EVENTS

FAIL = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
    CREATE TRIGGER t {} {} ON session FOR EACH {} EXECUTE FUNCTION fail()"""
NONE = f"""
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER t BEFORE {EVENT} ON session FOR EACH ROW EXECUTE FUNCTION nothing()"""
INSTEAD = "".join(f"CREATE RULE r{event} AS ON {event} TO session DO INSTEAD NOTHING;" for event in EVENTS)
SUPPRESSED = "09000"
OWNERS = {
    "a trigger that suppresses": (NONE, SUPPRESSED),
    "a rule that suppresses": (INSTEAD, SUPPRESSED),
    "a rule that suppresses some": (INSTEAD.replace(" DO ", " WHERE current_user = 'owner' DO "), SUPPRESSED),
    "a trigger that fails": (FAIL.format("BEFORE", EVENT, "ROW"), "P0001"),
    "a trigger that fails afterwards": (FAIL.format("AFTER", EVENT, "ROW"), "P0001"),
    "a trigger for statements that fails": (FAIL.format("BEFORE", EVENT, "STATEMENT"), "P0001"),
}

# What a plain owner left behind: now that the table is a superuser's, it would run his functions. They note it.
LEFT_BEHIND = """
    CREATE FUNCTION note_run() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF session_user = 'app' OR current_setting('application_name') = 'session_store' THEN
            INSERT INTO public.audited VALUES ('ran', current_user, '');
        END IF;
    END $$;
    ALTER TABLE session OWNER TO keeper; SET ROLE keeper;
    CREATE FUNCTION ran(value bigint DEFAULT 1) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN PERFORM public.note_run(); RETURN value; END';
    CREATE FUNCTION run() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM public.note_run(); RETURN coalesce(NEW, OLD); END';
    {};
    RESET ROLE; ALTER TABLE session OWNER TO owner"""
TRIGGER = f"CREATE TRIGGER t {{}} {EVENT} ON {{}} FOR EACH {{}} EXECUTE FUNCTION run()"
BEFORE = TRIGGER.format("BEFORE", "session", "ROW")


def also(command):
    return "".join(f"CREATE RULE r{event} AS ON {event} TO session DO ALSO {command};" for event in EVENTS)


RULE = "CREATE RULE r{0} AS ON {0} TO session DO ALSO SELECT ran({1}.version);"
IN_EVERY_WRITE = {
    "a trigger": BEFORE,
    "a trigger afterwards": TRIGGER.format("AFTER", "session", "ROW"),
    "a trigger for statements": TRIGGER.format("BEFORE", "session", "STATEMENT"),
    "a trigger that somebody was granted": f"""
        RESET ROLE; ALTER TABLE session OWNER TO owner; GRANT TRIGGER ON session TO keeper;
        SET ROLE keeper; {BEFORE}""",
    "a deferred trigger": f"""
        CREATE CONSTRAINT TRIGGER t AFTER {EVENT} ON session INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION run()""",
    "a trigger's condition": BEFORE.replace("EXECUTE", "WHEN (ran() > 0) EXECUTE").replace("run()", "audit()"),
    "a rule": "".join(RULE.format(event, "OLD" if event == "DELETE" else "NEW") for event in EVENTS),
    "a rule over a view": "CREATE VIEW v AS SELECT ran(extract(day FROM now())::bigint) AS value;"
    + also("SELECT value FROM v"),
    "a rule into a table with a trigger": """
        CREATE TABLE log (what text); CREATE TRIGGER t AFTER INSERT ON log EXECUTE FUNCTION run();"""
    + also("INSERT INTO log VALUES ('')"),
}
IN_SOME_WRITES = {
    "an index": "CREATE INDEX ON session (ran(version))",
    "an index of a constant": "CREATE INDEX ON session (ran())",
    "a predicate": "CREATE INDEX ON session (version) WHERE ran(version) > 0",
    "an operator": """
        CREATE FUNCTION are(bigint, bigint) RETURNS boolean IMMUTABLE RETURN ran($1) IS NOT NULL;
        CREATE OPERATOR === (FUNCTION = are, LEFTARG = bigint, RIGHTARG = bigint);
        CREATE INDEX ON session (version) WHERE version === 0""",
    "a check": "ALTER TABLE session ADD CHECK (ran(version) > 0)",
    "a check of a constant": "ALTER TABLE session ADD CHECK (ran() > 0)",
    "a default": "ALTER TABLE session ADD more bigint DEFAULT ran()",
    "a generated column": "ALTER TABLE session ADD more bigint GENERATED ALWAYS AS (ran(version)) STORED",
    "a domain": "CREATE DOMAIN d AS bigint CHECK (ran(VALUE) > 0); ALTER TABLE session ADD more d DEFAULT 5",
    "statistics": "CREATE STATISTICS st ON (ran()), version FROM session",
    "a part's trigger": f"{ONE_PART} {TRIGGER.format('BEFORE', 'part', 'ROW')}",
    "a part's index": f"{ONE_PART} CREATE INDEX ON part (ran(version))",
}
# PostgreSQL fires the trigger after an action of a foreign key as whoever changed the table that is referenced.
IN_SOME_WRITES |= {
    "a referencing table's trigger": f"""
        RESET ROLE; ALTER TABLE session OWNER TO owner; GRANT REFERENCES, SELECT ON session TO keeper; SET ROLE keeper;
        {CART}); INSERT INTO cart SELECT session_key FROM session;
        CREATE TRIGGER t AFTER UPDATE OR DELETE ON cart FOR EACH ROW EXECUTE FUNCTION run()""",
}
# Rows that are in a child: its key is not that of the table, so that calls may come to anything but running its code.
IN_A_CHILD = {
    "a child's trigger": f"{CHILD} {TRIGGER.format('BEFORE', 'child', 'ROW')}",
    "a child's check": f"{CHILD} ALTER TABLE child ADD CHECK (ran(version) > 0)",
}
MOVE_TO_CHILD = "WITH moved AS (DELETE FROM ONLY session RETURNING *) INSERT INTO child SELECT * FROM moved"
