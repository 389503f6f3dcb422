//! Against a real server: `adapters/test.sh rust`.

mod database;
mod framework;
mod import;
mod principals;
mod requests;
mod statements;
mod store;
mod support;
