//! What a request knows of a session in the database.

use std::time::{Duration, Instant};

use crate::{
    Database, Error, Life, Login,
    content::{Content, Difference, Json, difference, to_object},
};

/// So soon after a request has saved its session no login in another tab is to be expected.
const QUICK: Duration = Duration::from_millis(100);

/// A session that is in the database, or was when it was loaded.
#[derive(Debug)]
pub struct Row<V> {
    sid: String,
    base: Base<V>,
    ended: bool,
    /// The life that this request has given it already, and when.
    given: Option<(Life, Instant)>,
}

/// What the framework's content was when it was last loaded or saved. Taken apart only when there is something to compare,
/// which most requests never need.
#[derive(Debug)]
enum Base<V> {
    Unknown,
    Text(String),
    Content(Content<V>),
}

enum Change {
    Nothing,
    Keys(Difference),
    Whole,
}

impl<V: Json> Row<V> {
    /// A session with this content.
    pub fn loaded(sid: String, json: String) -> Self {
        Self::new(sid, Base::Text(json), None)
    }

    fn new(sid: String, base: Base<V>, life: Option<Life>) -> Self {
        Self { sid, base, ended: false, given: life.map(|life| (life, Instant::now())) }
    }

    /// A session that this request has not loaded. Nothing can be compared: it is saved whole.
    pub fn unseen(sid: String) -> Self {
        Self::new(sid, Base::Unknown, None)
    }

    /// Begins a session; None where there is one with this id.
    pub async fn create(
        database: &Database,
        sid: String,
        content: &Content<V>,
        life: Life,
    ) -> Result<Option<Self>, Error> {
        let created = database.create(&sid, &to_object(content), life).await?;
        Ok(created.then(|| Self::new(sid, Base::Content(content.clone()), Some(life))))
    }

    /// Begins a session that belongs to somebody.
    pub async fn begin(
        database: &Database,
        sid: String,
        login: &Login,
        content: &Content<V>,
        life: Life,
    ) -> Result<Self, Error> {
        let change = Difference { patch: to_object(content), remove: Vec::new() };
        let json = database.login(None, &sid, login, &change, life).await?;
        Ok(Self::new(sid, Base::Text(json), Some(life)))
    }

    /// The id of the session.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Whether it has ended, as far as this request knows.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Saves what has changed, or else keeps the session alive, once a request.
    pub async fn save(
        &mut self,
        database: &Database,
        content: &Content<V>,
        life: Life,
    ) -> Result<(), Error> {
        if self.ended {
            return Err(Error::Ended);
        }
        if life.is_over() {
            return self.destroy(database).await;
        }
        let saved = match self.change(content)? {
            Change::Nothing => return self.touch(database, life).await,
            Change::Keys(change) => database.patch(&self.sid, &change, life).await?,
            Change::Whole => database.replace(&self.sid, &to_object(content), life).await?,
        };
        self.base = Base::Content(content.clone());
        self.saved(saved, life)
    }

    /// Has the session live so long from now on, once a request. So it finds out whether the session is there still: else
    /// its cookie, sent again, would take the place of a login's.
    pub async fn touch(&mut self, database: &Database, life: Life) -> Result<(), Error> {
        if self.ended {
            return Err(Error::Ended);
        }
        if life.is_over() {
            return self.destroy(database).await;
        }
        if self.given.is_some_and(|(given, at)| given == life && at.elapsed() < QUICK) {
            return Ok(());
        }
        let touched = database.touch(&self.sid, life).await?;
        self.saved(touched, life)
    }

    /// Moves the session to another id, where it stays whose it is, and saves what has changed.
    pub async fn renew(
        &mut self,
        database: &Database,
        to: String,
        content: &Content<V>,
        life: Life,
    ) -> Result<(), Error> {
        if self.ended {
            return Err(Error::Ended);
        }
        if life.is_over() {
            return self.destroy(database).await;
        }
        let change = self.keys(database, content).await?;
        let renewed = database.renew(&self.sid, &to, &change, life).await?;
        self.sid = to;
        self.base = Base::Content(content.clone());
        self.saved(renewed, life)
    }

    /// Moves the session to another id and binds it, or begins one if it has ended: its content then, without what it held
    /// of somebody else.
    pub async fn login(
        &mut self,
        database: &Database,
        to: String,
        login: &Login,
        content: &Content<V>,
        life: Life,
    ) -> Result<Content<V>, Error> {
        let change = self.keys(database, content).await?;
        let from = (!self.ended).then_some(self.sid.as_str());
        let json = database.login(from, &to, login, &change, life).await?;
        let content = V::parse(&json)?;
        *self = Self::new(to, Base::Text(json), Some(life));
        Ok(content)
    }

    /// Takes a value out; false where another request was faster.
    pub async fn pop(
        &mut self,
        database: &Database,
        key: &str,
        value: &V,
        life: Life,
    ) -> Result<bool, Error> {
        // Of what this request has set itself nobody else knows. SQL text cannot have U+0000.
        let stored = self.content()?.is_some_and(|content| content.get(key) == Some(value));
        if self.ended || !stored || key.contains('\0') || value.json().contains("\\u0000") {
            return Ok(true);
        }
        let popped = database.pop(&self.sid, key).await?;
        if let Some(content) = self.content()? {
            content.remove(key);
        }
        if popped {
            self.saved(true, life)?;
        }
        Ok(popped)
    }

    /// Ends the session.
    pub async fn destroy(&mut self, database: &Database) -> Result<(), Error> {
        database.destroy(&self.sid).await?;
        self.ended = true;
        Ok(())
    }

    fn saved(&mut self, saved: bool, life: Life) -> Result<(), Error> {
        self.ended = !saved;
        self.given = Some((life, Instant::now()));
        saved.then_some(()).ok_or(Error::Ended)
    }

    fn change(&mut self, content: &Content<V>) -> Result<Change, Error> {
        let Some(base) = self.content()? else { return Ok(Change::Whole) };
        Ok(match difference(base, content) {
            None => Change::Nothing,
            // SQL text cannot name such a key.
            Some(change) if change.remove.iter().any(|key| key.contains('\0')) => Change::Whole,
            Some(change) => Change::Keys(change),
        })
    }

    /// The change for a statement that does more than to save.
    async fn keys(
        &mut self,
        database: &Database,
        content: &Content<V>,
    ) -> Result<Difference, Error> {
        if let Base::Unknown = self.base {
            let json = database.fetch(&self.sid, false).await?.flatten();
            self.base = json.map_or_else(|| Base::Content(Content::new()), Base::Text);
        }
        let change = self.content()?.and_then(|base| difference(base, content));
        let mut change =
            change.unwrap_or(Difference { patch: "{}".to_owned(), remove: Vec::new() });
        change.remove.retain(|key| !key.contains('\0'));
        Ok(change)
    }

    fn content(&mut self) -> Result<Option<&mut Content<V>>, Error> {
        if let Base::Text(json) = &self.base {
            self.base = Base::Content(V::parse(json)?);
        }
        Ok(match &mut self.base {
            Base::Content(content) => Some(content),
            _ => None,
        })
    }
}
