//! Against a real server: `adapters/test.sh rust`.

#[path = "../../../tower-sessions/tests/all/database.rs"]
mod database;
mod framework;
mod principals;
mod requests;
#[path = "../../../tower-sessions/tests/all/statements.rs"]
mod statements;
mod store;
mod support;
