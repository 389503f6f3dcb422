//! The columns of the table `session`: a line each, from which follow a session's fields, their order
//! in a row, their types, and the texts and arguments of the statements.
//!
//! A table of an older version lacks those that came since, until the extension is updated. They are NULL there,
//! and none of that version's functions gives them a value.

use crate::id::{Handle, SessionKey};
use crate::lifetime::Lifetime;
use crate::pg::{Column, Columns, JsonbBuf, Layout, Timestamp, Value};
use pgrx::pg_sys::{self, Oid};

/// A type that a column can have.
pub(super) trait ColumnType: Sized + PartialEq {
    const KIND: Oid;
    const IS_NULLABLE: bool = false;

    /// Reads a column; `None` if it holds what it never should.
    fn read(row: &impl Columns, column: usize) -> Option<Self>;
    fn value(&self) -> Value<'_>;
}

macro_rules! columns {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $name:literal $(since $version:literal)?,)*) => {
        /// One row of the table, expired or not.
        #[derive(PartialEq, Eq)]
        pub struct Session {
            $($(#[$doc])* pub $field: $kind,)*
        }

        /// New values for some of the columns.
        #[derive(Default)]
        pub struct Changes {
            $($(#[$doc])* pub $field: Option<$kind>,)*
        }

        #[allow(non_camel_case_types)]
        /// Where each column stands in [`COLUMNS`].
        pub(super) enum Index {
            $($field,)*
        }

        /// The columns, in the order of [`Session::values`].
        pub const COLUMNS: &[Column] = &[$(Column {
            name: $name,
            kind: <$kind as ColumnType>::KIND,
            is_nullable: <$kind as ColumnType>::IS_NULLABLE,
            is_newer: !stringify!($($version)?).is_empty(),
        },)*];

        impl Session {
            /// Reads [`COLUMNS`]; `None` if one holds what it never should.
            pub fn read(row: &impl Columns) -> Option<Self> {
                Some(Self {
                    $($field: ColumnType::read(row, Index::$field as usize)?,)*
                })
            }

            /// The values of all columns.
            pub fn values(&self) -> [Value<'_>; COLUMNS.len()] {
                [$(self.$field.value(),)*]
            }
        }

        impl Changes {
            /// What makes any row this session, but for the key.
            pub fn to(new: Session) -> Self {
                Self { $($field: Some(new.$field),)* }.without_key()
            }

            /// Only those that make a difference to a row.
            pub fn from(mut self, row: &Session) -> Self {
                $(self.$field = self.$field.take_if(|new| *new != row.$field);)*
                self
            }

            /// Which columns are given, with their values.
            pub fn values(&self) -> impl Iterator<Item = (usize, Value<'_>)> + Clone {
                [$(self.$field.as_ref().map(|new| (Index::$field as usize, new.value())),)*]
                    .into_iter()
                    .flatten()
            }

            /// Makes the changes.
            pub fn apply_to(self, row: &mut Session) {
                $(if let Some(new) = self.$field { row.$field = new; })*
            }
        }
    };
}

columns! {
    /// SHA-256 of the session id.
    key: SessionKey = c"session_key",
    /// The content, as the codec writes it.
    data: Vec<u8> = c"session_data",
    /// When it expires.
    expiry: Timestamp = c"session_expiry",
    /// When it was created.
    created_at: Timestamp = c"created_at",
    /// Grows with every change of the content.
    version: i64 = c"version",
    /// How long it may idle.
    lifetime: Lifetime = c"lifetime",
    /// An end that no activity moves.
    deadline: Option<Timestamp> = c"deadline",
    /// Whom the session belongs to, if the application said so.
    principal: Option<String> = c"principal",
    /// What the application keeps of it beside the content, such as the device.
    attributes: Option<JsonbBuf> = c"attributes" since "0.3.0",
    /// When it came to belong to them, or they logged in again.
    authenticated_at: Option<Timestamp> = c"authenticated_at" since "0.3.0",
    /// By which the sessions of a principal are told apart, for ids are known to their clients alone.
    handle: Option<Handle> = c"handle" since "0.3.0",
}

/// The table as a write without the executor relies on it.
pub static LAYOUT: Layout = Layout {
    columns: COLUMNS,
    key: KEY,
    checks: &[
        c"lifetime OPERATOR(pg_catalog.>=) 0 AND lifetime OPERATOR(pg_catalog.<=) 2145916800",
        c"pg_catalog.octet_length(session_key) OPERATOR(pg_catalog.=) 32",
    ],
};

/// Where the primary key stands in [`COLUMNS`].
pub const KEY: usize = Index::key as usize;
/// Where the expiry stands in [`COLUMNS`].
pub const EXPIRY: usize = Index::expiry as usize;
/// Where the time of creation stands in [`COLUMNS`].
pub const CREATED_AT: usize = Index::created_at as usize;
/// Where the principal stands in [`COLUMNS`].
pub const PRINCIPAL: usize = Index::principal as usize;
/// Where the handle stands in [`COLUMNS`].
pub const HANDLE: usize = Index::handle as usize;
/// Where the time of authentication stands in [`COLUMNS`].
pub const AUTHENTICATED_AT: usize = Index::authenticated_at as usize;
/// Where the content stands in [`COLUMNS`]. The version stands for it: see [`compared`].
pub const DATA: usize = Index::data as usize;

/// The columns that a row is compared by when a statement insists that it is as it was read.
pub fn compared() -> impl Iterator<Item = usize> + Clone {
    (0..COLUMNS.len()).filter(|column| *column != DATA)
}

impl Changes {
    fn without_key(self) -> Self {
        Self { key: None, ..self }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }
}

impl ColumnType for SessionKey {
    const KIND: Oid = pg_sys::BYTEAOID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.fixed_bytes(column).map(SessionKey::from_bytes)
    }

    fn value(&self) -> Value<'_> {
        Value::Bytes(self.as_bytes())
    }
}

impl ColumnType for Vec<u8> {
    const KIND: Oid = pg_sys::BYTEAOID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.bytes(column)
    }

    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl ColumnType for Timestamp {
    const KIND: Oid = pg_sys::TIMESTAMPTZOID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.time(column)
    }

    fn value(&self) -> Value<'_> {
        Value::Time(*self)
    }
}

impl ColumnType for i64 {
    const KIND: Oid = pg_sys::INT8OID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.int8(column)
    }

    fn value(&self) -> Value<'_> {
        Value::Int8(*self)
    }
}

impl ColumnType for Lifetime {
    const KIND: Oid = pg_sys::INT4OID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.int4(column).and_then(Lifetime::from_seconds)
    }

    fn value(&self) -> Value<'_> {
        Value::Int4(self.seconds())
    }
}

impl ColumnType for String {
    const KIND: Oid = pg_sys::TEXTOID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.text(column)
    }

    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ColumnType for JsonbBuf {
    const KIND: Oid = pg_sys::JSONBOID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.jsonb(column).map(JsonbBuf)
    }

    fn value(&self) -> Value<'_> {
        Value::Jsonb(&self.0)
    }
}

impl ColumnType for Handle {
    const KIND: Oid = pg_sys::UUIDOID;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        row.uuid(column).map(Handle::from_bytes)
    }

    fn value(&self) -> Value<'_> {
        Value::Uuid(self.as_bytes())
    }
}

impl<T: ColumnType> ColumnType for Option<T> {
    const KIND: Oid = T::KIND;
    const IS_NULLABLE: bool = true;

    fn read(row: &impl Columns, column: usize) -> Option<Self> {
        match row.datum(column) {
            None => Some(None),
            Some(_) => T::read(row, column).map(Some),
        }
    }

    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::value)
    }
}
