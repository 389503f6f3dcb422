//! The result of a function that returns a table of at most one row.
//!
//! pgrx's `TableIterator` sets up a context for many calls and has the row's type looked up in each.
//! For one row it is less than half the work to hand over a finished result, as PostgreSQL's own
//! functions do ("materialize mode", `InitMaterializedSRF`).

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
    fn columns(self) -> Vec<Option<pg_sys::Datum>>;
}

/// No row, or one.
pub struct AtMostOne<R>(pub Option<R>);

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
        // SAFETY: PostgreSQL passes a ReturnSetInfo, or something else or nothing where no set is
        // accepted; the row type that it expects is that of the function's declaration.
        unsafe {
            let accepted = fcinfo.as_mut_ptr();
            let result = (*accepted).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            let accepts_set = !result.is_null()
                && (*result).type_ == pg_sys::NodeTag::T_ReturnSetInfo
                && (*result).allowedModes & SFRM_Materialize as i32 != 0
                && !(*result).expectedDesc.is_null();
            if !accepts_set {
                ereport!(
                    ERROR,
                    PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                    "set-valued function called in context that cannot accept a set"
                );
            }
            // It is read by the query, after the context of this call is gone.
            let context = (*(*result).econtext).ecxt_per_query_memory;
            let before = pg_sys::MemoryContextSwitchTo(context);
            let random = (*result).allowedModes & SFRM_Materialize_Random as i32 != 0;
            let store = pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem);
            pg_sys::MemoryContextSwitchTo(before);
            if let Some(row) = self.0 {
                let columns = row.columns();
                assert_eq!(columns.len(), (*(*result).expectedDesc).natts as usize);
                let mut nulls: Vec<_> = columns.iter().map(Option::is_none).collect();
                let mut values: Vec<_> = columns
                    .into_iter()
                    .map(|value| value.unwrap_or(pg_sys::Datum::null()))
                    .collect();
                pg_sys::tuplestore_putvalues(
                    store,
                    (*result).expectedDesc,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
            }
            (*result).returnMode = SFRM_Materialize;
            (*result).setResult = store;
            (*result).setDesc = core::ptr::null_mut();
        }
        fcinfo.return_null()
    }
}
