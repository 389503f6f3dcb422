"""Documents at each limit come back as they went in; beyond it the call is 54000 and the old data stays."""

import psycopg
import pytest
from conftest import APP, EXTENDED, one

MB = 1024 * 1024
OLD = '{"old": true}'


@pytest.fixture(scope="module")
def database(server):
    database = server.create_database(template=EXTENDED)
    yield database
    database.drop()


@pytest.fixture
def owner(database):
    """The limit on size is the owner's to set; it is at its end here."""
    with database.connect() as owner:
        owner.execute("SELECT session_put('s', %s)", (OLD,))
        owner.execute("SET session_store.max_size = '16MB'")
        yield owner


def comes_back(connection, document, arguments=()):
    """Whether a document, an SQL expression, is the same jsonb after it was stored, whole and key by key."""
    connection.execute("CREATE TEMP TABLE original AS SELECT %s::jsonb AS document" % document, arguments)
    connection.execute("SELECT session_put('s', document) FROM original")
    whole = one(connection, "SELECT session_get('s')::text = document::text FROM original")
    some = one(connection, """
        SELECT bool_and(session_get('s', key)::text = value::text)
        FROM original, (SELECT key, value FROM original, jsonb_each(document) LIMIT 10) entry""")
    connection.execute("DROP TABLE original")
    return whole and some is not False


def is_refused(connection, call, arguments=(), old=OLD):
    """Whether a call is 54000 and leaves the session as it was."""
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as refused:
        connection.execute(f"SELECT {call}", arguments)
    assert refused.value.diag.message_hint
    return one(connection, "SELECT session_get('s')::text") == old


def nested(levels, opening, closing):
    return opening * levels + closing * levels


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"k": ', "}")], ids=["arrays", "objects"])
@pytest.mark.parametrize("levels", [1, 118, 119, 120, 121, 127, 128, 129, 1000, 5000])
def test_the_session_itself_is_one_of_120_levels(owner, levels, opening, closing):
    value = nested(levels, opening, closing).replace(": }", ": 1}")
    document = f'{{"d": {value}}}'
    if levels < 120:
        assert comes_back(owner, "%s", [document])
        for call in ("session_set('s', 'd', %s)", "session_merge('s', jsonb_build_object('d', %s::jsonb))"):
            owner.execute("SELECT session_flush('s')")
            owner.execute(f"SELECT {call}", (value,))
            assert one(owner, "SELECT session_get('s', 'd')::text = %s::jsonb::text", value)
    else:
        assert is_refused(owner, "session_set('s', 'd', %s)", [value])
        for call in ("session_put('s', %s)", "session_release('s', %s)", "session_merge('s', %s)"):
            assert is_refused(owner, call, [document])
        assert is_refused(owner, "session_create(%s)", [document])


def test_the_largest_size_is_reached_and_not_passed(owner):
    """16 MB are five bytes of head for the text, three for the map and the key, and the text."""
    assert comes_back(owner, "jsonb_build_object('k', repeat('x', %s))", [16 * MB - 8])
    assert one(owner, "SELECT octet_length(session_data) FROM session") == 16 * MB
    assert one(owner, "SELECT session_put('s', %s) > 0", OLD)
    assert is_refused(owner, "session_put('s', jsonb_build_object('k', repeat('x', %s)))", [16 * MB - 7])
    assert is_refused(owner, "session_set('s', 'k', to_jsonb(repeat('x', %s)))", [16 * MB])
    assert is_refused(owner, "session_merge('s', jsonb_build_object('k', repeat('x', %s)))", [100 * MB])

    payload = "decode(repeat('07', %s), 'hex')"
    assert is_refused(owner, f"session_put_raw('s', {payload})", [16 * MB - 4])
    owner.execute(f"SELECT session_put_raw('s', {payload})", [16 * MB - 5])
    assert one(owner, f"SELECT payload = {payload} FROM session_load('s')", 16 * MB - 5)


def test_the_document_that_grows_most_on_reading_fits(owner):
    """A small integer is one byte here and twelve in jsonb: 16 MB of them are 192."""
    count = 16 * MB - 8
    stored = b"\xa1\x61k\x9a" + count.to_bytes(4, "big") + bytes(count)
    owner.execute("UPDATE session SET session_data = %s", (stored,))
    assert one(owner, "SELECT jsonb_array_length(session_get('s', 'k'))") == count
    assert one(owner, "SELECT session_release('s', session_get('s'), NULL, '2h') IS NOT NULL"), "the same again"
    assert one(owner, "SELECT session_delete('s', 'k')")


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_a_session_may_have_very_many_keys(owner, count):
    keys = "SELECT jsonb_object_agg('key' || n, n) FROM generate_series(1, %s) n"
    assert comes_back(owner, f"({keys})", [count])
    for key in (1, count // 2, count):
        assert one(owner, "SELECT session_get('s', 'key' || %s)", key) == key
    assert one(owner, "SELECT session_delete('s', 'key1')")
    owner.execute("SELECT session_set('s', 'key2', 'null')")
    half = "SELECT array_agg('key' || n) FROM generate_series(1, %s, 2) n"
    patch = "SELECT jsonb_object_agg('new' || n, true) FROM generate_series(1, 10000) n"
    owner.execute(f"SELECT session_merge('s', ({patch}), ({half}))", (count,))
    assert one(owner, "SELECT count(*) FROM jsonb_object_keys(session_get('s'))") == count // 2 + 10_000
    assert one(owner, "SELECT session_get('s', 'key2')::text") == "null"


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 65_535, 65_536, MB, 8 * MB - 20])
def test_a_key_has_any_length(owner, length):
    assert comes_back(owner, "jsonb_build_object(repeat('k', %s), 1, repeat('l', %s), 2)", [length, length])
    key = "repeat('k', %s)"
    owner.execute(f"SELECT session_set('s', {key}, '7')", (length,))
    assert one(owner, f"SELECT session_get('s', {key})", length) == 7
    assert one(owner, f"SELECT session_get('s', {key} || 'x')", length) is None
    assert one(owner, f"SELECT session_delete('s', {key})", length)
    assert one(owner, f"SELECT session_delete('s', {key})", length) is False


def test_a_key_beyond_the_size_is_refused(owner):
    assert is_refused(owner, "session_set('s', repeat('k', %s), '1')", [17 * MB])


NINES, AFTER = "9" * 131_072, "9" * 16_383


@pytest.mark.parametrize("number", [
    NINES, f"{NINES}.{AFTER}", f"0.{AFTER}", "1e131071", "1e-16383", f"0.{'0' * 16_383}", f"{NINES[1:]}e1",
], ids=lambda number: f"{number[:10]} of {len(number)}")  # fmt: skip
@pytest.mark.parametrize("sign", ["", "-"])
def test_numbers_reach_the_ends_of_numeric(owner, sign, number):
    document = "jsonb_build_object('n', %s::jsonb, 'l', jsonb_build_array(%s::jsonb))"
    assert comes_back(owner, document, [sign + number] * 2)


def test_a_short_document_of_huge_numbers_is_refused_before_it_takes_memory(owner):
    """1e131071 takes ten bytes in jsonb and 54 kB here, so this one would take five gigabytes."""
    numbers = "jsonb_agg('1e131071'::jsonb) FROM generate_series(1, 100000)"
    owner.execute(f"CREATE TEMP TABLE huge AS SELECT jsonb_build_object('n', (SELECT {numbers})) AS document")
    for call in ("session_put('s', document)", "session_merge('s', document)", "session_set('s', 'n', document)"):
        assert is_refused(owner, f"{call} FROM huge")
    with open(f"/proc/{owner.info.backend_pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 400 * 1024  # kB


def test_an_application_meets_the_same_limits(database, owner):
    client = database.connect(APP)
    assert is_refused(client, "session_set('s', 'k', to_jsonb(repeat('x', %s)))", [MB])
    assert is_refused(client, "session_put('s', %s)", [f'{{"d": {nested(120, "[", "]")}}}'])
