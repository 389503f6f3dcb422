"""The functions go on working whatever the owner makes of the table and its index, under connections that used them."""

import pytest

from conftest import APP, one

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
