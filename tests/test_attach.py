"""Whom session_attach names is whom the transaction is for: to its end, or to that of the savepoint that is undone."""

import random

import pytest
from attaching import ADA, EVE, IN_WORKERS, NOBODY, attach, begin, create_notes, fill, force_parallel, seen
from calls import create_due, has_slid
from conftest import APP, expires_in, is_past, one, wait_until
from psycopg.types.json import Jsonb
from sweeping import extend

levels = pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])


@pytest.fixture
def owner(database):
    owner = database.connect()
    fill(owner)
    return owner


# What attaching does


@pytest.mark.parametrize("sid", ["unknown", "cart", "expired", "ended", "", None, "x" * 300, "é", "ada "])
def test_a_session_of_nobody_replaces_whoever_was_attached(owner, client, sid):
    owner.execute("SELECT session_login(NULL, 'ada', sid => s) FROM unnest('{expired,ended}'::text[]) AS s")
    owner.execute("SELECT session_destroy('ended')")
    expires_in(owner, "expired", "-1 s")
    begin(client, "ada")
    assert attach(client, sid) is None
    assert seen(client) == NOBODY


def test_login_and_bind_attach_nobody(owner):
    owner.execute("BEGIN; SELECT session_login('ada', 'ada', sid => 'new'), session_bind('cart', 'eve')")
    assert seen(owner) == NOBODY
    assert attach(owner, "new") == "ada"
    owner.execute("SELECT session_bind('new', 'eve'), session_login('cart', 'bob')")
    assert seen(owner) == ("ada", None)
    assert attach(owner, "new") == "eve"
    assert seen(owner) == EVE


@pytest.mark.parametrize("end", ["session_destroy('ada')", "session_revoke_all('ada')", "session_bind('ada', 'eve')"])
def test_a_session_that_ends_meanwhile_stays_attached_to_the_end_of_the_transaction(owner, client, end):
    begin(client, "ada")
    owner.execute(f"SELECT {end}")
    assert seen(client) == ADA
    client.execute("COMMIT; BEGIN")
    assert attach(client, "ada") == ("eve" if "bind" in end else None)


def test_one_that_expires_in_a_transaction_can_be_attached_no_more(owner, client):
    expires_in(owner, "ada", "300 ms")
    begin(client, "unknown")
    wait_until(lambda: is_past(owner, "ada"))
    assert attach(client, "ada") is None
    assert seen(client) == NOBODY


@levels
def test_in_a_read_only_transaction_it_works_and_keeps_nothing_alive(owner, client, level):
    sid = create_due(owner, "due")
    owner.execute("SELECT session_bind('due', 'ada')")
    expires_in(owner, sid, "10 min")
    for mode, slides in ("READ ONLY", False), ("READ WRITE", True):
        client.execute(f"BEGIN ISOLATION LEVEL {level} {mode}")
        assert attach(client, sid) == "ada"
        assert seen(client) == ("ada", None)
        client.execute("COMMIT")
        assert has_slid(owner, sid) == slides


@levels
def test_it_is_the_session_of_the_transactions_snapshot(owner, client, level):
    begin(client, "unknown", level)
    owner.execute("SELECT session_login('ada', 'eve', sid => 'moved')")
    is_old = level != "READ COMMITTED"
    assert attach(client, "ada") == ("ada" if is_old else None)
    assert seen(client) == (ADA if is_old else NOBODY)
    assert attach(client, "moved") == (None if is_old else "eve")


def lone(client):
    attach(client, "ada")


def lone_by_name(client):
    client.execute("SELECT session_attach(%s) AS whom", ("ada",), prepare=True)


def lone_as_a_table(client):
    client.execute("SELECT * FROM session_attach('unknown')")


def in_a_block(client):
    begin(client, "ada")
    client.execute("COMMIT")


def in_a_savepoint(client):
    client.execute("BEGIN; SAVEPOINT s; SELECT session_attach('ada'); COMMIT")


def in_a_message_with_others(client):
    client.execute("SELECT session_attach('ada'); SELECT session_principal()")


def in_a_pipeline(client):
    with client.pipeline():
        client.execute("SELECT session_attach('ada')")
        found = client.execute("SELECT session_principal()")
        assert found.fetchone()[0] == "ada"


def in_a_function(client):
    client.execute("DO $$ BEGIN PERFORM session_attach('ada'); END $$")


def in_a_query(client):
    query = "WITH a AS MATERIALIZED (SELECT session_attach('ada')) SELECT session_principal() FROM a"
    assert one(client, query) == "ada"


@pytest.mark.parametrize("way", [
    lone, lone_by_name, lone_as_a_table, in_a_block, in_a_savepoint, in_a_message_with_others, in_a_pipeline,
    in_a_function, in_a_query,
])  # fmt: skip
def test_it_warns_where_nothing_can_follow_in_the_transaction_and_only_there(client, way):
    warnings = []
    client.add_notice_handler(lambda diagnostic: warnings.append((diagnostic.severity, diagnostic.sqlstate)))
    way(client)
    assert warnings == ([("WARNING", "25P01")] if "lone" in way.__name__ else [])
    assert seen(client) == NOBODY


ODD = [
    "'; DROP TABLE session; --", '"', "\\", "line\nline", "\ttab\r", "3:eve", "3:eve7b7d", "0:", ":", "0", " ",
    "é" * 128, "x" * 256, "\U0001f9c2", "\x01", "%s %d", "ＡＤＡ", "a\u0301",
]  # fmt: skip


@pytest.mark.parametrize("attributes", [None, {}, {"é\n'\"": ["\\", None, 1.50, {}]}, {"k": "x" * 7800}])
def test_odd_names_and_attributes_come_back_as_they_are(database, owner, attributes):
    client = database.connect(APP, options=IN_WORKERS)
    jsonb = None if attributes is None else Jsonb(attributes)
    for number, principal in enumerate(ODD):
        owner.execute("SELECT session_login(NULL, %s, %s, %s)", (principal, jsonb, f"odd{number}"))
        client.execute("BEGIN")
        assert attach(client, f"odd{number}") == principal
        assert seen(client) == (principal, attributes)
        force_parallel(client)
        assert seen(client) == (principal, attributes)
        client.execute("COMMIT")


# Blocks, savepoints, transactions


def test_a_rolled_back_savepoint_takes_it_along_and_a_released_one_does_not(client):
    begin(client, "ada")
    for end, expected in ("ROLLBACK TO s", ADA), ("RELEASE s", EVE):
        client.execute("SAVEPOINT s")
        assert attach(client, "unknown") is None
        client.execute("SAVEPOINT t")
        assert attach(client, "eve") == "eve"
        client.execute(f"RELEASE t; {end}")
        assert seen(client) == expected
    client.execute("ROLLBACK")
    assert seen(client) == NOBODY


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_chained_transaction_begins_as_nobodys(client, end):
    begin(client, "ada")
    client.execute(f"{end} AND CHAIN")
    assert seen(client) == NOBODY


def test_many_savepoints_each_give_back_what_was_before(client):
    begin(client, "ada")
    expected = [ADA]
    for level in range(50):
        client.execute(f"SAVEPOINT s{level}")
        attach(client, random.choice(["ada", "eve", "unknown"]))
        expected.append(seen(client))
    for level in reversed(range(50)):
        assert seen(client) == expected.pop()
        client.execute(f"ROLLBACK TO s{level}; RELEASE s{level}")
    assert seen(client) == ADA


def test_a_caught_exception_undoes_it(client):
    begin(client, "ada")
    client.execute("""
        DO $$ BEGIN
            BEGIN
                PERFORM session_attach('eve');
                ASSERT session_principal() = 'eve';
                RAISE 'failed';
            EXCEPTION WHEN raise_exception THEN
                ASSERT session_principal() = 'ada';
            END;
            BEGIN
                PERFORM session_attach('unknown');
                PERFORM 1 / 0;
            EXCEPTION WHEN division_by_zero THEN NULL;
            END;
        END $$""")
    assert seen(client) == ADA


def test_a_block_that_catches_nothing_keeps_it(client):
    begin(client, "ada")
    client.execute("DO $$ BEGIN PERFORM session_attach('eve'); EXCEPTION WHEN OTHERS THEN NULL; END $$")
    assert seen(client) == EVE


def test_it_ends_with_each_transaction_of_a_block_of_code(client):
    client.execute("""
        DO $$ BEGIN
            FOR n IN 1..3 LOOP
                ASSERT session_principal() IS NULL;
                PERFORM session_attach('ada');
                ASSERT session_principal() = 'ada' AND session_attributes() = '{"role": "admin"}';
                COMMIT;
                ASSERT session_principal() IS NULL AND session_attributes() IS NULL;
                PERFORM session_attach('eve');
                ASSERT session_principal() = 'eve';
                ROLLBACK;
            END LOOP;
            PERFORM session_attach('eve');
        END $$""")
    assert seen(client) == NOBODY


def test_what_a_procedure_was_called_with_stays_after_its_commit(owner, client):
    """Its arguments are handed over as they are, and the transaction of which they are is over."""
    owner.execute("""
        CREATE PROCEDURE go_on(whom text, what jsonb, INOUT after text) LANGUAGE plpgsql AS $$ BEGIN
            COMMIT;
            PERFORM session_attach('eve');
            COMMIT;
            PERFORM session_attach('bob');
            after := whom || what;
        END $$;
        SELECT session_login(NULL, 'bob', '{"role": "owner"}', 'bob');
        CREATE PROCEDURE begin_as(INOUT after text) LANGUAGE plpgsql AS $$ BEGIN
            PERFORM session_attach('ada');
            CALL go_on(session_principal(), session_attributes(), after);
        END $$""")
    assert one(client, "CALL begin_as(NULL)") == 'ada{"role": "admin"}'


def test_a_cursor_that_is_held_keeps_what_it_found(owner, client):
    create_notes(owner, "text", "session_principal()")
    begin(client, "ada")
    client.execute("DECLARE c CURSOR WITH HOLD FOR SELECT session_principal(), session_attributes(), owner FROM note")
    assert client.execute("FETCH c").fetchone() == (*ADA, "ada")
    client.execute("COMMIT")
    assert seen(client) == NOBODY
    client.execute("BEGIN")
    attach(client, "eve")
    assert client.execute("FETCH ALL FROM c").fetchall() == [(*ADA, "ada")] * 999
    assert seen(client) == EVE


def test_a_prepared_transaction_takes_it_out_of_the_connection(new_server):
    database, owner = extend(new_server(max_prepared_transactions=2))
    fill(owner)
    client, other = database.connect(APP), database.connect(APP)
    begin(client, "ada")
    client.execute("PREPARE TRANSACTION 'p'")
    assert seen(client) == NOBODY
    for connection in client, other:
        connection.execute("BEGIN")
        assert seen(connection) == NOBODY
        assert attach(connection, "eve") == "eve"
        connection.execute("COMMIT")
    for connection in client, other:
        connection.execute("BEGIN")
        assert seen(connection) == NOBODY
        connection.execute("COMMIT")
    other.execute("COMMIT PREPARED 'p'")
    other.execute("BEGIN")
    assert seen(other) == NOBODY


def test_a_function_with_settings_of_its_own_attaches_to_the_end_of_the_transaction(owner, client):
    owner.execute("""
        CREATE FUNCTION hook(sid text) RETURNS text LANGUAGE plpgsql SET work_mem = '1MB' SET search_path = public
            AS 'BEGIN RETURN session_attach(sid); END';
        CREATE FUNCTION outer_hook(sid text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET geqo = off AS $$
        DECLARE whom text;
        BEGIN
            PERFORM hook('unknown');
            ASSERT session_principal() IS NULL;
            BEGIN
                PERFORM hook('eve');
                RAISE 'undone';
            EXCEPTION WHEN OTHERS THEN ASSERT session_principal() IS NULL;
            END;
            BEGIN
                whom := hook(sid);
            EXCEPTION WHEN division_by_zero THEN NULL;
            END;
            ASSERT session_principal() = whom;
            RETURN whom;
        END $$""")
    for call in "hook", "outer_hook":
        client.execute("BEGIN")
        attach(client, "eve")
        client.execute("SAVEPOINT s")
        assert one(client, f"SELECT {call}('ada')") == "ada"
        assert seen(client) == ADA
        client.execute("ROLLBACK TO s")
        assert seen(client) == EVE
        assert one(client, f"SELECT {call}('ada')") == "ada"
        client.execute("SAVEPOINT s; RELEASE s")
        assert seen(client) == ADA
        client.execute("COMMIT")
        assert seen(client) == NOBODY
