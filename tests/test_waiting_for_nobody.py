"""A slide waits for no lock: not the row's, not the table's, not that of an index. And it costs one transaction id."""

import time

import pytest
from calls import HELD, READS, create, create_due, has_slid, outcome
from conftest import APP, one
from psycopg import errors

# Each leaves the table itself free. The first is not even on a column that changes.
INDEXES = {
    "principal": "session_principal",
    "expiry": "session_expiry",
    "of the owner": "more",
    "unused": "unused",
}
HOLD = "BEGIN; ALTER INDEX {} SET TABLESPACE pg_default"
TOAST = """SELECT indexrelid::regclass::text FROM pg_index
    WHERE indrelid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'session'::regclass)"""

pytestmark = pytest.mark.direct


@pytest.fixture
def owner(database):
    owner = database.connect()
    owner.execute("CREATE INDEX more ON session (version); CREATE INDEX unused ON session (created_at)")
    return owner


@pytest.fixture
def reader(database):
    reader = database.connect(APP)
    reader.execute("SELECT session_get('unknown')")
    return reader


@pytest.fixture
def holder(database, owner):
    return database.connect()


@pytest.mark.parametrize("read", READS)
def test_a_read_does_not_wait_for_an_index_that_only_its_slide_needs(database, owner, reader, holder, read):
    for index, name in INDEXES.items():
        create_due(owner, index)
        holder.execute(HOLD.format(name))
        assert database.promptly(reader, READS[read].on(index)) == READS[read].value
        holder.execute("COMMIT")
        assert not has_slid(owner, index)
        reader.execute(READS[read].on(index))
        assert has_slid(owner, index)


@pytest.mark.parametrize("index", INDEXES.values())  # the key's is locked by the read
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_commit_does_not_wait_for_an_index_that_is_held_since_the_read(database, owner, reader, holder, index, level):
    owner.execute("CREATE TABLE business (n int); GRANT ALL ON business TO app")
    create_due(owner, "s")
    reader.execute(f"BEGIN ISOLATION LEVEL {level}; INSERT INTO business VALUES (1); SELECT session_get('s')")
    holder.execute(HOLD.format(index))
    database.promptly(reader, "COMMIT")
    holder.execute("COMMIT")
    assert one(owner, "SELECT n FROM business") == 1
    reader.execute("SELECT session_get('s')")
    assert has_slid(owner, "s")


@pytest.mark.parametrize("hold", ["REINDEX INDEX session_expiry", "REINDEX TABLE session", "LOCK session", "toast"])
def test_a_commit_does_not_wait_for_what_is_rebuilt_since_the_read(database, owner, reader, holder, hold):
    create(owner, "s")
    owner.execute("ALTER TABLE session ALTER COLUMN session_data SET STORAGE EXTERNAL")
    owner.execute("SELECT session_set('s', 'large', to_jsonb(repeat('x', 10000)))")
    owner.execute("UPDATE session SET session_expiry = session_expiry - interval '10 min'")
    before = one(owner, "SELECT session_expiry FROM session")
    reader.execute("BEGIN; SELECT session_get('s')")
    hold = f"REINDEX INDEX {one(owner, TOAST)}" if hold == "toast" else hold
    if hold in ("REINDEX TABLE session", "LOCK session"):  # which wait for who has read
        hold = "LOCK session IN SHARE MODE"
    holder.execute(f"BEGIN; {hold}")
    database.promptly(reader, "COMMIT")
    holder.execute("COMMIT")
    reader.execute("SELECT session_get('s')")
    assert one(owner, "SELECT session_expiry FROM session") > before


def test_a_read_waits_for_the_index_by_which_it_finds_and_for_no_longer_than_its_timeout(
    database, owner, reader, holder
):
    create_due(owner, "s")
    holder.execute(HOLD.format("session_key"))
    reader.execute("SET statement_timeout = '300ms'")
    start = time.monotonic()
    with pytest.raises(errors.QueryCanceled):
        reader.execute("SELECT session_get('s')")
    assert time.monotonic() - start < 3
    reader.execute("SET statement_timeout = 0")
    reading = database.later(reader, "SELECT session_get('s')")
    holder.execute("COMMIT")
    assert reading.result() == HELD
    assert has_slid(owner, "s")


@pytest.mark.parametrize("index", INDEXES)
def test_where_a_slide_does_wait_it_is_for_no_longer_than_the_timeout(owner, reader, holder, index):
    """By SQL, that is, where a trigger has a say."""
    create_due(owner, "s")
    owner.execute("""
        CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER act BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION act()""")
    holder.execute(HOLD.format(INDEXES[index]))
    reader.execute("SET statement_timeout = '300ms'")
    start = time.monotonic()
    assert outcome(one, reader, "SELECT session_get('s')") in (HELD, "57014")
    assert time.monotonic() - start < 3
    holder.execute("COMMIT")


def test_a_slide_takes_one_transaction_id_and_so_do_many(owner, reader):
    for sid in "abc":
        create(owner, sid)

    def taken(statement):
        """The fewest of some attempts, for others take one now and then."""

        def once():
            owner.execute("UPDATE session SET session_expiry = clock_timestamp() + interval '10 min'")
            before = one(owner, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            reader.execute(statement)
            return one(owner, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint") - before

        return min(once() for _ in range(5))

    owner.execute("CREATE TABLE business (n int); GRANT ALL ON business TO app")
    assert taken("SELECT session_get('a')") == 1
    assert taken("SELECT session_get('a'), session_get('b'), session_get('c')") == 1
    assert taken("BEGIN; INSERT INTO business VALUES (1); SELECT session_get('a'), session_get('b'); COMMIT") == 1
    assert has_slid(owner, "b")
