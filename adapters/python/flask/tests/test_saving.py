"""What is saved of a session, and what comes back."""

import uuid
from datetime import datetime, timezone

import pytest
from flask import session
from markupsafe import Markup

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
VALUES = [
    None, True, 0, -1, 1.5, 12345678901234567890123, "", "ü€😀", "\0", "null", [], {}, (), (1, (2, [3])), b"\0\xff",
    Markup("<b>"), NOW, uuid.UUID(int=7), {"a": {"b": [1, {"c": None}]}}, {" t": "no tuple"}, {" di": 1}, {"x": (1,)},
]  # fmt: skip


@pytest.fixture
def change(bare_app):
    """Runs a function in a request that is saved, of one browser."""
    client = bare_app.test_client()
    views = []

    @bare_app.post("/")
    def view():
        views[-1]()
        return {}

    def change(view):
        views.append(view)
        return client.post("/")

    bare_app.testing = True
    return change


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(change, value):
    found = []
    change(lambda: session.update(key=value))
    change(lambda: found.append(session["key"]))
    assert found == [value]
    assert type(found[0]) is type(value)


@pytest.mark.parametrize("key", ["", " t", " di", "_x", "ü", "\0", 'q"', "\ud800"], ids=ascii)
def test_any_text_is_a_key(change, key):
    found = []
    change(lambda: session.update({key: [1]}))
    change(lambda: found.append(dict(session)))
    assert found == [{key.replace("\ud800", "\ufffd"): [1]}]


def test_a_key_with_a_zero_byte_can_be_removed(change):
    found = []
    change(lambda: session.update({"\0": 1, "a": (1,), "b": 2}))

    def remove():
        del session["\0"], session["b"]
        session["c"] = 3

    change(remove)
    change(lambda: found.append(dict(session)))
    assert found == [{"a": (1,), "c": 3}]


def test_a_key_that_is_no_text_becomes_it_as_in_json(change):
    found = []
    change(lambda: session.update({1: "a"}))
    change(lambda: found.append(dict(session)))
    assert found == [{"1": "a"}]


def test_half_a_surrogate_pair_is_replaced_and_pairs_are_kept(change):
    found = []
    change(lambda: session.update(a="\ud800", b=["\U0001f600\udc00"], c="\\ud800"))
    change(lambda: found.append(dict(session)))
    assert found == [{"a": "\ufffd", "b": ["\U0001f600\ufffd"], "c": "\\ud800"}]


@pytest.mark.parametrize("before, after", [(1, True), (1, 1.0), (0, False), ([], ()), ("1", 1), ("<b>", Markup("<b>"))])
def test_a_value_of_another_type_is_a_change(change, before, after):
    found = []
    change(lambda: session.update(key=before))
    change(lambda: session.update(key=after))
    change(lambda: found.append(session["key"]))
    assert (found, type(found[0])) == ([after], type(after))


def test_changes_within_values_are_found(change):
    found = []
    change(lambda: session.update(list=[{"a": [1]}], other=1))
    change(lambda: session["list"][0]["a"].append(2))
    change(lambda: session.get("list")[0].update(b=3))
    change(lambda: [value.append(4) for value in session.values() if isinstance(value, list)])
    change(lambda: found.append(dict(session)))
    assert found == [{"list": [{"a": [1, 2], "b": 3}, 4], "other": 1}]


def test_only_keys_that_changed_are_saved(change, table):
    change(lambda: session.update(a=1, b=[1], c=1))
    sid = []

    def meanwhile():
        assert (session["a"], session["b"]) == (1, [1])
        sid.append(session.sid)
        table.execute("""SELECT session_merge(%s, '{"a": 2, "b": [2], "d": 2}')""", sid[0])
        session["c"] = 3
        session.pop("gone", None)

    change(meanwhile)
    assert table.execute("SELECT session_get(%s)", sid[0]).fetchone()[0] == {"a": 2, "b": [2], "c": 3, "d": 2}


def test_what_is_set_back_to_what_it_was_is_no_change(change, table, early_in_a_minute):
    change(lambda: session.update(a=[1], b={"x": 1, "y": 2}))
    before = table.place()

    def back_and_forth():
        session["a"].append(2)
        session["a"].pop()
        session["b"] = {"y": 2, "x": 1}
        session["c"] = 1
        del session["c"]
        session.modified = True

    assert "Set-Cookie" not in change(back_and_forth).headers
    assert table.place() == before


def test_it_is_a_map(change):
    def use():
        assert not session and list(session) == [] and session.new
        session["a"] = 1
        assert session.setdefault("b", [2]) == [2]
        assert "a" in session and "z" not in session and len(session) == 2 and bool(session)
        assert session.copy() == dict(session) == {"a": 1, "b": [2]}
        assert session.pop("z", 5) == 5
        del session["a"]
        for absent in "a", "z":
            with pytest.raises(KeyError):
                session[absent]
            with pytest.raises(KeyError):
                del session[absent]
            with pytest.raises(KeyError):
                session.pop(absent)

    def use_again():
        assert not session.new
        session["a"] = 1
        assert list(session) == ["b", "a"]
        del session["b"]
        session["b"] = 3
        assert dict(session) == {"b": 3, "a": 1} and len(session) == 2
        del session["b"]
        assert "b" not in session and session.get("b") is None
        assert repr(session._get_current_object()) == "<Session {'a': 1}>"

    def look():
        assert dict(session) == {"a": 1}

    for view in use, use_again, look:
        change(view)


def test_what_json_cannot_hold_is_an_error_and_the_session_stays(change, bare_app):
    change(lambda: session.update(a=1))
    bare_app.testing = False
    assert change(lambda: session.update(b=object())).status_code == 500
    found = []
    change(lambda: found.append(dict(session)))
    assert found == [{"a": 1}]
