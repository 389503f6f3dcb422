-- Whom sessions belong to: login, devices, ending the others, logging out everywhere.
GRANT EXECUTE ON FUNCTION session_login, session_bind, session_find, session_revoke_all TO app;
SET ROLE app;

-- A login moves the session to a new id and binds it; what was in it stays.
SELECT session_create('{"cart": ["umbrella"]}', 'visit');
SELECT session_login('visit', 'ada', '{"device": "laptop"}', 'laptop');
SELECT session_exist('visit') AS old_id, data, principal, attributes, authenticated_at >= created_at AS authenticated, handle ~ '^[0-9a-f-]{36}$' AS has_handle FROM session_load('laptop');
SELECT length(session_login(NULL, 'ada', '{"device": "phone"}', lifetime => '30 days')) AS generated \gset
SELECT session_login('unknown', 'ada', sid => 'phone');
SELECT session_login('unknown', 'ada', must_exist => true) IS NULL AS nothing, session_login(NULL, 'ada', must_exist => true) IS NULL AS nothing;
SELECT count(*) FROM session_devices('laptop');

-- The devices of the same principal, this one first, and then the ones used last.
SELECT is_this, attributes, last_seen <= statement_timestamp() AS seen, expires_at > now() AS live FROM session_devices('laptop');
SELECT is_this, attributes FROM session_devices('phone');
SELECT count(*) FROM session_devices('unknown') UNION ALL SELECT count(*) FROM session_devices(session_create());

-- One can be ended by its handle, by whoever knows another one.
SELECT session_login(NULL, 'eve', sid => 'eve');
SELECT handle FROM session_devices('phone') WHERE is_this \gset
SELECT session_revoke('eve', :'handle') AS by_another, session_revoke('phone', 'no handle'), session_revoke('phone', NULL), session_revoke('unknown', :'handle');
SELECT session_revoke('laptop', upper(:'handle')) AS revoked, session_exist('phone'), session_revoke('laptop', :'handle') AS again;

-- Or all others.
SELECT session_login(NULL, 'ada', sid => 'tablet'), session_login(NULL, 'ada', sid => 'tv');
SELECT count(*) FROM session_revoke_others('laptop');
SELECT sid, session_exist(sid) FROM unnest('{laptop,tablet,tv,eve}'::text[]) AS sid;
SELECT count(*) FROM session_revoke_others('laptop') UNION ALL SELECT count(*) FROM session_revoke_others('unknown');

-- Logging out everywhere, and maybe not here.
SELECT session_login(NULL, 'ada', sid => 'tablet'), session_login(NULL, 'ada', sid => 'tv');
SELECT count(*) FROM session_revoke_all('ada', 'tablet');
SELECT sid, session_exist(sid) FROM unnest('{laptop,tablet,tv,eve}'::text[]) AS sid;
SELECT count(*) FROM session_revoke_all('ada');
SELECT count(*) FROM session_revoke_all('nobody');
SELECT session_exist('tablet'), session_exist('eve');

-- At most so many: the longest unused others end.
SELECT session_login(NULL, 'bob', sid => 'b1', max_sessions => 2), session_login(NULL, 'bob', sid => 'b2', max_sessions => 2), session_login(NULL, 'bob', sid => 'b3', max_sessions => 2);
SELECT count(*) FROM session_devices('b3');
SELECT session_login('b3', 'bob', sid => 'b4', max_sessions => 1);
SELECT count(*) FROM session_devices('b4');

-- Binding without a new id. It is a login only where the principal changes.
SELECT session_create('{"cart": []}', 's'), session_bind('s', 'ada', '{"a": 1}'), session_bind('unknown', 'ada');
SELECT data, principal, attributes, version, handle, authenticated_at FROM session_load('s') \gset before_
SELECT session_bind('s', 'ada');
SELECT data, principal, attributes, version = :before_version AS same_version, handle = :'before_handle' AS same_handle, authenticated_at = :'before_authenticated_at' AS same_time FROM session_load('s');
-- From another principal it takes nothing along.
SELECT session_bind('s', 'eve');
SELECT data, principal, attributes, version > :before_version AS grew, handle = :'before_handle' AS same_handle, authenticated_at = :'before_authenticated_at' AS same_time FROM session_load('s');
SELECT session_set('s', 'k', '1') > 0 AS set, session_login('s', 'ada', sid => 't'), session_get('t');
-- Unbinding leaves the content.
SELECT session_set('t', 'k', '1') > 0 AS set, session_bind('t', NULL), session_get('t');
SELECT principal, attributes, authenticated_at, handle FROM session_load('t');
SELECT count(*) FROM session_devices('t');
-- An opaque session stays one.
SELECT session_create_raw('raw', 'raw'), session_bind('raw', 'ada');
SELECT payload, principal FROM session_load('raw');
SELECT session_bind('raw', 'eve');
SELECT payload FROM session_load('raw');

-- Who knew an id before a login has nothing after it.
SELECT session_create('{}', 'one'), session_regenerate('one', 'two', '1 minute'), session_exist('one'), session_bind('two', 'ada'), session_exist('one'), session_exist('two');
SELECT session_regenerate('two', 'three', '1 minute'), session_exist('two'), session_login('two', 'ada', sid => 'four'), session_exist('two'), session_exist('three'), session_exist('four');

-- All sessions of a principal with what they hold, for administrators.
SELECT is_this, data, payload, version > 0 AS version, lifetime FROM session_find('bob');

-- Bad input
\set VERBOSITY sqlstate
SELECT session_login('x', NULL);
SELECT session_login('x', '');
SELECT session_login('x', repeat('x', 257));
SELECT session_bind('x', '');
SELECT * FROM session_find(NULL);
SELECT session_revoke_all(NULL);
SELECT session_login('x', 'ada', '[1]');
SELECT session_login('x', 'ada', jsonb_build_object('k', repeat('x', 9000)));
SELECT session_login('x', 'ada', max_sessions => 0);
SELECT session_login('b4', 'ada', sid => 'four');
SELECT session_login('b4', 'ada', sid => 'b4');
SELECT session_revoke_handle('00000000-0000-4000-8000-000000000000');
\set VERBOSITY default

-- Attaching: the transaction carries it, for policies.
SELECT session_principal() IS NULL AS nobody, session_attributes() IS NULL AS nothing;
SELECT session_login(NULL, 'ada', '{"role": "admin"}', 'att');
SELECT session_attach('att');
SELECT session_principal() IS NULL AS nobody;
BEGIN;
SELECT session_attach('att');
SELECT session_principal(), session_attributes();
SAVEPOINT s;
SELECT session_attach('unknown') IS NULL AS nobody, session_principal() IS NULL AS replaced;
ROLLBACK TO s;
SELECT session_principal();
SAVEPOINT s;
\set VERBOSITY sqlstate
SET session_store.attached = '3:eve';
ROLLBACK TO s;
SELECT set_config('session_store.attached', '3:eve', true);
ROLLBACK TO s;
RESET session_store.attached;
ROLLBACK TO s;
\set VERBOSITY default
RESET ALL;
SELECT session_principal(), session_attributes();
COMMIT;
SELECT session_principal() IS NULL AS nobody;

RESET ROLE;
SELECT session_store_grant('app');
SET ROLE app;
SELECT session_revoke_handle(handle) FROM session_devices('att') WHERE is_this;
SELECT session_exist('att');
