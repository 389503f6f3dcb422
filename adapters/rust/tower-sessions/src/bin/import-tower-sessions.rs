//! Moves in from the table of tower-sessions-sqlx-store: `import-tower-sessions [TABLE [KEY-OF-THE-USER]]`, in the
//! database of `DATABASE_URL`.

use std::{env, error::Error, process::ExitCode};

use sqlx::PgPool;
use tower_sessions_session_store::PostgresStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let table = arguments.first().map_or("tower_sessions.session", String::as_str);
    let store = PostgresStore::new(PgPool::connect(&env::var("DATABASE_URL")?).await?);
    let done = store.import(table, arguments.get(1).map(String::as_str)).await?;
    println!("imported {} sessions, failed {}", done.imported, done.failed);
    Ok(if done.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
