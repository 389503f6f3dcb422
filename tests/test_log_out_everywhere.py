"""Log out everywhere is final: what it ends is gone, whatever else goes on, and who logs in meanwhile has read the account."""

import random
import threading
import time

import psycopg
import pytest
from calls import outcome
from conftest import APP, THREADS, one, wait_until
from principals import LEVELS, live

KEEPING_A_SNAPSHOT = LEVELS[1:]


CLIENTS = 5
SHARED = [f"x{number}" for number in range(4)]
# Everybody calls upon the same few sessions; some of them end or expire meanwhile.
ON_SHARED = [
    "session_login(%(sid)s, %(who)s, sid => %(new)s)", "session_bind(%(sid)s, %(who)s)", "session_bind(%(sid)s, NULL)",
    "session_regenerate(%(sid)s, %(new)s, '1 min', true)", "session_regenerate(%(sid)s, %(new)s)", "session_read(%(sid)s)",
    "session_set(%(sid)s, 'k', '1')", "session_put(%(sid)s, '{}')", "session_get(%(sid)s)", "session_destroy(%(sid)s)",
    "session_touch(%(sid)s, deadline => clock_timestamp() + '5 ms')", "session_login(NULL, 'eve', max_sessions => 2)",
    "session_login(NULL, %(who)s, deadline => clock_timestamp() + '5 ms')",
]  # fmt: skip
ON_OWN = [
    "session_regenerate(%s, must_exist => true)", "session_regenerate(%s, grace => '1 min', must_exist => true)",
    "session_patch(%s, '{\"k\": 1}')", "session_save(%s, '{\"k\": 2}')", "session_get(%s)", "session_touch(%s, '2 h')",
    "session_login(%s, 'ada', must_exist => true)", "nullif(session_bind(%s, 'ada'), false)",
]  # fmt: skip


class Own:
    """A session of ada that one client alone knows: nothing but a log out everywhere ends it."""

    def __init__(self, connection):
        self.began, self.lost_by = time.monotonic(), None
        self.sid = one(connection, "SELECT session_login(NULL, 'ada')")
        self.authenticated_by = time.monotonic()

    def use(self, connection, call):
        began = time.monotonic()
        value = one(connection, "SELECT " + call, self.sid)
        if value is None:
            self.lost_by = self.lost_by or time.monotonic()
            return
        assert self.lost_by is None
        if "login" in call:
            self.began, self.authenticated_by = began, time.monotonic()
        if "login" in call or "regenerate" in call:
            self.sid = value


@pytest.mark.parametrize("level", LEVELS)
def test_to_log_out_everywhere_is_final(database, owner, level):
    quiet, stopping = threading.Event(), threading.Event()
    ended, owned, states = {"ada": [], "eve": []}, [], set()

    def connect():
        connection = database.connect(APP)
        connection.execute(f"SET default_transaction_isolation = '{level}'")
        return connection

    def work(number):
        rng, connection, mine = random.Random(), connect(), []
        while not stopping.is_set():
            try:
                if rng.random() < 0.1 or not mine:
                    mine = [Own(connection), *mine[:3]]
                    owned.append(mine[0])
                elif rng.random() < 0.4:
                    rng.choice(mine).use(connection, rng.choice(ON_OWN))
                else:
                    given = {"sid": rng.choice(SHARED), "new": rng.choice([*SHARED, None]), "who": rng.choice(["ada", "eve"])}
                    connection.execute("SELECT " + rng.choice(ON_SHARED), given)
            except psycopg.Error as error:
                states.add(error.sqlstate)

    def revoke(who):
        connection, watcher = connect(), database.connect()
        survivors = "SELECT count(*) FROM session WHERE principal = %s AND authenticated_at < %s"
        while not quiet.is_set():
            time.sleep(random.random() * 0.02)
            began = time.monotonic()
            try:
                with connection.transaction():
                    connection.execute("SELECT session_revoke_all(%s)", (who,))
                    at = one(connection, "SELECT clock_timestamp()")
            except psycopg.Error as error:
                states.add(error.sqlstate)
                continue
            ended[who].append((began, time.monotonic()))
            assert one(watcher, survivors, who, at) == 0

    running = [THREADS.submit(work, number) for number in range(CLIENTS)] + [THREADS.submit(revoke, who) for who in ended]
    time.sleep(1.5)
    wait_until(lambda: min(map(len, ended.values())) > 20 and len(owned) > 200, seconds=60)
    quiet.set()
    for future in running[CLIENTS:]:
        future.result(timeout=20)
    begun = len(owned)
    wait_until(lambda: len(owned) > begun + CLIENTS)  # of these the last began after all that
    stopping.set()
    for future in running:
        future.result(timeout=20)
    assert states <= {"P0002", "23505", "22023", *(["40001"] * (level in KEEPING_A_SNAPSHOT))}
    survived = 0
    for own in owned:
        exists = one(owner, "SELECT principal FROM session_load(%s, false)", own.sid) == "ada"
        if any(began > own.authenticated_by for began, _ in ended["ada"]):
            assert not exists
        if all(returned < own.began for _, returned in ended["ada"]):
            assert exists
        if own.lost_by is not None:
            assert any(returned > own.began and began < own.lost_by for began, returned in ended["ada"])
        survived += exists
    assert survived > 0


@pytest.mark.parametrize("level", LEVELS)
def test_a_login_that_rereads_the_account_has_never_the_old_password(database, owner, level):
    """As documented: the row is locked before the login is called."""
    owner.execute("""
        CREATE TABLE users (id bigint PRIMARY KEY, name text, password text);
        GRANT SELECT, UPDATE ON users TO app; INSERT INTO users VALUES (1, 'ada', 'p0')""")
    statement = """
        WITH account AS MATERIALIZED (SELECT id FROM users WHERE name = 'ada' AND password = %s FOR SHARE)
        SELECT session_login(NULL, id::text, jsonb_build_object('password', %s::text)) FROM account"""
    stopping, tries, password = threading.Event(), [], ["p0"]
    of_others = "SELECT count(*) FROM session WHERE attributes ->> 'password' <> (SELECT password FROM users)"

    def work():
        connection, number = database.connect(APP), 0
        connection.execute(f"SET default_transaction_isolation = '{level}'")
        while not stopping.is_set():
            tried = password[0]
            value, number = outcome(one, connection, statement, tried, tried), number + 1
            assert value is None or len(value) == 64 or value == "40001" and level in KEEPING_A_SNAPSHOT
            tries.append(value)

    running = [THREADS.submit(work) for _ in range(4)]
    changer, changes, most = database.connect(APP), 0, 4000 if level == "read committed" else 1000
    until = time.monotonic() + 60
    while (changes < 100 or len(tries) < most) and time.monotonic() < until:
        assert one(owner, of_others) == 0
        changes += 1
        with changer.transaction():
            changer.execute("UPDATE users SET password = %s", (f"p{changes}",))
            changer.execute("SELECT session_revoke_all('1')")
        assert one(owner, of_others) == 0
        password[0] = f"p{changes}"
        time.sleep(random.random() * 0.004)
    stopping.set()
    for future in running:
        future.result(timeout=20)
    assert one(owner, of_others) == 0
    assert len(tries) >= most and changes >= 100
    assert any(len(value or "") == 64 for value in tries)


@pytest.mark.parametrize("statement, survives", [
    ("SELECT session_login(NULL, id::text, sid => 's') FROM users WHERE name = 'ada' AND password = 'old' FOR SHARE", True),
    ("""WITH account AS MATERIALIZED (SELECT id FROM users WHERE name = 'ada' AND password = 'old' FOR SHARE)
        SELECT session_login(NULL, id::text, sid => 's') FROM account""", False),
], ids=["called before the row is locked", "as documented"])  # fmt: skip
def test_a_login_waits_for_the_change_of_the_password(database, owner, client, other, statement, survives):
    owner.execute("""
        CREATE TABLE users (id bigint PRIMARY KEY, name text, password text);
        GRANT SELECT, UPDATE ON users TO app; INSERT INTO users VALUES (1, 'ada', 'old')""")
    client.execute("BEGIN; UPDATE users SET password = 'new'; SELECT session_revoke_all('1')")
    waiting = database.later(other, statement)
    client.execute("COMMIT")
    assert waiting.result(timeout=10) is None  # either way no row is found
    assert live(client, "s") == ["s"] * survives
