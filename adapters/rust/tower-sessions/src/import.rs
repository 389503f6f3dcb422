use serde_json::Value;
use session_store_client::{Life, Login, Row};
use tower_sessions::session::Record;

use crate::PostgresStore;

/// How many sessions are read at once.
const PAGE: i64 = 1000;

/// What came of moving in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Sessions that were taken over.
    pub imported: u64,
    /// Sessions that could not be: unreadable, or too large.
    pub failed: u64,
}

impl PostgresStore {
    /// Takes over the live sessions of tower-sessions-sqlx-store from a table in the same database, whose name is given as
    /// SQL has it: `tower_sessions.session` unless it was changed. They become those of the users whom the key
    /// `principal` names. What is here already stays.
    pub async fn import(&self, table: &str, principal: Option<&str>) -> sqlx::Result<Imported> {
        let query = format!(
            "SELECT id, data FROM {table} WHERE expiry_date > now() AND id > $1 ORDER BY id LIMIT $2"
        );
        let (mut done, mut last) = (Imported::default(), String::new());
        loop {
            let page: Vec<(String, Vec<u8>)> = self.database.page(&query, &last, PAGE).await?;
            let Some((id, _)) = page.last() else { return Ok(done) };
            last = id.clone();
            for (_, data) in &page {
                match rmp_serde::from_slice(data) {
                    Ok(record) => self.import_record(&record, principal, &mut done).await?,
                    Err(_) => done.failed += 1,
                }
            }
        }
    }

    async fn import_record(
        &self,
        record: &Record,
        principal: Option<&str>,
        done: &mut Imported,
    ) -> sqlx::Result<()> {
        let sid = record.id.to_string();
        match Row::create(
            &self.database,
            sid.clone(),
            &record.data,
            Life::Until(record.expiry_date),
        )
        .await
        {
            Ok(Some(_)) => done.imported += 1,
            Ok(None) => (), // of a run that broke off before it was bound, maybe
            Err(session_store_client::Error::Database(error))
                if error.as_database_error().is_none() =>
            {
                return Err(error);
            }
            Err(_) => {
                done.failed += 1;
                return Ok(());
            }
        }
        if let Some(user) = principal.and_then(|key| user_of(record.data.get(key)?)) {
            self.database.bind(&sid, user.principal()).await?;
        }
        Ok(())
    }
}

/// Text or a number; whatever else is there is nobody.
fn user_of(value: &Value) -> Option<Login> {
    let user = match value {
        Value::String(user) => user.clone(),
        Value::Number(user) => user.to_string(),
        _ => return None,
    };
    Login::new(&user, None).ok()
}
