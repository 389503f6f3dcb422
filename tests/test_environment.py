"""What stands in the server's environment changes nothing that a client sees."""

import psycopg
import pytest
from conftest import APP
from failures import ARGUMENTS, CREATE, failures

BACKTRACES = [
    {"RUST_BACKTRACE": "1"},
    {"RUST_BACKTRACE": "full"},
    {"RUST_LIB_BACKTRACE": "1"},
    {"RUST_BACKTRACE": "0", "RUST_LIB_BACKTRACE": "1"},
]


@pytest.fixture(params=BACKTRACES, ids=lambda each: " ".join(map("=".join, each.items())))
def database(new_server, request):
    server = new_server()
    server.environment = request.param
    server.restart()
    database = server.create_database()
    database.connect().execute("CREATE EXTENSION session_store")
    yield database
    assert "panic" not in server.log_text()


@pytest.mark.parametrize("database", BACKTRACES[:1], indirect=True, ids=["RUST_BACKTRACE=1"])
def test_no_error_of_ours_has_a_backtrace(database):
    owner, details = database.connect(), {}
    for message, preparation, call in failures(database.connect()):
        owner.execute(f"BEGIN; {CREATE}; {preparation}")
        try:
            owner.execute(call, ARGUMENTS)
        except psycopg.Error as error:  # test_secrecy.py says that there is one
            details[message] = (error.diag.message_detail, error.diag.message_hint is not None)
        owner.execute("ROLLBACK; RESET session_store.max_size")
    assert len(details) > 20
    assert {message: detail for message, detail in details.items() if detail != (None, True)} == {}


def test_errors_of_postgresql_within_a_call_have_none_either(database):
    owner, client = database.connect(), database.connect(APP)
    owner.execute("SELECT session_create('{}', 's')")
    owner.execute("""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no'' USING DETAIL = ''mine''; END';
        CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION fail()""")
    for call in "session_create()", "session_set('s', 'k', '1')", "session_destroy('s')", "session_regenerate('s')":
        with pytest.raises(psycopg.errors.RaiseException) as raised:
            client.execute(f"SELECT {call}")
        assert raised.value.diag.message_detail == "mine"
