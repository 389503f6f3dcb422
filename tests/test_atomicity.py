"""Many connections at once: no write is lost, no race has two winners, nothing comes back from the dead."""

import threading

import psycopg
import pytest
from conftest import APP, THREADS, one
from psycopg import errors
from psycopg.types.json import Jsonb


@pytest.fixture
def at_once(database):
    """at_once(count, work) runs work(connection, number) on so many connections; results, or errors, in order."""
    connections = []

    def run(count, work):
        while len(connections) < count:
            connections.append(database.connect(APP))
        barrier = threading.Barrier(count)

        def begin(number):
            barrier.wait()
            try:
                return work(connections[number], number)
            except psycopg.Error as error:
                return error

        return list(THREADS.map(begin, range(count)))

    return run


def failures(results, kind=psycopg.Error):
    return [result for result in results if isinstance(result, kind)]


def test_32_connections_that_set_32_keys_of_one_session_lose_nothing(database, at_once):
    owner = database.connect()
    sid = one(owner, "SELECT session_create()")
    created = one(owner, "SELECT version FROM session")
    writes = 200

    def set_own_key(connection, number):
        set_key = "SELECT session_set(%s, %s, %s)"
        versions = [one(connection, set_key, sid, f"k{number}", Jsonb(i)) for i in range(writes)]
        assert versions == sorted(set(versions)), "each write has a version of its own"
        return versions

    results = at_once(32, set_own_key)
    assert not failures(results)
    assert one(owner, "SELECT session_get(%s)", sid) == {f"k{n}": writes - 1 for n in range(32)}
    assert sorted(sum(results, [])) == list(range(created + 1, created + 32 * writes + 1))


def test_set_merge_and_delete_on_one_session_lose_nothing(database, at_once):
    sid = one(database.connect(), "SELECT session_create()")

    def work(connection, number):
        for i in range(40):
            connection.execute("SELECT session_set(%s, %s, %s)", (sid, f"set{number}", Jsonb(i)))
            patch = Jsonb({f"merged{number}": i, f"deleted{number}": i})
            connection.execute("SELECT session_merge(%s, %s, %s)", (sid, patch, [f"set{number}"]))
            assert one(connection, "SELECT session_delete(%s, %s)", sid, f"deleted{number}") is True
            assert one(connection, "SELECT session_get(%s, %s)", sid, f"merged{number}") == i
            assert one(connection, "SELECT session_get(%s, %s)", sid, f"set{number}") is None

    assert not failures(at_once(16, work))
    assert one(database.connect(), "SELECT session_get(%s)", sid) == {f"merged{n}": 39 for n in range(16)}


def test_a_counter_kept_by_whole_saves_at_a_version_loses_no_step(database, at_once):
    sid = one(database.connect(), """SELECT session_create('{"n": 0}')""")

    def count(connection, _):
        for _ in range(40):
            saved = None
            while saved is None:
                load = "SELECT data, version FROM session_load(%s)"
                data, version = connection.execute(load, (sid,)).fetchone()
                data["n"] += 1
                saved = one(connection, "SELECT session_release(%s, %s, %s)", sid, Jsonb(data), version)

    assert not failures(at_once(8, count))
    assert one(database.connect(), "SELECT session_get(%s, 'n')", sid) == 8 * 40


def test_no_late_save_resurrects_a_destroyed_session(database, at_once):
    owner = database.connect()
    calls = [
        "SELECT session_destroy(%s)",
        """SELECT session_release(%s, '{"late": true}')""",
        """SELECT session_set(%s, 'late', 'true')""",
        "SELECT session_flush(%s)",
        "SELECT session_touch(%s, '2 hours')",
        "SELECT session_get(%s)",
        "SELECT session_destroy(%s)",
    ]
    for _ in range(30):
        sid = one(owner, "SELECT session_create()")
        results = at_once(len(calls), lambda connection, number, sid=sid: one(connection, calls[number], sid))
        assert failures(results) == failures(results, errors.NoDataFound)
        assert {results[0], results[-1]} == {True, False}, "one of two destroys finds it"
        assert one(owner, "SELECT count(*) FROM session") == 0


@pytest.mark.direct
def test_a_read_whose_commit_comes_after_the_destroy_resurrects_nothing(database):
    owner, reader = database.connect(), database.connect(APP)
    sid = one(owner, "SELECT session_create()")
    owner.execute("UPDATE session SET session_expiry = now() + interval '10 min'")
    reader.execute("BEGIN")
    assert one(reader, "SELECT session_get(%s)", sid) == {}
    assert one(owner, "SELECT session_destroy(%s)", sid) is True
    reader.execute("COMMIT")
    assert one(owner, "SELECT count(*) FROM session") == 0


def test_of_many_that_create_one_id_exactly_one_wins(at_once):
    for n in range(20):
        results = at_once(8, lambda connection, _, n=n: one(connection, "SELECT session_create('{}', %s)", f"id{n}"))
        assert results.count(f"id{n}") == 1
        assert len(failures(results, errors.UniqueViolation)) == 7


def test_of_many_that_create_an_expired_id_exactly_one_wins(database, at_once):
    owner = database.connect()
    for n in range(20):
        owner.execute("""SELECT session_create('{"old": 1}', %s)""", (f"id{n}",))
        owner.execute("UPDATE session SET session_expiry = now() - interval '1 s'")
        results = at_once(8, lambda connection, _, n=n: one(connection, "SELECT session_create('{}', %s)", f"id{n}"))
        assert results.count(f"id{n}") == 1
        assert len(failures(results, errors.UniqueViolation)) == 7
        assert one(owner, "SELECT session_get(%s)", f"id{n}") == {}


def test_many_that_read_an_unknown_id_get_one_session_and_no_error(database, at_once):
    for n in range(20):
        results = at_once(8, lambda connection, _, n=n: one(connection, "SELECT session_read(%s)", f"id{n}"))
        assert results == [{}] * 8
    assert one(database.connect(), "SELECT count(*) FROM session") == 20


def test_many_that_start_with_one_live_id_share_the_session(database, at_once):
    sid = one(database.connect(), "SELECT session_create()")
    start = "SELECT sid, is_new FROM session_start(%s)"
    results = at_once(8, lambda connection, _: connection.execute(start, (sid,)).fetchone())
    assert results == [(sid, False)] * 8


def test_many_that_start_with_one_unknown_id_share_nothing(at_once):
    start = "SELECT sid, is_new FROM session_start('made-up')"
    results = at_once(8, lambda connection, _: connection.execute(start).fetchone())
    assert all(is_new for _, is_new in results)
    assert len({sid for sid, _ in results} - {"made-up"}) == 8


@pytest.mark.parametrize("strict", [True, False])
def test_of_many_that_regenerate_one_session_exactly_one_carries_it_on(database, at_once, strict):
    owner = database.connect()

    def regenerate(connection, _):
        connection.execute("SELECT set_config('session_store.strict', %s, false)", (str(strict),))
        return one(connection, "SELECT session_regenerate(%s)", sid)

    for _ in range(20):
        owner.execute("DELETE FROM session")
        sid = one(owner, """SELECT session_create('{"cart": 1}')""")
        results = at_once(8, regenerate)
        lost = failures(results)
        assert len(lost) == (7 if strict else 0)
        assert failures(lost, errors.NoDataFound) == lost
        contents = [one(owner, "SELECT session_get(%s)", new) for new in results if new not in lost]
        assert sorted(contents, key=len) == [{}] * (7 - len(lost)) + [{"cart": 1}]
        assert one(owner, "SELECT session_exist(%s)", sid) is False


def test_of_many_sessions_that_move_to_one_id_exactly_one_arrives_and_the_others_stay(database, at_once):
    owner = database.connect()
    for _ in range(20):
        owner.execute("DELETE FROM session")
        for n in range(8):
            owner.execute("SELECT session_create(%s, %s)", (Jsonb({"n": n}), f"old{n}"))
        results = at_once(8, lambda connection, n: one(connection, "SELECT session_regenerate(%s, 'new')", f"old{n}"))
        assert results.count("new") == 1
        assert len(failures(results, errors.UniqueViolation)) == 7
        winner = results.index("new")
        assert one(owner, "SELECT session_get('new')") == {"n": winner}
        for n in range(8):
            assert one(owner, "SELECT session_get(%s)", f"old{n}") == (None if n == winner else {"n": n})


def test_collecting_and_writing_at_once_disturb_nobody(database, at_once):
    owner = database.connect()
    owner.execute("GRANT EXECUTE ON FUNCTION session_gc(bigint) TO app")
    owner.execute("SELECT session_create() FROM generate_series(1, 500)")
    owner.execute("UPDATE session SET session_expiry = now()")
    owner.execute("SELECT session_create('{}', 'live' || n) FROM generate_series(1, 20) n")

    def work(connection, number):
        if number < 4:
            return sum(one(connection, "SELECT session_gc(50)") for _ in range(10))
        for i in range(50):
            connection.execute("SELECT session_set(%s, 'n', %s)", (f"live{i % 20 + 1}", Jsonb(i)))
        return 0

    results = at_once(8, work)
    assert not failures(results)
    assert sum(results) + one(owner, "SELECT session_gc()") == 500
    assert one(owner, "SELECT session_all()") == 20
