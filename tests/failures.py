"""Every error that a function of the extension can raise, from the catalog of its functions and their arguments."""

from typing import NamedTuple

from psycopg.rows import class_row

SID = "Secret-sid"
VALUE = '{"k": "Secret-value"}'
DEEP = '{"a": ' + "[" * 200 + '"Secret-value"' + "]" * 200 + "}"

# What an argument of this name is in a good call, and in which bad ones that message comes of it.
GOOD = {
    "sid": "%(sid)s", "oldsid": "%(sid)s", "presented": "%(sid)s", "key": "'k'", "data": "%(value)s", "patch": "%(value)s",
    "value": "%(value)s", "payload": "%(value)s", "lifetime": "'2 h'", "max_lifetime": "'2 h'", "session_data": "%(value)s",
    "grace": "'1 min'", "principal": "%(sid)s", "attributes": "%(value)s", "handle": "%(sid)s", "role": "'app'",
}  # fmt: skip
BAD = {
    "sid": {"invalid session id": "%(sid)s || 'é'"},
    "key": {"key must not be null": "NULL"},
    "data": {
        "data must not be null": "NULL",
        "data must be a JSON object": "%(array)s",
        "session data is nested too deeply": "%(deep)s",
    },
    "patch": {
        "patch must not be null": "NULL",
        "patch must be a JSON object": "%(array)s",
        "session data is nested too deeply": "%(deep)s",
    },
    "remove": {"remove must not contain nulls": "ARRAY[%(sid)s, NULL]"},
    "value": {"session data is nested too deeply": "%(deep)s"},
    "payload": {"payload must not be null": "NULL"},
    "lifetime": {"lifetime is out of range": "'-1 s'"},
    "max_lifetime": {"max_lifetime must not be null": "NULL", "max_lifetime is out of range": "'-1 s'"},
    "grace": {"grace is out of range": "'6 min'"},
    "principal": {"invalid principal": "repeat(%(sid)s, 50)"},
    "attributes": {"attributes must be a JSON object": "%(array)s", "attributes are too large": "%(large)s"},
    "max_sessions": {"max_sessions must be positive": "0"},
    "max_rows": {"max_rows must not be negative": "-1"},
    # These take whatever there is.
    "handle": {}, "keep": {}, "role": {},
    "oldsid": {}, "presented": {}, "must_exist": {}, "deadline": {}, "version": {}, "slide": {}, "session_data": {},
}  # fmt: skip

LOOKS = {
    "session_start",
    "session_load",
    "session_fetch",
    "session_read",
    "session_read_raw",
    "session_exist",
    "session_get",
    "session_all",
}
# They make nothing of what a session holds.
LISTS = {"session_devices", "session_find", "session_attach"}
CREATES = {"session_create", "session_create_raw"}
SAVES = {"session_put", "session_put_raw", "session_release", "session_release_raw", "session_save"}
EDITS = {"session_set", "session_merge", "session_patch", "session_delete", "session_pop"}
# To them a session that is gone is no error.
LATE = {"session_patch", "session_pop"}
GROWS = EDITS - {"session_delete", "session_pop"}
RENEWALS = {"session_regenerate", "session_login"}
# They refuse an id under which no session can begin.
BEGINS = CREATES | {"session_put", "session_put_raw", "session_read", "session_read_raw"} | RENEWALS
REVOKES = {"session_revoke", "session_revoke_others", "session_revoke_all", "session_revoke_handle"}
ENDS = {"session_destroy", "session_clear", "session_gc"} | REVOKES
CHANGES = CREATES | SAVES | EDITS | {"session_flush", "session_touch", "session_bind"} | RENEWALS
WITHOUT_TABLE = {
    "session_new_id", "session_init", "session_decode", "session_principal", "session_attributes", "session_store_grant",
}  # fmt: skip
EVERY = LOOKS | LISTS | CHANGES | ENDS

OTHER = {"sid": "'other' || %(sid)s", "oldsid": "'other' || %(sid)s", "presented": "'other' || %(sid)s"}
UNDO = """CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER undo BEFORE INSERT OR UPDATE OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION undo()"""
NUL = r"""SELECT session_save('Secret-sid', '{"k": "\u0000 Secret-value"}')"""
ALTER = "ALTER TABLE session RENAME TO real; CREATE VIEW session AS SELECT *, '1'::text AS ctid FROM real"
SUPPRESSED = 'a trigger or rule on table "session" suppressed the write'
READ_ONLY = "cannot change sessions in a read-only transaction"

# Message, what makes it happen, the functions that raise it, and their arguments if not the good ones. With the above
# the list of src/error.rs, but for what no client can provoke alone: a jsonb that is not PostgreSQL's, a server without
# random numbers, and other clients that are faster again and again.
STATES = [
    ("session data is too large", "SET session_store.max_size = 1", CREATES | SAVES | GROWS, {}),
    ("there is no live session with this id", "", EDITS - LATE | {"session_flush"}, OTHER),
    (
        "there is no live session with this id",
        "SET session_store.strict = on",
        RENEWALS,
        OTHER | {"sid": "NULL"},
    ),
    ("a live session with this id exists", "", CREATES, {"sid": "%(sid)s"}),
    (
        "a live session with this id exists",
        "SELECT session_create('{}', 'other' || 'Secret-sid')",
        RENEWALS,
        {"sid": OTHER["sid"]},
    ),
    ("the new session id is the old one", "", RENEWALS, {"sid": "%(sid)s"}),
    (
        "the session holds an opaque payload, not keys and values",
        "SELECT session_put_raw('Secret-sid', '')",
        EDITS | {"session_get", "session_read"},
        {},
    ),
    (
        "the session holds keys and values, not an opaque payload",
        "",
        {"session_read_raw"},
        {},
    ),
    ("session data is not valid JSON", "", {"session_save"}, {"data": "%(lone)s"}),
    ("session data is not valid JSON", "", {"session_patch"}, {"patch": "%(lone)s"}),
    ("a number in the session data is out of range", "", {"session_save"}, {"data": "%(huge)s"}),
    ("unsupported Unicode escape sequence", NUL, {"session_get", "session_read", "session_load", "session_pop"}, {}),
    (
        "the stored data of this session cannot be read",
        r"UPDATE session SET session_data = '\xff'",
        EDITS | LOOKS - {"session_exist", "session_all"},
        {},
    ),
    (READ_ONLY, "SET TRANSACTION READ ONLY", CHANGES | ENDS, {}),
    (READ_ONLY, "SET TRANSACTION READ ONLY", {"session_read", "session_read_raw", "session_start"}, OTHER),
    ('the table "session" of extension session_store is missing', "ALTER TABLE session RENAME TO real", EVERY, {}),
    ('the columns of table "session" are not those of extension session_store', ALTER, EVERY, {}),
    (SUPPRESSED, UNDO, CHANGES - CREATES | {"session_destroy"}, {}),
    (SUPPRESSED, UNDO, CREATES | {"session_read", "session_read_raw", "session_start"}, OTHER),
]
CREATE = f"""SELECT session_create('{{"k": 0}}', '{SID}')"""
ARGUMENTS = {
    "sid": SID, "value": VALUE, "deep": DEEP, "array": '["Secret-value"]',
    "large": '{"k": "Secret-value' + 9000 * "x" + '"}', "lone": '{"k": "Secret-value \\ud800"}', "huge": '{"Secret-value": 1e999999}',
}  # fmt: skip


class Function(NamedTuple):
    name: str
    arguments: list
    defaults: int

    def call(self, **different):
        given = {name: GOOD[name] for name in self.arguments[: len(self.arguments) - self.defaults]}
        given |= {name: GOOD[name] for name in self.arguments if name in ("presented", "data", "lifetime")}
        given |= {name: value for name, value in different.items() if name in self.arguments}
        listed = ", ".join(f"{name} => {value}" for name, value in given.items())
        # Whatever the call is about, the statement holds the secrets.
        return f"SELECT {self.name}({listed}), %(sid)s::text, %(value)s::text"

    def refuses(self, argument):
        """Whether a bad value of this argument is an error: an impossible id may be that of no session."""
        return argument != "sid" or self.name in BEGINS


def functions(connection):
    """Every function of the extension."""
    query = """
        SELECT proname::text AS name, coalesce(proargnames[1:pronargs], '{}') AS arguments, pronargdefaults AS defaults
        FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
            JOIN pg_extension AS e ON e.oid = d.refobjid WHERE extname = 'session_store'"""
    with connection.cursor(row_factory=class_row(Function)) as cursor:
        return cursor.execute(query).fetchall()


def failures(connection):
    """Message, preparation and call, for every error that a function can raise."""
    known = functions(connection)
    assert {function.name for function in known} == EVERY | WITHOUT_TABLE
    for function in known:
        for argument in function.arguments:
            for message, value in BAD[argument].items():
                if function.refuses(argument):
                    yield message, "", function.call(**{argument: value})
        for message, preparation, names, arguments in STATES:
            if function.name in names:
                yield message, preparation, function.call(**arguments)
