"""What can stand around the table: kinds of things that PostgreSQL lets people put there, as psql scripts.

The database has AUDIT, with which some of them note what they see, and roles owner (superuser) and keeper (plain).
"""

from around import KEEPER, LOOP, Around
from triggers import AFTER, BEFORE, EACH_ROW, EVENT, RULES, TRIGGERS

CART = "CREATE TABLE cart (session_key bytea REFERENCES session ON DELETE CASCADE ON UPDATE CASCADE"
FILL_CART = "DELETE FROM cart; INSERT INTO cart SELECT session_key FROM session"
IN_STEP = "NOT EXISTS (SELECT FROM cart WHERE session_key NOT IN (SELECT session_key FROM session))"
PLANS = """
    CREATE TABLE plan (seconds integer PRIMARY KEY); INSERT INTO plan VALUES (3600), (7200);
    ALTER TABLE session ADD FOREIGN KEY (lifetime) REFERENCES plan"""
FOREIGN_KEYS = {
    "to it": Around(f"{CART})", FILL_CART, IN_STEP),
    "to it, deferred": Around(f"{CART} INITIALLY DEFERRED)", FILL_CART, IN_STEP),
    "to it, of a plain owner": Around(f"{KEEPER} {CART})", FILL_CART, IN_STEP),
    "to it, of another's table": Around(
        f"GRANT REFERENCES, SELECT ON session TO keeper; SET ROLE keeper; {CART});"
        "CREATE TRIGGER t BEFORE UPDATE OR DELETE ON cart FOR EACH ROW EXECUTE FUNCTION audit()",
        FILL_CART,
        IN_STEP,
    ),
    "from it": Around(PLANS),
    "from it, deferred": Around(f"{PLANS} INITIALLY DEFERRED"),
    "from a column of theirs": Around(
        "CREATE TABLE tenant (id int PRIMARY KEY); INSERT INTO tenant VALUES (1);"
        "ALTER TABLE session ADD tenant int NOT NULL DEFAULT 1 REFERENCES tenant",
        holds="NOT EXISTS (SELECT FROM session WHERE tenant IS DISTINCT FROM 1)",
    ),
    "to itself": Around("ALTER TABLE session ADD parent bytea REFERENCES session ON DELETE SET NULL"),
}

HAS_CONTENT = "session_decode(session_data) IS NOT NULL OR octet_length(session_data) > 1"
CONSTRAINTS = {
    "check": Around("ALTER TABLE session ADD CHECK (lifetime <= 7200)"),
    "check by functions": Around(f"ALTER TABLE session ADD CHECK ({HAS_CONTENT}), ADD CHECK (same(version) > 0)"),
    "check of a plain owner": Around(f"{KEEPER} ALTER TABLE session ADD CHECK (same(version) > 0)"),
    "check that is not valid": Around("ALTER TABLE session ADD CHECK (lifetime < 9999) NOT VALID"),
    "check that was": Around(
        "ALTER TABLE session ADD CONSTRAINT c CHECK (lifetime < 9999); ALTER TABLE session DROP CONSTRAINT c"
    ),
    "unique": Around("ALTER TABLE session ADD UNIQUE (created_at, session_key)"),
    "unique, deferrable": Around("ALTER TABLE session ADD UNIQUE (created_at, session_key) DEFERRABLE"),
    "unique, deferred": Around("ALTER TABLE session ADD UNIQUE (version, session_key) DEFERRABLE INITIALLY DEFERRED"),
    "exclusion": Around("ALTER TABLE session ADD EXCLUDE USING hash (session_key WITH =) WHERE (version > 0)"),
    "exclusion, deferred": Around("ALTER TABLE session ADD EXCLUDE (session_key WITH =) INITIALLY DEFERRED"),
}

COLUMNS = {
    "added": Around("ALTER TABLE session ADD note text"),
    "with a default": Around(
        "ALTER TABLE session ADD note text NOT NULL DEFAULT 'x'",
        holds="NOT EXISTS (SELECT FROM session WHERE note IS DISTINCT FROM 'x')",
    ),
    "with a volatile default": Around(
        "ALTER TABLE session ADD number uuid DEFAULT gen_random_uuid() UNIQUE",
        holds="NOT EXISTS (SELECT FROM session WHERE number IS NULL)",
    ),
    "identity": Around("ALTER TABLE session ADD number int GENERATED ALWAYS AS IDENTITY"),
    "generated": Around(
        "ALTER TABLE session ADD old text GENERATED ALWAYS AS (session_decode(session_data) ->> 'old') STORED",
        holds="NOT EXISTS (SELECT FROM session WHERE old IS DISTINCT FROM session_decode(session_data) ->> 'old')",
    ),
    "dropped": Around("""
        ALTER TABLE session ADD note text DEFAULT 'x', ADD made timestamptz DEFAULT clock_timestamp();
        ALTER TABLE session DROP note, DROP made"""),
    "dropped and generated": Around(
        """ALTER TABLE session ADD note text DEFAULT 'x';
        ALTER TABLE session DROP note, ADD twice bigint GENERATED ALWAYS AS (version * 2) STORED""",
        holds="NOT EXISTS (SELECT FROM session WHERE twice <> version * 2)",
    ),
    "a default of ours": Around("ALTER TABLE session ALTER deadline SET DEFAULT now(), ALTER lifetime SET DEFAULT 5"),
    "toasted": Around("ALTER TABLE session ALTER session_data SET STORAGE EXTERNAL, SET (toast_tuple_target = 128)"),
}

CONTENT = "session_decode(session_data)"
OLD = f"{CONTENT} ->> 'old'"
IS_TO_END = "deadline IS NOT NULL"
SPAN = "tstzrange(created_at, session_expiry)"
FAR_INDEX = f"""{LOOP}
    CREATE FUNCTION look_far(value bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN PERFORM FROM public.far; RETURN value; END';
    CREATE INDEX ON session (look_far(version))"""
INDEXES = {
    "on an expression": Around(f"CREATE INDEX ON session (({OLD}))", probe=f"{OLD} >= '0'"),
    "on a function": Around("CREATE INDEX ON session (same(version))", probe="same(version) > 0"),
    "of a plain owner": Around(f"{KEEPER} CREATE INDEX ON session (same(version))", probe="same(version) > 0"),
    "that reads a foreign table": Around(FAR_INDEX, probe="look_far(version) > 0", contrib="postgres_fdw"),
    "partial": Around("CREATE INDEX ON session (version) WHERE lifetime > 9", probe="version > 0 AND lifetime > 9"),
    "unique": Around("CREATE UNIQUE INDEX ON session (created_at, session_key)", probe="created_at < now()"),
    "unique, partial": Around("CREATE UNIQUE INDEX ON session (session_key) WHERE version > 1", probe="version > 1"),
    "covering": Around("CREATE INDEX ON session (version) INCLUDE (session_expiry)", probe="version > 0"),
    "ordinary": Around("CREATE INDEX ON session (version DESC, session_expiry)", probe="version > 0"),
    "where not null": Around("CREATE INDEX ON session (version) WHERE deadline IS NOT NULL", probe=IS_TO_END),
    "gin": Around(f"CREATE INDEX ON session USING gin ({CONTENT})", probe=f"{CONTENT} ? 'old'"),
    "brin": Around("CREATE INDEX ON session USING brin (session_expiry)", probe="session_expiry > now()"),
    "hash": Around("CREATE INDEX ON session USING hash (principal)", probe="principal = 'ada'"),
    "gist": Around(f"CREATE INDEX ON session USING gist ({SPAN})", probe=f"{SPAN} @> now()"),
    "spgist": Around("CREATE INDEX ON session USING spgist (principal)", probe="principal = 'ada'"),
    "bloom": Around("CREATE INDEX ON session USING bloom (lifetime)", probe="lifetime = 3600", contrib="bloom"),
    "invalid": Around(
        "CREATE INDEX i ON session (version); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass"
    ),
    "fewer": Around("DROP INDEX session_expiry, session_principal"),
}

PARTITIONED = """
    ALTER TABLE session RENAME CONSTRAINT session_key TO old_key; ALTER TABLE session RENAME TO old;
    CREATE TABLE session (LIKE old INCLUDING DEFAULTS, CONSTRAINT session_key PRIMARY KEY (session_key))
        PARTITION BY HASH (session_key);"""
TWO_PARTS = f"""{PARTITIONED}
    CREATE TABLE part PARTITION OF session FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE other PARTITION OF session FOR VALUES WITH (MODULUS 2, REMAINDER 1);"""
ONE_PART = f"{PARTITIONED} CREATE TABLE part PARTITION OF session FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
CHILD = "CREATE TABLE child () INHERITS (session);"
DESCENT = {
    "partitioned": Around(TWO_PARTS),
    "partitioned, with triggers": Around(ONE_PART + BEFORE + AFTER),
    "partitioned, with a part's trigger": Around(f"{ONE_PART} CREATE TRIGGER t AFTER {EVENT} ON part {EACH_ROW}"),
    "a part": Around("""
        CREATE TABLE whole (LIKE session) PARTITION BY RANGE (lifetime);
        ALTER TABLE whole ATTACH PARTITION session FOR VALUES FROM (0) TO (7201)"""),
    "of a parent": Around("CREATE TABLE parent (LIKE session); ALTER TABLE session INHERIT parent"),
    "with a child": Around(CHILD),
    "with a child that left": Around(f"{CHILD} ALTER TABLE child NO INHERIT session"),
    "with a foreign child": Around(
        f"""{LOOP} CREATE TABLE elsewhere (LIKE session);
        CREATE FOREIGN TABLE child () INHERITS (session) SERVER loop OPTIONS (table_name 'elsewhere')""",
        contrib="postgres_fdw",
    ),
}

FORCED = f"{KEEPER} ALTER TABLE session ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
SECURITY = {
    "enabled": Around("ALTER TABLE session ENABLE ROW LEVEL SECURITY"),
    "forced": Around(FORCED),
    "with policies": Around(f"{FORCED} CREATE POLICY p ON session USING (same(version) < 0) WITH CHECK (false)"),
    "plain owner": Around(KEEPER),
    "grants": Around("GRANT ALL ON session TO PUBLIC; GRANT SELECT (version) ON session TO keeper"),
}

PUBLICATION = "CREATE PUBLICATION p FOR TABLE session"
OTHERS = {
    "nothing": Around(),
    "statistics": Around("CREATE STATISTICS st (ndistinct, mcv) ON version, lifetime FROM session; ANALYZE session"),
    "statistics of expressions": Around(
        f"CREATE STATISTICS st ON ({OLD}), same(version) FROM session; ANALYZE session"
    ),
    "publication": Around(PUBLICATION),
    "publication of all tables": Around("CREATE PUBLICATION p FOR ALL TABLES"),
    "publication with a filter": Around(f"{PUBLICATION} WHERE (octet_length(session_key) > 0)"),
    "publication of columns": Around(f"{PUBLICATION} (session_key, session_expiry)"),
    "replica identity full": Around(f"ALTER TABLE session REPLICA IDENTITY FULL; {PUBLICATION}"),
    "event triggers": Around("""
        CREATE FUNCTION note_command() RETURNS event_trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO public.audited VALUES (tg_tag, ''command'', ''''); END';
        CREATE EVENT TRIGGER s ON ddl_command_start EXECUTE FUNCTION note_command();
        CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION note_command();
        CREATE EVENT TRIGGER d ON sql_drop EXECUTE FUNCTION note_command()"""),
    "tablespace": Around(
        "ALTER TABLE session SET TABLESPACE elsewhere; ALTER INDEX session_key SET TABLESPACE elsewhere"
    ),
    "unlogged": Around("ALTER TABLE session SET UNLOGGED"),
    "unlogged and logged": Around("ALTER TABLE session SET UNLOGGED; ALTER TABLE session SET LOGGED"),
    "cluster": Around("CLUSTER session USING session_expiry"),
    "vacuum full": Around("VACUUM FULL session"),
    "reindex concurrently": Around("REINDEX TABLE CONCURRENTLY session"),
    "options": Around("ALTER TABLE session SET (fillfactor = 20)"),
    "views": Around("CREATE VIEW v AS SELECT * FROM session; CREATE MATERIALIZED VIEW m AS SELECT * FROM session"),
}

KINDS = {
    "trigger": TRIGGERS, "rule": RULES, "foreign key": FOREIGN_KEYS, "constraint": CONSTRAINTS, "column": COLUMNS,
    "index": INDEXES, "descent": DESCENT, "security": SECURITY, "other": OTHERS,
}  # fmt: skip
SURROUNDINGS = {f"{kind}: {name}": around for kind, group in KINDS.items() for name, around in group.items()}
