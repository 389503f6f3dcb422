"""Standbys, their promotion, and logical replication of the table."""

import random
from contextlib import contextmanager, suppress

import psycopg
import pytest
from conftest import APP, THREADS, Database, Server, expires_in, is_past, one, wait_until
from failures import CHANGES, ENDS
from psycopg import errors
from psycopg.types.json import Jsonb
from sweeping import EVERY_SECOND, add_expired, apply, expired, standby_of, stats, wait_until_swept

READS = {
    "SELECT session_get('s')::text": '{"k": 1}',
    "SELECT session_get('s', 'k')::text": "1",
    "SELECT session_read('s')::text": '{"k": 1}',
    "SELECT data::text FROM session_load('s')": '{"k": 1}',
    "SELECT payload FROM session_load('raw', false)": b"\x01",
    "SELECT data::text FROM session_fetch('s')": '{"k": 1}',
    "SELECT payload FROM session_read_raw('raw')": b"\x01",
    "SELECT data::text FROM session_start('s') WHERE NOT is_new": '{"k": 1}',
    "SELECT attributes ->> 'device' FROM session_devices('s') WHERE is_this": "laptop",
    "SELECT session_attach('s')": "ada",
    "SELECT session_exist('s')": True,
    "SELECT session_exist('unknown')": False,
    "SELECT session_get('expired')": None,
    "SELECT length(session_new_id())": 64,
    "SELECT session_init('1 h')::text": "",
}
FOR_THE_OWNER = {
    "SELECT session_all()": 2,
    "SELECT data::text FROM session_find('ada')": '{"k": 1}',
    "SELECT data::text FROM session_live WHERE data IS NOT NULL": '{"k": 1}',
    "SELECT sweeping_enabled FROM session_store_stats": False,
}
WRITES = {
    "session_create": "", "session_create_raw": r"'\x00'", "session_put": "'s', '{}'", "session_put_raw": r"'s', '\x00'",
    "session_release": "'s', '{}'", "session_release_raw": r"'s', '\x00'", "session_set": "'s', 'k', '1'",
    "session_merge": "'s', '{}'", "session_delete": "'s', 'k'", "session_flush": "'s'", "session_regenerate": "'s'",
    "session_touch": "'s'", "session_destroy": "'s'", "session_gc": "", "session_clear": "",
    "session_save": "'s', '{}'", "session_patch": "'s', '{}'", "session_pop": "'s', 'k'",
    "session_login": "'s', 'ada'", "session_bind": "'s', 'ada'", "session_revoke": "'s', ''", "session_revoke_others": "'s'",
    "session_revoke_all": "'ada'", "session_revoke_handle": "''",
}  # fmt: skip
NOT_FOR_ALL = {
    "session_clear", "session_gc", "session_login", "session_bind", "session_revoke_all", "session_revoke_handle",
}  # fmt: skip
CREATING_READS = ["session_read('unknown')", "session_read_raw('unknown')", "session_start('unknown')", "session_start()", "session_read('expired')"]


def fill(owner):
    owner.execute("CREATE EXTENSION IF NOT EXISTS session_store")
    owner.execute(r"""SELECT session_create('{"k": 1}', 's'), session_create_raw('\x01', 'raw')""")
    owner.execute("""SELECT session_create('{}', 'expired'), session_bind('s', 'ada', '{"device": "laptop"}')""")
    expires_in(owner, "expired", "-1 s")


@pytest.fixture(scope="module")
def pair():
    """A primary and its standby."""
    primary = Server().start()
    primary.create_roles()
    standby = standby_of(primary)
    yield primary, standby
    standby.stop("immediate")
    primary.stop("immediate")


@pytest.fixture
def standby(pair):
    return pair[1]


@pytest.fixture
def database(pair):
    database = pair[0].create_database()
    fill(database.connect())
    yield database
    database.drop()


@pytest.fixture
def owner(database):
    return database.connect()


@pytest.fixture
def there(owner, standby, database):
    """The database on the standby."""
    catch_up(owner, standby)
    there = Database(standby, database.name)
    yield there
    there.close()


@contextmanager
def sweeping(server):
    apply(server, **{"session_store__gc_interval": "1s"})
    yield
    apply(server, **{"session_store__gc_interval": "0"})


def catch_up(owner, standby):
    lsn = one(owner, "SELECT pg_current_wal_insert_lsn()")
    with standby.connect() as watcher:
        wait_until(lambda: one(watcher, "SELECT pg_last_wal_replay_lsn() >= %s", lsn))


# A standby


def test_reads_work_on_a_standby_and_writes_are_25006(owner, there):
    assert set(WRITES) == CHANGES | ENDS
    for user in APP, "owner":
        reader = there.connect(user)
        for query, value in READS.items() if user == APP else (READS | FOR_THE_OWNER).items():
            for _ in range(2):
                assert one(reader, query) == value, query
        calls = [f"{name}({arguments})" for name, arguments in WRITES.items() if user != APP or name not in NOT_FOR_ALL]
        for call in calls + CREATING_READS:
            with pytest.raises(errors.ReadOnlySqlTransaction) as refused:
                reader.execute(f"SELECT {call}")
            assert "on the primary server" in refused.value.diag.message_hint
    assert one(owner, "SELECT session_gc()") == 1, "nothing has been removed there"


def test_an_id_in_grace_is_known_on_a_standby(standby, owner, there):
    reader = there.connect(APP)
    assert one(reader, "SELECT session_get('s')") == {"k": 1}
    owner.execute("SELECT session_regenerate('s', 'n', '5 min')")
    catch_up(owner, standby)
    assert reader.execute("SELECT session_get('s'), session_get('n')").fetchone() == ({"k": 1}, {"k": 1})
    owner.execute("SELECT session_regenerate('n', 's too')")
    catch_up(owner, standby)
    assert reader.execute("SELECT session_get('s'), session_get('n')").fetchone() == (None, None)


def test_a_standby_knows_whom_a_transaction_is_for(standby, owner, there):
    owner.execute("""
        SELECT session_login(NULL, 'ada', '{"role": "admin"}', 'ada'), session_login(NULL, 'eve', sid => 'eve');
        CREATE TABLE note AS SELECT unnest('{ada,eve,bob}'::text[]) AS owner;
        ALTER TABLE note ENABLE ROW LEVEL SECURITY; GRANT SELECT ON note TO app;
        CREATE POLICY own ON note USING (owner = session_principal())""")
    expires_in(owner, "ada", "10 min")
    catch_up(owner, standby)
    reader = there.connect(APP)
    for sid, principal, attributes in ("ada", "ada", {"role": "admin"}), ("raw", None, None), ("eve", "eve", None):
        reader.execute("BEGIN")
        assert one(reader, "SELECT session_attach(%s)", sid) == principal
        assert reader.execute("SELECT session_principal(), session_attributes()").fetchone() == (principal, attributes)
        assert [row[0] for row in reader.execute("SELECT owner FROM note")] == ([principal] if principal else [])
        reader.execute("COMMIT")
        assert one(reader, "SELECT count(*) FROM note") == 0
    assert one(reader, "SELECT expires_at < now() + interval '11 min' FROM session_load('ada', false)")


def test_what_the_primary_changes_is_seen_at_once_by_a_connection_that_read_before(standby, owner, there):
    reader = there.connect(APP)
    assert one(reader, "SELECT session_get('s')") == {"k": 1}
    owner.execute("SELECT session_set('s', 'k', '2'), session_regenerate('raw', 'new'), session_create('{}', 'more')")
    catch_up(owner, standby)
    assert one(reader, "SELECT session_get('s')") == {"k": 2}
    assert one(reader, "SELECT payload FROM session_load('new')") == b"\x01"
    assert one(reader, "SELECT session_exist('raw')") is False
    owner.execute("SELECT session_destroy('s')")
    expires_in(owner, "new", "-1 s")
    catch_up(owner, standby)
    assert one(reader, "SELECT session_get('s')") is None
    assert one(reader, "SELECT session_exist('new')") is False


def test_a_reader_on_the_standby_follows_what_the_owner_makes_of_the_table(standby, owner, there):
    reader = there.connect(APP)
    for statement in (
        "SELECT", "VACUUM FULL session", "REINDEX TABLE CONCURRENTLY session", "ALTER TABLE session ADD COLUMN note text",
        "ALTER SCHEMA public RENAME TO old; ALTER SCHEMA old RENAME TO public",
        "DROP EXTENSION session_store; CREATE EXTENSION session_store; SELECT session_create('{\"k\": 1}', 's')",
    ):  # fmt: skip
        owner.execute(statement)
        catch_up(owner, standby)
        assert one(reader, "SELECT session_get('s')") == {"k": 1}, statement
        assert one(reader, "SELECT session_get('s', 'k')") == 1, statement


def test_replay_waits_for_a_reader_or_cancels_it_and_reading_goes_on(standby, owner, there):
    """A lock of the primary's, and rows that a vacuum takes from under an old snapshot."""
    apply(standby, max_standby_streaming_delay="0")
    for statements in (["VACUUM FULL session"], ["SELECT session_set('s', 'k', '1')"] * 3 + ["VACUUM session"]):
        reader = there.connect(APP)
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT session_get('s')")
        mark = len(standby.log_text())
        busy = there.begin(reader, "SELECT count(session_get('s')), pg_sleep(60)")
        with standby.connect() as watcher:
            event = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"
            wait_until(lambda: one(watcher, event, reader.info.backend_pid) == "PgSleep")
        owner.execute("SELECT session_set('s', 'k', '2')")
        for statement in statements:
            owner.execute(statement)
        with pytest.raises((errors.SerializationFailure, psycopg.OperationalError)) as conflict:
            busy.result(timeout=20)
        assert "conflict with recovery" in str(conflict.value)
        assert "session_get('s')" in standby.log_text(mark), "not an error of ours: the call was over"
        catch_up(owner, standby)
        with suppress(psycopg.OperationalError):  # the next conflict has ended the connection
            reader.execute("ROLLBACK")
            assert one(reader, "SELECT session_exist('s')")
        assert one(there.connect(APP), "SELECT session_exist('s')")
    apply(standby, max_standby_streaming_delay="30s")


def test_a_call_that_waits_for_replay_sees_what_was_committed_when_it_began(standby, owner, there):
    reader = there.connect(APP)
    reader.execute("SELECT session_get('s')")
    owner.execute("BEGIN; LOCK TABLE session; SELECT session_set('s', 'k', '2'), pg_switch_wal()")
    with standby.connect() as watcher:
        locks = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND pid IS NOT NULL AND NOT fastpath"
        wait_until(lambda: one(watcher, locks))
        read = there.begin(reader, "SELECT session_get('s')")
        wait_until(lambda: one(watcher, "SELECT count(*) FROM pg_locks WHERE NOT granted"))
    owner.execute("COMMIT")
    assert read.result(timeout=20) == {"k": 1}
    catch_up(owner, standby)
    assert one(reader, "SELECT session_get('s')") == {"k": 2}


def test_after_promotion_connections_that_read_go_on_to_write_and_sweeping_begins(new_server, request):
    primary = new_server()
    database = primary.create_database()
    owner = database.connect()
    fill(owner)
    standby = standby_of(primary)
    request.addfinalizer(lambda: standby.stop("immediate"))
    there = Database(standby, database.name)
    reader, watcher = there.connect(APP), there.connect()
    for query, value in READS.items():
        assert one(reader, query) == value
    with pytest.raises(errors.ReadOnlySqlTransaction):
        reader.execute("SELECT session_set('s', 'k', '2')")
    catch_up(owner, standby)
    primary.stop("immediate")
    standby.configure(**EVERY_SECOND)
    standby.reload()
    standby.promote()
    assert one(reader, "SELECT session_set('s', 'k', '2') > 0")
    assert one(reader, "SELECT session_get('s')") == {"k": 2}
    expires_in(watcher, "s", "1 min")
    reader.execute("SELECT session_get('s')")
    assert one(watcher, "SELECT expires_at > now() + interval '59 min' FROM session_load('s', false)")
    new = one(reader, "SELECT session_regenerate('s')")
    assert one(reader, "SELECT session_get(%s, 'k')", new) == 2
    for name, arguments in WRITES.items():
        watcher.execute(f"SELECT session_put('s', '{{}}'), {name}({arguments})")
    add_expired(watcher, 3)
    wait_until_swept(watcher)
    assert stats(watcher).launcher_running


# Logical replication


@pytest.fixture(scope="module")
def servers():
    """A publisher and a subscriber. Neither sweeps."""
    publisher = Server(wal_level="logical").start()
    subscriber = Server(wal_retrieve_retry_interval="100ms").start()
    publisher.create_roles()
    subscriber.create_roles()
    yield publisher, subscriber
    subscriber.stop("immediate")
    publisher.stop("immediate")


@pytest.fixture
def published(servers):
    database = servers[0].create_database()
    owner = database.connect()
    fill(owner)
    owner.execute("CREATE PUBLICATION sessions FOR TABLE session")
    yield database
    database.drop()


@pytest.fixture
def subscribed(servers, published):
    """As docs/operations.md says: the extension there as well, its table empty, and sweeping off."""
    database = servers[1].create_database(published.name)
    owner = database.connect()
    owner.execute("CREATE EXTENSION session_store")
    where = psycopg.conninfo.make_conninfo(**published.address())
    owner.execute(f"CREATE SUBSCRIPTION {database.name} CONNECTION '{where}' PUBLICATION sessions")
    copied(published.connect(), owner)
    yield database
    owner.execute(f"DROP SUBSCRIPTION IF EXISTS {database.name}")
    database.drop()


def copied(here, there):
    """Waits until both tables hold the same."""
    rows = "SELECT array_agg(session::text ORDER BY session_key) FROM session"
    wait_until(lambda: one(here, rows) == one(there, rows))


def test_a_subscriber_can_read_what_the_publisher_writes(published, subscribed):
    publisher, here, there = published.connect(), published.connect(APP), subscribed.connect(APP)
    subscriber = subscribed.connect()
    for query, value in READS.items():
        assert one(there, query) == value
    here.execute("SELECT session_set('s', 'k', '2'), session_create('{}', 'new'), session_touch('new', '1 d')")
    here.execute("SELECT session_regenerate('raw', 'renewed')")
    copied(publisher, subscriber)
    assert one(there, "SELECT session_get('s', 'k')") == 2
    assert one(there, "SELECT lifetime FROM session_load('new', false)").days == 1
    assert one(there, "SELECT payload FROM session_load('renewed', false)") == b"\x01"
    assert one(there, "SELECT session_exist('raw')") is False
    publisher.execute("SELECT session_login('renewed', 'ada', '{\"device\": \"phone\"}', 'phone')")
    copied(publisher, subscriber)
    devices = "SELECT array_agg(attributes ->> 'device') FROM session_devices('phone')"
    assert one(there, devices) == ["phone", "laptop"]


def test_a_subscriber_follows_many_that_put_the_same_ids_at_once(published, subscribed):
    def put_and_destroy(number):
        with published.connect(APP) as client:
            for n in range(100):
                data = Jsonb({"by": number, "text": random.randbytes(1500 * (n % 2)).hex()})
                client.execute("SELECT session_put(%s, %s)", (f"race {n // 5}", data))
                client.execute("SELECT session_destroy(%s)", (f"race {random.randrange(20)}",))

    list(THREADS.map(put_and_destroy, range(6)))
    copied(published.connect(), subscribed.connect())


def test_what_the_publisher_ends_or_collects_ends_on_the_subscriber(published, subscribed):
    publisher, subscriber = published.connect(), subscribed.connect()
    assert is_past(subscriber, "expired")
    assert one(publisher, "SELECT session_destroy('s')")
    assert one(publisher, "SELECT session_gc()") == 1
    copied(publisher, subscriber)
    assert one(subscriber, "SELECT count(*) FROM session") == 1
    add_expired(publisher, 3)
    copied(publisher, subscriber)
    with sweeping(published.server):
        publisher.execute("SELECT session_create()")
        wait_until_swept(publisher)
    copied(publisher, subscriber)
    assert expired(subscriber) == 0


def test_reading_on_the_subscriber_slides_there_and_disturbs_nothing(published, subscribed):
    publisher, subscriber, there = published.connect(), subscribed.connect(), subscribed.connect(APP)
    expires_in(subscriber, "s", "1 min")
    assert one(there, "SELECT session_get('s')") == {"k": 1}
    slid = "SELECT session_expiry > now() + interval '59 min' FROM session WHERE session_key = sha256('s')"
    assert one(subscriber, slid)
    publisher.execute("SELECT session_set('s', 'k', '2'), session_touch('s', '2 h')")
    copied(publisher, subscriber)
    assert one(there, "SELECT session_get('s')") == {"k": 2}


def test_after_the_switch_sessions_live_on_at_the_subscriber(published, subscribed):
    publisher, subscriber, there = published.connect(), subscribed.connect(), subscribed.connect(APP)
    version = one(published.connect(APP), "SELECT version FROM session_load('s')")
    publisher.execute("SELECT session_create('{}', 'late', '2 h', now() + interval '1 d')")
    publisher.execute("UPDATE session SET principal = 'ada' WHERE session_key = sha256('late')")
    copied(publisher, subscriber)
    terms = "SELECT lifetime, deadline, principal, created_at, version FROM session_load('late', false)"
    assert subscriber.execute(terms).fetchone() == publisher.execute(terms).fetchone()
    subscriber.execute(f"DROP SUBSCRIPTION {subscribed.name}")
    for sid in "s", "late":
        expires_in(subscriber, sid, "1 min")
    assert one(there, "SELECT session_get('s')") == {"k": 1}
    assert one(there, "SELECT session_release('s', '{\"k\": 2}', %s) > %s", version, version)
    assert one(there, "SELECT session_release('s', '{\"k\": 3}', %s)", version) is None
    assert one(there, "SELECT expires_at > now() + interval '119 min' FROM session_load('late')")
    new = one(there, "SELECT session_regenerate('s')")
    assert one(there, "SELECT session_get(%s)", new) == {"k": 2}
    assert one(there, "SELECT session_destroy(%s)", new)
    with sweeping(subscribed.server):
        subscriber.execute("SELECT session_create()")
        wait_until_swept(subscriber)
    assert one(subscriber, "SELECT session_all()") == 3
