-- Arguments: NULL, session ids, documents. No function is STRICT: a NULL that means nothing is error 22004.
\set VERBOSITY sqlstate
SELECT session_create('{}', 'alice');

-- 22004 is null_value_not_allowed. A NULL key, document, patch or payload:
SELECT session_get('alice', NULL);
SELECT session_set('alice', NULL, '1');
SELECT session_delete('alice', NULL);
SELECT session_pop('alice', NULL);
SELECT session_merge('alice', NULL);
SELECT session_merge('alice', '{}', '{a,NULL}');
SELECT session_create(NULL);
SELECT session_release('alice', NULL);
SELECT session_put('alice', NULL);
SELECT session_create_raw(NULL);
SELECT session_release_raw('alice', NULL);
SELECT session_put_raw('alice', NULL);
SELECT session_init(NULL);

-- It does not matter whether there is such a session.
SELECT session_get('nobody', NULL);
SELECT session_delete('nobody', NULL);
SELECT session_pop('nobody', NULL);
SELECT session_release('nobody', NULL);

-- NULL where NULL is the default is as if the argument were left out.
SELECT sid ~ '^[0-9a-f]{64}$' AS generated, is_new FROM session_start(NULL, NULL, NULL);
SELECT session_create('{}', NULL, NULL, NULL) ~ '^[0-9a-f]{64}$' AS generated;
SELECT session_create_raw('\x00', NULL, NULL, NULL) ~ '^[0-9a-f]{64}$' AS generated;
SELECT session_touch('alice', NULL, NULL) > now() AS touched;
SELECT session_release('alice', '{}', NULL, NULL, NULL) > 0 AS released;
SELECT session_put('alice', '{}', NULL, NULL) > 0 AS put;
SELECT session_merge('alice', '{}', NULL) > 0 AS merged;
SELECT session_regenerate('nobody', NULL) ~ '^[0-9a-f]{64}$' AS generated;
SELECT session_gc(NULL);

-- NULL given to session_decode is no session, and NULL the answer.
SELECT session_decode(NULL) IS NULL AS nothing;

-- A session id is 1 to 256 bytes of printable ASCII. test_impossible_ids.py has the others, for every call.
SELECT session_create('{}', 'with space and ~ and "quotes"'), session_exist('with space and ~ and "quotes"');
SELECT session_create('{}', repeat('x', 256)) = repeat('x', 256) AS longest;
SELECT session_create('{}', ' ');

-- Ids are exact: neither case nor spaces at the end make two of them one.
SELECT session_exist('alice'), session_exist('Alice'), session_exist('alice ');

-- Data and patches are JSON objects; anything else is 22023.
SELECT session_create('[]');
SELECT session_create('1');
SELECT session_create('null');
SELECT session_release('alice', '[]');
SELECT session_release('nobody', '[]');
SELECT session_put('alice', '"text"');
SELECT session_merge('alice', '[1]');

-- 22023 for a lifetime below zero or beyond 68 years, in every call that takes one.
SELECT session_start(NULL, '-1 second');
SELECT session_create(lifetime => '-1 second');
SELECT session_create_raw('\x00', lifetime => '-1 second');
SELECT session_touch('alice', '-1 second');
SELECT session_release('alice', '{}', lifetime => '-1 second');
SELECT session_release_raw('alice', '\x00', lifetime => '-1 second');
SELECT session_put('alice', '{}', lifetime => '-1 second');
SELECT session_put_raw('alice', '\x00', lifetime => '-1 second');
SELECT session_merge('alice', '{}', lifetime => '-1 second');
SELECT session_read('alice', '-1 second');
SELECT session_read_raw('alice', '-1 second');
SELECT session_init('-1 second');
SELECT session_init('69 years');
SELECT session_touch('alice', '69 years');
SELECT session_gc(-1);

-- P0002 (no_data_found) when there is no session to change, and none is created.
SELECT session_set('nobody', 'k', '1');
SELECT session_merge('nobody', '{}');
SELECT session_delete('nobody', 'k');
SELECT session_flush('nobody');
SELECT session_exist('nobody');

-- After all this the session is as it was.
SELECT session_get('alice');

-- The functions can be called by argument names.
SELECT session_get(sid => 'alice', key => 'k') IS NULL AS absent;
SELECT session_set(sid => 'alice', key => 'k', value => '1') > 0 AS set;
SELECT session_merge(sid => 'alice', patch => '{"l": 2}', remove => '{k}', lifetime => '1 hour', deadline => 'infinity') > 0 AS merged;
SELECT session_pop(sid => 'alice', key => 'm') IS NULL AS popped;
SELECT session_delete(sid => 'alice', key => 'l');
SELECT session_release(sid => 'alice', data => '{}', version => NULL, lifetime => '1 hour', deadline => 'infinity') > 0 AS released;
SELECT session_release_raw(sid => 'alice', payload => '\x00', version => NULL, lifetime => '1 hour', deadline => 'infinity') > 0 AS released;
SELECT session_put(sid => 'alice', data => '{}', lifetime => '1 hour', deadline => 'infinity') > 0 AS put;
SELECT session_put_raw(sid => 'alice', payload => '\x00', lifetime => '1 hour', deadline => 'infinity') > 0 AS put;
SELECT session_touch(sid => 'alice', lifetime => '1 hour', deadline => 'infinity') > now() AS touched;
SELECT session_regenerate(oldsid => 'alice', sid => 'bob', must_exist => true);
SELECT is_new FROM session_start(presented => 'bob', lifetime => '1 hour', deadline => 'infinity');
SELECT session_create(data => '{}', sid => 'carol', lifetime => '1 hour', deadline => 'infinity');
SELECT session_create_raw(payload => '\x00', sid => 'dave', lifetime => '1 hour', deadline => 'infinity');
SELECT lifetime FROM session_load(sid => 'dave', slide => false);
SELECT payload FROM session_read_raw(sid => 'dave', lifetime => '1 hour', deadline => 'infinity');
SELECT session_read(sid => 'carol', lifetime => '1 hour', deadline => 'infinity');
SELECT session_init(max_lifetime => '1 hour');
SELECT session_destroy(sid => 'dave'), session_exist(sid => 'dave'), session_read(sid => 'carol'), session_flush(sid => 'carol') > 0 AS flushed;
SELECT session_gc(max_rows => 1);
