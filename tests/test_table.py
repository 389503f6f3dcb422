"""The functions go on working whatever the owner makes of the table and its index, under connections that used them."""

import pytest
from conftest import APP, one
from psycopg import errors

CHANGES = {
    "vacuum full": "VACUUM FULL session",
    "cluster": "CLUSTER session USING session_expiry",
    "reindex": "REINDEX TABLE session",
    "reindex concurrently": "REINDEX TABLE CONCURRENTLY session",
    "an unlogged table": "ALTER TABLE session SET UNLOGGED",
    "another column": "ALTER TABLE session ADD COLUMN note text DEFAULT 'x'",
    "analyze": "ANALYZE session",
}

PARTITIONED = """
    ALTER TABLE session RENAME CONSTRAINT session_key TO old_key;
    ALTER TABLE session RENAME TO old;
    CREATE TABLE session (LIKE old) PARTITION BY HASH (session_key);
    ALTER TABLE session ADD CONSTRAINT session_key PRIMARY KEY (session_key);
    CREATE TABLE part0 PARTITION OF session FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE part1 PARTITION OF session FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO session SELECT * FROM old;
"""


def life(connection, sid):
    """What a session goes through, from one that is there to none."""
    assert one(connection, "SELECT session_get(%s)", sid) == {"a": 1}
    assert one(connection, "SELECT session_set(%s, 'b', '2') IS NOT NULL", sid)
    assert one(connection, "SELECT session_get(%s, 'b')", sid) == 2
    assert one(connection, "SELECT data FROM session_load(%s)", sid) == {"a": 1, "b": 2}
    renewed = one(connection, "SELECT session_regenerate(%s)", sid)
    assert one(connection, "SELECT session_exist(%s)", sid) is False
    assert one(connection, "SELECT session_get(%s)", renewed) == {"a": 1, "b": 2}
    assert one(connection, "SELECT session_destroy(%s)", renewed)
    assert one(connection, "SELECT session_read(%s)", renewed) == {}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_table_makes_no_difference(database, change):
    owner, client = database.connect(), database.connect(APP)
    for sid in ["before", "after"]:
        client.execute("""SELECT session_create('{"a": 1}', %s)""", (sid,))
    life(client, "before")
    for statement in change.split(";"):
        owner.execute(statement)
    life(client, "after")


def test_an_index_may_be_rebuilt_while_a_transaction_uses_it(database):
    owner, client = database.connect(), database.connect(APP)
    for sid in ["first", "second"]:
        client.execute("""SELECT session_create('{"a": 1}', %s)""", (sid,))
    client.execute("BEGIN; SELECT session_get('first')")
    rebuilt = database.later(owner, "REINDEX TABLE CONCURRENTLY session")
    life(client, "first")
    client.execute("COMMIT")
    rebuilt.result()
    life(client, "second")


def test_a_partitioned_table_is_read_by_sql_and_collected_without_harm(database):
    owner, client = database.connect(), database.connect(APP)
    for n in range(40):
        client.execute("""SELECT session_create('{"a": 1}', %s)""", (f"s{n}",))
    owner.execute(PARTITIONED)
    life(client, "s0")
    # Rows of the two partitions share their addresses.
    owner.execute("UPDATE part0 SET session_expiry = now() - interval '1 s'")
    expired = one(owner, "SELECT count(*) FROM part0")
    live = one(owner, "SELECT count(*) FROM part1")
    assert expired and live
    assert one(owner, "SELECT session_gc()") == expired
    assert one(owner, "SELECT session_all()") == live


def test_a_read_that_is_due_slides_in_a_partitioned_table(database):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create('{}', 's')")
    owner.execute(PARTITIONED)
    owner.execute("UPDATE session SET session_expiry = session_expiry - interval '5 min'")
    before = one(owner, "SELECT session_expiry FROM session")
    client.execute("SELECT session_get('s')")
    assert one(owner, "SELECT session_expiry FROM session") > before


NOTE = """
    CREATE TABLE seen (version bigint);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.seen VALUES (NEW.version); RETURN NEW; END $$"""
TRIGGER = "CREATE TRIGGER note BEFORE INSERT OR UPDATE ON session FOR EACH ROW EXECUTE FUNCTION note()"
WATCHED = {
    "a trigger": TRIGGER,
    "a rule": "CREATE RULE note AS ON UPDATE TO session DO ALSO INSERT INTO public.seen VALUES (NEW.version)",
}


@pytest.mark.parametrize("watched", WATCHED.values(), ids=WATCHED)
def test_what_the_owner_attached_to_updates_sees_each_of_them(database, watched):
    owner, client = database.connect(), database.connect(APP)
    sid = one(client, """SELECT session_create('{"a": 0}')""")
    client.execute("SELECT session_set(%s, 'a', '1')", (sid,))
    owner.execute(NOTE)
    owner.execute(watched)
    version = one(client, "SELECT session_set(%s, 'a', '2')", sid)
    assert one(owner, "SELECT max(version) FROM seen") == version
    owner.execute("UPDATE session SET session_expiry = session_expiry - interval '5 min'")
    owner.execute("TRUNCATE seen")
    client.execute("SELECT session_get(%s)", (sid,))
    assert one(owner, "SELECT max(version) FROM seen") == version, "a slide is an update, too"
    owner.execute("TRUNCATE seen")
    renewed = one(client, "SELECT session_regenerate(%s)", sid)
    assert one(owner, "SELECT max(version) FROM seen") == version
    assert one(client, "SELECT session_get(%s, 'a')", renewed) == 2


def test_a_trigger_sees_new_sessions(database):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create(), session_start()")
    owner.execute(NOTE)
    owner.execute(TRIGGER)
    for call in "session_create()", "(session_start()).sid", "session_create(sid => 's')":
        version = one(client, f"SELECT version FROM session_load((SELECT {call}))")
        assert one(owner, "SELECT max(version) FROM seen") == version


# What the owner added, calls that do not keep to it, and their error.
RULES = {
    "a check": (
        "ALTER TABLE session ADD CHECK (lifetime <= 7200)",
        ["SELECT session_create(lifetime => '3 h')", "SELECT session_touch('s', '3 h')"],
        errors.CheckViolation,
    ),
    "a check on the content": (
        "ALTER TABLE session ADD CHECK (session_decode(session_data) ->> 'a' <> '3')",
        ["SELECT session_create('{\"a\": 3}')", "SELECT session_set('s', 'a', '3')"],
        errors.CheckViolation,
    ),
    "another check under the name of ours": (
        """ALTER TABLE session DROP CONSTRAINT session_lifetime_check,
           ADD CONSTRAINT session_lifetime_check CHECK (lifetime BETWEEN 0 AND 7200)""",
        ["SELECT session_create(lifetime => '3 h')", "SELECT session_touch('s', '3 h')"],
        errors.CheckViolation,
    ),
    "a foreign key": (
        """CREATE TABLE plan (seconds integer PRIMARY KEY); INSERT INTO plan VALUES (1800), (3600), (7200);
           ALTER TABLE session ADD FOREIGN KEY (lifetime) REFERENCES plan""",
        ["SELECT session_create(lifetime => '3 h')", "SELECT session_touch('s', '3 h')"],
        errors.ForeignKeyViolation,
    ),
    "a partition's bounds": (
        """CREATE TABLE short (LIKE session) PARTITION BY RANGE (lifetime);
           ALTER TABLE short ATTACH PARTITION session FOR VALUES FROM (0) TO (10000)""",
        ["SELECT session_create(lifetime => '3 h')", "SELECT session_touch('s', '3 h')"],
        errors.CheckViolation,
    ),
    "a column not null": (
        "UPDATE session SET deadline = '2100-01-01'; ALTER TABLE session ALTER deadline SET NOT NULL",
        ["SELECT session_create(lifetime => '2 h')", "SELECT session_touch('s', deadline => 'infinity')"],
        errors.NotNullViolation,
    ),
    "a unique index": (
        "CREATE UNIQUE INDEX ON session (lifetime)",
        ["SELECT session_create(lifetime => '1 h')", "SELECT session_touch('s', '30 min')"],
        errors.UniqueViolation,
    ),
}


@pytest.mark.parametrize("rule, calls, error", RULES.values(), ids=RULES)
def test_rules_that_the_owner_added_are_kept(database, rule, calls, error):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create(sid => 's', lifetime => '1 h'), session_set('s', 'a', '1')")
    client.execute("SELECT session_create(sid => 'other', lifetime => '30 min'), session_destroy(session_create())")
    owner.execute(rule)
    before = owner.execute("SELECT session::text FROM session ORDER BY 1").fetchall()
    for call in calls:
        with pytest.raises(error):
            client.execute(call)
    assert owner.execute("SELECT session::text FROM session ORDER BY 1").fetchall() == before
    sid = one(client, "SELECT session_create(lifetime => '2 h', deadline => '2100-01-01')")
    client.execute("SELECT session_set(%s, 'a', '2'), session_set('s', 'a', '4')", (sid,))
    assert one(client, "SELECT session_get(%s, 'a')", sid) == 2


def test_columns_that_the_owner_added_get_their_defaults(database):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create(), session_start()")
    owner.execute("""
        ALTER TABLE session ADD COLUMN number integer GENERATED BY DEFAULT AS IDENTITY;
        ALTER TABLE session ADD COLUMN note text NOT NULL DEFAULT 'x';
        ALTER TABLE session ALTER principal SET DEFAULT 'nobody'; TRUNCATE session""")
    for call in ["session_create()", "(session_start()).sid", "session_create(sid => 's')", "session_regenerate('s')"]:
        sid = one(client, f"SELECT {call}")
    assert owner.execute("SELECT count(*), count(DISTINCT number), min(note), min(principal) FROM session").fetchone() == (
        3, 3, "x", None)  # fmt: skip
    owner.execute("ALTER TABLE session DROP note, DROP number, ALTER principal DROP DEFAULT")
    assert one(client, "SELECT principal FROM session_load(session_create())") is None
    assert one(client, "SELECT principal FROM session_load(%s)", sid) is None


def test_a_generated_column_follows_the_session(database):
    owner, client = database.connect(), database.connect(APP)
    client.execute("""SELECT session_create('{"user": "ada"}', 's')""")
    owner.execute(
        "ALTER TABLE session ADD COLUMN who text GENERATED ALWAYS AS (session_decode(session_data) ->> 'user') STORED"
    )
    client.execute("""SELECT session_set('s', 'user', '"bob"')""")
    assert one(owner, "SELECT who FROM session") == "bob"


def test_a_published_table_without_identity_refuses_updates_as_it_would_any(database):
    owner, client = database.connect(), database.connect(APP)
    client.execute("SELECT session_create('{}', 's'), session_set('s', 'a', '1')")
    owner.execute("ALTER TABLE session REPLICA IDENTITY NOTHING")
    owner.execute("CREATE PUBLICATION sessions FOR TABLE session")
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        client.execute("SELECT session_set('s', 'a', '2')")


def test_every_index_holds_every_row_after_updates_that_move_it(database):
    owner, client = database.connect(), database.connect(APP)
    owner.execute("CREATE INDEX by_user ON session ((session_decode(session_data) ->> 'user'))")
    owner.execute("CREATE UNIQUE INDEX by_version ON session (version, created_at)")
    for n in range(50):
        client.execute("SELECT session_create(jsonb_build_object('user', %s::int), %s)", (n, f"s{n}"))
    owner.execute("UPDATE session SET principal = 'ada' WHERE session_decode(session_data) ->> 'user' < '3'")
    for n in range(400):
        sid = f"s{n % 50}"
        client.execute("SELECT session_set(%s, 'user', to_jsonb(%s::int))", (sid, n))
        client.execute("SELECT session_touch(%s, make_interval(mins => %s))", (sid, 10 + n % 7))
    queries = [
        "SELECT session_decode(session_data) ->> 'user' FROM session WHERE session_decode(session_data) ->> 'user' > ''",
        "SELECT version FROM session WHERE version > 0",
        "SELECT session_expiry FROM session WHERE session_expiry > now()",
        "SELECT session_key FROM session WHERE session_key > ''",
        "SELECT session_key FROM session WHERE principal = 'ada'",
    ]
    for query in queries:
        owner.execute("SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off")
        by_table = sorted(owner.execute(query).fetchall())
        owner.execute("SET enable_seqscan = off; SET enable_indexscan = on")
        assert "Index" in one(owner, f"EXPLAIN {query}")
        assert sorted(owner.execute(query).fetchall()) == by_table, query
    assert len(by_table) == 50 - sum(1 for n in range(50) if str(n) >= "3")


def test_wal_holds_of_an_update_what_changed(database):
    owner = database.connect()
    # ./pg_test.sh --assertions sets it, and each record has an image of its page then.
    owner.execute(f"ALTER DATABASE {database.name} SET wal_consistency_checking = ''")
    client = database.connect(APP)
    client.execute("""SELECT session_create(jsonb_build_object('a', repeat('x', 1500), 'count', 10), 's')""")
    owner.execute("CHECKPOINT")
    client.execute("SELECT session_set('s', 'count', '11')")  # the image of the page

    def written(call):
        before = one(client, "SELECT pg_current_wal_insert_lsn()")
        client.execute(call)
        return one(client, "SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before)

    # Others write to the log, too, and some updates free space on the page.
    assert min(written(f"SELECT session_set('s', 'count', '{n}')") for n in range(12, 20)) < 500
    assert min(written(f"SELECT session_set('s', 'a', to_jsonb(repeat('{n}', 1500)))") for n in range(8)) > 1500
