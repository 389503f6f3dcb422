"""How sweeping scales. Run it with bench/gc.sh.

Sizes: --expired N sessions expired among --live N others, and again among --times as many (default 200,000 among
200,000 and among 2,000,000: a fifth of what it is judged by, 1,000,000 among 1,000,000 and among 10,000,000, which
takes ten gigabytes and half an hour). What is measured does not change with the scale: batches have a fixed size, so
that a sweep's time is that of a batch times their number, and the tables differ by the same factor of ten.

Figures
- Time of a sweep in either table, with the breaks between its visits of three seconds, median of --repeat. `together`: the expired sessions were created together, as in
  life, and lie on pages of their own. `scattered`: each lies among live ones, so that ten times as many pages change.
  The time of the first is to depend on the expired sessions alone: at most 1.3 times as long.
- Sequential scans of the table during all sweeps: none.
- With an old snapshot held open elsewhere, nothing that was removed can be cleaned up: median time of a statement (a
  hundred rows of a batch) in the last tenth of the sweep over that in the first, at most 1.5.
- 99th percentile of session_start() of a live session, two clients with together 1,000 calls a second, over the calls
  during all of --calm sweeps, and over those of the quiet seconds before each, in one run of pgbench: at most twice as
  long. All together, for a sweep of a second has just ten calls beyond its 99th percentile.

The server keeps the defaults but for shared_buffers, which hold the tables (or the disk would be what is measured),
and for what makes two runs differ: no checkpoint falls into them, autovacuum is off (tables are vacuumed between the
sweeps), and nothing waits for the disk, which would only lengthen the quiet latencies.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from conftest import OWNER, Server, clean_environment, one, program  # noqa: E402

SETTINGS = {
    "shared_preload_libraries": "session_store",
    "shared_buffers": "4GB",
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "max_wal_size": "100GB",
    "autovacuum_naptime": "1d",
}
DATA = {"user": 42, "name": "ada", "cart": [{"item": n, "text": "something of a usual length"} for n in range(8)]}
ADD = """
    INSERT INTO session (session_expiry, created_at, version, lifetime, session_key, session_data)
    SELECT {expiry}, now() - interval '1 h', 1, 3600, sha256(('{name}' || i)::bytea), (SELECT data FROM payload)
    FROM generate_series({first}, {last}) AS i"""
PAST = "now() - interval '1 min' + i * interval '1 us'"
FUTURE = "now() + interval '1 h' + i * interval '1 us'"


class Bench:
    """A database, its tables filled in one of two ways."""

    def __init__(self, server, expired, live, scattered=False):
        self.server, self.expired, self.live = server, expired, live
        self.database = server.create_database()
        self.owner = self.database.connect()
        self.run("CREATE EXTENSION session_store; CREATE TABLE payload (data bytea)")
        self.owner.execute("SELECT session_create(%s, 'example')", (psycopg_json(DATA),))
        self.run("INSERT INTO payload SELECT session_data FROM session")
        if scattered:
            every = (expired + live) // expired
            mixed = f"CASE WHEN i % {every} = 0 THEN {PAST} ELSE {FUTURE} END"
            self.add("live", 1, expired + live, mixed)
        else:
            self.add("live", 1, live // 2, FUTURE)
            self.add_expired()
            self.add("live", live // 2 + 1, live, FUTURE)
        self.run("VACUUM ANALYZE session")

    def run(self, script):
        for statement in script.split(";"):
            self.owner.execute(statement)

    def add(self, name, first, last, expiry):
        self.run(ADD.format(name=name, first=first, last=last, expiry=expiry))

    def add_expired(self):
        self.add("expired", 1, self.expired, PAST)

    def sweep(self):
        """Has the launcher sweep once, in as many visits as it takes; when that began, and for how many seconds."""
        # Not from the view, which counts what is expired: that would be part of what is measured.
        query = """
            SELECT sweeps, total_rows, extract(epoch FROM last_start), extract(epoch FROM last_start + last_duration)
            FROM session_sweep"""
        seen, rows, _, _ = self.owner.execute(query).fetchone()
        began, removed = None, 0
        self.switch("1h")
        while removed < self.expired:
            time.sleep(0.05)
            sweeps, total, start, end = self.owner.execute(query).fetchone()
            began = began or (sweeps > seen and start)
            removed = total - rows
        self.switch("0")
        assert removed == self.expired, f"removed {removed}"
        return float(began), float(end - began)

    def switch(self, interval):
        self.server.configure(session_store__gc_interval=interval)
        self.server.reload()
        time.sleep(0.5)

    def scans(self):
        self.run("SELECT pg_stat_force_next_flush()")
        return one(self.owner, "SELECT pg_stat_get_numscans('session'::regclass)")

    def size(self):
        return one(self.owner, "SELECT pg_size_pretty(pg_table_size('session'))")

    def drop(self):
        self.database.drop()


def psycopg_json(value):
    from psycopg.types.json import Jsonb

    return Jsonb(value)


def row(*columns):
    print(f"{columns[0]:<70}" + "".join(f"{column:>13}" for column in columns[1:]), flush=True)


def sweep_times(server, expired, live, repeat, scattered):
    bench = Bench(server, expired, live, scattered)
    before, times = bench.scans(), []
    for number in range(1 if scattered else repeat):
        if number:
            bench.run("VACUUM session")
            bench.add_expired()
            before = bench.scans()
        times.append(bench.sweep()[1])
        assert bench.scans() == before, "a sequential scan"
    seconds = statistics.median(times)
    what = f"{expired:,} {'scattered' if scattered else 'together'} among {live:,} ({bench.size()})"
    row(what, f"{seconds:.2f} s", f"{expired / seconds:,.0f}/s")
    bench.drop()
    return seconds


def batch_growth(server, expired, live, snapshot):
    bench = Bench(server, expired, live)
    bench.owner.execute("""
        CREATE TABLE stamp (number serial, at timestamptz);
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.stamp (at) VALUES (clock_timestamp()); RETURN NULL; END $$;
        CREATE TRIGGER before BEFORE DELETE ON session EXECUTE FUNCTION stamp();
        CREATE TRIGGER after AFTER DELETE ON session EXECUTE FUNCTION stamp()""")  # fmt: skip
    holder = bench.database.connect(autocommit=False)
    if snapshot:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT FROM session LIMIT 1")
    bench.sweep()
    holder.close()
    stamps = [at for (at,) in bench.owner.execute("SELECT at FROM stamp ORDER BY number")]
    batches = [(end - begin).total_seconds() * 1e3 for begin, end in zip(stamps[::2], stamps[1::2], strict=True)]
    tenth = max(1, len(batches) // 10)
    first, last = statistics.median(batches[:tenth]), statistics.median(batches[-tenth:])
    what = f"a statement, first and last tenth of {len(batches)}, {'old' if snapshot else 'no old'} snapshot"
    row(what, f"{first:.2f} ms", f"{last:.2f} ms", f"{last / first:.2f}")
    bench.drop()


def foreground(server, expired, live, repeat, seconds=5):
    bench = Bench(server, expired, live)
    script = server.directory / "start.sql"
    script.write_text(f"\\set i random(1, {live})\nSELECT * FROM session_start('live' || :i);\n")
    logs = Path(server.directory / "latencies")
    logs.mkdir()
    command = [
        program("pgbench"), "-n", "-c", "2", "-j", "1", "-R", "1000", "-T", "36000", "-M", "prepared", "-l",
        "--log-prefix", str(logs / "log"), "-f", str(script), "-h", str(server.directory), "-p", str(server.port),
        "-U", OWNER, bench.database.name,
    ]  # fmt: skip
    clients = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sweeps = []
    for number in range(repeat):
        if number:
            bench.add_expired()
        time.sleep(seconds + 2)
        sweeps.append(bench.sweep())
    clients.terminate()
    clients.wait()
    calls = sorted(call for log in logs.iterdir() for call in latencies(log))
    quiet = [latency for at, latency in calls if any(begin - seconds - 0.5 < at < begin - 0.5 for begin, _ in sweeps)]
    swept = [latency for at, latency in calls if any(begin <= at <= begin + lasted for begin, lasted in sweeps)]
    for share in (50, 90, 99):
        low, high = (statistics.quantiles(sample, n=100)[share - 1] for sample in (quiet, swept))
        what = f"session_start p{share}, {len(quiet):,} and {len(swept):,} calls"
        row(what, f"{low:.3f} ms", f"{high:.3f} ms", f"{high / low:.2f}")
    bench.drop()


def latencies(log):
    """Time and latency of each call, from its scheduled start: a client that was late counts."""
    for line in log.read_text().splitlines():
        fields = line.split()
        if len(fields) >= 6 and fields[2].isdigit():  # the last line may be cut
            yield int(fields[4]) + int(fields[5]) / 1e6, int(fields[2]) / 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--expired", type=int, default=200_000)
    parser.add_argument("--live", type=int, default=200_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--calm", type=int, default=10)
    arguments = parser.parse_args()
    expired, live, more = arguments.expired, arguments.live, arguments.live * arguments.times
    server = Server(**SETTINGS).start()
    try:
        row("sweep", "time", "rows")
        for scattered in (False, True):
            small, large = (sweep_times(server, expired, n, arguments.repeat, scattered) for n in (live, more))
            row(f"ratio, {'scattered' if scattered else 'together (at most 1.3)'}", f"{large / small:.2f}")
        row("sequential scans", "0")
        row("\nstatements (at most 1.5)", "first", "last", "ratio")
        for snapshot in (False, True):
            batch_growth(server, expired, live, snapshot)
        row("\nforeground (at most 2)", "quiet", "sweep", "ratio")
        foreground(server, expired, live, arguments.calm)
    finally:
        server.stop("immediate")


if __name__ == "__main__":
    main()
