"""session_fetch, session_save and session_patch: JSON text in, JSON text out, and never a jsonb in between."""

import json
import math
from decimal import Decimal

import pytest
from calls import outcome
from conftest import APP, EXTENDED, one
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors

# Documents as they come back, but for white space.
KEPT = [
    "{}",
    '{"z": 1, "a": 2, "bb": {"y": 3, "x": 4}}',
    '{"numbers": [0, -1, 1.50, 0.0, -0.001, 18446744073709551616, 123456789012345678901234567890.1234567890]}',
    '{"nul": "a\\u0000b", "\\u0000": {"\\u0000\\u0000": ["\\u0000"]}}',
    '{"text": "é 😀 \U0010ffff \u2028 \ufeff", "😀": "\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f"}'.replace("\\u007f", "\x7f"),
    '{"": "", " ": null, "t": true, "f": false, "deep": [[[{"a": []}]]]}',
    '{"$serde_json::private::Number": "1", "n": {"$serde_json::private::Number": "x", "a": 1}}',
    '{"many": {' + ", ".join(f'"key{n:03}": {n}' for n in reversed(range(300))) + "}}",
    '{"long": "' + "x" * 70_000 + '", "list": [' + ", ".join(map(str, range(70_000))) + "]}",
]
# And others, which come back as what they mean.
MEANT = {
    '{"a":1e2,"b":1.5e-3,"c":1E+2,"d":-0,"e":-0.0}': '{"a": 100, "b": 0.0015, "c": 100, "d": 0, "e": 0.0}',
    '{"a": 1, "b": 2, "a": {"x": 1, "x": 2}}': '{"b": 2, "a": {"x": 2}}',
    ' { "\\u0061" : "\\ud83d\\ude00\\/" } ': '{"a": "😀/"}',
}
REFUSED = {
    "{": "22P02",
    '{"a": 01}': "22P02",
    '{"a": "\\x"}': "22P02",
    '{"a": "\\ud800"}': "22P02",
    '{"a": "\\ud800\\ud800"}': "22P02",
    '{"a": "\\udc00 b"}': "22P02",
    '{"\\udc00": 1}': "22P02",
    "[]": "22023",
    "1": "22023",
    '"\\u0000"': "22023",
    "null": "22023",
    '{"a": 1e131072}': "22003",
    '{"a": ' + "[" * 119 + "]" * 119 + "}": None,
    '{"a": ' + "[" * 120 + "]" * 120 + "}": "54000",
    '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}": "54000",
    '{"a": "' + "x" * 1_100_000 + '"}': "54000",
}
ids = {"ids": lambda text: text[:40]}


@pytest.fixture(scope="module")
def database(server):
    database = server.create_database(template=EXTENDED)
    yield database
    database.drop()


@pytest.fixture
def client(database):
    with database.connect() as owner:
        owner.execute("TRUNCATE session")
    return database.connect(APP)


def save(client, sid, text, *version):
    return one(client, f"SELECT session_save(%s, %s::text{', %s' * len(version)})", sid, text, *version)


def fetch(client, sid):
    return one(client, "SELECT data::text FROM session_fetch(%s)", sid)


def row(database):
    with database.connect() as owner:
        return owner.execute("SELECT ctid, version, session_data FROM session").fetchall()


@pytest.mark.parametrize("text", KEPT, **ids)
def test_a_document_comes_back_as_it_was(client, text):
    assert save(client, "s", text, 0)
    assert fetch(client, "s") == text
    assert one(client, "SELECT data::text FROM session_start('s')") == text


@pytest.mark.parametrize("text", MEANT, **ids)
def test_a_document_comes_back_as_what_it_means(client, text):
    assert save(client, "s", text, 0)
    assert fetch(client, "s") == MEANT[text]


@pytest.mark.parametrize("text", REFUSED, **ids)
def test_what_is_refused_leaves_what_was_there(database, client, text):
    client.execute("""SELECT session_save('s', '{"k": 1}', 0)""")
    before = row(database)
    for call in "session_save('s', %s)", "session_save('new', %s, 0)", "session_patch('s', %s)":
        state = outcome(client.execute, f"SELECT {call}", (text,))
        assert state == REFUSED[text] if REFUSED[text] else not isinstance(state, str)
    if REFUSED[text]:
        assert row(database) == before
        # As jsonb does, but for what a json may hold and the library refuses.
        by_jsonb = outcome(client.execute, "SELECT session_release('s', %s::jsonb)", (text,))
        assert by_jsonb == REFUSED[text] or by_jsonb == "22P05"


def test_no_message_shows_what_was_refused(client):
    refused = ['{"s3cret": "\\ud800"}', '{"s3cret": 1e999999}', '["s3cret"]']
    malformed = ['{"s3cret": ', "s3cret", '{"a": "s3cret}']  # PostgreSQL itself shows what is no json
    by_text = ["session_save('s', %s, 0)", "session_patch('s', %s)", "session_save('s', %s::text)"]
    by_json = ["session_save('s', %s::json, 0)", "session_patch('s', %s::json)"]
    for text in refused + malformed:
        for call in by_text + (by_json if text in refused else []):
            with pytest.raises(errors.Error) as error:
                client.execute(f"SELECT {call}", (text,), prepare=True)
            told = error.value.diag
            assert "s3cret" not in f"{error.value} {told.message_detail} {told.message_hint} {told.context}"


def test_an_argument_that_is_a_json_already_is_the_same_document(client):
    for text in KEPT:
        assert one(client, "SELECT session_save('text', %s, 0)", text) and one(client, "SELECT session_save('json', %s::json, 0)", text)
        one(client, "SELECT session_patch('text', %s)", '{"a": {"b": 1.0, "a": "\\u0000"}}')
        one(client, "SELECT session_patch('json', %s::json)", '{"a": {"b": 1.0, "a": "\\u0000"}}')
        assert fetch(client, "text") == fetch(client, "json")
        client.execute("SELECT session_destroy('text'), session_destroy('json')")


# What cannot be told as jsonb


def test_u0000_is_an_error_only_where_it_would_become_jsonb(client):
    text = '{"nul": "\\u0000", "k": 1}'
    save(client, "s", text, 0)
    for call in "session_get('s')", "session_load('s')", "session_get('s', 'nul')", "session_read('s')":
        assert outcome(client.execute, f"SELECT {call}") == "22P05", call
    assert outcome(one, client, "SELECT session_pop('s', 'nul')") == "22P05"
    assert one(client, "SELECT session_get('s', 'k')") == 1
    assert one(client, "SELECT session_set('s', 'k', '2') > 0")
    assert fetch(client, "s") == '{"nul": "\\u0000", "k": 2}'
    assert one(client, "SELECT session_delete('s', 'nul')")
    assert one(client, "SELECT session_get('s')") == {"k": 2}


def test_text_that_would_be_gigabytes_is_an_error_and_the_keys_can_be_read(client):
    """Six bytes are a number of 16,385 digits."""
    client.execute("""
        SELECT session_save('s', ('{"k": 1, "a": [' || repeat('1e-16383,', 20000) || '0]}')::json, 0)""")
    for call in "session_fetch('s')", "session_start('s')":
        assert outcome(client.execute, f"SELECT {call}") == "54000"
    assert one(client, "SELECT session_get('s', 'k')") == 1
    assert one(client, """SELECT session_save('s', '{}') > 0""") and fetch(client, "s") == "{}"


# Patches


def test_a_patch_keeps_the_order_and_puts_new_keys_last(client):
    save(client, "s", '{"z": 1, "a": 2, "m": 3}', 0)
    version = one(client, """SELECT session_patch('s', '{"y": {"b": 1, "a": 2}, "a": [5.0], "c": "\\u0000"}', '{m,none}')""")
    assert fetch(client, "s") == '{"z": 1, "a": [5.0], "y": {"b": 1, "a": 2}, "c": "\\u0000"}'
    assert one(client, "SELECT version FROM session_fetch('s')") == version
    # The calls with jsonb keep it, too.
    client.execute("""SELECT session_set('s', 'a', '6'), session_merge('s', '{"b": 7}', '{c}')""")
    assert fetch(client, "s") == '{"z": 1, "a": 6, "y": {"b": 1, "a": 2}, "b": 7}'


def test_a_key_that_is_set_and_removed_is_set(client):
    save(client, "s", '{"a": 1, "b": 2}', 0)
    client.execute("""SELECT session_patch('s', '{"a": 3, "c": 4}', '{a,b,c}')""")
    assert json.loads(fetch(client, "s")) == {"a": 3, "c": 4}


def test_a_patch_changes_the_life_and_never_creates(client):
    assert one(client, """SELECT session_patch('s', '{"k": 1}')""") is None
    assert not one(client, "SELECT session_exist('s')")
    save(client, "s", "{}", 0)
    client.execute("""SELECT session_patch('s', '{"k": 1}', NULL, '2 h', '2100-01-01')""")
    life = "SELECT lifetime::text, extract(year FROM deadline), data FROM session_load('s')"
    assert client.execute(life).fetchone() == ("02:00:00", 2100, {"k": 1})


def test_arguments_that_are_refused(client):
    client.execute("SELECT session_save('s', '{}', 0), session_create_raw('raw', 'raw')")
    for call, state in {
        "session_save('s', NULL)": "22004", "session_patch('s', NULL)": "22004", "session_patch('s', '{}', '{a,NULL}')": "22004",
        "session_save('s', '{}', lifetime => '-1 s')": "22023", "session_patch('s', '{}', lifetime => '-1 s')": "22023",
        "session_patch('raw', '{}')": "42809",
    }.items():  # fmt: skip
        assert outcome(client.execute, f"SELECT {call}") == state, call
    # The whole content may change its kind.
    assert one(client, """SELECT session_save('raw', '{"k": 1}') > 0""") and fetch(client, "raw") == '{"k": 1}'


@pytest.mark.parametrize("text", KEPT, **ids)
def test_what_changes_nothing_writes_nothing(database, client, text):
    save(client, "s", text, 0)
    client.execute("SELECT session_touch('s', '0')")
    before = row(database)
    version = before[0][1]
    assert save(client, "s", text, version) == version
    assert one(client, "SELECT session_patch('s', %s::json)", text) == version
    assert one(client, "SELECT session_patch('s', '{}', '{absent}')") == version
    assert row(database) == before


def test_calls_nest(client):
    nested = """SELECT session_patch(session_regenerate(session_create('{"a": 1}', 's'), 't'), '{"b": 2}') > 0"""
    assert one(client, nested) and fetch(client, "t") == '{"a": 1, "b": 2}'
    assert one(client, "SELECT session_patch(session_regenerate('s', must_exist => true), '{}')") is None


# The same as the calls with jsonb, for what both can hold

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=30,
)
documents = st.dictionaries(text, values, max_size=8)
generated = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def encoded(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {encoded(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(encoded, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def in_order(value):
    """With the keys in jsonb's order."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: in_order(value[key]) for key in keys}
    return [in_order(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture
def owner(database):
    with database.connect() as owner:
        yield owner


@given(document=documents)
@generated
def test_both_ways_store_the_same(owner, client, document):
    sorted_text = encoded(in_order(document))
    save(client, "text", sorted_text, 0) or save(client, "text", sorted_text)
    one(client, "SELECT session_put('jsonb', %s::jsonb)", sorted_text)
    same = """
        SELECT array_agg(session_data), bool_and(session_decode(session_data) = %s::jsonb)
        FROM session WHERE session_key IN (sha256('text'), sha256('jsonb'))"""
    stored, is_right = owner.execute(same, (sorted_text,)).fetchone()
    assert stored[0] == stored[1] and is_right
    assert fetch(client, "text") == fetch(client, "jsonb") == one(client, "SELECT %s::jsonb::text", sorted_text)


@given(document=documents, patch=documents)
@generated
def test_both_ways_change_the_same(database, client, document, patch):
    text, change = encoded(document), encoded(patch)
    removed = list(document)[::2]
    save(client, "text", text, 0) or save(client, "text", text)
    one(client, "SELECT session_put('jsonb', %s::jsonb)", text)
    assert fetch(client, "text") is not None
    client.execute("SELECT session_patch('text', %s::json, %s)", (change, removed))
    client.execute("SELECT session_merge('jsonb', %s::jsonb, %s)", (change, removed))
    assert one(client, "SELECT session_get('text') = session_get('jsonb')")
    kept = [key for key in document if key not in removed or key in patch]
    assert list(json.loads(fetch(client, "text"))) == kept + [key for key in patch if key not in document]


@given(document=documents)
@generated
def test_the_order_and_the_digits_of_any_document_stay(client, document):
    text = encoded(document)
    save(client, "s", text, 0) or save(client, "s", text)
    back = json.loads(fetch(client, "s"), parse_float=Decimal)
    assert list(back) == list(document)
    for key, value in document.items():
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            assert back[key] == value and math.copysign(1, back[key]) == (-1 if value < 0 else 1)
