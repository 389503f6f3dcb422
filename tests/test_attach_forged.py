"""Row security that cannot be forged: whatever a role says, its transaction is for whom session_attach named."""

import random

import psycopg
import pytest
from attaching import ADA, IN_WORKERS, NOBODY, attach, begin, count_in_workers, create_notes, fill, seen
from calls import outcome
from conftest import APP, OWNER, one, wait_until
from psycopg import errors
from sweeping import PRELOADED, extend

SETTING = "session_store.attached"

states = pytest.mark.parametrize("sid", ["ada", "unknown"])


@pytest.fixture
def owner(database):
    owner = database.connect()
    fill(owner)
    return owner


# What a role says

VALUES = ["3:eve", "", "eve", "99:eve"]
SETS = [f"{set} {SETTING} = '{value}'" for set in ("SET", "SET LOCAL", "SET SESSION") for value in VALUES]
SETS += [f"SELECT set_config('{SETTING}', '{value}', {local})" for value in VALUES for local in ("true", "false")]
RESETS = [
    f"RESET {SETTING}", f"SET {SETTING} TO DEFAULT", f"SET LOCAL {SETTING} TO DEFAULT",
    f"SELECT set_config('{SETTING}', NULL, true)", f"SELECT set_config('{SETTING}', NULL, false)",
]  # fmt: skip
IN_CODE = [
    f"DO $$ BEGIN SET {SETTING} = '3:eve'; END $$",
    f"CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET {SETTING} = '3:eve' RETURN session_principal()",
    f"CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET {SETTING} FROM CURRENT RETURN session_principal()",
    f"ALTER FUNCTION session_principal() SET {SETTING} = '3:eve'",
]  # fmt: skip
FOR_LATER = [
    f"ALTER ROLE {APP} SET {SETTING} = '3:eve'", f"ALTER ROLE ALL SET {SETTING} = '3:eve'",
    f"ALTER SYSTEM SET {SETTING} = '3:eve'",
]  # fmt: skip
HARMLESS = [
    "RESET ALL", "DISCARD PLANS", "SET LOCAL ROLE none", "SET LOCAL search_path = pg_temp",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    f"UPDATE pg_settings SET setting = '3:eve' WHERE name = '{SETTING}'",
    f"DO $$ BEGIN SET LOCAL {SETTING} = '3:eve'; EXCEPTION WHEN OTHERS THEN END $$",
    f"DO $$ BEGIN PERFORM set_config('{SETTING}', '3:eve', true); EXCEPTION WHEN OTHERS THEN END $$",
    "SELECT session_login(NULL, 'eve')", "SELECT session_bind('cart', 'eve')", "SELECT session_login('ada', 'ada')",
    "SELECT session_destroy('ada')", "SELECT session_revoke_all('ada')",
]  # fmt: skip
GRANT = f"GRANT SET ON PARAMETER {SETTING} TO {APP}"
REVOKE = f"REVOKE SET ON PARAMETER {SETTING} FROM {APP}"


def expect_refused(client, statements, expected):
    for statement in statements:
        client.execute("SAVEPOINT before")
        with pytest.raises(errors.Error):
            client.execute(statement)
        client.execute("ROLLBACK TO before")
        assert seen(client) == expected, statement


def expect_nothing_of(client, statements, expected):
    for statement in statements:
        client.execute("SAVEPOINT before")
        client.execute(statement)
        assert client.execute("SELECT public.session_principal(), public.session_attributes()").fetchone() == expected
        client.execute("ROLLBACK TO before")
        assert seen(client) == expected, statement


@states
def test_nothing_that_a_role_can_say_changes_whom_its_transaction_carries(owner, client, sid):
    owner.execute(f"GRANT EXECUTE ON FUNCTION session_login, session_bind, session_revoke_all TO {APP}")
    expected = begin(client, sid)
    expect_refused(client, SETS + RESETS + IN_CODE + FOR_LATER, expected)
    expect_nothing_of(client, HARMLESS, expected)
    client.execute("COMMIT")
    assert seen(client) == NOBODY


@states
@pytest.mark.parametrize("user", [OWNER, APP])
def test_nor_does_what_a_superuser_says_or_who_was_granted_the_setting(database, owner, user, sid):
    owner.execute(f"SELECT session_principal(); {GRANT}")
    try:
        client = database.connect(user)
        expected = begin(client, sid)
        expect_refused(client, SETS + IN_CODE[:-1], expected)
        expect_nothing_of(client, HARMLESS[:-5], expected)
        if client.info.server_version >= 160000:
            expect_refused(client, RESETS, expected)
            return
        for reset in RESETS[:3]:  # nobody, never somebody else
            client.execute(f"SAVEPOINT before; {reset}")
            assert seen(client) == NOBODY
            client.execute("ROLLBACK TO before")
            assert seen(client) == expected
    finally:
        owner.execute(REVOKE)


@pytest.mark.parametrize("statement", SETS + RESETS + IN_CODE + FOR_LATER + ["RESET ALL", "DISCARD ALL"])
def test_what_is_said_outside_a_transaction_is_not_there_in_the_next(client, statement):
    assert attach(client, "ada") == "ada"
    outcome(client.execute, statement)
    assert seen(client) == NOBODY
    for sid in "unknown", "ada":
        begin(client, sid)
        client.execute("COMMIT")
        assert seen(client) == NOBODY


def test_a_function_of_a_superuser_cannot_set_it_for_others(owner, client):
    owner.execute(f"""
        CREATE FUNCTION become(text) RETURNS text LANGUAGE sql SECURITY DEFINER
            RETURN set_config('{SETTING}', octet_length($1) || ':' || $1, true)""")
    begin(client, "ada")
    expect_refused(client, ["SELECT become('eve')", "SELECT become('ada')"], ADA)


def test_it_stays_with_the_transaction_whatever_role_goes_on(owner, client):
    begin(owner, "ada")
    for statement in f"SET LOCAL ROLE {APP}", "RESET ROLE", f"SET LOCAL SESSION AUTHORIZATION {APP}":
        owner.execute(statement)
        assert seen(owner) == ADA
        assert attach(owner, "ada") == "ada"


@pytest.mark.parametrize("query", [
    f"SHOW {SETTING}", f"SELECT current_setting('{SETTING}')", f"SELECT current_setting('{SETTING}', true)",
])  # fmt: skip
def test_a_role_cannot_read_it_as_a_setting(client, query):
    begin(client, "ada")
    with pytest.raises(errors.InsufficientPrivilege):
        client.execute(query)


def test_it_is_in_no_list_of_settings(owner):
    begin(owner, "ada")
    for query in "SELECT name FROM pg_settings", "SHOW ALL":
        assert SETTING not in [row[0] for row in owner.execute(query)]


# A library that is not loaded yet

BEFORE_LOADING = [
    f"SET {SETTING} = '3:eve'",
    f"SELECT set_config('{SETTING}', '3:eve', false)",
    f"BEGIN; SET LOCAL {SETTING} = '3:eve'",
    f"BEGIN; SET {SETTING} = '3:eve'; SAVEPOINT s; SET LOCAL {SETTING} = '3:bob'; RELEASE s",
    f"BEGIN; SAVEPOINT s; SET {SETTING} = '3:eve'; SAVEPOINT t; SET LOCAL {SETTING} = '3:bob'",
    f"SET {SETTING} = '3:eve'; RESET {SETTING}; SET {SETTING} = '3:bob'; BEGIN",
]


@states
@pytest.mark.parametrize("statements", BEFORE_LOADING)
@pytest.mark.parametrize("user", [APP, OWNER])
def test_what_was_set_before_the_first_call_is_dropped_by_it(database, owner, user, statements, sid):
    client = database.connect(user)
    client.execute(statements)
    if "BEGIN" not in statements:
        client.execute("BEGIN")
    expected = NOBODY
    if sid == "ada":
        assert attach(client, "ada") == "ada"
        expected = ADA
    assert seen(client) == expected
    if "SAVEPOINT t" in statements:
        client.execute("ROLLBACK TO t")
        assert seen(client) == NOBODY
        client.execute("RELEASE s")
        assert seen(client) == NOBODY
    client.execute("COMMIT")
    assert seen(client) == NOBODY


def test_a_function_that_sets_it_before_the_first_call_is_nobodys(database, owner):
    """Who may set it can say so of a function while nobody knows the setting."""
    owner.execute(f"SELECT session_principal(); {GRANT}; GRANT CREATE ON SCHEMA public TO {APP}")
    try:
        create = f"""CREATE FUNCTION whom() RETURNS text LANGUAGE plpgsql SET {SETTING} = '3:eve'
                         AS 'BEGIN RETURN session_principal(); END'"""
        database.connect(APP).execute(create)
        for loads in False, True:
            client = database.connect(APP)
            if loads:
                begin(client, "ada")
            assert outcome(one, client, "SELECT whom()") in (["42501", "0A000"] if loads else [None])
            client.execute("ROLLBACK")
            assert seen(client) == NOBODY
    finally:
        owner.execute(REVOKE)


def test_options_of_a_connection_do_not_name_anybody(database, owner):
    for options in f"-c {SETTING}=3:eve", f"--{SETTING}=3:eve":
        for user in APP, OWNER:
            client = database.connect(user, options=options)
            assert seen(client) == NOBODY
            outcome(client.execute, f"RESET {SETTING}")
            assert seen(client) == NOBODY
            client.execute("RESET ALL; BEGIN")
            assert seen(client) == NOBODY
            assert attach(client, "ada") == "ada"
            client.execute("COMMIT")
            assert seen(client) == NOBODY


def reload(server, client):
    work_mem = f"{random.randrange(5, 1000)}MB"
    server.configure(work_mem=work_mem)
    server.reload()
    wait_until(lambda: one(client, "SHOW work_mem") == work_mem)


def test_what_is_kept_for_roles_and_databases_names_nobody_preloaded_or_not(new_server):
    """Set where the library was not loaded, and so by who may set what nobody knows."""
    server = new_server()
    database, owner = extend(server)
    fill(owner)
    stranger = server.connect()
    stranger.execute(GRANT)
    for whose in "ROLE ALL", f"DATABASE {database.name}", f"ROLE {OWNER}", f"ROLE {APP} IN DATABASE {database.name}":
        stranger.execute(f"ALTER {whose} SET {SETTING} = '3:eve'")
    server.connect(user=APP).execute(f"ALTER ROLE {APP} SET {SETTING} = '3:bob'")
    server.configure(session_store__attached="3:eve")
    create_notes(owner, "text", "session_principal()")
    for _ in range(2):
        server.restart()
        client = database.connect(APP, options=IN_WORKERS)
        assert seen(client) == NOBODY
        assert count_in_workers(client) == 0  # they begin with what is kept for the role
        for sid, expected in ("unknown", 0), ("ada", 1000), ("eve", 1000):
            client.execute("BEGIN")
            attach(client, sid)
            assert count_in_workers(client) == expected
            reload(server, client)
            assert count_in_workers(client) == expected
            client.execute("COMMIT")
            assert seen(client) == NOBODY
        server.configure(**PRELOADED)
    with pytest.raises(psycopg.OperationalError):
        database.connect(APP, options=f"-c {SETTING}=3:eve")
    with pytest.raises(errors.Error):
        database.connect().execute(f"ALTER ROLE {APP} SET {SETTING} = '3:eve'")


def test_another_database_of_the_server_knows_nothing_of_it(server, database, client):
    other = server.create_database()
    try:
        there = other.connect(APP)
        other.connect().execute("CREATE EXTENSION session_store")
        begin(client, "ada")
        there.execute("BEGIN")
        assert attach(there, "ada") is None
        assert seen(there) == NOBODY
        assert seen(client) == ADA
    finally:
        other.drop()
