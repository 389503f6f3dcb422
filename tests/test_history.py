"""Random calls of many clients on few sessions: whatever they saw, one call after the other could have done it."""

import os
import random
import secrets
import threading

import pytest
from clients import Client
from conftest import APP, LONG, THREADS
from linearizability import unexplained
from model import DEADLOCK, RENEWALS, State, only_looks, step

CLIENTS = 6
CALLS = 8
ROUNDS = 4000 if LONG else 80
SEED = os.environ.get("SESSION_STORE_SEED") or secrets.token_hex(4)  # set it to have the same calls again

# Widens the gap between looking and writing, and that between writing and committing. Without a trigger, rows are
# updated another way, which is as quick as it is short of chances to meet: it gets more rounds.
DAWDLE = """
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(random() * 0.002); RETURN coalesce(NEW, OLD); END $$;
    CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION dawdle();
    CREATE TRIGGER after AFTER INSERT OR UPDATE OR DELETE ON session FOR EACH ROW EXECUTE FUNCTION dawdle()"""


@pytest.mark.parametrize("dawdle", [None, DAWDLE], ids=["fast", "dawdling"])
@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_what_many_saw_at_once_could_have_come_one_after_the_other(database, level, dawdle):
    owner = database.connect()
    owner.execute("SELECT session_store_grant('app')")
    if dawdle:
        owner.execute(dawdle)
    clients = [Client(number, database.connect(APP), strict=number % 2 == 0) for number in range(CLIENTS)]
    for client in clients:
        client.connection.execute(f"SET default_transaction_isolation = '{level}'")
    barrier = threading.Barrier(CLIENTS)
    for number in range(ROUNDS if dawdle else 4 * ROUNDS):
        play(clients, barrier, number)
        history = [call for client in clients for call in client.calls]
        left = unexplained(history, State(), step, only_looks)
        assert left is None, report(history, left, number)
        assert is_functional(history), report(history, [], number)
        # An UPDATE that has waited holds what it then finds moved to another id, and goes on to what has its own now.
        assert dawdle or DEADLOCK not in (call.value for call in history), report(history, [], number)


def play(clients, barrier, number):
    """A round on sessions of its own, two of which are there. In the end one client looks at what is left of them."""
    sids, principals = [f"{number}{letter}" for letter in "abc"], [f"{number}{name}" for name in ("ada", "eve")]
    generated = []
    for client in clients:
        client.calls, client.versions = [], {}
    for sid in sids[:2]:
        clients[0].call("create", sid, frozenset(), None)

    def work(client):
        calls = random.Random(f"{SEED} {number} {client.number}")
        barrier.wait()
        for _ in range(CALLS):
            assert client.random_call(calls, sids + generated[-2:], sids, principals), "no answer"
            if client.calls[-1].name in ("start", *RENEWALS) and len(new_id(client.calls[-1])) == 64:
                generated.append(new_id(client.calls[-1]))

    list(THREADS.map(work, clients))
    for sid in [*sids, *sorted(set(generated))]:
        clients[0].call("peek", sid)
        clients[0].call("whose", sid)


def new_id(call):
    return call.value[0] if call.name == "start" else call.value


def is_functional(history):
    """A version of an id stands for one content."""
    seen = {}
    loads = [call for call in history if call.name in ("load", "fetch", "peek") and call.version]
    return all(seen.setdefault((call.sid, call.version), call.value) == call.value for call in loads)


def report(history, left, number):
    begin = min(call.invoked for call in history)
    lines = [f"round {number} with SESSION_STORE_SEED={SEED} cannot be explained; * marks what is left unexplained"]
    for call in sorted(history, key=lambda call: call.invoked):
        times = f"{(call.invoked - begin) * 1e3:9.3f} {(call.returned - begin) * 1e3:9.3f} ms"
        mark = "*" if call in left else " "
        arguments = (call.sid, *call.arguments, "strict" * call.strict)
        lines.append(f"{mark} {times} {call.client} {call.name}{arguments} -> {call.value} {call.version or ''}")
    return "\n".join(lines)
