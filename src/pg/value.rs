//! What statements and writes take: values, and the addresses of rows.

use super::Timestamp;
use pgrx::{IntoDatum, pg_sys};

/// Where a row version is in the table (`ctid`); ordered as on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(u64);

impl From<pg_sys::ItemPointerData> for Address {
    fn from(tid: pg_sys::ItemPointerData) -> Self {
        Self(pgrx::itemptr::item_pointer_to_u64(tid))
    }
}

impl From<Address> for pg_sys::ItemPointerData {
    fn from(address: Address) -> Self {
        let (block, offset) = pgrx::itemptr::u64_to_item_pointer_parts(address.0);
        let ip_blkid = pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 };
        Self { ip_blkid, ip_posid: offset }
    }
}

/// An argument of a statement, or a column of a row to be written.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `bytea`
    Bytes(&'a [u8]),
    /// `bigint`
    Int8(i64),
    /// `integer`
    Int4(i32),
    /// `timestamptz`
    Time(Timestamp),
    /// `text`
    Text(&'a str),
    /// `tid[]`
    Addresses(&'a [Address]),
    /// `jsonb`: the root container's bytes
    Jsonb(&'a [u8]),
    /// `uuid`
    Uuid(&'a [u8; 16]),
    /// `uuid[]`
    Uuids(&'a [[u8; 16]]),
    /// `oid`
    Oid(pg_sys::Oid),
    /// NULL of whatever type
    Null,
}

impl Value<'_> {
    /// The datum, where one of this type is asked for: bytes are copied to the current memory context.
    pub(super) fn datum_of(self, wanted: pg_sys::Oid) -> Option<pg_sys::Datum> {
        assert!(self.kind().is_none_or(|kind| kind == wanted), "a value of another type");
        self.datum()
    }

    fn kind(self) -> Option<pg_sys::Oid> {
        Some(match self {
            Value::Bytes(_) => pg_sys::BYTEAOID,
            Value::Int8(_) => pg_sys::INT8OID,
            Value::Int4(_) => pg_sys::INT4OID,
            Value::Time(_) => pg_sys::TIMESTAMPTZOID,
            Value::Text(_) => pg_sys::TEXTOID,
            Value::Addresses(_) => pg_sys::TIDARRAYOID,
            Value::Jsonb(_) => pg_sys::JSONBOID,
            Value::Uuid(_) => pg_sys::UUIDOID,
            Value::Uuids(_) => pg_sys::UUIDARRAYOID,
            Value::Oid(_) => pg_sys::OIDOID,
            Value::Null => return None,
        })
    }

    fn datum(self) -> Option<pg_sys::Datum> {
        match self {
            Value::Bytes(bytes) | Value::Jsonb(bytes) => bytes.into_datum(),
            Value::Int8(value) => value.into_datum(),
            Value::Int4(value) => value.into_datum(),
            Value::Time(Timestamp(value)) => value.into_datum(),
            Value::Text(text) => text.into_datum(),
            Value::Addresses(addresses) => {
                let tids = addresses.iter().copied().map(pg_sys::ItemPointerData::from);
                tids.collect::<Vec<_>>().into_datum()
            }
            Value::Uuid(bytes) => pgrx::Uuid::from_bytes(*bytes).into_datum(),
            Value::Uuids(all) => {
                let uuids = all.iter().copied().map(pgrx::Uuid::from_bytes);
                uuids.collect::<Vec<_>>().into_datum()
            }
            Value::Oid(oid) => oid.into_datum(),
            Value::Null => None,
        }
    }
}
