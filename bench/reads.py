"""Reads on a standby, and what the time of a read tells. Run it with bench/reads.sh.

Figures
- Reads a second on the primary and on its streaming standby, and their ratio: pgbench, prepared statements, the same
  --sessions sessions, none of them due to slide, --rounds rounds in turn.
- Hit against miss: the time of session_exist() for ids that are there and ids that are not, one client, in turn. Median,
  and the difference in units of the spread (the distance between the quartiles). A lookup goes by the SHA-256 of the
  id, so what a miss takes says nothing about how close the id came.
"""

import argparse
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from conftest import OWNER, Server, clean_environment, one, program, wait_until  # noqa: E402
from sweeping import standby_of  # noqa: E402

FILL = """SELECT count(session_create('{{"user": 42, "cart": ["umbrella", "boots"]}}', 's' || i, '10 d'))
    FROM generate_series(1, {sessions}) AS i"""
READ = "\\set n random(1, {sessions})\nSELECT session_get('s' || :n);\n"


def reads_per_second(server, script, seconds):
    command = [program("pgbench"), "-n", "-M", "prepared", "-c", "4", "-j", "2", "-T", str(seconds), "-f", str(script),
        "-h", str(server.directory), "-p", str(server.port), "-U", OWNER, "postgres"]  # fmt: skip
    printed = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    return float(next(line for line in printed.splitlines() if line.startswith("tps")).split()[2])


def compare_servers(primary, standby, arguments):
    script = primary.directory / "read.sql"
    script.write_text(READ.format(sessions=arguments.sessions))
    pairs = []
    for _ in range(arguments.rounds):
        pairs.append([reads_per_second(server, script, arguments.seconds) for server in (primary, standby)])
        print("primary {:,.0f}/s, standby {:,.0f}/s".format(*pairs[-1]))
    print(f"standby/primary: {statistics.median(there / here for here, there in pairs):.2f}")


def compare_ids(server, sessions):
    client = server.connect()
    times = {True: [], False: []}
    for _ in range(20_000):
        for hit in times:
            sid = f"{'s' if hit else 'x'}{secrets.randbelow(sessions) + 1}"
            begun = time.perf_counter_ns()
            found = one(client, "SELECT session_exist(%s)", sid)
            times[hit].append((time.perf_counter_ns() - begun) / 1_000)
            assert found is hit
    for hit, label in (True, "hit"), (False, "miss"):
        print(f"{label}: median {statistics.median(times[hit]):.1f} µs")
    low, _, high = statistics.quantiles(times[True], n=4)
    difference = statistics.median(times[True]) - statistics.median(times[False])
    print(f"difference {difference:+.1f} µs, {difference / (high - low):+.2f} of the distance between the quartiles")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    primary = Server(shared_buffers="512MB").start()
    standby = None
    try:
        with primary.connect() as owner:
            owner.execute("CREATE EXTENSION session_store")
            owner.execute(FILL.format(sessions=arguments.sessions))
            owner.execute("VACUUM ANALYZE session")
        standby = standby_of(primary)
        with primary.connect() as owner, standby.connect() as watcher:
            lsn = one(owner, "SELECT pg_current_wal_insert_lsn()")
            wait_until(lambda: one(watcher, "SELECT pg_last_wal_replay_lsn() >= %s", lsn))
        compare_servers(primary, standby, arguments)
        compare_ids(primary, arguments.sessions)
    finally:
        if standby:
            standby.stop("immediate")
        primary.stop("immediate")


if __name__ == "__main__":
    main()
