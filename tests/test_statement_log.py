"""PostgreSQL's own log at its most talkative: what docs/security.md says keeps session ids out of it does, and what it warns
of is so."""

import json
import os
import signal
import subprocess
from pathlib import Path

import psycopg
import psycopg2
import pytest
from conftest import APP, Server, one, program, wait_until
from failures import ARGUMENTS, CREATE, SID, VALUE, failures
from psycopg import errors
from sweeping import wait_until_up

EVERYTHING = {
    "log_statement": "all",
    "log_min_messages": "debug5",
    "log_min_error_statement": "debug5",
    "log_min_duration_statement": "0",
    "log_error_verbosity": "verbose",
    "log_lock_waits": "on",
    "log_connections": "on",
    "log_disconnections": "on",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_triggers": "on",
    "pg_stat_statements.track": "all",
}
LIBRARIES = ["pg_stat_statements", "auto_explain"]
# What the page says, for drivers that bind.
ADVICE = "-c log_parameter_max_length=0"


def has_contrib():
    where = subprocess.run([program("pg_config"), "--pkglibdir"], capture_output=True, text=True, check=True).stdout
    return all(Path(where.strip(), f"{library}.so").exists() for library in LIBRARIES)


@pytest.fixture(scope="module")
def cluster():
    """Logs everything, as one JSON object a message."""
    if not has_contrib():
        pytest.skip("this PostgreSQL comes without contrib")
    cluster = Server(
        **EVERYTHING, shared_preload_libraries=",".join(LIBRARIES), logging_collector="on", log_destination="jsonlog",
        log_filename="all.log", log_rotation_size="0",
    ).start()  # fmt: skip
    cluster.create_roles()
    yield cluster
    cluster.stop("immediate")


@pytest.fixture
def database(cluster):
    database = cluster.create_database()
    with database.connect() as owner:
        owner.execute("CREATE EXTENSION session_store; CREATE EXTENSION pg_stat_statements")
    yield database
    database.drop()


@pytest.fixture
def log(cluster):
    return Log(cluster)


class Log:
    """What was logged since a test began."""

    def __init__(self, cluster):
        self.file, self.cluster = cluster.data / "log" / "all.json", cluster
        self.since = self.file.stat().st_size

    def records(self):
        """All that has been said by now: the collector is a process of its own."""
        with self.cluster.connect() as marker:
            mark = f"mark {marker.info.backend_pid}"
            marker.execute(f"DO $$ BEGIN RAISE LOG '{mark}'; END $$")

        def read():
            with open(self.file, errors="replace") as file:
                file.seek(self.since)
                return file.read()

        wait_until(lambda: f'"message":"{mark}"' in read())
        return [json.loads(line) for line in read().splitlines() if line.endswith("}")]

    def text(self):
        return "\n".join(map(str, self.records()))


def interpolating(database, user=APP):
    connection = psycopg2.connect(**database.address(user))
    connection.autocommit = True
    return connection.cursor()


def binding(database, options=ADVICE):
    """As superuser, who may set these options. Prepared statements are planned anew, with the values."""
    return database.connect(options=f"{options} -c plan_cache_mode=force_custom_plan")


def without_explained_parameters(cluster):
    with cluster.connect() as owner:
        newer = int(one(owner, "SHOW server_version_num")) >= 160000
    return "-c auto_explain.log_parameter_max_length=0" if newer else ""


# Whatever is logged


def test_messages_of_ours_hold_nothing_even_so(database, log):
    client, tried = interpolating(database, "owner"), 0
    for message, preparation, call in failures(database.connect()):
        client.execute("BEGIN")
        client.execute(CREATE)
        if preparation:
            client.execute(preparation)
        with pytest.raises(psycopg2.Error) as raised:
            client.execute(call, ARGUMENTS)
        assert raised.value.diag.message_primary == message
        client.execute("ROLLBACK; RESET session_store.max_size")
        tried += 1
    ours = [record for record in log.records() if record.get("func_name") == "session_store"]
    assert len(ours) == tried
    assert "Secret" not in str(ours)
    assert not [record for record in ours if "statement" in record]
    # In all other places it is the statement, which PostgreSQL was told to log.
    for record in log.records():
        if "Secret" in record["message"]:
            assert record["message"].startswith(("statement: ", "duration: ")), record


def run_everything(database, client):
    """Calls, errors of ours and of PostgreSQL, and a wait, all with bound parameters."""
    client.execute("SELECT session_put(%s, %s)", (SID, VALUE))
    for call in "session_get(%s)", "session_load(%s)", "session_start(%s)", "session_touch(%s, '2 h')":
        for _ in range(3):
            client.execute(f"SELECT {call}", (SID,), prepare=True)
    for call in "session_set(%s, 'k', NULL), 1 / (length(%s) - length(%s))", "session_set(%s || 'x', %s, to_jsonb(%s::text))":
        with pytest.raises(psycopg.Error):
            client.execute(f"SELECT {call}", (SID, SID, SID))
    locker = database.connect()
    locker.execute("BEGIN; SELECT FROM session FOR UPDATE")
    client.execute("SET deadlock_timeout = 10; SET lock_timeout = 100")
    with pytest.raises(errors.LockNotAvailable):
        client.execute("SELECT session_set(%s, 'k', %s)", (SID, VALUE))
    locker.execute("ROLLBACK")


def test_with_bound_parameters_and_the_settings_of_the_readme_nothing_is_logged_or_shown(cluster, database, log):
    client = binding(database, f"{ADVICE} {without_explained_parameters(cluster)}")
    run_everything(database, client)
    text = log.text()
    assert "Secret" not in text
    for word in "statement: ", "duration: ", "Query Text", "still waiting", "division by zero", "DEBUG":
        assert word in text, word
    owner = database.connect()
    for view in "pg_stat_statements", "pg_stat_activity", "pg_prepared_statements":
        shown = owner.execute(f"SELECT * FROM {view}").fetchall()
        assert shown or view == "pg_prepared_statements"
        assert "Secret" not in str(shown)


def test_nor_when_a_backend_crashes(cluster, database, log):
    client = binding(database, f"{ADVICE} {without_explained_parameters(cluster)}")
    client.execute("SELECT session_put(%s, %s)", (SID, VALUE))
    pid = client.info.backend_pid
    client.execute("SELECT session_get(%s)", (SID,))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):
        wait_until(lambda: one(client, "SELECT 1") != 1)
    # Before that it takes connections, and ends them.
    wait_until(lambda: b"all server processes terminated" in log.file.read_bytes()[log.since :])
    wait_until_up(cluster).close()
    text = log.text()
    assert "Failed process was running" in text
    assert "Secret" not in text


# What it warns of


def test_postgresql_quotes_malformed_json_whatever_is_set(database, log):
    with pytest.raises(errors.InvalidTextRepresentation):
        binding(database).execute("SELECT session_set(%s, 'k', (%s::text || '[')::jsonb)", (SID, VALUE))
    assert "Secret-value" in log.text()
    assert SID not in log.text()


def test_by_default_the_statement_log_shows_bound_parameters(database, log):
    binding(database, "").execute("SELECT session_exist(%s)", (SID,))
    details = [record.get("detail", "") for record in log.records()]
    assert any("parameters" in detail.lower() and SID in detail for detail in details)


@pytest.mark.parametrize("length", ["0", "-1"])
def test_other_errors_show_bound_parameters_only_where_that_is_set(database, log, length):
    client = binding(database, f"{ADVICE} -c log_parameter_max_length_on_error={length}")
    with pytest.raises(errors.DivisionByZero):
        client.execute("SELECT session_exist(%s), 1 / (length(%s) - length(%s))", (SID, SID, SID))
    assert (SID in log.text()) == (length == "-1")


@pytest.mark.parametrize("verbose", ["off", "on"])
def test_a_verbose_plan_shows_the_arguments(cluster, database, log, verbose):
    explained = without_explained_parameters(cluster)
    client = binding(database, f"{ADVICE} {explained} -c auto_explain.log_verbose={verbose}")
    client.execute("SELECT session_exist(%s)", (SID,))
    assert "Query Text" in log.text()
    assert (SID in log.text()) == (verbose == "on")


def test_newer_explained_plans_show_bound_parameters_by_default(cluster, database, log):
    if not without_explained_parameters(cluster):
        pytest.skip("from PostgreSQL 16 on")
    binding(database).execute("SELECT session_exist(%s)", (SID,))
    assert SID in log.text()


@pytest.mark.parametrize("level", ["error", "panic"])
def test_errors_outside_our_functions_log_an_interpolated_statement_unless_that_is_off(database, log, level):
    client = interpolating(database, "owner")
    client.execute(f"SET log_statement = none; SET log_min_duration_statement = -1; SET log_min_error_statement = {level}")
    client.execute("SET auto_explain.log_min_duration = -1; CREATE TABLE parent (id int PRIMARY KEY)")
    client.execute("CREATE TABLE child (id int REFERENCES parent INITIALLY DEFERRED)")
    client.execute("CREATE FUNCTION orphan() RETURNS void LANGUAGE sql AS 'INSERT INTO child VALUES (1)'")
    client.execute("SET log_min_messages = error")
    for call, failure in (
        (f"session_set('{SID}', 'k', '{{')", psycopg2.errors.InvalidTextRepresentation),
        (f"session_exist('{SID}'), orphan()", psycopg2.errors.ForeignKeyViolation),  # at the commit
    ):
        with pytest.raises(failure):
            client.execute(f"SELECT {call}")
    logged = [record for record in log.records() if record["error_severity"] == "ERROR"]
    assert [SID in record.get("statement", "") for record in logged] == [level == "error"] * 2


def test_activity_shows_texts_to_the_same_role_and_to_those_who_read_all_statistics(cluster, database):
    client = interpolating(database)
    client.execute(f"SELECT session_exist('{SID}')")
    with cluster.connect() as owner:
        owner.execute("CREATE ROLE reader LOGIN IN ROLE pg_read_all_stats; CREATE ROLE monitor LOGIN IN ROLE pg_monitor")
        owner.execute("CREATE ROLE nobody LOGIN")
    query = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    pid = client.connection.info.backend_pid
    try:
        for user, sees in (APP, True), ("reader", True), ("monitor", True), ("nobody", False):
            with cluster.connect(user=user) as connection:
                assert (SID in one(connection, query, pid)) == sees, user
    finally:
        with cluster.connect() as owner:
            owner.execute("DROP ROLE reader, monitor, nobody")


def test_statistics_of_statements_replace_constants_but_not_in_commands(database):
    client, owner = interpolating(database), database.connect()
    client.execute(f"SELECT session_create('{VALUE}', '{SID}')")
    client.execute(f"SELECT session_get('{SID}')")
    texts = "SELECT string_agg(query, ' ') FROM pg_stat_statements"
    assert "session_get($1)" in one(owner, texts)
    assert "Secret" not in one(owner, texts)
    client.execute(f"DO $$ BEGIN PERFORM session_get('{SID}'); END $$")
    assert SID in one(owner, texts)


def test_prepare_as_a_command_puts_the_values_into_the_text(database, log):
    client = binding(database)
    client.execute("PREPARE look (text) AS SELECT session_exist($1)")
    assert SID not in log.text()
    client.execute(f"EXECUTE look ('{SID}')")
    assert SID in log.text()
