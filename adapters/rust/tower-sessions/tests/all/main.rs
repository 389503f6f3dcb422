//! Against a real server: `adapters/test.sh rust`.

mod framework;
mod import;
mod principals;
mod requests;
mod statements;
mod store;
mod support;
