"""Policies that ask whom the transaction is for: in kept plans, in parallel workers, behind a connection pool."""

import random

import psycopg
import pytest
from attaching import ADA, IN_WORKERS, attach, begin, count_in_workers, create_notes, fill, seen
from calls import outcome
from conftest import APP, THREADS, Pooler, one
from psycopg import errors


@pytest.fixture
def owner(database):
    owner = database.connect()
    fill(owner)
    return owner


def test_a_row_of_another_is_neither_seen_nor_written(owner, client):
    create_notes(owner, "text", "session_principal()")
    for sid, name in ("ada", "ada"), ("eve", "eve"), ("cart", None), ("unknown", None):
        client.execute("BEGIN")
        attach(client, sid)
        assert [owner for (owner,) in client.execute("SELECT DISTINCT owner FROM note")] == ([name] if name else [])
        others = "UPDATE note SET body = 'taken' WHERE owner = 'bob'", "DELETE FROM note WHERE owner = 'bob'"
        assert [client.execute(statement).rowcount for statement in others] == [0, 0]
        assert client.execute("UPDATE note SET body = 'mine'").rowcount == (1000 if name else 0)
        client.execute("SAVEPOINT s")
        inserted = outcome(client.execute, "INSERT INTO note (body) VALUES ('new')")
        assert isinstance(inserted, str) != bool(name)  # nobody's is refused
        client.execute("ROLLBACK TO s")
        forbidden = ["INSERT INTO note (owner, body) VALUES ('bob', 'forged')"]
        forbidden += ["UPDATE note SET owner = 'bob'"] if name else []
        for statement in forbidden:
            client.execute("SAVEPOINT s")
            with pytest.raises(errors.InsufficientPrivilege):
                client.execute(statement)
            client.execute("ROLLBACK TO s")
        client.execute("ROLLBACK")
    assert one(client, "SELECT count(*) FROM note") == 0


def test_a_prepared_query_and_its_kept_plan_ask_anew_each_time(owner, client):
    create_notes(owner, "text", "(SELECT session_principal())")
    client.execute("SET plan_cache_mode = force_generic_plan; PREPARE mine AS SELECT min(owner), count(*) FROM note")
    for sid in ["ada", "eve", "unknown", "ada"] * 3:
        client.execute("BEGIN")
        expected = attach(client, sid)
        assert client.execute("EXECUTE mine").fetchone() == (expected, 1000 if expected else 0)
        client.execute("COMMIT")


def test_a_function_of_the_same_name_is_not_the_one_of_the_policy(owner, client):
    create_notes(owner, "text", "session_principal()")
    owner.execute(f"CREATE SCHEMA own AUTHORIZATION {APP}")
    client.execute("CREATE FUNCTION own.session_principal() RETURNS text RETURN 'eve'; SET search_path = own, public")
    assert one(client, "SELECT session_principal()") == "eve"
    assert one(client, "SELECT count(*) FROM note") == 0


UUIDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(3)]


@pytest.mark.parametrize(
    ("type", "names"), [("text", ["ada", "eve", "bob"]), ("uuid", UUIDS), ("bigint", ["9007199254740993", "-1", "2"])]
)
@pytest.mark.parametrize("form", ["session_principal()", "(SELECT session_principal())"])
def test_a_policy_can_compare_it_as_any_type_and_uses_the_index(owner, client, type, names, form):
    create_notes(owner, type, f"{form}::{type}", names)
    owner.execute("CREATE INDEX ON note (owner); ANALYZE note")
    for name in names:
        sid = one(owner, "SELECT session_login(NULL, %s)", name)
        client.execute("BEGIN")
        assert attach(client, sid) == name
        found = client.execute("SELECT min(owner::text), max(owner::text), count(*) FROM note")
        assert found.fetchone() == (name, name, 1000)
        plan = str(client.execute("EXPLAIN SELECT * FROM note").fetchall())
        assert "Index Cond: (owner = " in plan and "note_owner_idx" in plan
        client.execute("INSERT INTO note (body) VALUES ('new'); COMMIT")
        assert one(client, "SELECT count(*) FROM note") == 0
    assert one(owner, "SELECT count(*) FROM note WHERE body = 'new'") == 3


def test_who_is_not_of_the_policys_type_sees_nothing(owner, client):
    create_notes(owner, "uuid", "(SELECT session_principal())::uuid", UUIDS)
    begin(client, "ada")
    with pytest.raises(errors.InvalidTextRepresentation):
        client.execute("SELECT * FROM note")


def test_attributes_serve_policies_too(owner, client):
    create_notes(owner, "text", "session_principal()")
    owner.execute("CREATE POLICY admin ON note FOR SELECT USING (session_attributes() ->> 'role' = 'admin')")
    for sid, rows in ("ada", 3000), ("eve", 1000), ("cart", 0):
        client.execute("BEGIN")
        attach(client, sid)
        assert one(client, "SELECT count(*) FROM note") == rows
        client.execute("COMMIT")


@pytest.mark.parametrize("form", ["session_principal()", "(SELECT session_principal())"])
def test_parallel_workers_see_whom_their_leader_carries(database, owner, form):
    create_notes(owner, "text", form)
    client = database.connect(APP, options=IN_WORKERS)
    for sid in ["ada", "unknown", "eve", "cart"] * 2:
        client.execute("BEGIN")
        whom = attach(client, sid)
        assert count_in_workers(client) == (1000 if whom else 0)
        client.execute("SAVEPOINT s")
        attach(client, "eve")
        assert count_in_workers(client) == 1000
        client.execute("ROLLBACK TO s")
        assert count_in_workers(client) == (1000 if whom else 0)
        assert one(client, "SELECT min(owner) FROM note") == whom
        client.execute("COMMIT")


def test_a_worker_cannot_attach_even_where_a_function_lies_about_it(database, owner):
    create_notes(owner, "text", "session_principal()")
    owner.execute("""
        CREATE FUNCTION become(sid text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE
            AS 'BEGIN RETURN session_attach(sid); END'""")
    client = database.connect(APP, options=IN_WORKERS)
    begin(client, "ada")
    client.execute("SAVEPOINT s")
    with pytest.raises(errors.InvalidTransactionState):
        client.execute("SELECT * FROM note WHERE become('eve') = 'eve'")
    client.execute("ROLLBACK TO s")
    assert seen(client) == ADA
    assert count_in_workers(client) == 1000


# Behind a connection pool


@pytest.fixture
def pool(server, database):
    """One connection to the server for all clients: the arguments of a connection to PgBouncer."""
    pooler = Pooler(server, database.name, connections=1)
    try:
        yield pooler.address() | {"prepare_threshold": None}
    finally:
        pooler.stop()


def last(client, *statements):
    """The value of the last of some statements, sent at once."""
    cursor = client.execute("; ".join(statements))
    while cursor.nextset():
        pass
    return cursor.fetchone()[0]


def request(client, rng, sid, principal):
    """One transaction of a client with a session of its own, which begins with whatever the one before has left."""
    assert last(client, "BEGIN", "SELECT session_principal()") is None
    kind = rng.random()
    if kind < 0.2:  # it needs nobody
        assert one(client, "SELECT count(*) FROM note") == 0
    elif kind < 0.3:  # its cookie is of no session
        assert last(client, f"SELECT session_attach('{sid} unknown')", "SELECT session_principal()") is None
    else:
        assert last(client, f"SELECT session_attach('{sid}')", "SELECT session_principal()") == principal
        assert one(client, "SELECT session_attributes()") == {"of": principal}
    if kind > 0.9:
        with pytest.raises(errors.DivisionByZero):
            client.execute("SELECT 1 / 0")
    elif kind > 0.8:
        assert one(client, "SELECT min(owner) || count(*) FROM note") == f"{principal}1000"
    client.execute("ROLLBACK" if kind > 0.7 else "COMMIT")


@pytest.mark.timeout(900)  # a slow server takes minutes
def test_behind_pgbouncer_nothing_leaks_from_one_client_to_the_next(owner, pool):
    create_notes(owner, "text", "(SELECT session_principal())")
    owner.execute("""SELECT session_login(NULL, name, jsonb_build_object('of', name), 'p ' || name)
                     FROM unnest('{ada,eve}'::text[]) AS name""")
    backends = set()

    def work(principal):
        rng = random.Random(principal)
        with psycopg.connect(**pool, autocommit=True) as client:
            for _ in range(5000):
                request(client, rng, f"p {principal}", principal)
                if rng.random() < 0.02:  # a statement of its own, which is all of its transaction
                    assert attach(client, f"p {principal}") == principal
                    backends.add(one(client, "SELECT pg_backend_pid()"))

    for client in [THREADS.submit(work, principal) for principal in ("ada", "eve")]:
        client.result(timeout=840)
    assert len(backends) == 1
