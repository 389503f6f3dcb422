//! Reading the columns of a row, wherever it comes from.

use super::memory::copy;
use super::{Address, Timestamp};
use pgrx::{PgSqlErrorCode, ereport, pg_sys};

/// The columns of a row, counted from 0.
pub trait Columns {
    /// A column's datum and its type; `None` if it is NULL. The datum stays in place while the row
    /// is borrowed.
    fn datum(&self, column: usize) -> Option<(pg_sys::Datum, pg_sys::Oid)>;

    /// A column's datum, which is of this type: bytes of another are an address that leads anywhere.
    fn datum_of(&self, column: usize, wanted: pg_sys::Oid) -> Option<pg_sys::Datum> {
        let (datum, found) = self.datum(column)?;
        if found != wanted {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                format!(
                    "column {} is of type {} instead of {}",
                    column + 1,
                    found.to_u32(),
                    wanted.to_u32()
                )
            );
        }
        Some(datum)
    }

    /// A `bigint`
    fn int8(&self, column: usize) -> Option<i64> {
        self.datum_of(column, pg_sys::INT8OID).map(|datum| datum.value() as i64)
    }

    /// An `integer`
    fn int4(&self, column: usize) -> Option<i32> {
        self.datum_of(column, pg_sys::INT4OID).map(|datum| datum.value() as i32)
    }

    /// A `boolean`
    fn boolean(&self, column: usize) -> Option<bool> {
        self.datum_of(column, pg_sys::BOOLOID).map(|datum| datum.value() != 0)
    }

    /// A `timestamptz`
    fn time(&self, column: usize) -> Option<Timestamp> {
        self.datum_of(column, pg_sys::TIMESTAMPTZOID).map(|datum| Timestamp(datum.value() as i64))
    }

    /// An `oid`
    fn oid(&self, column: usize) -> Option<pg_sys::Oid> {
        self.datum_of(column, pg_sys::OIDOID)
            .map(|datum| pg_sys::Oid::from_u32(datum.value() as u32))
    }

    /// A `tid`
    fn address(&self, column: usize) -> Option<Address> {
        let datum = self.datum_of(column, pg_sys::TIDOID)?;
        // SAFETY: a tid is passed by reference.
        let tid = unsafe { *datum.cast_mut_ptr::<pg_sys::ItemPointerData>() };
        Some(Address::from(tid))
    }

    /// The content of a `bytea`, detoasted, copied.
    fn bytes(&self, column: usize) -> Option<Vec<u8>> {
        self.datum_of(column, pg_sys::BYTEAOID).map(|datum| with_content(datum, copy))
    }

    /// The content of a `jsonb`, detoasted, copied: the root container's bytes.
    fn jsonb(&self, column: usize) -> Option<Vec<u8>> {
        self.datum_of(column, pg_sys::JSONBOID).map(|datum| with_content(datum, copy))
    }

    /// A `uuid`
    fn uuid(&self, column: usize) -> Option<[u8; 16]> {
        let datum = self.datum_of(column, pg_sys::UUIDOID)?;
        // SAFETY: a uuid is passed by reference, as so many bytes.
        Some(unsafe { *datum.cast_mut_ptr::<[u8; 16]>() })
    }

    /// A `bytea` of so many bytes; `None` if it has another length.
    fn fixed_bytes<const N: usize>(&self, column: usize) -> Option<[u8; N]> {
        let datum = self.datum_of(column, pg_sys::BYTEAOID)?;
        with_content(datum, |bytes| bytes.try_into().ok())
    }

    /// A `text`
    fn text(&self, column: usize) -> Option<String> {
        let bytes =
            self.datum_of(column, pg_sys::TEXTOID).map(|datum| with_content(datum, copy))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Runs `read` on a varlena's content, detoasted if need be.
fn with_content<R>(datum: pg_sys::Datum, read: impl FnOnce(&[u8]) -> R) -> R {
    // SAFETY: callers have made sure that it is a varlena; it stays in place while the row does.
    unsafe {
        let varlena: *mut pg_sys::varlena = datum.cast_mut_ptr();
        if is_plain(varlena) {
            return read(pgrx::varlena::varlena_to_byte_slice(varlena));
        }
        let detoasted = pg_sys::pg_detoast_datum_packed(varlena);
        let result = read(pgrx::varlena::varlena_to_byte_slice(detoasted));
        pg_sys::pfree(detoasted.cast());
        result
    }
}

/// Whether a varlena is neither compressed nor stored elsewhere.
unsafe fn is_plain(varlena: *const pg_sys::varlena) -> bool {
    use pgrx::varlena::{varatt_is_1b, varatt_is_1b_e, varatt_is_4b_u};
    // SAFETY: the header says which of its forms it is.
    unsafe { varatt_is_4b_u(varlena) || varatt_is_1b(varlena) && !varatt_is_1b_e(varlena) }
}
