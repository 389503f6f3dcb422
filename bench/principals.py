"""What principals cost. Run it with bench/principals.sh; how it is measured: bench/README.md.

Figures, and what they are to be at most
- Row security with `owner = session_principal()` over that with a constant: reading all of a table, 1.1; by an index,
  and by parallel workers, the same plan. A setting, as people write it by hand, is there to compare.
- session_login over session_regenerate, time and instructions: 1.15.
- Calls for sessions that belong to nobody over what they took before there were principals, instructions.
- One session_revoke_all over one DELETE of the same rows: 1.2.
- session_devices over the same list from hand-written statements: 1.5.

In each round the ways that are compared take turns, the first of them another one each time. A ratio is the median of
those of the rounds. Rounds are short and many, for whatever else the machine does. --calls is how often a call is made
in one; ending sessions has a quarter of the rounds.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from conftest import OWNER, Server, clean_environment, one, program  # noqa: E402

SETTINGS = {
    "shared_buffers": "1GB",
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "max_wal_size": "32GB",
    "jit": "off",
    "min_parallel_table_scan_size": "0",
}
DEVICES = 10  # of each principal

# An owner has ten of the rows. Each role has a policy of its own, so that all of them read the same pages.
POLICIES = {
    "a constant": "owner = 'user 7'",
    "`session_principal()`": "owner = session_principal()",
    "`(SELECT session_principal())`": "owner = (SELECT session_principal())",
    "`current_setting('bench.principal')`": "owner = current_setting('bench.principal')",
}
DOCUMENTS = """
    CREATE TABLE document (owner text NOT NULL, body text NOT NULL);
    INSERT INTO document SELECT 'user ' || n % greatest({rows} / 10, 10), repeat(md5(n::text), 3)
        FROM generate_series(1, {rows}) AS n;
    ALTER TABLE document ENABLE ROW LEVEL SECURITY;
    SELECT session_bind(session_create('{{}}', 'attached'), 'user 7')"""
READER = """
    CREATE ROLE {role};
    GRANT SELECT ON document TO {role};
    CREATE POLICY {role} ON document TO {role} USING ({policy})"""
LOOK_UPS = "DO $$ BEGIN FOR i IN 1..{calls} LOOP PERFORM count(*) FROM document; END LOOP; END $$"

# They were used in the future, so that none comes due for a slide.
FILL = """
    INSERT INTO session (created_at, lifetime, session_key, principal, attributes, authenticated_at, handle,
            session_data, session_expiry, version)
        SELECT now(), 86400, sha256(convert_to('{name}' || n, 'UTF8')), principal, attributes, authenticated_at, handle,
            (SELECT data FROM payload), now() + '1 d 2 h', 1
        FROM generate_series(1, {sessions}) AS n, {binding}"""
UNBOUND = "(SELECT NULL::text, NULL::jsonb, NULL::timestamptz, NULL::uuid) AS bound {columns}"
BOUND = """
    LATERAL (SELECT {principal}, jsonb_build_object('browser', 'Firefox', 'city', n), now(), gen_random_uuid())
        AS bound {columns}"""
COLUMNS = "(principal, attributes, authenticated_at, handle)"
PAYLOAD = """
    CREATE TABLE payload AS SELECT ''::bytea AS data WHERE false;
    SELECT session_create('{"user_id": 4711, "seen": 1700000000, "csrf": "6945d65e895c4fec51ef716ae6da43b4"}');
    INSERT INTO payload SELECT session_data FROM session;
    DELETE FROM session"""

NEXT = "\\set n :n + 1\n"
RENEW = NEXT + "SELECT session_regenerate('{name}' || :n);\n"
LOGIN = NEXT + "SELECT session_login('{name}' || :n, 'user ' || :n);\n"

ANY = "\\set n random(1, :sessions)\n\\set principal :n % (:sessions / {devices})\n"
OWN = """
    SELECT principal FROM session
    WHERE session_key = sha256(convert_to('bound' || :n, 'UTF8')) AND session_expiry > now() \\gset\n"""
LIST = """
    SELECT handle, attributes, created_at, authenticated_at, session_expiry FROM session
    WHERE principal = {principal} AND session_expiry > now();\n"""
WAYS_TO_LIST = {
    "`session_devices`": "SELECT * FROM session_devices('bound' || :n);\n",
    "hand-written, for the id": OWN.replace("\n    ", " ") + LIST.format(principal=":principal").replace("\n    ", " "),
    "hand-written, for the principal": LIST.format(principal="'user ' || :principal").replace("\n    ", " "),
}


class Bench:
    """A server, and what was measured there."""

    def __init__(self, arguments):
        self.server = Server(**SETTINGS).start()
        self.arguments = arguments
        self.written = []
        self.run("CREATE EXTENSION session_store")

    def connect(self):
        return self.server.connect()

    def run(self, script):
        with self.connect() as owner:
            for statement in script.split(";"):
                owner.execute(statement)

    def in_turn(self, ways, rounds=None):
        """The figures of each round, by way. A way gets the round's number."""
        count, rounds = rounds or self.arguments.rounds, []
        for number in range(count):
            order = list(ways)
            first = number % len(order)
            rounds.append({way: ways[way](number) for way in order[first:] + order[:first]})
        return rounds

    def write(self, *lines):
        for line in lines:
            print(line, flush=True)
            self.written.append(line)

    def compare(self, rounds, base, unit, goal=None, only=None):
        """A row for each way: its median, and that of its ratios to the base."""
        for way in rounds[0]:
            middle = statistics.median(times[way] for times in rounds)
            ratios = sorted(times[way] / times[base] for times in rounds)
            is_judged = way != base and goal and (only is None or way in only)
            row = [way, f"{middle:,.{2 if middle < 10 else 1}f} {unit}"]
            spread = [f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}"]
            row += ["", ""] if way == base else spread
            self.write(f"| {' | '.join([*row, goal if is_judged else ''])} |")

    def head(self, title, ratio):
        self.write(f"\n## {title}\n", f"| | median | {ratio} | of the rounds | at most |", "|---|---:|---:|---:|---:|")

    def pgbench(self, script, calls, **variables):
        """Microseconds of a script, the median of its transactions."""
        file = self.server.directory / "script.sql"
        file.write_text(script)
        log = self.server.directory / "log.pgbench"
        command = [program("pgbench"), "-n", "-M", "prepared", "-t", str(calls), "-f", str(file), "-l",
            "--log-prefix", str(log), "-h", str(self.server.directory), "-p", str(self.server.port), "-U", OWNER,
            *(f"-D{name}={value}" for name, value in variables.items()), "postgres"]  # fmt: skip
        done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
        if done.returncode or "ERROR" in done.stderr:
            sys.exit(done.stderr)
        times = []
        for part in log.parent.glob("log.pgbench.*"):
            times += [int(line.split()[2]) for line in part.read_text().splitlines()]
            part.unlink()
        assert len(times) == calls
        return statistics.median(times)


def milliseconds(work):
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def policies(bench):
    rows, look_ups = bench.arguments.rows, 10 * bench.arguments.calls
    bench.run(DOCUMENTS.format(rows=rows))
    roles = {way: f"reader_{number}" for number, way in enumerate(POLICIES)}
    for way, role in roles.items():
        bench.run(READER.format(role=role, policy=POLICIES[way]))
    with bench.connect() as owner:
        owner.execute("VACUUM (ANALYZE, FREEZE) document")
    readers = {way: Reader(bench, role) for way, role in roles.items()}
    for title, workers, index in (
        (f"Row security: all of {rows:,} rows", 0, False),
        (f"Row security: all of {rows:,} rows, parallel", 2, False),
        (f"Row security: {look_ups:,} look-ups by the index on the owner", 0, True),
    ):
        if index:
            with bench.connect() as owner:
                owner.execute("CREATE INDEX ON document (owner)")
                owner.execute("VACUUM ANALYZE document")
        plans = {way: reader.begin(workers) for way, reader in readers.items()}
        query = LOOK_UPS.format(calls=look_ups) if index else "SELECT count(*) FROM document"
        for reader in readers.values():
            reader.client.execute(query)
        rounds = bench.in_turn({way: (lambda _, r=reader: r.time(query)) for way, reader in readers.items()})
        bench.head(title, "with the constant = 1")
        ours = [way for way in POLICIES if "session_principal" in way]
        bench.compare(rounds, "a constant", "ms", None if index else "1.1", ours)
        bench.write("", *(f"- {way}: {plan}" for way, plan in plans.items()))
        for reader in readers.values():
            reader.client.rollback()
    for reader in readers.values():
        reader.client.close()


class Reader:
    """A connection of a role that is under row security."""

    def __init__(self, bench, role):
        self.client = bench.server.connect(autocommit=False)
        self.role = role

    def begin(self, workers):
        """Begins a transaction, with the principal attached; what the plan is."""
        self.client.execute(f"SET LOCAL max_parallel_workers_per_gather = {workers}")
        self.client.execute("SET LOCAL bench.principal = 'user 7'")
        self.client.execute(f"SET LOCAL ROLE {self.role}")
        assert one(self.client, "SELECT session_attach('attached')") == "user 7"
        plan = one(self.client, "EXPLAIN (ANALYZE, FORMAT json) SELECT count(*) FROM document")
        nodes = list(nodes_of((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]))
        assert next(node["Actual Rows"] for node in nodes if node.get("Relation Name")) > 0
        launched = max(node.get("Workers Launched", 0) for node in nodes)
        names = " of ".join(node["Node Type"] for node in nodes if node.get("Parent Relationship") != "InitPlan")
        return names + (f", {launched} workers" if launched else "")

    def time(self, query):
        return milliseconds(lambda: self.client.execute(query))


def nodes_of(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes_of(below)


def fill(bench, name, sessions, principal=None):
    binding = (UNBOUND if principal is None else BOUND).format(principal=principal, columns=COLUMNS)
    bench.run(FILL.format(name=name, sessions=sessions, binding=binding))


def settle(bench):
    with bench.connect() as owner:
        owner.execute("VACUUM ANALYZE session")
        owner.execute("CHECKPOINT")


def logins(bench):
    calls, rounds = bench.arguments.calls, bench.arguments.rounds
    for name in "renewed", "login":
        fill(bench, name, calls * rounds)
    settle(bench)
    ways = {
        f"`session_{call}`": lambda number, name=name, script=script: bench.pgbench(
            script.format(name=name), calls, n=number * calls
        )
        for call, name, script in (("regenerate", "renewed", RENEW), ("login", "login", LOGIN))
    }
    bench.head(f"Login, {calls:,} in a round, alone", "`session_regenerate` = 1")
    bench.compare(bench.in_turn(ways), "`session_regenerate`", "µs", "1.15")
    with bench.connect() as owner:
        left = """
            SELECT count(*) FROM session
            WHERE session_key IN (SELECT sha256(convert_to('login' || n, 'UTF8')) FROM generate_series(1, %s) AS n)"""
        assert one(owner, left, calls * rounds) == 0, "a login did not move its session"


def lists(bench):
    calls, sessions = bench.arguments.calls, bench.arguments.sessions
    script = ANY.format(devices=DEVICES)
    ways = {
        way: lambda _, statements=statements: bench.pgbench(script + statements, calls, sessions=sessions)
        for way, statements in WAYS_TO_LIST.items()
    }
    for way in ways.values():
        way(0)
    rounds = bench.in_turn(ways)
    for title, base, other in (
        (f"Devices: a principal with {DEVICES} among {sessions:,} sessions", "for the id", "for the principal"),
        ("The same, against an application that knows the principal", "for the principal", "for the id"),
    ):
        bench.head(title, f"hand-written, {base} = 1")
        shown = [{way: took for way, took in times.items() if not way.endswith(other)} for times in rounds]
        bench.compare(shown, f"hand-written, {base}", "µs", "1.5")


def ends(bench):
    """Those of one principal, made after all others."""
    ended = bench.arguments.ended

    def end(statement):
        fill(bench, "ended", ended, "'gone'")
        settle(bench)
        with bench.connect() as owner:
            # It loads the library and knows the table.
            owner.execute(statement.replace("'gone'", "'nobody'"))
            begun = time.perf_counter()
            cursor = owner.execute(statement)
            took = (time.perf_counter() - begun) * 1e3
            count = cursor.fetchone()[0] if cursor.description else cursor.rowcount
            assert count == ended, f"ended {count}"
        return took

    delete = "DELETE FROM session WHERE principal = 'gone'"
    returning = f"WITH ended AS ({delete} RETURNING handle::text) SELECT count(handle) FROM ended"
    fill(bench, "ended", ended, "'gone'")
    settle(bench)
    with bench.connect() as owner:
        plan = " ".join(line.strip(" ->") for (line,) in owner.execute(f"EXPLAIN (COSTS off) {delete}"))
        owner.execute(delete)
        owner.execute("VACUUM session")
        among = one(owner, "SELECT count(*) FROM session")
    ways = {
        "`DELETE`": lambda _: end(delete),
        "`DELETE … RETURNING handle::text`, counted": lambda _: end(returning),
        "`session_revoke_all`": lambda _: end("SELECT count(*) FROM session_revoke_all('gone')"),
    }
    bench.head(f"Log out everywhere: {ended:,} sessions among {among:,} others", "`DELETE` = 1")
    rounds = bench.in_turn(ways, max(1, bench.arguments.rounds // 4))
    bench.compare(rounds, "`DELETE`", "ms", "1.2", "`session_revoke_all`")
    bench.write(f"\nThe plan of the `DELETE`: {plan}")


def instructions(bench):
    before, now = (
        {
            call: float(direct)
            for call, direct in re.findall(r"^\| (.+?) \| ([0-9.]+) \|", file.read_text(), re.MULTILINE)
        }
        for file in bench.arguments.instructions
    )
    bench.write(
        "\n## Instructions\n",
        "In thousands, of a call for a session that belongs to nobody: what `bench/instructions.sh` counts at the last"
        " commit without principals, and now.\n",
        "| | before | now | ratio |",
        "|---|---:|---:|---:|",
        *(
            f"| {call} | {before[call]} | {took} | {took / before[call]:.2f} |"
            for call, took in now.items()
            if call in before
        ),
    )
    renewal = now["`session_regenerate`"]
    bench.write(
        "\n| | now | `session_regenerate` = 1 | at most |",
        "|---|---:|---:|---:|",
        *(
            f"| {call} | {took} | {took / renewal:.2f} | {'1.15' if 'login' in call else ''} |"
            for call, took in now.items()
            if call not in before
        ),
    )


PARTS = {"policies": policies, "logins": logins, "lists": lists, "ends": ends, "instructions": instructions}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--ended", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--only", default="")
    parser.add_argument("--versions", required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--instructions", type=Path, nargs=2, required=True)
    arguments = parser.parse_args()
    bench = Bench(arguments)
    bench.write(
        "# What principals cost\n",
        "Written by `bench/principals.sh`. How it is measured: [bench/README.md](../README.md).\n",
        arguments.versions,
    )
    try:
        bench.run(PAYLOAD)
        parts = [part for part in PARTS if re.search(arguments.only, part)]
        if {"lists", "ends", "logins"} & set(parts):
            fill(bench, "bound", arguments.sessions, f"'user ' || n % ({arguments.sessions} / {DEVICES})")
            settle(bench)
        for part in parts:
            PARTS[part](bench)
    finally:
        bench.server.stop("immediate")
    arguments.results.write_text("\n".join(bench.written) + "\n")


if __name__ == "__main__":
    main()
