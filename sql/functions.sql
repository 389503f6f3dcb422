-- What CREATE FUNCTION left out: the planner's expectation, and what \df+ tells.

ALTER FUNCTION @extschema@.session_start(text, interval, timestamptz) ROWS 1;
ALTER FUNCTION @extschema@.session_load(text, boolean) ROWS 1;
ALTER FUNCTION @extschema@.session_devices(text) ROWS 10;
ALTER FUNCTION @extschema@.session_find(text) ROWS 10;
ALTER FUNCTION @extschema@.session_revoke_others(text) ROWS 10;
ALTER FUNCTION @extschema@.session_revoke_all(text, text) ROWS 10;
ALTER FUNCTION @extschema@.session_fetch(text, boolean) ROWS 1;
ALTER FUNCTION @extschema@.session_read_raw(text, interval, timestamptz) ROWS 1;
ALTER FUNCTION @extschema@.session_principal() CALLED ON NULL INPUT;
ALTER FUNCTION @extschema@.session_attributes() CALLED ON NULL INPUT;

-- Strictness means nothing without arguments; so that no function here is strict.
ALTER FUNCTION @extschema@.session_all() CALLED ON NULL INPUT;
ALTER FUNCTION @extschema@.session_clear() CALLED ON NULL INPUT;
ALTER FUNCTION @extschema@.session_new_id() CALLED ON NULL INPUT;

COMMENT ON FUNCTION @extschema@.session_start(text, interval, timestamptz) IS 'the presented session, kept alive, or a new one under a fresh id if it is not live';
COMMENT ON FUNCTION @extschema@.session_create(jsonb, text, interval, timestamptz) IS 'create a session with this data; returns its id, generated unless given; 23505 if that is live';
COMMENT ON FUNCTION @extschema@.session_load(text, boolean) IS 'all there is to know of a live session, which is kept alive unless slide is false; no row if there is none';
COMMENT ON FUNCTION @extschema@.session_fetch(text, boolean) IS 'the content of a live session as text for a client, and its version: what a request needs; no row if there is none';
COMMENT ON FUNCTION @extschema@.session_touch(text, interval, timestamptz) IS 'keep a session alive, or give it another lifetime or deadline; returns its expiry, NULL if there is none';
COMMENT ON FUNCTION @extschema@.session_new_id() IS 'a fresh session id: 32 random bytes as 64 hex digits';

COMMENT ON FUNCTION @extschema@.session_init(interval) IS 'set session_store.max_lifetime for this connection';
COMMENT ON FUNCTION @extschema@.session_read(text, interval, timestamptz) IS 'all values of a session, which is created if there is none (NULL instead if session_store.strict)';
COMMENT ON FUNCTION @extschema@.session_exist(text) IS 'whether there is a live session; does not keep it alive';
COMMENT ON FUNCTION @extschema@.session_regenerate(text, text, interval, boolean) IS 'move a session to a new id, generated unless given; returns the new id; 23505 if that is live; if there is none an empty session begins, or with must_exist nothing and NULL; for the time of grace the old id reaches it, and renewing that one with a grace moves nothing and returns it';
COMMENT ON FUNCTION @extschema@.session_destroy(text) IS 'end a session; returns whether there was a live one';
COMMENT ON FUNCTION @extschema@.session_all() IS 'number of live sessions';
COMMENT ON FUNCTION @extschema@.session_clear() IS 'end all sessions; returns how many';
COMMENT ON FUNCTION @extschema@.session_gc(bigint) IS 'remove expired sessions, at most max_rows, skipping locked ones; returns how many';

COMMENT ON FUNCTION @extschema@.session_get(text) IS 'all values of a session; NULL if there is none';
COMMENT ON FUNCTION @extschema@.session_get(text, text) IS 'one value of a session; NULL if the session or the key is absent';
COMMENT ON FUNCTION @extschema@.session_set(text, text, jsonb) IS 'set one key; returns the version; P0002 if there is no live session';
COMMENT ON FUNCTION @extschema@.session_merge(text, jsonb, text[], interval, timestamptz) IS 'drop the keys of remove and set those of patch, at once; returns the version; P0002 if there is no live session';
COMMENT ON FUNCTION @extschema@.session_patch(text, json, text[], interval, timestamptz) IS 'session_patch for an argument that is a json already';
COMMENT ON FUNCTION @extschema@.session_patch(text, text, text[], interval, timestamptz) IS 'session_merge for a client that has JSON text; returns the version, NULL if there is no live session';
COMMENT ON FUNCTION @extschema@.session_delete(text, text) IS 'drop one key; returns whether it was there; P0002 if there is no live session';
COMMENT ON FUNCTION @extschema@.session_pop(text, text) IS 'drop one key and return its value; NULL if the session or the key is absent';
COMMENT ON FUNCTION @extschema@.session_flush(text) IS 'drop all keys; returns the version; P0002 if there is no live session';
COMMENT ON FUNCTION @extschema@.session_release(text, jsonb, bigint, interval, timestamptz) IS 'save all values; returns the version, NULL if the session is gone or no longer at the given version; at version 0 it is created, NULL if there is one';
COMMENT ON FUNCTION @extschema@.session_save(text, json, bigint, interval, timestamptz) IS 'session_save for an argument that is a json already';
COMMENT ON FUNCTION @extschema@.session_save(text, text, bigint, interval, timestamptz) IS 'session_release for a client that has JSON text: keeps the order of keys, all digits and U+0000';
COMMENT ON FUNCTION @extschema@.session_put(text, jsonb, interval, timestamptz) IS 'create or replace a session; returns the version; can resurrect a destroyed session: prefer session_release';

COMMENT ON FUNCTION @extschema@.session_create_raw(bytea, text, interval, timestamptz) IS 'session_create for an opaque payload';
COMMENT ON FUNCTION @extschema@.session_read_raw(text, interval, timestamptz) IS 'the opaque payload of a session, which is created with an empty one if there is none (no row instead if session_store.strict)';
COMMENT ON FUNCTION @extschema@.session_release_raw(text, bytea, bigint, interval, timestamptz) IS 'session_release for an opaque payload';
COMMENT ON FUNCTION @extschema@.session_put_raw(text, bytea, interval, timestamptz) IS 'session_put for an opaque payload; can resurrect a destroyed session';
COMMENT ON FUNCTION @extschema@.session_decode(bytea) IS 'what session_data holds; NULL when the payload is opaque or damaged';

COMMENT ON FUNCTION @extschema@.session_login(text, text, jsonb, text, integer, boolean, interval, timestamptz) IS 'move a session to a new id and bind it to a principal; returns the new id; if there is none one begins, or with must_exist nothing and NULL; with max_sessions the longest unused others beyond it end';
COMMENT ON FUNCTION @extschema@.session_bind(text, text, jsonb) IS 'bind a session to a principal without a new id, or with NULL to nobody; returns whether there is a live one';
COMMENT ON FUNCTION @extschema@.session_devices(text) IS 'the live sessions of the same principal, this one first; none when it belongs to nobody';
COMMENT ON FUNCTION @extschema@.session_find(text) IS 'the live sessions of a principal with their content';
COMMENT ON FUNCTION @extschema@.session_revoke(text, text) IS 'end the session with this handle if it is of the same principal; returns whether it was';
COMMENT ON FUNCTION @extschema@.session_revoke_others(text) IS 'end the other sessions of the same principal; returns their handles';
COMMENT ON FUNCTION @extschema@.session_revoke_all(text, text) IS 'log out everywhere: end all sessions of a principal, but maybe for one; returns their handles';
COMMENT ON FUNCTION @extschema@.session_revoke_handle(text) IS 'end the session with this handle; returns whether there was a live one';
COMMENT ON FUNCTION @extschema@.session_attach(text) IS 'have the transaction carry the principal and the attributes of a session, for policies; returns the principal';
COMMENT ON FUNCTION @extschema@.session_principal() IS 'the principal that session_attach has the transaction carry; NULL without';
COMMENT ON FUNCTION @extschema@.session_attributes() IS 'the attributes beside it; NULL without';
COMMENT ON FUNCTION @extschema@.session_store_grant(regrole) IS 'grant a role the calls of an application that are not for everybody';
