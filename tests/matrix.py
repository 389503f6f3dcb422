"""Makes a call in some kind of transaction, beside something that stands around the table; tells what came of it."""

import contextlib
import itertools
import re
from collections import Counter
from datetime import UTC, datetime

import psycopg
from around import AUDIT
from conftest import APP, one, wait_until
from matrix_calls import HAND, ROWS, WAYS

PROCEDURE = """
    CREATE PROCEDURE commit_around(call text, INOUT answer jsonb) LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM session_exist('other');
        COMMIT;
        EXECUTE 'SELECT to_jsonb(' || call || ')' INTO answer;
        COMMIT;
        PERFORM session_exist('s');
    END $$"""
RESET = """
    BEGIN; SET LOCAL session_replication_role = replica;
    DELETE FROM session; {rows}; {reset}; DELETE FROM audited; COMMIT"""

# What a call must leave as it was for its connection.
SETTINGS = "synchronous_commit", "enable_seqscan", "plan_cache_mode", "search_path", "role", "row_security"

# Live sessions, but for what differs each time; what the audit noted, and whether what must hold does.
SEEN = """
    SELECT (
        SELECT jsonb_agg(row ORDER BY row) FROM (
            SELECT jsonb_build_array(coalesce(sid, 'generated'), left(encode(session_data, 'hex'), 40),
                CASE WHEN version < 1e12 THEN version::text ELSE 'new' END,
                round(extract(epoch FROM session_expiry - clock_timestamp()) / 3600, 1),
                round(extract(epoch FROM clock_timestamp() - created_at) / 3600, 1),
                lifetime, deadline, principal, attributes, authenticated_at > clock_timestamp() - interval '1 h',
                handle IS NULL) AS row
            FROM session LEFT JOIN unnest('{{s,other,raw,n,m,x}}'::text[]) AS sid ON session_key = sha256(sid::bytea)
            WHERE session_expiry > clock_timestamp()) AS live
    ), (
        SELECT coalesce(jsonb_agg(row ORDER BY row), '[]') FROM (
            SELECT jsonb_build_array(op, level, timing, rows, count(*)) AS row
            FROM audited GROUP BY op, level, timing, rows) AS noted
    ), {holds}"""

SOUND = """
    WITH RECURSIVE ours AS (
        SELECT 'session'::regclass AS oid
        UNION SELECT inhrelid::regclass FROM pg_inherits JOIN ours ON inhparent = ours.oid)
    SELECT indexrelid::regclass, nullif(bt_index_check(indexrelid, true)::text, '')
    FROM ours JOIN pg_index ON indrelid = ours.oid JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indisvalid AND relkind = 'i' AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
    UNION ALL
    SELECT ours.oid::regclass, msg FROM ours JOIN pg_class USING (oid), verify_heapam(ours.oid) WHERE relkind = 'r'"""

MESSAGE = re.compile(r"\[\d+\] (?:\S+ )?(?:WARNING|ERROR|FATAL|PANIC):  (.*)")


class Place:
    """A database with something around the table, and who calls there."""

    def __init__(self, cluster, around):
        self.cluster = cluster
        self.around = around
        self.database = cluster.create_database(template="extended")
        self.errors = []  # those that clients got
        self._hands = {}
        self.connect()
        self.owner.execute(AUDIT + PROCEDURE)
        self.has_contrib = {name for name in ("amcheck", around.contrib) if is_available(self.owner, name)}
        for name in self.has_contrib:
            self.owner.execute(f"CREATE EXTENSION {name}")
        self.owner.execute("SELECT session_store_grant('app')")
        self.owner.execute(RESET.format(rows=ROWS, reset="SELECT"))
        # So that the client knows the table as it was.
        self.client.execute("SELECT session_set('s', 'k', '1'), session_start(), session_destroy(session_create())")
        done = self.database.psql(around.script, arguments=("-X", "-q", "-v", "ON_ERROR_STOP=1"))
        assert done.returncode == 0, done.stdout
        self.reset = RESET.format(rows=ROWS, reset=around.reset or "SELECT")
        self.mark = len(cluster.log_text())

    def connect(self):
        self.owner, self.client = self.database.connect(), self.database.connect(APP)
        self.client.execute("SET statement_timeout = '20s'")
        self.was = self.settings()
        if not self.around.probe:
            return
        self.by_table, self.by_index = self.database.connect(), self.database.connect()
        self.by_table.execute("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
        self.by_index.execute("SET enable_seqscan = off")

    def drop(self):
        self.database.drop()

    def call(self, way, call):
        """What a call returns, the live sessions that it leaves, what the audit noted, whether what must hold does."""
        return self.run(lambda: plain(self.answer(way, call)))

    def run(self, work):
        try:
            self.owner.execute(self.reset)
            return self.outcome(work), *self.owner.execute(SEEN.format(holds=self.around.holds)).fetchone()
        except psycopg.Error as error:
            if not (self.client.broken or self.owner.broken):
                raise
            self.connect_again()
            return f"no answer: {error}", None, None, None

    def outcome(self, work):
        """What comes of work of the client, or the error that it got."""
        try:
            return work()
        except psycopg.Error as error:
            if self.client.broken:
                raise
            self.errors.append(error)
            self.client.execute("ROLLBACK" if self.client.info.transaction_status else "")
            return error.sqlstate

    def answer(self, way, call):
        if WAYS[way] is None:
            return one(self.client, "CALL commit_around(%s, NULL)", call)
        before, after = WAYS[way]
        self.client.execute(before)
        answer = one(self.client, f"SELECT to_jsonb({call})")
        self.client.execute(after)
        return answer

    def sweep(self):
        """The live sessions that a sweep leaves, what the audit noted, and whether what must hold does."""
        sweeps, settle = "SELECT sweeps FROM session_store_stats", "ALTER SYSTEM SET session_store.gc_interval = '{}'"
        before = one(self.owner, sweeps)
        self.owner.execute(self.reset)
        self.owner.execute(settle.format("1h"))  # a reload has the launcher begin at once
        self.owner.execute("SELECT pg_reload_conf()")
        wait_until(lambda: one(self.owner, sweeps) > before)
        self.owner.execute(settle.format("0"))
        self.owner.execute("SELECT pg_reload_conf()")
        return self.owner.execute(SEEN.format(holds=self.around.holds)).fetchone()

    def connect_again(self):
        """After the server went down."""

        def connected():
            with contextlib.suppress(psycopg.OperationalError):
                self.connect()
                return True

        wait_until(connected)

    def faults(self):
        """What is wrong with the table and its indexes, or with the connection."""
        found = []
        if self.settings() != self.was:
            found.append(f"settings: {self.settings()}")
        if "amcheck" in self.has_contrib:
            try:
                found += [f"{name}: {message}" for name, message in self.owner.execute(SOUND) if message]
            except psycopg.Error as error:
                found.append(str(error))
        if self.around.probe:
            query = f"SELECT count(*) FROM session WHERE {self.around.probe}"
            counts = one(self.by_table, query), one(self.by_index, query)
            found += [] if counts[0] == counts[1] else [f"rows by the table and by the index: {counts}"]
        return found

    def settings(self):
        values = ", ".join(f"current_setting('{name}')" for name in SETTINGS)
        return self.client.execute(f"SELECT {values}").fetchone()

    def by_hand(self, effect):
        """What the audit notes of the owner's own statements, each way to write them that this table takes."""
        if effect not in self._hands:
            statements = itertools.product(*(HAND[name] for name in effect.split(", ") if name))
            self._hands[effect] = [noted for noted in map(self.noted_by_hand, statements) if noted is not None]
            assert self._hands[effect], f"no statement of {effect} is possible"
        return self._hands[effect]

    def noted_by_hand(self, statements):
        self.owner.execute(self.reset)
        try:
            for statement in statements:
                self.owner.execute(statement)
        except psycopg.Error as error:
            self.errors.append(error)
            return None
        return self.owner.execute(SEEN.format(holds="true")).fetchone()[1]

    def logged(self):
        """Messages in the server's log that clients did not get."""
        found = MESSAGE.findall(self.cluster.log_text(self.mark))
        # From PostgreSQL 18 on VACUUM and ANALYZE go through child tables, and say so of foreign ones.
        expected = "skipping ", "session_attach can only be used in transaction blocks"
        lines = Counter(message for message in found if not message.startswith(expected))
        return list((lines - Counter(error.diag.message_primary for error in self.errors)).elements())


def is_available(connection, extension):
    return one(connection, "SELECT count(*) FROM pg_available_extensions WHERE name = %s", extension) > 0


def plain(value):
    """What a call returns, but for what differs each time: ids, versions that are times, and times."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return "an id"
    if isinstance(value, str) and re.match(r"2\d\d\d-\d\d-\d\dT", value):
        hours = round((datetime.fromisoformat(value) - datetime.now(UTC)).total_seconds() / 3600, 1)
        return value if hours > 1000 else hours + 0.0
    return "new" if isinstance(value, int) and value > 1e12 else value
