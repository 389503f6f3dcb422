"""Whatever stands around the table, every call gives what it gives on the table as we made it.

One test for each thing that can stand there, with every call in every kind of transaction; a failure names the calls.
"""

import contextlib

import pytest
from around import Around
from conftest import DIRECT, LONG, Server, one
from matrix import Place, is_available
from matrix_calls import CALLS, DISTINCT, KINDS_OF_CALLS, WAYS
from psycopg import errors
from refusals import IN_A_CHILD, IN_EVERY_WRITE, IN_SOME_WRITES, LEFT_BEHIND, MOVE_TO_CHILD, OWNERS, SUPPRESSED
from surroundings import CART, CHILD, FILL_CART, SURROUNDINGS
from sweeping import create_template

WITHOUT_EFFECT = "taken back", "read only"


@pytest.fixture(scope="module")
def cluster():
    """Of its own: what goes wrong here may take the server down, and whatever is logged is of these tests."""
    cluster = Server(
        shared_preload_libraries="session_store", allow_in_place_tablespaces="on", wal_level="logical",
        autovacuum="off", jit="off",
    ).start()  # fmt: skip
    cluster.create_roles()
    create_template(cluster)
    with cluster.connect() as owner:
        owner.execute("CREATE ROLE keeper")
        owner.execute("CREATE TABLESPACE elsewhere LOCATION ''")
        owner.execute("GRANT CREATE ON TABLESPACE elsewhere TO PUBLIC")
    yield cluster
    cluster.stop("immediate")


@pytest.fixture(scope="module")
def expected(cluster):
    """By way and call, what it returns and what it leaves where nothing stands around the table."""
    place = Place(cluster, Around())
    alone, read_only = ({call: place.call(way, call)[:2] for call in CALLS} for way in ("alone", "read only"))
    found = place.call("alone", "1")[1]
    place.drop()
    assert all(left == found for _, left in read_only.values())
    taken_back = {call: (answer, found) for call, (answer, _) in alone.items()}
    return {way: alone for way in WAYS} | {"taken back": taken_back, "read only": read_only}


def without_effect(noted):
    """Triggers for statements also fire for one that finds no row."""
    return [note for note in noted if note[1] != "STATEMENT"]


def without(rows, others):
    return [row for row in rows if row not in others]


def differences(place, expected, by_hand, answer, left, noted, holds):
    """What is otherwise than it should be."""
    if answer != expected[0]:
        yield f"gave {answer}, not {expected[0]}"
        if left is None:
            return
    if left != expected[1]:
        yield f"left {without(left, expected[1])}, not {without(expected[1], left)}"
    if noted not in by_hand and (by_hand != [[]] or without_effect(noted)):
        yield f"noted {noted}, not {by_hand}"
    if not holds:
        yield f"{place.around.holds} is not true"


def differences_of_calls(place, expected):
    for way in WAYS:
        for call in CALLS if LONG or way == "alone" else DISTINCT:
            effect = "" if way in WITHOUT_EFFECT else CALLS[call]
            for difference in differences(place, expected[way][call], place.by_hand(effect), *place.call(way, call)):
                yield f"{way}: {call}: {difference}"
            if way == "alone" and effect:
                yield from (f"{way}: {call}: {fault}" for fault in place.faults())
        yield from (f"{way}: in the end: {fault}" for fault in place.faults())
        place.owner.execute("VACUUM session")


def differences_of_a_sweep(place, expected):
    found = None, expected["taken back"]["session_gc()"][1]
    for difference in differences(place, found, place.by_hand("delete x"), None, *place.sweep()):
        yield f"a sweep: {difference}"
    if told := one(place.owner, "SELECT last_error FROM session_store_stats"):
        yield f"a sweep: {told}"
    if one(place.owner, "SELECT count(*) FROM session WHERE session_expiry < now()"):
        yield "a sweep: left what has expired"
    yield from (f"a sweep: {fault}" for fault in place.faults())


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_what_stands_around_the_table_makes_no_difference(cluster, expected, name):
    around = SURROUNDINGS[name]
    place = Place(cluster, around)
    if around.contrib and around.contrib not in place.has_contrib:
        pytest.skip("this PostgreSQL comes without contrib")
    failures = [*differences_of_calls(place, expected), *differences_of_a_sweep(place, expected)]
    logged = place.logged()
    place.drop()
    assert not failures, "\n".join(failures)
    assert not logged


# PostgreSQL checks a domain that PL/pgSQL assigns to without a snapshot when the procedure has just committed.
DOMAIN = "CREATE DOMAIN d AS text CHECK (VALUE IS NULL OR to_jsonb({}) IS DISTINCT FROM to_jsonb(VALUE))"
ASSIGN = "DO $$ DECLARE x d; BEGIN COMMIT; GET DIAGNOSTICS x = PG_CONTEXT; COMMIT; END $$"


@pytest.mark.parametrize("name", ["other: nothing", "trigger: before each row"])
def test_calls_that_find_no_active_snapshot_bring_their_own(cluster, expected, name):
    place = Place(cluster, SURROUNDINGS[name])
    failures, made = [], 0
    for call in CALLS:
        place.owner.execute("DROP DOMAIN IF EXISTS d")
        with contextlib.suppress(errors.FeatureNotSupported):  # a set, which a domain cannot call
            place.owner.execute(DOMAIN.format(call))
            made += 1
            answer, left, *_ = place.run(lambda: place.client.execute(ASSIGN) and None)
            right_answer, right = expected["alone"][call]
            if left != right or answer and answer != right_answer:
                failures.append(f"{call}: {answer}, left {left}, not {right}")
    place.drop()
    assert not failures, "\n".join(failures)
    assert made > 40


def test_no_statement_of_ours_is_compiled_because_it_was_to_use_an_index(database):
    """A plan that was made with enable_seqscan off looks expensive where there is no index."""
    owner, explained = database.connect(), []
    if not is_available(owner, "amcheck") or not one(owner, "SELECT pg_jit_available()"):
        pytest.skip("this PostgreSQL comes without contrib or without a compiler")
    owner.execute(f"{CHILD} SELECT session_create(sid => 's'); LOAD 'auto_explain'; SET client_min_messages = log")
    owner.execute("SET auto_explain.log_nested_statements = on; SET auto_explain.log_analyze = on")
    owner.execute("SET auto_explain.log_min_duration = 0")
    owner.add_notice_handler(lambda notice: explained.append(notice.message_primary))
    for call in "session_set('s', 'k', '1')", "session_get('s')", "session_gc()", "session_destroy('s')":
        owner.execute(f"SELECT {call}")
    assert any("DELETE FROM public.session" in text for text in explained)
    assert not [text for text in explained if "JIT:" in text]


# What lets no write through


def outcomes(call, code, expected, found):
    """What a call may return and leave where no write gets through."""
    effect, answer = CALLS[call], expected["alone"][call][0]
    if call == "session_all()":  # the planner computes what is constant of an index or of statistics
        return [(code, found), expected["read only"][call]]
    if call == "session_touch('s')":
        return [(code, found), (0.5, found)]
    if effect == "delete x":
        return [(code, found), (0, found)]  # of those that may be collected, none was
    if call in KINDS_OF_CALLS["look-up"] and effect != "terms":
        return [expected["read only"][call]]
    return [(code, found), (answer, found)] if effect in ("", "slide") else [(code, found)]


def refusals(place, code, expected, is_right):
    """Makes every call; says what went wrong."""
    found = expected["taken back"]["session_get('s')"][1]
    for way in "alone", "in a subtransaction", "in a procedure that commits":
        for call in CALLS:
            answer, left, noted, _ = place.call(way, call)
            if noted or not is_right(call, (answer, left), outcomes(call, code, expected, found)):
                yield f"{way}: {call}: gave {answer}, left {without(left or [], found)}, noted {noted}"
    yield from place.logged()
    left, noted, _ = place.sweep()
    if left != found or noted:
        yield f"a sweep: left {without(left, found)}, noted {noted}"
    place.drop()


@pytest.mark.parametrize("name", OWNERS)
def test_what_the_owner_lets_not_through_is_an_error(cluster, expected, name):
    script, code = OWNERS[name]
    place = Place(cluster, Around(script))
    failures = list(refusals(place, code, expected, lambda call, result, right: result in right))
    assert not failures, "\n".join(failures)
    messages = {error.diag.message_primary for error in place.errors if error.sqlstate == SUPPRESSED}
    assert messages <= {'a trigger or rule on table "session" suppressed the write'}


@pytest.mark.parametrize("name", IN_EVERY_WRITE | IN_SOME_WRITES | IN_A_CHILD)
def test_a_superusers_table_runs_nothing_of_a_plain_role(cluster, expected, name):
    script = (IN_EVERY_WRITE | IN_SOME_WRITES | IN_A_CHILD)[name]
    reset = MOVE_TO_CHILD if name in IN_A_CHILD else FILL_CART if CART in script else ""
    place = Place(cluster, Around(LEFT_BEHIND.format(script), reset))

    def is_right(call, result, right):
        is_queried = name == "a part's index" or not DIRECT
        refuses_queries = is_queried and result[0] == "42501"  # for the planner might run it
        runs_nothing = name in IN_SOME_WRITES and result == expected["alone"][call]
        return result in right or refuses_queries or runs_nothing or name in IN_A_CHILD

    failures = list(refusals(place, "42501", expected, is_right))
    assert not failures, "\n".join(failures)
    refused = [error for error in place.errors if error.sqlstate == "42501"]
    assert refused and all(error.diag.message_hint for error in refused)
