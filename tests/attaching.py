"""Whom a transaction is for, and a table under row security."""

from conftest import APP, one

NOBODY = (None, None)
ADA = ("ada", {"role": "admin"})
EVE = ("eve", None)


def fill(owner):
    owner.execute("""
        SELECT session_login(NULL, 'ada', '{"role": "admin"}', 'ada'), session_login(NULL, 'eve', sid => 'eve'),
               session_create('{}', 'cart')""")


def attach(connection, sid):
    return one(connection, "SELECT session_attach(%s)", sid)


def seen(connection):
    """Whom the transaction carries, and what beside."""
    return connection.execute("SELECT session_principal(), session_attributes()").fetchone()


def begin(connection, sid, level="READ COMMITTED"):
    """Begins a transaction that carries whom the session belongs to: what it is to see."""
    connection.execute(f"BEGIN ISOLATION LEVEL {level}")
    attach(connection, sid)
    expected = ADA if sid == "ada" else NOBODY
    assert seen(connection) == expected
    return expected


IN_WORKERS = (
    "-c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0"
    " -c parallel_leader_participation=off -c max_parallel_workers_per_gather=2"
)


def force_parallel(client):
    name = "debug_parallel_query" if client.info.server_version >= 160000 else "force_parallel_mode"
    client.execute(f"SET LOCAL {name} = on")
    assert "Gather" in str(client.execute("EXPLAIN SELECT session_principal(), session_attributes()").fetchall())


def create_notes(owner, type, whose, names=("ada", "eve", "bob")):
    """A thousand notes of each."""
    owner.execute(f"""
        CREATE TABLE note (owner {type} NOT NULL DEFAULT session_principal()::{type}, body text);
        INSERT INTO note SELECT name::{type}, 'of ' || name
            FROM unnest('{{{",".join(names)}}}'::text[]) AS name, generate_series(1, 1000);
        ALTER TABLE note ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON note USING (owner = {whose}) WITH CHECK (owner = {whose});
        GRANT SELECT, INSERT, UPDATE, DELETE ON note TO {APP};
        ANALYZE note""")


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def count_in_workers(client):
    """How many notes the workers of a parallel plan found, the leader none."""
    query = "EXPLAIN (ANALYZE, TIMING off, FORMAT json) SELECT body FROM note"
    plan = one(client, query)[0]["Plan"]
    gather = next(node for node in nodes(plan) if node["Node Type"] == "Gather")
    assert gather["Workers Launched"] > 0
    return gather["Actual Rows"]
