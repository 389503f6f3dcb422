//! What the background worker does with the rows of the table.

use super::statements::Statement;
use super::{OpenTable, SESSIONS};
use crate::error::Result;
use crate::pg::{Address, Call, Columns, LockMode, Timestamp, Value};
use pgrx::pg_sys::Oid;

impl<'call> OpenTable<'call> {
    /// The table in the extension's schema; `None` if it is not there.
    pub fn in_schema(call: &'call Call, schema: Oid) -> Result<Option<Self>> {
        Self::open_in(SESSIONS, call, LockMode::Write, || schema)
    }

    /// Goes through the sessions that expired from `from` to `to`, the earliest first, with address
    /// and expiry, until `each` returns false.
    pub fn for_each_expired(
        &self,
        from: Timestamp,
        to: Timestamp,
        mut each: impl FnMut(Address, Timestamp) -> bool,
    ) {
        self.for_each(Statement::Expired, [Value::Time(from), Value::Time(to)], |row| {
            row.address(0).zip(row.time(1)).is_none_or(|(address, expiry)| each(address, expiry))
        });
    }

    /// Removes what is at these addresses, expired by `now` and not locked; how many.
    pub fn collect_at(&self, addresses: &[Address], now: Timestamp) -> i64 {
        let args = [Value::Addresses(addresses), Value::Time(now)];
        self.change(Statement::CollectAt, args) as i64
    }
}
