"""What bench/instructions.sh gives PostgreSQL to do, and the table of what it counted.

    instructions.py setup                          SQL that makes the tables and fills them
    instructions.py calls {direct,sql}             SQL that makes the calls, as a role that is not the owner
    instructions.py table DIRECTORY VERSIONS       the table, of what callgrind and PostgreSQL wrote there

In single-user mode a statement is one line. Callgrind closes a count where MARK runs: the first count of a series has
what came before it, the second EXECUTIONS executions, the third twice as many. So the third less the second is
EXECUTIONS executions and nothing else.

PostgreSQL reads such a line character by character and takes it apart, where a driver's Bind has the arguments ready.
So each call is followed by SELECT 1 with the same arguments as plain text, and what that takes over SELECT 1 without
any is taken off.
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

EXECUTIONS = 100
WARM = 20  # PostgreSQL plans the first five anew, and its caches fill
SESSIONS = 20_000
DEVICES = 10  # the last of them, of one principal
MARK = "SELECT pg_backend_pid()"
WAYS = {"direct": "on", "sql": "off"}
# session(281) of bench/load/load.go: 640 bytes.
DOCUMENT = (
    '{"seen":4244302261,"user_id":49685335,"cookie":{"path":"/","httpOnly":true},"name":"table chair",'
    '"roles":["customer"],"csrf":"6945d65e895c4fec51ef716ae6da43b4","locale":"en","theme":"set",'
    '"last":"/shop/43674","cart":[{"sku":"9071737b","title":"four frame","n":3},'
    '{"sku":"e86591ad","title":"of blue","n":5},{"sku":"6136db1","title":"small mug","n":9},'
    '{"sku":"224775a2","title":"paper garden","n":6},{"sku":"8958ccec","title":"large travel","n":8},'
    '{"sku":"d988a8f1","title":"running set","n":3},{"sku":"a4e7f1c3","title":"large small","n":3},'
    '{"sku":"ebd93373","title":"wooden large","n":4},{"sku":"fa71143b","title":"umbrella travel","n":6}]}'
)
IDS = (
    "SELECT n, encode(sha256(convert_to('session ' || n, 'UTF8')), 'hex') AS sid"
    f" FROM generate_series(1, {SESSIONS}) AS n"
)
SETUP = [
    "CREATE EXTENSION session_store",
    'CREATE TABLE node_session (sid varchar NOT NULL COLLATE "default", sess json NOT NULL,'
    " expire timestamp(6) NOT NULL, CONSTRAINT node_session_pkey PRIMARY KEY (sid))",
    "CREATE INDEX node_session_expire ON node_session (expire)",
    "CREATE ROLE application",
    "GRANT ALL ON node_session TO application",
    f"INSERT INTO node_session SELECT sid, '{DOCUMENT}', now() + '1 d' FROM ({IDS}) AS ids",
    "SELECT session_store_grant('application')",
    f"SELECT count(session_create('{DOCUMENT}', sid)) FROM ({IDS}) AS ids",
    f"SELECT count(session_bind(sid, 'somebody')) FROM ({IDS}) AS ids WHERE n > {SESSIONS - DEVICES}",
    "VACUUM (FREEZE, ANALYZE)",
]


@dataclass
class Call:
    label: str
    statement: str
    parameters: list  # of types and values; {sid} is the call's session; {seen} and {document} are new each time
    ours: bool = True
    ends: bool = False  # its session, so that each execution has another
    rows: int = 1  # of its result
    is_in_block: bool = False  # BEGIN and COMMIT around it, which do not count


SID = ("text", "{sid}")
BOUND = ("text", "{bound}")
PRINCIPAL = ("text", "{seen}")
NEW = ("text", "new {sid}")
SEEN = ("jsonb", "{seen}")
TEXT, JSON, JSONB, BYTES = ((kind, "{document}") for kind in ("text", "json", "jsonb", "bytea"))
CALLS = [
    Call("`SELECT 1`", "SELECT 1", [], ours=False),
    Call(
        "hand-written `SELECT`",
        "SELECT sess FROM node_session WHERE sid = $1 AND expire >= to_timestamp($2)",
        [SID, ("float8", "1700000000.123")],
        ours=False,
    ),
    Call(
        "hand-written upsert",
        "INSERT INTO node_session (sess, expire, sid) SELECT $2, to_timestamp($3), $1"
        " ON CONFLICT (sid) DO UPDATE SET sess=$2, expire=to_timestamp($3) RETURNING sid",
        [SID, JSON, ("float8", "{seen}")],
        ours=False,
    ),
    Call("`session_get(sid, key)`", "SELECT session_get($1, 'user_id')", [SID]),
    Call("`session_get(sid)`", "SELECT session_get($1)", [SID]),
    Call("`session_fetch`", "SELECT data, version FROM session_fetch($1)", [SID]),
    Call("`session_exist`", "SELECT session_exist($1)", [SID]),
    Call("`session_exist` of an unknown id", "SELECT session_exist($1)", [("text", "no {sid}")]),
    Call("`session_load`", "SELECT data, version FROM session_load($1)", [SID]),
    Call("`session_touch`", "SELECT session_touch($1)", [SID]),
    Call("`session_set`", "SELECT session_set($1, 'seen', $2)", [SID, SEEN]),
    Call("`session_patch`", "SELECT session_patch($1, $2)", [SID, ("text", '{{"seen":{seen}}}')]),
    Call("`session_save`", "SELECT session_save($1, $2)", [SID, TEXT]),
    Call("`session_release`", "SELECT session_release($1, $2)", [SID, JSONB]),
    Call("`session_release_raw`", "SELECT session_release_raw($1, $2)", [SID, BYTES]),
    Call("`session_create`", "SELECT session_create($1)", [JSONB]),
    Call("`session_regenerate`", "SELECT session_regenerate($1)", [SID], ends=True),
    Call("`session_destroy`", "SELECT session_destroy($1)", [SID], ends=True),
    Call("`session_regenerate` with a grace", "SELECT session_regenerate($1, NULL, '1 min')", [SID], ends=True),
    Call("`session_save` of a new one", "SELECT session_save($1, $2, 0)", [NEW, TEXT], ends=True),
    Call("`session_login`", "SELECT session_login($1, $2)", [SID, PRINCIPAL], ends=True),
    Call("`session_bind`", "SELECT session_bind($1, $2)", [SID, PRINCIPAL], ends=True),
    Call("`session_attach`", "SELECT session_attach($1)", [BOUND], is_in_block=True),
    Call(f"`session_devices`, {DEVICES} of them", "SELECT * FROM session_devices($1)", [BOUND], rows=DEVICES),
]


def sid(n):
    return hashlib.sha256(f"session {n}".encode()).hexdigest()


def executions(number, call):
    """What the executions of a call are, one after the other."""
    first = 1 + number * SESSIONS // len(CALLS)
    for n in range(WARM + 3 * EXECUTIONS):
        seen = 4_000_000_000 + n * 7_919
        known = {"sid": sid(first + n * call.ends), "bound": sid(SESSIONS), "seen": seen}
        known["document"] = DOCUMENT.replace("4244302261", str(seen))
        values = ", ".join(f"'{value.format(**known)}'" for _, value in call.parameters)
        execution = "EXECUTE call" + (f" ({values})" if values else "")
        yield f"BEGIN\n{execution}\nCOMMIT" if call.is_in_block else execution


def series(types, statement, executed):
    parameters = f" ({', '.join(types)})" if types else ""
    yield f"PREPARE call{parameters} AS {statement}"
    yield from [*executed[:WARM], MARK]
    yield from [*executed[WARM : WARM + EXECUTIONS], MARK]
    yield from [*executed[WARM + EXECUTIONS :], MARK]
    yield "DEALLOCATE call"


def calls(way):
    yield "SELECT session_exist('')"  # loads the library, whose settings are unknown before
    yield f"SET session_store.direct = {WAYS[way]}"
    yield "SET SESSION AUTHORIZATION application"
    for number, call in enumerate(CALLS):
        executed = list(executions(number, call))
        yield from series([kind for kind, _ in call.parameters], call.statement, executed)
        yield from series(["text" for _ in call.parameters], "SELECT 1", executed)


def counted(directory, way):
    """Instructions an execution, by call."""
    check(directory, way)
    totals = []
    for part in range(1, 6 * len(CALLS) + 1):
        written = (directory / f"{way}.callgrind.{part}").read_text()
        totals.append(int(re.search(r"^(?:summary|totals): (\d+)$", written, re.MULTILINE).group(1)))
    each = [(twice - once) / EXECUTIONS for once, twice in zip(totals[1::3], totals[2::3])]
    select_1 = each[0]
    return [whole - (text - select_1) for whole, text in zip(each[::2], each[1::2])]


def check(directory, way):
    """Each execution had a result, and that was not NULL."""
    failures = re.findall(r"^.*(?:ERROR|FATAL|PANIC|WARNING):.*$", (directory / f"{way}.err").read_text(), re.MULTILINE)
    if failures:
        sys.exit(f"{way}: {failures[0]}")
    results = len(re.findall(r'\t 1: \S+ = "', (directory / f"{way}.out").read_text()))
    # Of each call, of SELECT 1 with the same arguments, and of both their marks.
    wanted = 1 + sum((WARM + 3 * EXECUTIONS) * (call.rows + 1) + 6 for call in CALLS)
    if results != wanted:
        sys.exit(f"{way}: {results} results instead of {wanted}")


def table(directory, versions):
    figures = {way: counted(directory, way) for way in WAYS}
    yield "# Instructions a call\n"
    yield "Written by `bench/instructions.sh`. How they are counted: [bench/README.md](../README.md).\n"
    yield f"{versions}\n"
    yield f"Thousands of instructions, {SESSIONS} sessions of {len(DOCUMENT)} bytes of JSON.\n"
    yield "| | directly | by SQL | directly / by SQL |"
    yield "|---|---:|---:|---:|"
    for call, direct, by_sql in zip(CALLS, figures["direct"], figures["sql"]):
        ours = f"{by_sql / 1000:.1f} | {direct / by_sql:.2f}" if call.ours else "|"
        yield f"| {call.label} | {direct / 1000:.1f} | {ours} |"


def main():
    match sys.argv[1:]:
        case ["setup"]:
            lines = SETUP
        case ["calls", way]:
            lines = calls(way)
        case ["table", directory, versions]:
            lines = table(Path(directory), versions)
        case _:
            sys.exit(__doc__)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
