"""Each adapter beside the store that its users have now. Run it with bench/adapters.sh; how: bench/README.md."""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from conftest import APP, RUN, Server, clean_environment, free_port, one  # noqa: E402
from frameworks import FRAMEWORKS, OURS  # noqa: E402

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "max_connections": "400",  # all sites keep theirs
    "shared_buffers": "256MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "session_store__gc_interval": "1min",
}
REDIS = ["--appendonly", "yes", "--appendfsync", "everysec"]

# In this order, for logins need the sessions that first visits have begun, and logouts those of the logins.
KINDS = {
    "untouched": "visit that leaves the session alone",
    "first": "first visit, which begins a session",
    "login": "login",
    "logout": "logout",
    "read": "read",
    "write": "write",
    "mixed": "**mixed load**",
}
SLIDING = {"read": "read, a minute after the last", "mixed": "mixed load, all uses a minute apart"}

HEAD = """# Adapters beside what their users have now

Written by `bench/adapters.sh`. How it is measured: [bench/README.md](../README.md).

{versions}. {rounds} rounds of {seconds:g} s. The machine's load was {load_before:.1f} before, {load:.1f} at the end.
"""
TABLE = """## {name}: {rival}

| | {ours}, 1/s | {rival}, 1/s | ratio | of the rounds | at least | | CPU, µs | other's | WAL, bytes | other's |
|---|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|"""
CHECKED = """## Was the work done?

All answers were compared with what the session held. At the end the clients read all sessions that live, and some that
had ended, which are to be empty.

| | live sessions | ended ones | rows |
|---|---:|---:|---:|"""


class Figures(NamedTuple):
    rate: float  # requests a second
    cpu: float  # microseconds a request, of the server and the store
    wal: float  # bytes a request


class Site:
    """A framework's server with one store, and its load generator."""

    def __init__(self, stack, server, framework, name, store):
        self.server, self.store = server, store
        self.database = re.sub(r"\W+", "_", f"{name} {store}".lower())
        self.count = framework.count.get(store, "SELECT count(*) FROM session WHERE session_expiry > now()")
        self._create_database()
        port = free_port()
        environment = clean_environment(
            PGHOST="127.0.0.1",
            PGPORT=str(server.port),
            PGUSER=APP,
            PGPASSWORD=server.password,
            PGDATABASE=self.database,
            DATABASE_URL=server.uri(self.database, APP) + "?sslmode=disable",
            STORE=framework.stores[store],
            PORT=str(port),
            **framework.environment,
        )
        options = {"env": environment, "cwd": HERE / framework.directory}
        if framework.prepare:
            subprocess.run(framework.prepare, check=True, **options)
        load = framework.load
        if framework.command:
            command = [str(word).format(port=port) for word in framework.command]
            log = stack.enter_context(open(RUN / f"{self.database}.log", "w"))
            self.process = start(stack, command, stdout=log, stderr=log, **options)
            wait_for(port)
            load = [*load, "-address", f"127.0.0.1:{port}", "-cookie", framework.cookie]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.load = start(stack, load, **pipes, **options)
        if not framework.command:
            self.process = self.load
        self._answer()

    def _create_database(self):
        with self.server.connect() as owner:
            owner.execute(f"CREATE DATABASE {self.database}")
        with self.server.connect(self.database) as owner:
            owner.execute(f"GRANT CREATE ON SCHEMA public TO {APP}")
            if self.store == OURS:
                owner.execute("CREATE EXTENSION session_store")
                owner.execute(f"SELECT session_store_grant('{APP}')")

    def grow_older(self):
        """Takes away what the expiry was rounded up by."""
        with self.server.connect(self.database) as owner:
            owner.execute("UPDATE session SET session_expiry = now() + lifetime * interval '1 s'")

    def ask(self, kind, seconds=0):
        print(kind, seconds, file=self.load.stdin)
        return self._answer()

    def _answer(self):
        line = self.load.stdout.readline()
        if not line:
            log = RUN / f"{self.database}.log"
            sys.exit(f"{self.database}: the load generator has ended\n{log.read_text() if log.exists() else ''}")
        return json.loads(line)

    def rows(self):
        if self.store == "connect-redis":
            return redis("DBSIZE")
        with self.server.connect(self.database) as owner:
            return one(owner, self.count)


class Bench:
    def __init__(self, arguments, stack):
        self.arguments = arguments
        self.server = Server(**SETTINGS).start()
        self.server.create_roles()
        self.watcher = stack.enter_context(self.server.connect())
        redis = [RUN / "redis-server", "--port", "0", "--unixsocket", RUN / "redis.sock", "--dir", RUN, "--save", ""]
        self.redis = start(stack, [*redis, *REDIS], stdout=subprocess.DEVNULL)
        while not (RUN / "redis.sock").exists():
            time.sleep(0.05)
        self.sites = {
            name: {store: Site(stack, self.server, framework, name, store) for store in self.wanted(name, framework)}
            for name, framework in FRAMEWORKS.items()
            if len(self.wanted(name, framework)) > 1
        }
        self.postmaster = int((self.server.data / "postmaster.pid").read_text().split()[0])
        self.rounds = {}  # by framework, kind and whether uses slide: for each the figures of the stores

    def wanted(self, name, framework):
        rivals = [store for store in framework.stores if store != OURS]
        return [OURS, *(store for store in rivals if re.search(self.arguments.only, f"{name}, {store}"))]

    def measure(self):
        for number in range(self.arguments.rounds):
            for name, sites in self.sites.items():
                for kind in KINDS:
                    self.in_turn(number, name, kind, sites)
            self.let_slide(True)
            for name, sites in self.sites.items():
                if FRAMEWORKS[name].slides:
                    for kind in SLIDING:
                        self.in_turn(number, name, kind, sites, slides=True)
            self.let_slide(False)
            print(f"round {number + 1} of {self.arguments.rounds}, load {os.getloadavg()[0]:.1f}", flush=True)

    def let_slide(self, always):
        """Whether each use moves the expiry, as it does when the last was a minute ago, or the first in a minute."""
        self.server.configure(session_store__expiry_granularity="0" if always else "1min")
        self.server.reload()
        time.sleep(0.2)

    def in_turn(self, number, name, kind, sites, slides=False):
        order = list(sites)
        first = number % len(order)
        figures = {}
        if slides:
            sites[OURS].grow_older()
        for store in order[first:] + order[:first]:
            figures[store] = self.figures(sites[store], kind)
        self.rounds.setdefault((name, kind, slides), []).append(figures)

    def figures(self, site, kind):
        wal, spent = self.position(), self.processor_time(site)
        done = site.ask(kind, self.arguments.seconds)
        if not done["requests"]:
            sys.exit(f"{site.database}: no {kind}")
        wal, spent = self.position() - wal, self.processor_time(site) - spent
        return Figures(done["rate"], spent * 1e6 / done["requests"], wal / done["requests"])

    def processor_time(self, site):
        """Seconds of the framework's server and of the stores', of which one alone is at work."""
        parents = processes()
        return sum(time_of(process, parents) for process in (site.process.pid, self.postmaster, self.redis.pid))

    def position(self):
        return one(self.watcher, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")

    def report(self):
        lines = [HEAD.format(**vars(self.arguments), load=os.getloadavg()[0])]
        for name, sites in self.sites.items():
            for store in sites:
                if store != OURS:
                    lines += self.table(name, store)
        lines.append(CHECKED)
        for name, sites in self.sites.items():
            lines += [checked(name, store, site) for store, site in sites.items()]
        return "\n".join(lines) + "\n"

    def table(self, name, rival):
        lines = [TABLE.format(name=name, ours=OURS, rival=rival)]
        titles = {(kind, False): title for kind, title in KINDS.items()}
        titles |= {(kind, True): title for kind, title in SLIDING.items()}
        for (kind, slides), title in titles.items():
            rounds = self.rounds.get((name, kind, slides))
            if rounds:
                lines.append(row(title, rounds, rival, goal_of(kind, rival)))
        return [*lines, ""]


def goal_of(kind, rival):
    """Redis does not write to the disk before it answers, so single kinds of request have no goal beside it."""
    if rival == "connect-redis":
        return 0.9 if kind == "mixed" else None
    return 1.5 if kind == "mixed" else 1.0


def row(title, rounds, rival, goal):
    ours, theirs = ([figures[store] for figures in rounds] for store in (OURS, rival))
    ratios = sorted(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    ratio = statistics.median(ratios)
    verdict = "" if goal is None else "met" if ratio >= goal else "**missed**"
    cells = [title, f"{median(ours).rate:,.0f}", f"{median(theirs).rate:,.0f}", f"{ratio:.2f}"]
    cells += [f"{ratios[0]:.2f} to {ratios[-1]:.2f}", f"{goal or ''}", verdict]
    cells += [f"{median(of).cpu:,.0f}" for of in (ours, theirs)]
    cells += [f"{median(of).wal:,.0f}" for of in (ours, theirs)]
    return f"| {' | '.join(cells)} |"


def median(figures):
    return Figures(*map(statistics.median, zip(*figures, strict=True)))


def checked(name, store, site):
    found = site.ask("check")
    rows = site.rows()
    # beego's own provider also has a row for each visitor that left his session alone.
    if rows < found["live"] or (store == OURS and rows != found["live"]):
        sys.exit(f"{name}, {store}: {found['live']} sessions live, and there are {rows} rows")
    return f"| {name}, {store} | {found['live']:,} | {found['ended']:,} | {rows:,} |"


def redis(command):
    """The answer to a command whose answer is a number."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(RUN / "redis.sock"))
        connection.sendall(f"{command}\r\n".encode())
        return int(connection.recv(100)[1:])


def processes():
    """The parents of all processes."""
    parents = {}
    for directory in Path("/proc").glob("[0-9]*"):
        fields = stat(directory.name)
        if fields:
            parents[int(directory.name)] = int(fields[1])
    return parents


def time_of(process, parents):
    """Seconds of processor time of a process, of its children that have ended, and of those that have not."""
    fields = stat(process)
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0
    return own + sum(time_of(child, parents) for child, parent in parents.items() if parent == process)


def stat(process):
    """What /proc says behind the program's name; nothing of a process that has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def start(stack, command, **options):
    process = subprocess.Popen(command, **options)
    stack.callback(end, process)
    return process


def end(process):
    process.terminate()
    process.wait()


def wait_for(port):
    for _ in range(1200):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("a server does not start")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--only", default="", help="a pattern for FRAMEWORK, STORE: 'express, connect-redis'")
    arguments = parser.parse_args()
    arguments.load_before = os.getloadavg()[0]
    return arguments


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = parse()
    with ExitStack() as stack:
        bench = Bench(arguments, stack)
        bench.measure()
        arguments.results.write_text(bench.report())
    print(arguments.results.read_text())
    bench.server.stop("immediate")


if __name__ == "__main__":
    main()
