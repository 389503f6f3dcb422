"""Random statements around the functions, by SQLsmith: none crashes the server or shows an id in its log."""

import re
import subprocess
from collections import Counter

import pytest
from conftest import APP, OWNER

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

STATEMENTS = 10_000

# SQLsmith knows hardly any constants but NULL: it takes its arguments from these views and functions. Secret- marks
# what no log may show.
SCHEMA = r"""
    CREATE SCHEMA smith;
    CREATE VIEW smith.ids AS SELECT sid, key, ARRAY[key, nullif(key, '')] AS keys, 7 AS n
        FROM (VALUES ('Secret-a'), ('Secret-b'), ('Secret-' || repeat('x', 300)), ('')) AS a (sid),
            (VALUES ('Secret-key'), (''), ('k'), (repeat('Secret-', 1000))) AS b (key);
    CREATE VIEW smith.contents AS SELECT sid, document::jsonb, payload::bytea, version
        FROM (VALUES ('Secret-a'), ('Secret-b')) AS a (sid),
            (VALUES ('{}'), ('{"Secret-key": 1.50}'), ('{"k": {"": "Secret"}}'), ('[1]'), ('"Secret"'), ('1e131071'),
                (repeat('{"k":', 121) || '1' || repeat('}', 121))) AS b (document),
            (VALUES ('Secret', 7::bigint), ('\x', NULL), ('\xa1616b01', 0), ('\xff', -1)) AS c (payload, version);
    CREATE VIEW smith.lives AS SELECT sid, lifetime::interval, deadline::timestamptz, slide
        FROM (VALUES ('Secret-a'), ('Secret-b')) AS a (sid),
            (VALUES ('1 second', true), ('1 hour', false), ('0', NULL), ('68 years', true), ('69 years', true),
                ('-1 month 40 days', true), ('-1 s', true)) AS b (lifetime, slide),
            (VALUES ('infinity'), ('-infinity'), ('epoch'), ('2100-01-01'), ('294276-12-31')) AS c (deadline);
    CREATE FUNCTION smith.sid() RETURNS text VOLATILE
        RETURN (SELECT sid FROM (SELECT 'Secret-' || ceil(random() * 9) AS sid) one, session_put(sid, '{"k": 1}'));
    CREATE FUNCTION smith.key() RETURNS text VOLATILE RETURN (ARRAY['Secret-key', '', 'k'])[ceil(random() * 3)];
    CREATE FUNCTION smith.document() RETURNS jsonb RETURN '{"Secret-key": 1.50, "k": ["Secret-text"], "": null}'::jsonb;
    -- It leaves out functions that return rows.
    CREATE FUNCTION smith.start(text, interval, timestamptz) RETURNS text VOLATILE
        RETURN (SELECT sid FROM public.session_start($1, $2, $3));
    CREATE FUNCTION smith.load(text, boolean) RETURNS jsonb VOLATILE
        RETURN (SELECT data FROM public.session_load($1, $2));
    -- Of all functions it sees these alone, for it asks the catalog by unqualified names.
    CREATE SCHEMA ours;
    CREATE VIEW ours.pg_proc AS SELECT * FROM pg_catalog.pg_proc
        WHERE pronamespace IN ('public'::regnamespace, 'smith'::regnamespace);
    GRANT USAGE ON SCHEMA smith, ours TO PUBLIC;
    GRANT SELECT ON smith.ids, smith.contents, smith.lives, ours.pg_proc TO PUBLIC;
    GRANT EXECUTE ON FUNCTION public.session_all(), public.session_gc(bigint) TO PUBLIC;
    -- It makes little but errors of operators on ranges of any kind.
    SET allow_system_table_mods = on;
    DELETE FROM pg_operator WHERE (oprleft::regtype::text || oprright::regtype) ~ 'range';
    CREATE ROLE anything LOGIN; -- that calls what it likes, and may end backends of its own role
"""
DOCUMENTED = {"22004", "22023", "23505", "25006", "40001", "42809", "54000", "P0002", "XX001"}
RUNS = [(APP, "ours, pg_catalog, public"), (OWNER, "ours, pg_catalog, public"), ("anything", "public")]


def smith(database, role, search_path, seed):
    where = database.address(role)
    target = f"host={where['host']} port={where['port']} user={role} dbname={database.name}"
    return subprocess.Popen(
        ["sqlsmith", f"--target={target} options='-csearch_path={search_path.replace(' ', '')}'", "--exclude-catalog",
         f"--max-queries={STATEMENTS}", f"--seed={seed}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def own_errors(log):
    """What the log says of errors that the extension, or a panic in it, raised: SQLSTATE and all of the report."""
    reports = re.split(r"^(?=.* (?:LOG|WARNING|ERROR|FATAL|PANIC):  )", log, flags=re.MULTILINE)
    for report in reports:
        error = re.search(r"(?:ERROR|FATAL|PANIC):  (\w{5}): ", report)
        if error and re.search(r"LOCATION:  .*(?:session_store|\.rs:)", report):
            yield error[1], report


def test_random_statements_break_nothing_and_show_nothing(new_server):
    server = new_server(log_error_verbosity="verbose", track_functions="all")
    database = server.create_database()
    owner = database.connect()
    owner.execute("CREATE EXTENSION session_store")
    owner.execute(SCHEMA)
    running = [smith(database, *run, seed) for seed, run in enumerate(RUNS, 1)]
    ended = [process.wait() for process in running]
    assert owner.execute("SELECT session_get('Secret-a')"), "the server has not crashed meanwhile"
    assert ended == [0] * len(RUNS)

    errors = list(own_errors(server.log_text()))
    states = Counter(state for state, _ in errors)
    done = "SELECT funcname, sum(calls)::int FROM pg_stat_user_functions WHERE calls > 0 GROUP BY funcname"
    calls = dict(owner.execute(done))
    print(f"{STATEMENTS * len(RUNS)} statements; errors of ours: {dict(states)}; calls: {calls}")
    assert states.keys() <= DOCUMENTED and len(states) > 3
    for _, report in errors:
        assert "Secret" not in report and "STATEMENT:" not in report
    functions = owner.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    assert len({name for (name,) in functions} - calls.keys()) <= 2, "it is all chance, but nearly all succeeded"
