//! The result of a function that returns a table: of at most one row, or of many.
//!
//! pgrx's `TableIterator` sets up a context for many calls and has the row's type looked up in each.
//! For one row it is less than half the work to hand over a finished result, as PostgreSQL's own
//! functions do ("materialize mode", `InitMaterializedSRF`).

use super::guard::guarded;
use super::version::tuplestore_putvalues;
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pg_sys::SetFunctionReturnMode::{SFRM_Materialize, SFRM_Materialize_Random};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{PgSqlErrorCode, ereport, pg_sys};

/// A row of a function's result.
pub trait Record {
    /// How the function declares it: `TABLE (…)`.
    const SQL: &'static str;
    /// A name of its own for pgrx.
    const IDENT: &'static str;

    /// The columns' values, in that order.
    fn columns(self) -> impl IntoIterator<Item = Option<pg_sys::Datum>>;
}

/// No row, or one.
pub struct AtMostOne<R>(pub Option<R>);

/// Any number of rows.
pub struct Many<R>(pub Vec<R>);

/// A value whose text has `N` characters, all of them ASCII.
pub trait FixedText<const N: usize> {
    /// That text.
    fn text(&self) -> [u8; N];
}

/// Any number of texts of the same length.
pub struct FixedTexts<T, const N: usize>(pub Vec<T>);

// SAFETY: the SQL type is the record's own declaration.
unsafe impl<R: Record> SqlTranslatable for Many<R> {
    const TYPE_IDENT: &'static str = R::IDENT;
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::Table);
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal(R::SQL)));
}

// SAFETY: as `AtMostOne`.
unsafe impl<R: Record> BoxRet for Many<R> {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: by this function's contract.
        unsafe { materialize(self.0, fcinfo) }
    }
}

// SAFETY: the SQL type is the record's own declaration.
unsafe impl<R: Record> SqlTranslatable for AtMostOne<R> {
    const TYPE_IDENT: &'static str = R::IDENT;
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::Table);
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal(R::SQL)));
}

// SAFETY: returns a result set in the form that the caller says it accepts.
unsafe impl<R: Record> BoxRet for AtMostOne<R> {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: by this function's contract.
        unsafe { materialize(self.0, fcinfo) }
    }
}

// SAFETY: a set of that SQL type is what is handed over.
unsafe impl<T, const N: usize> SqlTranslatable for FixedTexts<T, N> {
    const TYPE_IDENT: &'static str = "session_store::pg::FixedTexts";
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::Table);
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("SETOF text")));
}

// SAFETY: as `AtMostOne`.
unsafe impl<T: FixedText<N>, const N: usize> BoxRet for FixedTexts<T, N> {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: by this function's contract. PostgreSQL copies what it is shown.
        unsafe {
            // The values are in memory as it is, and their texts, written to a file, would take as long as all else.
            let memory = (self.0.len() * ROW / 1024).try_into().unwrap_or(i32::MAX);
            let result = ResultSet::begin(fcinfo, memory);
            let mut texts = [Text::new(); TEXTS];
            for some in self.0.chunks(TEXTS) {
                for (text, value) in texts.iter_mut().zip(some) {
                    text.bytes = value.text();
                }
                guarded(|| {
                    for text in &texts[..some.len()] {
                        let mut datum = pg_sys::Datum::from(core::ptr::from_ref(text));
                        result.put(&mut datum, &mut false);
                    }
                });
            }
            result.hand_over(fcinfo)
        }
    }
}

/// How many texts are handed over under one guard.
const TEXTS: usize = 64;

/// What a short text takes in a tuplestore, in bytes and at most.
const ROW: usize = 128;

/// A text as PostgreSQL has it in memory.
#[derive(Clone, Copy)]
#[repr(C, align(4))]
struct Text<const N: usize> {
    size: [u8; pg_sys::VARHDRSZ],
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    fn new() -> Self {
        let mut text = Self { size: [0; pg_sys::VARHDRSZ], bytes: [0; N] };
        // SAFETY: it has room for a size, of all that it has.
        unsafe { pgrx::set_varsize_4b((&raw mut text).cast(), size_of::<Self>() as i32) };
        text
    }
}

/// Hands over all rows at once.
unsafe fn materialize<'fcx, R: Record>(
    rows: impl IntoIterator<Item = R>,
    fcinfo: &mut FcInfo<'fcx>,
) -> Datum<'fcx> {
    // SAFETY: by this function's contract; a row has a value or a null for each column.
    unsafe {
        let result = ResultSet::begin(fcinfo, 0);
        let (mut values, mut nulls) = (Vec::new(), Vec::new());
        for row in rows {
            values.clear();
            nulls.clear();
            for value in row.columns() {
                nulls.push(value.is_none());
                values.push(value.unwrap_or(pg_sys::Datum::null()));
            }
            assert_eq!(values.len(), (*result.descriptor).natts as usize);
            guarded(|| result.put(values.as_mut_ptr(), nulls.as_mut_ptr()));
        }
        result.hand_over(fcinfo)
    }
}

/// The rows of a result before it is handed over.
struct ResultSet {
    /// Where PostgreSQL expects it.
    info: *mut pg_sys::ReturnSetInfo,
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
}

impl ResultSet {
    /// One that stays in memory up to `work_mem` or, if that is more, so many kilobytes.
    unsafe fn begin(fcinfo: &mut FcInfo<'_>, memory: i32) -> Self {
        // SAFETY: PostgreSQL passes a ReturnSetInfo, or something else or nothing where no set is
        // accepted; the row type that it expects is that of the function's declaration.
        unsafe {
            let info: *mut pg_sys::ReturnSetInfo = (*fcinfo.as_mut_ptr()).resultinfo.cast();
            let accepts_set = !info.is_null()
                && (*info).type_ == pg_sys::NodeTag::T_ReturnSetInfo
                && (*info).allowedModes & SFRM_Materialize as i32 != 0
                && !(*info).expectedDesc.is_null();
            if !accepts_set {
                ereport!(
                    ERROR,
                    PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                    "set-valued function called in context that cannot accept a set"
                );
            }
            // It is read by the query, after the context of this call is gone.
            let context = (*(*info).econtext).ecxt_per_query_memory;
            let before = pg_sys::MemoryContextSwitchTo(context);
            let random = (*info).allowedModes & SFRM_Materialize_Random as i32 != 0;
            let store = pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem.max(memory));
            pg_sys::MemoryContextSwitchTo(before);
            Self { info, store, descriptor: (*info).expectedDesc }
        }
    }

    /// Copies a row. To be guarded by the caller.
    unsafe fn put(&self, values: *mut pg_sys::Datum, nulls: *mut bool) {
        // SAFETY: by this function's contract.
        unsafe { tuplestore_putvalues(self.store, self.descriptor, values, nulls) }
    }

    unsafe fn hand_over<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: `begin` has found it to be there.
        unsafe {
            (*self.info).returnMode = SFRM_Materialize;
            (*self.info).setResult = self.store;
            (*self.info).setDesc = core::ptr::null_mut();
        }
        fcinfo.return_null()
    }
}
