//! The content of a session, key by key, so that a save writes what has changed and nothing else.

use std::{borrow::Cow, collections::HashMap};

use serde_json::{Value, value::RawValue};

/// Keys and their values.
pub type Content<V> = HashMap<String, V>;

/// How a framework keeps a value.
pub trait Json: Clone + PartialEq {
    /// The content from a JSON object.
    fn parse(object: &str) -> serde_json::Result<Content<Self>>;
    /// The value as JSON.
    fn json(&self) -> Cow<'_, str>;
}

impl Json for Value {
    fn parse(object: &str) -> serde_json::Result<Content<Self>> {
        serde_json::from_str(object)
    }

    fn json(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// The text of the value.
impl Json for String {
    fn parse(object: &str) -> serde_json::Result<Content<Self>> {
        let content: HashMap<String, Box<RawValue>> = serde_json::from_str(object)?;
        Ok(content.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect())
    }

    fn json(&self) -> Cow<'_, str> {
        self.into()
    }
}

/// What turns one content into another.
pub(crate) struct Difference {
    /// Keys and values to set, as a JSON object.
    pub patch: String,
    pub remove: Vec<String>,
}

/// None where they are equal.
pub(crate) fn difference<V: Json>(before: &Content<V>, now: &Content<V>) -> Option<Difference> {
    let mut changed = now.iter().filter(|(key, value)| before.get(*key) != Some(value)).peekable();
    let remove: Vec<String> =
        before.keys().filter(|key| !now.contains_key(*key)).cloned().collect();
    if changed.peek().is_none() && remove.is_empty() {
        return None;
    }
    Some(Difference { patch: to_object(changed), remove })
}

/// A JSON object of these keys and values.
pub(crate) fn to_object<'a, V: Json + 'a>(
    content: impl IntoIterator<Item = (&'a String, &'a V)>,
) -> String {
    let mut object = String::from("{");
    for (key, value) in content {
        if object.len() > 1 {
            object.push(',');
        }
        object.push_str(&Value::from(key.as_str()).to_string());
        object.push(':');
        object.push_str(&value.json());
    }
    object.push('}');
    object
}
