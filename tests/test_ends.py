"""Session ids of every form, and lifetimes, deadlines and settings at their ends."""

from datetime import timedelta

import psycopg
import pytest
from conftest import APP, EXTENDED, one, wait_until

LONGEST = 2_145_916_800  # 68 years of 365.25 days, in seconds

# Each call that takes an id, with what it returns where it is not NULL.
BY_ID = [
    "session_create('{}', %(sid)s) IS NOT NULL", "session_exist(%(sid)s)", "session_get(%(sid)s) IS NOT NULL",
    "session_read(%(sid)s) IS NOT NULL", "session_get(%(sid)s, 'k') IS NULL", "session_set(%(sid)s, 'k', '1') > 0",
    "session_merge(%(sid)s, '{}') > 0", "session_delete(%(sid)s, 'k')", "session_flush(%(sid)s) > 0",
    "session_touch(%(sid)s) > now()", "session_release(%(sid)s, '{}') > 0", "session_put(%(sid)s, '{}') > 0",
    "session_release_raw(%(sid)s, '') > 0", "session_put_raw(%(sid)s, '') > 0", "(session_load(%(sid)s)).version > 0",
    "session_destroy(%(sid)s)", "session_create_raw('', %(sid)s) IS NOT NULL",
    "session_regenerate(%(sid)s, 'another') IS NOT NULL", "session_regenerate('another', %(sid)s) = %(sid)s",
    "session_destroy(%(sid)s)",
]  # fmt: skip


@pytest.fixture(scope="module")
def database(server):
    database = server.create_database(template=EXTENDED)
    yield database
    database.drop()


@pytest.fixture
def client(database):
    with database.connect(APP) as client:
        yield client


@pytest.fixture
def owner(database):
    with database.connect() as owner:
        yield owner


def sqlstate(connection, call, **arguments):
    try:
        connection.execute(f"SELECT {call}", arguments)
    except psycopg.Error as error:
        return error.sqlstate


def with_every_character():
    """A character at the beginning, in the middle, at the end, and alone."""
    points = [*range(1, 0x180), 0x7FF, 0x800, 0x2028, 0xD7FF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF]
    for character in map(chr, points):
        yield from (character, f"{character}abc", f"ab{character}c", f"abc{character}")


def test_an_id_has_1_to_256_bytes(client):
    for length in range(301):
        sid = ("0123456789" * 31)[:length]
        calls, wanted = (BY_ID, None) if 1 <= length <= 256 else (["session_put(%(sid)s, '{}')"], "22023")
        assert {sqlstate(client, call, sid=sid) for call in calls} == {wanted}, length


def test_an_id_is_printable_ascii(client):
    for sid in with_every_character():
        is_valid = all(" " <= character <= "~" for character in sid)
        assert sqlstate(client, "session_put(%(sid)s, '{}')", sid=sid) == (None if is_valid else "22023"), sid
        assert one(client, "SELECT session_destroy(%s)", sid) == is_valid
        found = client.execute("SELECT sid, is_new FROM session_start(%s)", (sid,)).fetchone()
        assert found[1] and len(found[0]) == 64 and found[0] != sid


def test_each_valid_id_is_a_session_of_its_own(client):
    sids = [sid for sid in {*with_every_character()} if sid.isascii() and sid.isprintable()]
    client.execute("SELECT session_put(sid, jsonb_build_object('sid', sid)) FROM unnest(%s::text[]) sid", (sids,))
    wrong = "SELECT count(*) FROM unnest(%s::text[]) sid WHERE session_get(sid, 'sid') IS DISTINCT FROM to_jsonb(sid)"
    assert one(client, wrong, sids) == 0


@pytest.mark.parametrize("lifetime, seconds", [
    ("0", 0), ("1 microsecond", 1), ("1 second", 1), ("1.000001 seconds", 2), ("59.9 s", 60), ("1 day", 86_400),
    ("1 month", 2_592_000), ("11 months", 28_512_000), ("12 months", 31_557_600), ("1 year 1 day", 31_644_000),
    ("1 month -29 days -23:59:59", 1), ("1 month -30 days", 0), ("-1 month 31 days", 86_400), ("68 years", LONGEST),
    (f"{LONGEST} seconds", LONGEST), ("24837 days", LONGEST), ("816 months", LONGEST),
    ("-1 microsecond", None), ("-1 second", None), ("1 month -31 days", None), ("-1 month 29 days", None),
    ("68 years 1 microsecond", None), (f"{LONGEST}.000001 seconds", None), ("817 months", None), ("69 years", None),
    ("2147483647 months", None), ("-2147483648 months", None), ("2147483647 days", None), ("-2147483648 days", None),
    ("9223372036854 seconds", None), ("-9223372036854 seconds", None), ("178000000 years 2147483647 days", None),
    ("infinity", None), ("-infinity", None),
])  # fmt: skip
def test_a_lifetime_is_0_to_68_years(client, lifetime, seconds):
    if "infinity" in lifetime and client.info.server_version < 170000:
        pytest.skip("intervals are infinite from PostgreSQL 17 on")
    set_to = "SELECT setting::bigint FROM pg_settings WHERE name = 'session_store.max_lifetime'"
    left = "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM session_load(session_create())"
    calls = [
        "session_put('s', '{}', %(given)s)", "session_put_raw('s', '', %(given)s)", "session_touch('s', %(given)s)",
        "session_release('s', '{}', NULL, %(given)s)", "session_release_raw('s', '', NULL, %(given)s)",
        "session_create(lifetime => %(given)s)", "session_create_raw('', lifetime => %(given)s)",
        "session_start(NULL, %(given)s)", "session_init(%(given)s)",
    ]  # fmt: skip
    for call in calls:
        client.execute("SELECT session_put('s', '{}', '5 minutes')")
        assert sqlstate(client, call, given=lifetime) == (None if seconds is not None else "22023"), call
        expected = 300 if seconds is None or "'s'" not in call else seconds
        assert one(client, "SELECT extract(epoch FROM lifetime) FROM session_load('s')") == expected, call
    if seconds is not None:
        assert one(client, set_to) == seconds
        assert seconds == 0 or seconds - 1 < one(client, left) < seconds + 60


def test_a_session_of_one_second_ends_after_one_second_and_not_before(client):
    began = one(client, "SELECT clock_timestamp()")
    client.execute("SELECT session_create('{}', 'short', '1 second')")
    wait_until(lambda: not one(client, "SELECT session_exist('short')"))
    assert one(client, "SELECT clock_timestamp()") - began >= timedelta(seconds=1)
    assert sqlstate(client, "session_set('short', 'k', '1')") == "P0002"


@pytest.mark.parametrize("deadline, is_live", [
    ("infinity", True), ("294276-12-31 23:59:59.999999+00", True), ("9999-12-31 23:59:59.999999+00", True),
    ("2100-01-01", True), ("-infinity", False), ("4714-11-24 00:00:00+00 BC", False), ("epoch", False),
    ("2000-01-01 00:00+00", False), ("1999-12-31 23:59:59.999999+00", False), ("now", False),
])  # fmt: skip
@pytest.mark.parametrize("lifetime", ["0", "1 hour", "68 years"])
def test_a_deadline_may_be_any_time(client, lifetime, deadline, is_live):
    given = {"deadline": deadline, "lifetime": lifetime}
    for call in [
        "session_create('{}', 's', %(lifetime)s, %(deadline)s)", "session_put('s', '{}', %(lifetime)s, %(deadline)s)",
        "session_create_raw('', 's', %(lifetime)s, %(deadline)s)", "session_touch('s', %(lifetime)s, %(deadline)s)",
        "session_release('s', '{}', NULL, %(lifetime)s, %(deadline)s)",
    ]:  # fmt: skip
        client.execute("SELECT session_destroy('s')")
        if "create" not in call:
            client.execute("SELECT session_create('{}', 's')")
        client.execute(f"SELECT {call}", given)
        assert one(client, "SELECT session_exist('s')") is is_live, call
        if is_live:
            # As text: Python's dates end with the year 9999.
            capped = "expires_at = %(deadline)s" if lifetime == "0" else "expires_at <= %(deadline)s"
            ends = f"SELECT coalesce(deadline, 'infinity') = %(deadline)s, {capped} FROM session_load('s')"
            assert client.execute(ends, given).fetchone() == (True, True), call


@pytest.mark.parametrize("max_lifetime", [0, 1, LONGEST])
@pytest.mark.parametrize("absolute", [0, 1, LONGEST])
@pytest.mark.parametrize("granularity", [0, 1, 86_400])
def test_every_setting_works_at_its_ends(owner, max_lifetime, absolute, granularity):
    owner.execute(f"SET session_store.max_lifetime = {max_lifetime}; SET session_store.absolute_lifetime = {absolute}")
    owner.execute(f"SET session_store.expiry_granularity = {granularity}")
    for size in ("1B", "16MB"):
        owner.execute(f"SET session_store.max_size = '{size}'")
        sid = one(owner, "SELECT session_create('{}')")
        ends = "SELECT extract(epoch FROM nullif(expires_at, 'infinity') - created_at) FROM session_load(%s, false)"
        took = one(owner, ends, sid)
        step = min(granularity, max_lifetime / 16)
        if absolute and (absolute <= max_lifetime or not max_lifetime):
            assert took == absolute
        elif max_lifetime:
            assert max_lifetime <= took <= min(max_lifetime + step, absolute or float("inf"))
        else:
            assert took is None
        assert sqlstate(owner, "session_set(%(sid)s, 'k', '1')", sid=sid) == ("54000" if size == "1B" else None)


@pytest.mark.parametrize("setting, wrong, default", [
    ("max_lifetime", "-1", "1h"), ("max_lifetime", "69 years", "1h"), ("max_lifetime", "", "1h"),
    ("absolute_lifetime", "2145916801", "0"), ("absolute_lifetime", "99999999999999999999", "0"),
    ("expiry_granularity", "2d", "1min"), ("max_size", "0", "1MB"), ("max_size", "1TB", "1MB"), ("strict", "7", "off"),
])  # fmt: skip
def test_a_value_out_of_range_that_was_set_before_the_library_came_is_a_warning(owner, setting, wrong, default):
    """Until the first call nobody can check it."""
    owner.execute(f"SET session_store.{setting} = '{wrong}'")
    warnings = []
    owner.add_notice_handler(lambda diagnostic: warnings.append((diagnostic.severity, diagnostic.message_primary)))
    assert one(owner, "SELECT lifetime = '1h' FROM session_load(session_create())")
    assert one(owner, f"SHOW session_store.{setting}") == default
    assert [severity for severity, _ in warnings] == ["WARNING"]
    assert f"session_store.{setting}" in warnings[0][1]
