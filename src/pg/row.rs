//! Reading the columns of a row, wherever it comes from.

use super::memory::copy;
use super::spi::Address;
use crate::lifetime::Timestamp;
use pgrx::pg_sys;

/// The columns of a row, counted from 0.
pub trait Columns {
    /// A column's datum, `None` if it is NULL.
    fn datum(&self, column: usize) -> Option<pg_sys::Datum>;

    /// Where the row is, if that is known.
    fn row_address(&self) -> Option<Address> {
        None
    }

    /// A `bigint`
    fn int8(&self, column: usize) -> Option<i64> {
        self.datum(column).map(|datum| datum.value() as i64)
    }

    /// An `integer`
    fn int4(&self, column: usize) -> Option<i32> {
        self.datum(column).map(|datum| datum.value() as i32)
    }

    /// A `timestamptz`
    fn time(&self, column: usize) -> Option<Timestamp> {
        self.int8(column).map(Timestamp)
    }

    /// An `oid`
    fn oid(&self, column: usize) -> Option<pg_sys::Oid> {
        self.datum(column).map(|datum| pg_sys::Oid::from_u32(datum.value() as u32))
    }

    /// A `tid`
    fn address(&self, column: usize) -> Option<Address> {
        let datum = self.datum(column)?;
        // SAFETY: the column is a tid, which is passed by reference.
        let tid = unsafe { *datum.cast_mut_ptr::<pg_sys::ItemPointerData>() };
        Some(Address::from(tid))
    }

    /// The content of a `bytea` or `text`, detoasted, copied.
    fn bytes(&self, column: usize) -> Option<Vec<u8>> {
        let datum = self.datum(column)?;
        // SAFETY: the column is a varlena, which stays in place while it is copied.
        unsafe {
            let varlena: *mut pg_sys::varlena = datum.cast_mut_ptr();
            if is_plain(varlena) {
                return Some(copy(pgrx::varlena::varlena_to_byte_slice(varlena)));
            }
            let detoasted = pg_sys::pg_detoast_datum_packed(varlena);
            let bytes = copy(pgrx::varlena::varlena_to_byte_slice(detoasted));
            pg_sys::pfree(detoasted.cast());
            Some(bytes)
        }
    }
}

/// Whether a varlena is neither compressed nor stored elsewhere.
unsafe fn is_plain(varlena: *const pg_sys::varlena) -> bool {
    use pgrx::varlena::{varatt_is_1b, varatt_is_1b_e, varatt_is_4b_u};
    // SAFETY: the header says which of its forms it is.
    unsafe { varatt_is_4b_u(varlena) || varatt_is_1b(varlena) && !varatt_is_1b_e(varlena) }
}
