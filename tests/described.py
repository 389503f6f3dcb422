"""All that the catalogs of a database say about the extension, as lines of text that can be compared.

Two databases of a server in which these lines are equal have the same extension, however it got there. Left out is what
differs from one to the next: object ids, counts and sizes, and the order of columns, which an upgrade leaves as it was.
"""

import difflib
import re

import pytest

# The extension and all that exists because of it: its members, and what comes and goes with those, such as indexes,
# constraints, defaults, types, rules and triggers.
MEMBERS = """
    WITH RECURSIVE member (classid, objid) AS (
        SELECT 'pg_extension'::regclass::oid, oid FROM pg_extension WHERE extname = 'session_store'
        UNION
        SELECT d.classid, d.objid FROM member AS m
        JOIN pg_depend AS d ON (d.refclassid, d.refobjid) = (m.classid, m.objid) AND d.deptype IN ('e', 'i', 'a')
    ), relation (relid, name) AS (
        SELECT objid, objid::regclass::text FROM member WHERE classid = 'pg_class'::regclass
    )
"""


def row(name, *without):
    return f"to_jsonb({name}) - '{{{','.join(without)}}}'::text[]"


def acl(granted):
    return f"(SELECT array_agg(item::text ORDER BY item::text) FROM unnest({granted}) AS item)"


def options(stored):
    """Without what the server itself keeps there: 15.20 writes a number that only pg_dump knows to leave out."""
    return f"(SELECT array_agg(o ORDER BY o) FROM unnest({stored}) AS o WHERE o NOT LIKE 'pg_attver=%')"


QUERIES = {
    "extension": """
        SELECT concat_ws(' ', extversion, extnamespace::regnamespace, extowner::regrole, extrelocatable,
            extconfig::regclass[], extcondition)
        FROM pg_extension WHERE extname = 'session_store'""",
    "object": "SELECT pg_describe_object(classid, objid, 0) FROM member",
    "dependency": """
        SELECT concat_ws(' ', pg_describe_object(d.classid, d.objid, d.objsubid), d.deptype, 'on',
            pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid))
        FROM member AS m JOIN pg_depend AS d ON (d.classid, d.objid) = (m.classid, m.objid)""",
    "comment": """
        SELECT concat_ws(': ', pg_describe_object(m.classid, m.objid, d.objsubid), d.description)
        FROM member AS m JOIN pg_description AS d ON (d.classoid, d.objoid) = (m.classid, m.objid)""",
    "function": f"""
        SELECT concat_ws(' ', pg_get_functiondef(oid), proowner::regrole,
            {acl("coalesce(proacl, acldefault('f', proowner))")},
            {row("p", "oid", "pronamespace", "proowner", "proacl", "proargdefaults", "prorettype")})
        FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND objid = oid""",
    "relation": f"""
        SELECT concat_ws(' ', name, relowner::regrole, {acl("coalesce(relacl, acldefault('r', relowner))")},
            {options("reloptions")},
            {row("c", "oid", "relname", "relnamespace", "reltype", "relowner", "relacl", "reloptions", "relnatts",
                 "relfilenode", "relpages", "reltuples", "relallvisible", "relallfrozen", "reltoastrelid",
                 "relfrozenxid", "relminmxid")})
        FROM relation JOIN pg_class AS c ON oid = relid""",
    "column": f"""
        SELECT concat_ws(' ', name, format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid), {acl("attacl")},
            {options("attoptions")},
            {row("a", "attrelid", "attnum", "atttypid", "attcacheoff", "attacl", "attoptions", "atthasmissing",
                 "attmissingval")})
        FROM relation JOIN pg_attribute AS a ON attrelid = relid AND attnum > 0 AND NOT attisdropped
        LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)""",
    "constraint": """
        SELECT concat_ws(' ', name, conname, pg_get_constraintdef(oid), convalidated, connoinherit)
        FROM relation JOIN pg_constraint ON conrelid = relid""",
    "index": f"""
        SELECT concat_ws(' ', pg_get_indexdef(indexrelid),
            {row("i", "indexrelid", "indrelid", "indkey", "indcheckxmin", "indexprs", "indpred")})
        FROM relation JOIN pg_index AS i ON indexrelid = relid""",
    "view": """
        SELECT concat_ws(' ', name, ev_enabled, pg_get_viewdef(relid))
        FROM relation JOIN pg_rewrite ON ev_class = relid""",
    "trigger": "SELECT pg_get_triggerdef(oid) FROM relation JOIN pg_trigger ON tgrelid = relid",
    # By which pg_dump tells the grants that a user made.
    "initial privileges": f"""
        SELECT concat_ws(' ', pg_describe_object(m.classid, m.objid, p.objsubid), {acl("initprivs")})
        FROM member AS m JOIN pg_init_privs AS p ON (p.classoid, p.objoid) = (m.classid, m.objid)""",
}  # fmt: skip


def described(owner):
    """The lines of a database's extension, sorted."""
    owner.execute("SET search_path = pg_catalog")
    lines = [
        f"{kind}: {re.sub(r'pg_toast_[0-9]+', 'pg_toast_N', line)}"
        for kind, query in QUERIES.items()
        for (line,) in owner.execute(MEMBERS + query)
    ]
    owner.execute("RESET search_path")
    return sorted(lines)


def assert_same(lines, wanted, name="changed"):
    if lines != wanted:
        pytest.fail("\n".join(difflib.unified_diff(wanted, lines, "fresh", name, n=0, lineterm="")), pytrace=False)
