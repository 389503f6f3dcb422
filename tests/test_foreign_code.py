"""Code of others that runs within a read because its session slides: triggers, and functions that constraints, indexes
and rules call. It runs as in the same UPDATE written by hand, while the transaction is still one like any other.
"""

import time

import pytest
from calls import HELD, READS, create_due, has_slid
from conftest import APP, one
from psycopg import errors
from sweeping import asleep

# The server reaches itself; audit() and far() write and read on the other side.
LOOP = """
    CREATE EXTENSION postgres_fdw;
    CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{dbname}');
    CREATE USER MAPPING FOR PUBLIC SERVER loop OPTIONS (user 'owner', password '{password}');
    CREATE TABLE log (what text);
    CREATE FOREIGN TABLE far_log (what text) SERVER loop OPTIONS (table_name 'log');
    GRANT ALL ON far_log TO PUBLIC"""
FAR = """
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.far_log VALUES (TG_OP); RETURN NEW; END';
    CREATE FUNCTION far(anyelement) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN RETURN (SELECT count(*) FROM public.far_log); END'"""
AUDIT = "FOR EACH ROW EXECUTE FUNCTION audit()"
WRITES_FAR = {
    "before": f"CREATE TRIGGER t BEFORE UPDATE ON session {AUDIT}",
    "after": f"CREATE TRIGGER t AFTER UPDATE ON session {AUDIT}",
    "statement": "CREATE TRIGGER t AFTER UPDATE ON session FOR EACH STATEMENT EXECUTE FUNCTION audit()",
    "constraint": f"CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON session {AUDIT}",
    "rule": "CREATE RULE t AS ON UPDATE TO session DO ALSO INSERT INTO far_log VALUES ('UPDATE')",
}
DEFERRED = f"CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON session DEFERRABLE INITIALLY DEFERRED {AUDIT}"
READS_FAR = {
    "index": "CREATE INDEX ON session (far(session_expiry))",
    "predicate": "CREATE INDEX ON session (session_expiry) WHERE far(session_expiry) >= 0",
    "check": "ALTER TABLE session ADD CHECK (far(session_expiry) >= 0)",
    "generated": "ALTER TABLE session ADD COLUMN n bigint GENERATED ALWAYS AS (far(session_expiry)) STORED",
}
PUT_ON = WRITES_FAR | READS_FAR


@pytest.fixture
def owner(database):
    return database.connect()


@pytest.fixture
def reader(database):
    reader = database.connect(APP)
    reader.execute("SELECT session_get('unknown')")
    return reader


@pytest.fixture
def far(database, owner):
    """Puts on the table what reaches a foreign table: far(statement), or far(statement, who then owns the table)."""
    server = database.server
    owner.execute(LOOP.format(port=server.port, dbname=database.name, password=server.password))

    def put(statement, role=None):
        if role:
            owner.execute(f"ALTER TABLE session OWNER TO {role}")
        with database.connect(role or "owner") as connection:
            connection.execute(FAR)
            connection.execute(statement)

    return put


@pytest.fixture
def quiet(server):
    """Whatever happens, the server's log and the clients hear nothing of it."""
    mark = len(server.log_text())
    yield
    # Who tests errors does not ask for this.
    assert [line for line in server.log_text(mark).splitlines() if "LOG: " not in line] == []


def logged(owner):
    return one(owner, "SELECT count(*) FROM log")


@pytest.mark.parametrize("plain", [False, True], ids=["superuser", "plain"])
@pytest.mark.parametrize("what", PUT_ON)
def test_a_slide_may_reach_a_foreign_table(database, owner, reader, far, quiet, what, plain):
    create_due(owner, "s")
    far(PUT_ON[what], database.create_role("keeper") if plain else None)
    assert one(reader, "SELECT session_get('s')") == HELD
    assert has_slid(owner, "s")
    assert logged(owner) == (what in WRITES_FAR)
    assert one(reader, "SELECT session_get('s')") == HELD


@pytest.mark.parametrize("read", READS)
def test_every_read_may(owner, reader, far, quiet, read):
    create_due(owner, "s")
    far(WRITES_FAR["before"])
    assert one(reader, READS[read].on("s")) == READS[read].value
    assert has_slid(owner, "s")
    assert logged(owner) == 1


PROCEDURE = """CREATE PROCEDURE visit() LANGUAGE plpgsql AS
    'BEGIN PERFORM public.session_get(''s''); COMMIT; PERFORM public.session_get(''s''); END'"""
# In the end, how often it was written down that the session slid.
TRANSACTIONS = {
    "alone": ("SELECT session_get('s')", 1),
    "block": ("BEGIN; SELECT session_get('s'), session_get('s'); COMMIT", 1),
    "rollback": ("BEGIN; SELECT session_get('s'); ROLLBACK", 0),
    "savepoint": ("BEGIN; SAVEPOINT a; SELECT session_get('s'); RELEASE a; COMMIT", 1),
    "savepoint rolled back": ("BEGIN; SAVEPOINT a; SELECT session_get('s'); ROLLBACK TO a; COMMIT", 0),
    "again": ("BEGIN; SAVEPOINT a; SELECT session_get('s'); ROLLBACK TO a; SELECT session_get('s'); COMMIT", 1),
    "procedure": ("CALL visit()", 1),
    "repeatable read": ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT session_get('s'); COMMIT", 1),
    "serializable": ("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT session_get('s'); COMMIT", 1),
}  # fmt: skip


@pytest.mark.parametrize("put_on", [WRITES_FAR["before"], DEFERRED], ids=["before", "deferred"])
@pytest.mark.parametrize("transaction, times", TRANSACTIONS.values(), ids=TRANSACTIONS)
def test_in_every_kind_of_transaction_it_is_done_once_or_undone(owner, reader, far, quiet, put_on, transaction, times):
    owner.execute(PROCEDURE)
    create_due(owner, "s")
    far(put_on)
    for statement in transaction.split("; "):
        reader.execute(statement)
    assert logged(owner) == times
    assert has_slid(owner, "s") == bool(times)


# What a slide fires

NOTE = """
    CREATE TABLE fired (n serial, name text, at text, level text, op text);
    GRANT ALL ON fired TO PUBLIC; GRANT ALL ON SEQUENCE fired_n_seq TO PUBLIC;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.fired (name, at, level, op) VALUES (TG_NAME, TG_WHEN, TG_LEVEL, TG_OP);
        RETURN NEW;
    END $$"""
TRIGGERS = """
    CREATE TRIGGER t1 BEFORE {any} FOR EACH STATEMENT EXECUTE FUNCTION note();
    CREATE TRIGGER t2 BEFORE {any} FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER t3 AFTER {any} FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER t4 AFTER UPDATE ON session REFERENCING OLD TABLE AS o NEW TABLE AS n EXECUTE FUNCTION note();
    CREATE TRIGGER t5 BEFORE UPDATE OF session_expiry ON session FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER t6 BEFORE UPDATE OF session_data ON session FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER t7 AFTER UPDATE ON session FOR EACH ROW WHEN (OLD.version = NEW.version) EXECUTE FUNCTION note();
    CREATE TRIGGER t8 AFTER UPDATE ON session FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION note();
    CREATE CONSTRAINT TRIGGER t9 AFTER {any} FOR EACH ROW EXECUTE FUNCTION note();
    CREATE CONSTRAINT TRIGGER ta AFTER {any} DEFERRABLE FOR EACH ROW EXECUTE FUNCTION note();
    CREATE CONSTRAINT TRIGGER tb AFTER {any} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()"""


@pytest.mark.parametrize("read", READS)
def test_a_slide_fires_what_the_same_update_by_hand_fires(owner, reader, quiet, read):
    create_due(owner, "s")
    owner.execute(NOTE)
    for statement in TRIGGERS.replace("{any}", "INSERT OR UPDATE OR DELETE ON session").split(";"):
        owner.execute(statement)

    def fired():
        return owner.execute("SELECT name, at, level, op FROM fired ORDER BY n").fetchall()

    reader.execute(READS[read].on("s"))
    by_slide = fired()
    owner.execute("TRUNCATE fired; UPDATE session SET session_expiry = session_expiry + interval '1 s'")
    assert by_slide == fired()
    assert len(by_slide) == 9


# What they leave


def trigger(body, declare="", event="UPDATE"):
    return f"""
        CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS
            $do$ {declare} BEGIN {body}; RETURN coalesce(NEW, OLD); END $do$;
        CREATE TRIGGER act BEFORE {event} ON session FOR EACH ROW EXECUTE FUNCTION act()"""


LEFT = {
    "cursor": ("OPEN d; FETCH d INTO n", "DECLARE d CURSOR FOR SELECT * FROM session; n record;"),
    "cursor by name": ("EXECUTE 'DECLARE c CURSOR FOR SELECT * FROM public.session'", ""),
    "cursor with hold": ("EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'", ""),
    "temporary table": ("EXECUTE 'CREATE TEMPORARY TABLE t ON COMMIT DROP AS SELECT 1'", ""),
    "large object": ("PERFORM lo_open(lo_create(0), 131072)", ""),
    "notification": ("NOTIFY slid", ""),
    "prepared statement": ("EXECUTE 'PREPARE p AS SELECT 1'", ""),
    "caught error": ("BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END", ""),
}


@pytest.mark.parametrize("call", ["session_get('s')", "session_set('s', 'k', '2')"], ids=["slide", "write"])
@pytest.mark.parametrize("body, declare", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("block", [False, True], ids=["alone", "block"])
def test_what_a_trigger_leaves_open_is_closed_and_the_next_transaction_is_whole(
    owner, quiet, call, body, declare, block
):
    create_due(owner, "s")
    owner.execute(trigger(body, declare))
    notices = []
    owner.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    owner.execute(f"BEGIN; SELECT {call}; COMMIT" if block else f"SELECT {call}")
    for table in ("x", "y"):
        owner.execute(
            f"BEGIN; CREATE TABLE {table} (i int); INSERT INTO {table} SELECT generate_series(1, 1000); COMMIT"
        )
    assert one(owner, "SELECT count(*) FROM y") == 1000
    assert notices == []
    assert has_slid(owner, "s")
    assert one(owner, "SELECT count(*) FROM pg_cursors WHERE is_holdable") == ("HOLD" in body)


# What goes wrong in them


@pytest.mark.parametrize("body", ["RAISE EXCEPTION 'no'", "PERFORM 1 / 0", "COMMIT", "ROLLBACK"])
def test_an_error_in_a_slide_undoes_the_slide_and_nothing_else(owner, reader, quiet, body):
    create_due(owner, "s")
    owner.execute("CREATE TABLE business (n int); GRANT ALL ON business TO app")
    owner.execute(trigger(f"INSERT INTO public.business VALUES (0); {body}"))
    reader.execute("BEGIN; INSERT INTO business VALUES (1)")
    assert one(reader, "SELECT session_get('s')") == HELD
    reader.execute("INSERT INTO business VALUES (2); COMMIT")
    assert owner.execute("SELECT n FROM business").fetchall() == [(1,), (2,)]
    assert not has_slid(owner, "s")


def test_a_slide_that_takes_too_long_can_be_ended(database, owner, reader):
    create_due(owner, "s")
    owner.execute(trigger(asleep(5)))
    reader.execute("SET statement_timeout = '200ms'")
    start = time.monotonic()
    with pytest.raises(errors.QueryCanceled):
        reader.execute("SELECT session_get('s')")
    assert time.monotonic() - start < 3
    reader.execute("SET statement_timeout = 0")
    reading = database.begin(reader, "SELECT session_get('s')")
    sleeps = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
    while not one(owner, sleeps, reader.info.backend_pid):
        assert not reading.done()
    with pytest.raises(errors.QueryCanceled):
        reading.result(timeout=3)
    assert not has_slid(owner, "s")


@pytest.mark.parametrize("reads", ["'s'", "'s', 's'", "'s', 'other'"], ids=["itself", "itself twice", "another, too"])
def test_a_trigger_may_read_sessions_even_the_one_that_slides(owner, reader, quiet, reads):
    """Whose slides are not applied within that of the first, or it would go on for ever."""
    for sid in ("s", "other"):
        create_due(owner, sid)
    calls = ", ".join(f"public.session_get({sid})" for sid in reads.split(", "))
    owner.execute(trigger(f"PERFORM {calls}"))
    reader.execute("SET statement_timeout = '10s'")
    assert one(reader, "SELECT session_get('s')") == HELD
    assert has_slid(owner, "s")
    assert one(reader, "SELECT session_set('s', 'k', '2') > 0")
    assert one(reader, "SELECT session_get('s', 'k')") == 2
