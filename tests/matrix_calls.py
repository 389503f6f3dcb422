"""Every kind of call, and every kind of transaction to make it in.

Of live sessions, all due to slide, there are s, other and raw; x has expired, and n and m are free.
"""

ROWS = """
    INSERT INTO session (session_key, session_data, session_expiry, created_at, version, lifetime, deadline, principal,
        attributes, authenticated_at, handle)
    SELECT sha256(sid::bytea), data, clock_timestamp() + expiry::interval, clock_timestamp() - interval '3 h',
        1000, 3600, NULL, 'ada', '{"device": "laptop"}', clock_timestamp() - interval '2 h', md5(sid)::uuid
    FROM (VALUES ('s', '\\xa1636f6c6401'::bytea, '30 min'), ('other', '\\xa1656f7468657201', '30 min'),
        ('raw', '\\x43726177', '30 min'), ('x', '\\xa1617801', '-1 s')) AS row (sid, data, expiry)"""

# By kind, calls and what each comes to by hand: the statements, in turn, of HAND.
KINDS_OF_CALLS = {
    "look-up": {
        "session_get('s')": "slide",
        "session_get('s', 'old')": "slide",
        "session_fetch('s')": "slide",
        "session_fetch('raw')": "slide raw",
        "session_load('s')": "slide",
        "session_load('s', false)": "",
        "session_start('s')": "slide",
        "session_read('s')": "slide",
        "session_touch('s')": "slide",
        "session_touch('s', '2 hours')": "terms",
        "session_touch('s', deadline => '2100-01-01')": "terms",
        "session_exist('s')": "",
        "session_get('n')": "",
        "session_get('x')": "",
        "session_all()": "",
        "jsonb_build_array(session_get('s'), session_get('other'), session_get('s'))": "slide, slide other",
    },
    "key write": {
        "session_set('s', 'k', '2')": "write",
        "session_set('s', 'old', '1')": "slide",  # changes nothing
        "session_set('n', 'k', '2')": "",
        "session_set('x', 'k', '2')": "",
        "session_merge('s', '{\"k\": 2}', '{old}')": "write",
        "session_merge('s', '{}')": "slide",
        "session_delete('s', 'old')": "write",
        "session_delete('s', 'k')": "slide",
        "session_delete('raw', 'k')": "",
        "session_flush('s')": "write",
        "session_patch('s', '{\"k\": 2}', '{old}')": "write",
        "session_pop('s', 'old')": "write",
        "session_pop('s', 'k')": "slide",
        "session_pop('n', 'k')": "",
    },
    "save": {
        "session_release('s', '{\"saved\": 2}')": "write",
        "session_release('s', '{\"saved\": 2}', 1000)": "write",
        "session_release('s', '{\"saved\": 2}', 999)": "slide",
        "session_release('s', jsonb_build_object('long', repeat('long', 3000)))": "write",
        "session_release('x', '{}')": "",
        "session_save('s', '{\"saved\": 2}', 1000)": "write",
        "session_save('n', '{}')": "",
        "session_release_raw('s', 'saved')": "write",
    },
    "create": {
        "session_create()": "insert",
        "session_create('{\"new\": 1}', 'n')": "insert",
        "session_create('{\"new\": 1}', 'x')": "replace",
        "session_create('{\"new\": 1}', 's')": "",
        "session_create_raw('raw')": "insert",
        "session_create_raw('raw', 'x')": "replace",
        "session_put('s', '{\"put\": 1}')": "write",
        "session_put('n', '{\"put\": 1}')": "insert",
        "session_put('x', '{\"put\": 1}')": "replace",
        "session_put_raw('n', 'raw')": "insert",
        "session_start()": "insert",
        "session_start('x')": "insert",
        "session_read('n')": "insert",
        "session_read('x')": "replace",
        "session_save('n', '{}', 0)": "insert",
        "session_save('x', '{}', 0)": "replace",
    },
    "regenerate": {
        "session_regenerate('s')": "rename",
        "session_regenerate('s', 'n')": "rename",
        "session_regenerate('s', 'x')": "delete x, rename",
        "session_regenerate('s', 'other')": "",
        "session_regenerate('n', 'm')": "insert",
        "session_regenerate('s', 'n', '1 min')": "rename",
        "session_regenerate('x')": "insert",
        "session_regenerate('x', must_exist => true)": "",
        "session_set(session_regenerate(session_create('{}', 'n')), 'k', '2')": "insert, rename n, write m",
    },
    "destroy": {
        "session_destroy('s')": "delete",
        "session_destroy('n')": "",
        "session_destroy('x')": "delete x",
    },
    "principal": {
        "session_login('s', 'ada')": "rename",
        "session_login('s', 'eve', sid => 'n')": "rename and write",
        "session_login('s', 'ada', sid => 'x', max_sessions => 2)": "delete x, rename, delete other",
        "session_login('n', 'ada')": "insert",
        "session_login('n', 'ada', sid => 'x')": "delete x, insert",
        "session_login('n', 'ada', must_exist => true)": "",
        "session_bind('s', 'ada', '{\"device\": \"laptop\"}')": "slide",  # changes nothing
        "session_bind('s', 'eve')": "write",
        "session_bind('s', NULL)": "unbind",
        "session_bind('n', 'ada')": "",
        "(SELECT count(*) FROM session_devices('s'))": "slide",
        "(SELECT count(*) FROM session_find('ada'))": "",
        "session_attach('s')": "slide",
        "session_revoke('s', md5('other')::uuid::text)": "slide, delete other",
        "session_revoke('s', md5('n')::uuid::text)": "slide",
        "session_revoke_handle(md5('other')::uuid::text)": "delete other",
        "(SELECT count(*) FROM session_revoke_others('s'))": "slide, delete others",
        "(SELECT count(*) FROM session_revoke_all('ada'))": "delete all",
        "(SELECT count(*) FROM session_revoke_all('ada', 's'))": "slide, delete others",
        "(SELECT count(*) FROM session_revoke_all('eve'))": "",
    },
    "collect": {
        "session_gc()": "delete x",
        "session_gc(0)": "",
    },
}
CALLS = {call: effect for calls in KINDS_OF_CALLS.values() for call, effect in calls.items()}
# One for each effect that calls of a kind can have.
DISTINCT = [
    next(call for call in calls if calls[call] == effect)
    for calls in KINDS_OF_CALLS.values()
    for effect in sorted(set(calls.values()))
]

UPDATE = "UPDATE session SET {1}{2} WHERE session_key = sha256('{0}')"
SLID = "session_expiry = session_expiry + '1 min'"
TERMS = ", lifetime = 7200, deadline = '2100-01-01'"
WRITTEN = "session_data = '\\xa0', version = version + 1"
RENAMED = "session_key = sha256('m')"
INSERT = """INSERT INTO session (session_key, session_data, session_expiry, created_at, version, lifetime)
    VALUES (sha256('{}'), '\\xa0', now() + '1 h', now(), 9999, 3600)"""
AGAIN = """session_expiry = now() + '1 h', session_data = '\\xa0', version = 9999, created_at = now(), lifetime = 3600,
    deadline = NULL, principal = NULL, attributes = NULL, authenticated_at = NULL, handle = NULL"""
HAND = {
    "slide": [UPDATE.format("s", SLID, "")],
    "slide other": [UPDATE.format("other", SLID, "")],
    "slide raw": [UPDATE.format("raw", SLID, "")],
    "terms": [UPDATE.format("s", SLID, TERMS)],
    "write": [UPDATE.format("s", SLID, f", {WRITTEN}")],
    "write m": [UPDATE.format("m", WRITTEN, "")],
    "rename": [UPDATE.format("s", SLID, f", {RENAMED}")],
    "rename and write": [UPDATE.format("s", SLID, f", {RENAMED}, {WRITTEN}")],
    "unbind": [UPDATE.format("s", SLID, ", principal = NULL")],
    "rename n": [UPDATE.format("n", RENAMED, "")],
    "insert": [INSERT.format("n")],
    # Of a row that is there: by one statement, or by the second after the first was found to fail.
    "replace": [
        f"{INSERT.format('x')} ON CONFLICT (session_key) DO UPDATE SET {AGAIN}",
        f"UPDATE session SET {AGAIN} WHERE session_key = sha256('x')",
    ],
    "delete": ["DELETE FROM session WHERE session_key = sha256('s')"],
    "delete other": ["DELETE FROM session WHERE session_key = sha256('other')"],
    "delete others": ["DELETE FROM session WHERE principal = 'ada' AND session_key <> sha256('s')"],
    "delete all": ["DELETE FROM session WHERE principal = 'ada'"],
    "delete x": ["DELETE FROM session WHERE session_key = sha256('x')"],
}

LEVEL = "BEGIN ISOLATION LEVEL {}; SELECT count(*) FROM pg_class"
# What comes before a call and after it.
WAYS = {
    "alone": ("", ""),
    "in a subtransaction": ("BEGIN; SAVEPOINT a", "RELEASE a; COMMIT"),
    "taken back": ("BEGIN; SAVEPOINT a", "ROLLBACK TO a; COMMIT"),
    "in a procedure that commits": None,
    "under REPEATABLE READ": (LEVEL.format("REPEATABLE READ"), "COMMIT"),
    "under SERIALIZABLE": (LEVEL.format("SERIALIZABLE"), "COMMIT"),
    "read only": ("BEGIN READ ONLY", "COMMIT"),
}
