"""The life of a login through each driver and protocol, and each way to send and receive values."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
import pytest
from conftest import APP, one
from psycopg.types.json import Jsonb

DEADLINE = datetime(2100, 1, 2, 3, 4, 5, 678901, UTC)
CART = {"items": ["book", 1.5, None, "é😀"], "": {}}


def login_life(call):
    """A visitor with a cart logs in, is remembered, and logs out. call(query, *arguments) gives the first row."""
    sid, data, version, is_new = call("SELECT sid, data, version, is_new FROM session_start($1::text)", None)
    assert (data, is_new) == ({}, True)
    assert call("SELECT session_set($1, $2, $3::jsonb)", sid, "cart", CART) == (version + 1,)
    assert call("SELECT sid, data, version, is_new FROM session_start($1)", sid) == (sid, {"cart": CART}, version + 1, False)

    (new,) = call("SELECT session_regenerate($1)", sid)
    assert call("SELECT session_exist($1), session_get($1)", sid) == (False, None)
    merge = "SELECT session_merge($1, $2::jsonb, $3::text[])"
    assert call(merge, new, {"user": 7}, ["cart"]) == (version + 2,)
    assert call("SELECT session_get($1), session_get($1, $2)", new, "user") == ({"user": 7}, 7)

    touch = "SELECT session_touch($1, $2::interval, $3::timestamptz)"
    (expiry,) = call(touch, new, timedelta(days=14), DEADLINE)
    query = "SELECT expires_at, lifetime, deadline, payload FROM session_load($1)"
    assert call(query, new) == (expiry, timedelta(days=14), DEADLINE, None)

    assert call("SELECT session_release($1, $2::jsonb, $3)", new, {"a": "b"}, version) == (None,)
    assert call("SELECT session_release($1, $2::jsonb, $3)", new, {"a": "b"}, version + 2) == (version + 3,)
    assert call("SELECT session_save($1, $2::json, $3)", new, CART, version + 3) == (version + 4,)
    assert call("SELECT session_patch($1, $2::json, $3)", new, {"user": 8}, ["items"]) == (version + 5,)
    assert call("SELECT * FROM session_fetch($1)", new) == ({"": {}, "user": 8}, None, version + 5)
    payload = bytes(range(256)) * 20
    assert call("SELECT session_put_raw($1, $2::bytea)", new, payload) == (version + 6,)
    data, stored = call("SELECT data, payload FROM session_load($1)", new)
    assert (data, bytes(stored)) == (None, payload)
    assert call("SELECT session_destroy($1), session_destroy($1)", new) == (True, False)


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("cursor", [psycopg.ClientCursor, psycopg.RawCursor, "prepared"])
def test_psycopg(database, cursor, binary, autocommit):
    prepare = cursor == "prepared"
    factory = psycopg.RawCursor if prepare else cursor
    connection = database.connect(APP, autocommit=autocommit, cursor_factory=factory)

    def call(query, *arguments):
        arguments = [Jsonb(value) if isinstance(value, dict) else value for value in arguments]
        if factory is psycopg.ClientCursor:
            for n in range(len(arguments), 0, -1):
                query = query.replace(f"${n}", f"%({n})s")
            arguments = {str(n): value for n, value in enumerate(arguments, 1)}
        cursor = connection.cursor(binary=binary and factory is not psycopg.ClientCursor)
        return cursor.execute(query, arguments, prepare=prepare).fetchone()

    for _ in range(3):
        login_life(call)
    connection.commit()


@pytest.mark.parametrize("autocommit", [True, False])
def test_psycopg2_which_interpolates(database, autocommit):
    connection = psycopg2.connect(**database.address(APP))
    connection.autocommit = autocommit
    psycopg2.extras.register_default_jsonb(connection)

    def call(query, *arguments):
        arguments = [psycopg2.extras.Json(value) if isinstance(value, dict) else value for value in arguments]
        for n in range(len(arguments), 0, -1):
            query = query.replace(f"${n}", f"%({n})s")
        with connection.cursor() as cursor:
            cursor.execute(query, {str(n): value for n, value in enumerate(arguments, 1)})
            return cursor.fetchone()

    login_life(call)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("cache", [0, 100])
def test_asyncpg_with_binary_values_and_prepared_statements(database, cache):
    async def life():
        connection = await asyncpg.connect(database.uri(APP), statement_cache_size=cache)
        for kind in "json", "jsonb":
            await connection.set_type_codec(kind, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        loop = asyncio.get_running_loop()

        def call(query, *arguments):
            row = asyncio.run_coroutine_threadsafe(connection.fetchrow(query, *arguments), loop).result()
            return row and tuple(row)

        await asyncio.to_thread(login_life, call)
        await connection.close()

    asyncio.run(life())


def test_asyncpg_with_binary_jsonb(database):
    async def life():
        connection = await asyncpg.connect(database.uri(APP))
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            format="binary",
            encoder=lambda value: b"\1" + json.dumps(value).encode(),
            decoder=lambda received: json.loads(received[1:]),
        )
        sid = await connection.fetchval("SELECT session_create($1)", CART)
        assert await connection.fetchval("SELECT session_get($1)", sid) == CART
        await connection.close()

    asyncio.run(life())


def test_a_pipeline_runs_dependent_calls_in_order(database):
    connection = database.connect(APP)
    with connection.pipeline():
        connection.execute("SELECT session_create('{}', 's')")
        for n in range(100):
            connection.execute("SELECT session_set('s', %s, %s)", (str(n), Jsonb(n)))
        everything = connection.execute("SELECT session_get('s')")
        destroyed = connection.execute("SELECT session_destroy('s')")
        gone = connection.execute("SELECT session_get('s')")
        assert everything.fetchone() == ({str(n): n for n in range(100)},)
        assert (destroyed.fetchone(), gone.fetchone()) == ((True,), (None,))


def test_an_error_in_a_pipeline_leaves_the_connection_usable(database):
    connection = database.connect(APP)
    with pytest.raises(psycopg.errors.NoDataFound), connection.pipeline():
        connection.execute("SELECT session_create('{}', 's')")
        connection.execute("SELECT session_set('unknown', 'a', '1')")
        connection.execute("SELECT session_create('{}', 't')")
    assert one(connection, "SELECT session_exist('t')") is False


@pytest.mark.parametrize("hold", [True, False])
def test_a_server_side_cursor_fetches_calls_piece_by_piece(database, hold):
    connection = database.connect(APP, autocommit=False)
    connection.execute("SELECT session_create(jsonb_build_object('n', n), 's' || n) FROM generate_series(1, 500) n")
    connection.commit()
    query = "SELECT session_get('s' || n, 'n') FROM generate_series(1, 500) n"
    with connection.cursor("c", withhold=hold) as cursor:
        cursor.itersize = 7
        cursor.execute(query)
        if hold:
            connection.commit()
        assert [n for (n,) in cursor] == list(range(1, 501))
    connection.commit()
    assert one(connection, "SELECT session_exist('s1')")


def test_copy_and_prepare_by_name_work(database):
    connection = database.connect(APP)
    connection.execute("SELECT session_create('{}', 's')")
    connection.execute("PREPARE set (text, jsonb) AS SELECT session_set('s', $1, $2)")
    for n in range(10):
        connection.execute(f"EXECUTE set('k{n}', '{n}')")
    with connection.cursor().copy("COPY (SELECT session_get('s')) TO STDOUT") as copy:
        assert json.loads(bytes(copy.read())) == {f"k{n}": n for n in range(10)}
