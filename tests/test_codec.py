"""What goes in as jsonb comes out as the same jsonb, by way of CBOR that others can read."""

import json
import sys
from decimal import Context, Decimal, setcontext
from io import BytesIO
from pathlib import Path

import cbor2
import pytest
from conftest import EXTENDED, one
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOLDEN = Path(__file__).parent / "golden" / "codec.txt"


@pytest.fixture(scope="module")
def connection(server):
    database = server.create_database(template=EXTENDED)
    yield database.connect()
    database.drop()


@pytest.fixture(scope="module", autouse=True)
def big_numbers():
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    setcontext(Context(prec=100_000, Emax=999_999, Emin=-999_999))
    yield
    sys.set_int_max_str_digits(limit)
    setcontext(Context())


# Documents are made as text, so that numbers have any size and scale; and by plain code from a seed, because drawing
# each part of thousands of documents from Hypothesis takes minutes.

POWERS = [2**n + d for n in (5, 8, 16, 31, 32, 53, 63, 64, 65, 128) for d in (-1, 0, 1)]
RANGES = [(0x20, 0x7E), (0x20, 0x7E), (1, 0x1F), (0x7F, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]


class Maker:
    def __init__(self, random):
        self.random = random

    def size(self, most):
        """Mostly small."""
        return self.random.randint(0, self.random.randint(0, most))

    def number(self):
        """Any number that JSON can write and numeric can hold, up to 10^460 and 10^-460."""
        random = self.random
        sign = random.choice(["", "-"])
        if random.random() < 0.3:
            return sign + str(random.choice(POWERS))
        digits = "".join(random.choices("0123456789", k=1 + self.size(60))).lstrip("0") or "0"
        fraction = "." + "".join(random.choices("0123456789", k=1 + self.size(60))) if random.random() < 0.5 else ""
        exponent = f"{random.choice('eE')}{random.randint(-400, 400):+}" if random.random() < 0.3 else ""
        return sign + digits + fraction + exponent

    def text(self, most=300):
        alphabet = [chr(self.random.randint(*self.random.choice(RANGES))) for _ in range(8)]
        return "".join(self.random.choices(alphabet, k=self.size(most)))

    def key(self):
        return self.random.choice(["", "a", "b", "aa", "é", "😀", self.text(40)])

    def quoted(self, text):
        return json.dumps(text, ensure_ascii=self.random.random() < 0.5)

    def value(self, depth=0):
        kind = self.random.randint(0, 9 if depth < 8 else 6)
        if kind < 3:
            return self.number()
        if kind < 6:
            return self.quoted(self.text())
        if kind == 6:
            return self.random.choice(["null", "true", "false"])
        if kind == 7:
            return self.document(depth + 1)
        return f"[{', '.join(self.value(depth + 1) for _ in range(self.size(40 if depth == 0 else 5)))}]"

    def document(self, depth=0):
        """Duplicate keys may occur; the last one counts."""
        pairs = (f"{self.quoted(self.key())}: {self.value(depth + 1)}" for _ in range(self.size(8)))
        return f"{{{', '.join(pairs)}}}"


makers = given(st.randoms(use_true_random=True).map(Maker))
many = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def parsed(text):
    return json.loads(text, parse_float=Decimal)


def plain(value):
    """Comparable with no regard to anything but the document: 1 and 1.0 and 1.00 differ, as they do in jsonb."""
    match value:
        case dict():
            return {"object": {key: plain(item) for key, item in value.items()}}
        case list():
            return [plain(item) for item in value]
        case Decimal():
            return format(value, "f")
        case _:
            return (type(value), value)


@many
@makers
def test_a_document_comes_back_as_postgresql_itself_prints_it(connection, make):
    documents = [make.document() for _ in range(100)]
    rows = connection.execute(
        """SELECT document::jsonb::text, session_get(sid)::text, sid, (SELECT data::text FROM session_fetch(sid))
        FROM unnest(%s::text[]) document, LATERAL (SELECT session_create(document::jsonb) AS sid) s""",
        (documents,),
    ).fetchall()
    assert len(rows) == len(documents)
    for expected, got, _, fetched in rows:
        assert got == expected
        assert fetched == expected
    stored = dict(connection.execute("SELECT session_key, session_data FROM session"))
    keys = connection.execute("SELECT sha256(sid::bytea) FROM unnest(%s::text[]) sid", ([sid for _, _, sid, _ in rows],))
    for (expected, *_), (key,) in zip(rows, keys):
        stream = BytesIO(stored[key])
        assert plain(cbor2.load(stream)) == plain(parsed(expected))
        assert stream.read() == b"", "nothing follows the document"
    connection.execute("TRUNCATE session")


@many
@makers
def test_every_key_can_be_read_by_itself(connection, make):
    documents = [make.document() for _ in range(100)]
    rows = connection.execute(
        """SELECT key, value::text, session_get(sid, key)::text
        FROM unnest(%s::text[]) document, LATERAL (SELECT session_create(document::jsonb) AS sid) s,
        LATERAL jsonb_each(document::jsonb)""",
        (documents,),
    )
    for key, expected, got in rows:
        assert got == expected, key
    connection.execute("TRUNCATE session")


@many
@makers
def test_set_and_delete_change_a_document_as_jsonb_operators_do(connection, make):
    for _ in range(50):
        key = make.key()
        arguments = {"d": make.document(), "k": key, "v": make.value()}
        with_key, without, was_there = connection.execute(
            """SELECT (%(d)s::jsonb || jsonb_build_object(%(k)s::text, %(v)s::jsonb))::text,
                (%(d)s::jsonb - %(k)s::text)::text, %(d)s::jsonb ? %(k)s""",
            arguments,
        ).fetchone()
        connection.execute("SELECT session_put('set', %(d)s::jsonb), session_put('delete', %(d)s::jsonb)", arguments)
        connection.execute("SELECT session_set('set', %(k)s, %(v)s::jsonb)", arguments)
        assert one(connection, "SELECT session_delete('delete', %s)", key) is was_there
        got = connection.execute("SELECT session_get('set')::text, session_get('delete')::text").fetchone()
        assert got == (with_key, without)


@many
@makers
def test_merge_changes_a_document_as_jsonb_operators_do(connection, make):
    for _ in range(50):
        arguments = {"d": make.document(), "p": make.document(), "r": [make.key() for _ in range(make.size(4))]}
        after = "SELECT ((%(d)s::jsonb - %(r)s::text[]) || %(p)s::jsonb)::text, session_put('s', %(d)s::jsonb)"
        expected, _ = connection.execute(after, arguments).fetchone()
        connection.execute("SELECT session_merge('s', %(p)s::jsonb, %(r)s)", arguments)
        assert one(connection, "SELECT session_get('s')::text") == expected


@many
@makers
def test_a_payload_is_stored_as_a_cbor_byte_string(connection, make):
    for _ in range(20):
        payload = make.random.randbytes(make.size(70_000))
        connection.execute("SELECT session_put_raw('s', %s)", (payload,))
        assert one(connection, "SELECT payload FROM session_load('s')") == payload
        stored = one(connection, "SELECT session_data FROM session WHERE session_key = sha256('s')")
        assert cbor2.loads(stored) == payload


def golden():
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        stored, document = line.split("\t")
        yield pytest.param(bytes.fromhex(stored), document, id=document[:30])


@pytest.mark.parametrize("stored, document", list(golden()))
def test_stored_bytes_stay_what_they_were(connection, stored, document):
    decoded = one(connection, "SELECT session_decode(%s)::text", stored)
    assert decoded == one(connection, "SELECT %s::jsonb::text", document)
    connection.execute("SELECT session_put('golden', %s::jsonb)", (document,))
    assert one(connection, "SELECT session_data FROM session WHERE session_key = sha256('golden')") == stored
