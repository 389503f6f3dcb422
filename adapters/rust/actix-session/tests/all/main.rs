//! Against a real server: `adapters/test.sh rust`.

mod framework;
mod principals;
mod requests;
#[path = "../../../tower-sessions/tests/all/statements.rs"]
mod statements;
mod store;
mod support;
