"""Sliding is a courtesy that costs nobody anything; and the clock is looked at when it matters."""

import pytest
from conftest import APP, THREADS, expires_in, is_past, one, wait_until
from psycopg import errors

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
READS = {
    "get": "SELECT session_get(%s)",
    "get_key": "SELECT session_get(%s, 'a')",
    "load": "SELECT session_load(%s)",
    "fetch": "SELECT session_fetch(%s)",
    "read": "SELECT session_read(%s)",
    "start": "SELECT session_start(%s)",
    "touch": "SELECT session_touch(%s)",
}

levels = pytest.mark.parametrize("level", LEVELS)
reads = pytest.mark.parametrize("read", READS.values(), ids=READS)


@pytest.fixture
def owner(database):
    return database.connect()


@pytest.fixture
def reader(database):
    return database.connect(APP)


def used_a_while_ago(owner, sid):
    """A session of one hour that was last used 50 minutes ago."""
    owner.execute("SELECT session_put(%s, '{}')", (sid,))
    expires_in(owner, sid, "10 min")
    return sid


def state(owner, sid):
    """Physical place and end of the row: any write changes one of them."""
    find = "SELECT ctid::text, xmin::text, session_expiry FROM session WHERE session_key = sha256(%s::bytea)"
    return owner.execute(find, (sid.encode(),)).fetchone()


def has_slid(owner, sid):
    find = "SELECT session_expiry > now() + interval '59 min' FROM session WHERE session_key = sha256(%s::bytea)"
    return one(owner, find, sid.encode())


@pytest.mark.direct
@levels
@reads
def test_a_read_in_an_open_transaction_blocks_nobody(owner, reader, level, read):
    sid = used_a_while_ago(owner, "s")
    reader.execute(f"BEGIN ISOLATION LEVEL {level}")
    reader.execute(read, (sid,))
    owner.execute("SET lock_timeout = 1")
    owner.execute("SELECT FROM session FOR UPDATE NOWAIT")
    owner.execute("SELECT session_set(%s, 'a', '1')", (sid,))
    assert one(owner, "SELECT session_destroy(%s)", sid)
    reader.execute("COMMIT")


@pytest.mark.direct
def test_sessions_and_business_rows_taken_in_opposite_order_do_not_deadlock(database, owner):
    owner.execute("CREATE TABLE business AS SELECT 1 AS n; GRANT ALL ON business TO app")
    sid = used_a_while_ago(owner, "s")
    first, second = database.connect(APP), database.connect(APP)
    first.execute("BEGIN; SELECT session_get('s')")
    second.execute("BEGIN; UPDATE business SET n = 2")
    updated = database.later(first, "UPDATE business SET n = 3 RETURNING n")
    database.promptly(second, "SELECT session_set('s', 'a', '1')")
    second.execute("COMMIT")
    assert updated.result() == 3
    first.execute("COMMIT")
    assert has_slid(owner, sid)


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_transactions_that_read_the_same_sessions_in_opposite_order_do_not_disturb_each_other(database, owner, level):
    owner.execute(f"ALTER DATABASE {database.name} SET session_store.expiry_granularity = 0")  # every read slides
    owner.execute("SET session_store.expiry_granularity = 0")
    for sid in "ab":
        owner.execute("SELECT session_create('{}', %s)", (sid,))

    def work(order):
        connection = database.connect(APP)
        assert one(connection, "SHOW session_store.expiry_granularity") == "0"
        for _ in range(200):
            connection.execute(f"BEGIN ISOLATION LEVEL {level}")
            for sid in order:
                connection.execute("SELECT session_get(%s)", (sid,))
            connection.execute("COMMIT")

    before = state(owner, "a")
    list(THREADS.map(work, ["ab", "ba", "ab", "ba"]))
    assert state(owner, "a")[2] > before[2]


def test_in_serializable_transactions_a_slide_counts_as_a_write_like_any_other(database, owner):
    """The two depend on each other in one direction only, but for the slide. A READ ONLY one slides nothing."""
    owner.execute("CREATE TABLE business AS SELECT 1 AS n; GRANT ALL ON business TO app")
    for mode in ["READ WRITE", "READ ONLY"]:
        used_a_while_ago(owner, mode)
        first, second = database.connect(APP), database.connect(APP)
        first.execute(f"BEGIN ISOLATION LEVEL SERIALIZABLE, {mode}")
        second.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        for connection in (first, second):
            connection.execute("SELECT session_get(%s)", (mode,))
        first.execute("SELECT n FROM business")
        second.execute("UPDATE business SET n = 2")
        first.execute("COMMIT")
        if mode == "READ WRITE":
            with pytest.raises(errors.SerializationFailure):
                second.execute("COMMIT")
        else:
            second.execute("COMMIT")


@levels
@reads
def test_the_slide_happens_at_commit_and_not_before(owner, reader, level, read):
    sid = used_a_while_ago(owner, "s")
    before = state(owner, sid)
    reader.execute(f"BEGIN ISOLATION LEVEL {level}")
    reader.execute(read, (sid,))
    assert state(owner, sid) == before
    reader.execute("COMMIT")
    assert has_slid(owner, sid)


def test_load_and_touch_already_report_the_end_that_commit_will_write(owner, reader):
    sid = used_a_while_ago(owner, "s")
    reader.execute("BEGIN")
    touched = one(reader, "SELECT session_touch(%s)", sid)
    assert one(reader, "SELECT expires_at FROM session_load(%s, false)", sid) == touched
    reader.execute("COMMIT")
    assert state(owner, sid)[2] == touched


def test_exist_and_load_without_slide_only_look(owner, reader):
    sid = used_a_while_ago(owner, "s")
    before = state(owner, sid)
    assert one(reader, "SELECT session_exist(%s)", sid)
    assert reader.execute("SELECT * FROM session_load(%s, false)", (sid,)).rowcount == 1
    assert state(owner, sid) == before


@reads
def test_a_rollback_discards_the_slide(owner, reader, read):
    sid = used_a_while_ago(owner, "s")
    before = state(owner, sid)
    reader.execute("BEGIN")
    reader.execute(read, (sid,))
    reader.execute("ROLLBACK")
    reader.execute("SELECT 1")
    assert state(owner, sid) == before


def test_a_savepoint_rollback_discards_its_own_slides_only(owner, reader):
    for sid in ("outer", "inner", "released"):
        used_a_while_ago(owner, sid)
    reader.execute("BEGIN; SELECT session_get('outer')")
    reader.execute("SAVEPOINT p; SELECT session_get('released'); RELEASE p")
    reader.execute("SAVEPOINT p; SELECT session_get('outer'), session_get('inner'); ROLLBACK TO p")
    reader.execute("COMMIT")
    assert [has_slid(owner, sid) for sid in ("outer", "inner", "released")] == [True, False, True]


def test_a_savepoint_rollback_keeps_the_slide_of_a_session_that_was_written_and_read_in_it(owner):
    sid = used_a_while_ago(owner, "s")
    owner.execute("SET session_store.expiry_granularity = 0")
    owner.execute("BEGIN")
    owner.execute("SELECT session_get('s')")
    owner.execute("SAVEPOINT p")
    owner.execute("SELECT session_set('s', 'a', '1')")
    owner.execute("SELECT session_get('s')")
    owner.execute("ROLLBACK TO p")
    owner.execute("COMMIT")
    assert has_slid(owner, sid)


@levels
def test_a_row_that_is_locked_is_skipped(database, owner, reader, level):
    for sid in ("locked", "free"):
        used_a_while_ago(owner, sid)
    locker = database.connect()
    locker.execute("BEGIN; SELECT FROM session WHERE session_key = sha256('locked') FOR UPDATE")
    reader.execute(f"BEGIN ISOLATION LEVEL {level}")
    reader.execute("SELECT session_get('locked'), session_get('free')")
    database.promptly(reader, "COMMIT")
    database.promptly(reader, "SELECT session_get('locked')")
    locker.execute("COMMIT")
    assert not has_slid(owner, "locked")
    assert has_slid(owner, "free")


@pytest.mark.direct
@levels
def test_a_row_that_was_changed_meanwhile_is_skipped(owner, reader, level):
    sids = [used_a_while_ago(owner, sid) for sid in ("changed", "deleted", "free")]
    reader.execute(f"BEGIN ISOLATION LEVEL {level}")
    for sid in sids:
        reader.execute("SELECT session_get(%s)", (sid,))
    expires_in(owner, "changed", "20 min")
    owner.execute("SELECT session_destroy('deleted')")
    before = state(owner, "changed")
    reader.execute("COMMIT")
    assert state(owner, "changed") == before
    assert state(owner, "deleted") is None
    assert has_slid(owner, "free")


@pytest.mark.direct
@levels
def test_what_the_transaction_wrote_is_kept_when_a_slide_is_skipped(owner, reader, level):
    owner.execute("CREATE TABLE business (n int); GRANT ALL ON business TO app")
    used_a_while_ago(owner, "s")
    reader.execute(f"BEGIN ISOLATION LEVEL {level}")
    reader.execute("SELECT session_get('s')")
    reader.execute("INSERT INTO business VALUES (1)")
    expires_in(owner, "s", "20 min")
    reader.execute("COMMIT")
    assert one(owner, "SELECT n FROM business") == 1


@pytest.mark.direct
def test_commit_does_not_wait_for_a_locked_table(database, owner, reader):
    sid = used_a_while_ago(owner, "s")
    locker = database.connect()
    reader.execute("BEGIN; SELECT session_get('s')")
    locker.execute("BEGIN; LOCK TABLE session IN SHARE MODE")
    database.promptly(reader, "COMMIT")
    database.promptly(reader, "SELECT session_get('s')")
    locker.execute("COMMIT")
    assert not has_slid(owner, sid)


@reads
def test_a_read_never_shortens_an_expiry(owner, reader, read):
    sid = used_a_while_ago(owner, "s")
    expires_in(owner, sid, "1 day")
    before = state(owner, sid)
    reader.execute(read, (sid,))
    assert state(owner, sid) == before


@reads
def test_a_read_only_transaction_reads_and_writes_nothing(owner, reader, read):
    sid = used_a_while_ago(owner, "s")
    before = state(owner, sid)
    reader.execute("BEGIN READ ONLY")
    if "touch" in read:
        with pytest.raises(errors.ReadOnlySqlTransaction):
            reader.execute(read, (sid,))
    else:
        assert one(reader, read.replace("'a'", "'b'"), sid) != ()
    reader.execute("COMMIT")
    assert state(owner, sid) == before


@levels
@reads
def test_a_read_within_a_grid_step_writes_nothing_and_takes_no_transaction_id(owner, reader, level, read):
    owner.execute("SELECT session_create('{}', 's')")
    expires_in(owner, "s", "2 hours")
    before = state(owner, "s")

    def consumed():
        next_id = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
        first = one(owner, next_id)
        reader.execute(f"BEGIN ISOLATION LEVEL {level}")
        reader.execute(read, ("s",))
        assert one(reader, "SELECT pg_current_xact_id_if_assigned()") is None
        reader.execute("COMMIT")
        reader.execute(read, ("s",))
        return one(owner, next_id) != first

    assert not all(consumed() for _ in range(5)), "others, like autovacuum, may take one now and then"
    assert state(owner, "s") == before


@reads
def test_a_second_read_within_the_step_writes_nothing(owner, reader, read):
    sid = used_a_while_ago(owner, "s")
    reader.execute(read, (sid,))
    slid = state(owner, sid)
    reader.execute(read, (sid,))
    again = state(owner, sid)
    assert again == slid or again[2] > slid[2], "unless the next step of the grid has begun"


def test_a_read_that_lost_the_race_to_create_holds_no_lock(database, owner):
    first, second = database.connect(APP), database.connect(APP)
    first.execute("BEGIN; SELECT session_read('s')")
    second.execute("BEGIN")
    read = database.later(second, "SELECT session_read('s')")
    first.execute("COMMIT")
    assert read.result() == {}
    database.promptly(owner, "SELECT session_set('s', 'a', '1')")
    second.execute("COMMIT")


def test_a_procedure_that_commits_slides_at_each_commit(owner, reader):
    owner.execute(
        """CREATE PROCEDURE visit(sids text[]) LANGUAGE plpgsql AS $$
        DECLARE sid text;
        BEGIN
            FOREACH sid IN ARRAY sids LOOP
                PERFORM public.session_get(sid);
                IF sid = 'b' THEN ROLLBACK; ELSE COMMIT; END IF;
            END LOOP;
        END $$"""
    )
    for sid in "abc":
        used_a_while_ago(owner, sid)
    reader.execute("CALL visit('{a,b,c}')")
    assert [has_slid(owner, sid) for sid in "abc"] == [True, False, True]


def test_a_transaction_that_reads_and_drops_the_extension_commits(owner):
    used_a_while_ago(owner, "s")
    owner.execute("BEGIN; SELECT session_get('s'); DROP EXTENSION session_store CASCADE; COMMIT")
    assert one(owner, "SELECT to_regclass('session')") is None


def test_a_deferred_trigger_may_read_sessions(owner, reader):
    owner.execute(
        """CREATE TABLE business (n int);
        GRANT ALL ON business TO app;
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM public.session_get(''s''); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER look AFTER INSERT ON business DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION look()"""
    )
    sid = used_a_while_ago(owner, "s")
    reader.execute("INSERT INTO business VALUES (1)")
    assert has_slid(owner, sid)


@pytest.mark.direct
def test_preparing_a_transaction_leaves_no_lock_of_a_slide(new_server):
    server = new_server(max_prepared_transactions=2)
    database = server.create_database()
    owner, reader = database.connect(), database.connect(APP)
    owner.execute("CREATE EXTENSION session_store")
    sid = used_a_while_ago(owner, "s")
    reader.execute("BEGIN; SELECT session_get('s'); PREPARE TRANSACTION 'p'")
    locks = "SELECT count(*) FROM pg_locks WHERE relation = 'session'::regclass AND mode <> 'AccessShareLock'"
    assert one(owner, locks) == 0
    owner.execute("SET lock_timeout = 1")
    owner.execute("SELECT session_set('s', 'a', '1')")
    reader.execute("COMMIT PREPARED 'p'")
    reader.execute("SELECT session_get('s')")
    assert has_slid(owner, sid)


# The clock


@levels
def test_a_connection_idle_in_a_transaction_cannot_revive_what_expired_meanwhile(owner, reader, level):
    owner.execute("SELECT session_create('{}', 's')")
    expires_in(owner, "s", "300 ms")
    reader.execute(f"BEGIN ISOLATION LEVEL {level}")
    reader.execute("SELECT 1")
    wait_until(lambda: is_past(owner, "s"))
    assert one(reader, "SELECT session_get('s')") is None
    assert one(reader, "SELECT session_exist('s')") is False
    assert one(reader, "SELECT session_touch('s')") is None
    assert one(reader, """SELECT session_release('s', '{"late": 1}')""") is None
    with pytest.raises(errors.NoDataFound):
        reader.execute("SELECT session_set('s', 'a', '1')")
    reader.execute("ROLLBACK")
    assert is_past(owner, "s")


LOCKS = {
    "row": "SELECT FROM session FOR UPDATE",
    "update": "UPDATE session SET lifetime = 3601",
    "table": "LOCK TABLE session IN SHARE MODE",
}
locks = pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
ends = pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])


@pytest.fixture
def values_after_expiry(database, owner):
    """Runs calls on one session each, that waits for a lock until the sessions have expired; their values by call.

    In place of a value: "absent" for error P0002, "live" for 23505.
    """

    def value(future):
        try:
            return future.result(timeout=10)
        except errors.NoDataFound:
            return "absent"
        except errors.UniqueViolation:
            return "live"

    def run(calls, lock, end):
        owner.execute("""SELECT session_create('{"old": 1}', 's' || n) FROM generate_series(1, %s) n""", (len(calls),))
        connections = [database.connect(APP) for _ in calls]
        for connection in connections:
            connection.execute("SET session_store.strict = on")
        locker = database.connect()
        owner.execute("UPDATE session SET created_at = now() - interval '1 day'")
        owner.execute("UPDATE session SET session_expiry = clock_timestamp() + interval '700 ms'")
        locker.execute(f"BEGIN; {lock}")
        futures = [
            database.later(connection, call.replace("%s", f"'s{n}'"))
            for n, (connection, call) in enumerate(zip(connections, calls), 1)
        ]
        wait_until(lambda: is_past(locker, "s1"))
        locker.execute(end)
        return {call: value(future) for call, future in zip(calls, futures)}

    return run


@ends
@locks
def test_what_expires_while_a_write_waits_for_a_lock_is_absent(owner, values_after_expiry, lock, end):
    expected = {
        "SELECT session_set(%s, 'a', '1')": "absent",
        """SELECT session_merge(%s, '{"a": 1}')""": "absent",
        "SELECT session_delete(%s, 'old')": "absent",
        "SELECT session_flush(%s)": "absent",
        "SELECT session_regenerate(%s)": "absent",
        """SELECT session_release(%s, '{"a": 1}')""": None,
        "SELECT session_release_raw(%s, 'raw')": None,
        "SELECT session_touch(%s, '2 hours')": None,
        "SELECT session_destroy(%s)": False,
    }
    assert values_after_expiry(list(expected), lock, end) == expected
    assert one(owner, "SELECT session_all()") == 0


PUTS = ["""SELECT session_put(%s, '{"new": 1}')""", "SELECT session_put_raw(%s, 'raw')"]
CREATES = ["""SELECT session_create('{"new": 1}', %s)""", "SELECT session_create_raw('raw', %s)"]


@ends
@pytest.mark.parametrize(
    "calls, lock",
    # A create does not wait for a lock on the row: what is live when it is called exists.
    [(PUTS, LOCKS["row"]), (PUTS, LOCKS["update"]), (PUTS + CREATES, LOCKS["table"])],
    ids=LOCKS,
)
def test_what_expires_while_a_create_waits_for_a_lock_is_replaced(owner, values_after_expiry, calls, lock, end):
    values = values_after_expiry(calls, lock, end)
    assert "live" not in values.values()
    assert one(owner, "SELECT count(*) FROM session_live WHERE created_at > now() - interval '1 h'") == len(calls)


@ends
def test_what_expires_while_regenerate_waits_for_the_new_id_is_absent(values_after_expiry, end):
    values = values_after_expiry(["SELECT session_regenerate(%s, 'new')"], "SELECT session_create('{}', 'new')", end)
    assert list(values.values()) == ["live" if end == "COMMIT" else "absent"]


def test_what_expires_while_a_read_waits_for_the_table_is_absent(owner, values_after_expiry):
    expected = {
        "SELECT session_get(%s)": None,
        "SELECT session_get(%s, 'old')": None,
        "SELECT session_load(%s)": None,
        "SELECT session_read(%s)": None,
        "SELECT session_touch(%s)": None,
        "SELECT session_exist(%s)": False,
        "SELECT is_new FROM session_start(%s)": True,
    }
    assert values_after_expiry(list(expected), "LOCK TABLE session IN ACCESS EXCLUSIVE MODE", "COMMIT") == expected
    assert one(owner, "SELECT count(*) FROM session_live WHERE data ? 'old'") == 0


@pytest.mark.direct
@pytest.mark.parametrize("call", ["""session_release('s', '{"late": 1}')""", "session_touch('s', '2 hours')"])
def test_what_expires_while_a_write_waits_stays_so_though_it_was_read_before(database, owner, call):
    owner.execute("SELECT session_create('{}', 's')")
    expires_in(owner, "s", "700 ms")
    writer, locker = database.connect(APP), database.connect()
    writer.execute("BEGIN; SELECT session_get('s')")  # remembers a slide
    locker.execute("BEGIN; SELECT FROM session FOR UPDATE")
    written = database.later(writer, f"SELECT {call}")
    wait_until(lambda: is_past(owner, "s"))
    locker.execute("ROLLBACK")
    written.result()
    writer.execute("COMMIT")
    assert one(owner, "SELECT session_exist('s')") is False
    assert is_past(owner, "s")
