//! Arguments and results that pgrx has no form of its own for.
//!
//! pgrx's `JsonB` goes through text and loses the digits of numbers; these pass PostgreSQL's binary
//! form through, for the codec to read and write.

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, pg_sys};

/// A `jsonb` argument: the root container's bytes, without the varlena header.
#[derive(Clone, Copy)]
pub struct Jsonb<'a>(pub &'a [u8]);

/// A `jsonb` result, or one that is kept: the root container's bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonbBuf(pub Vec<u8>);

// SAFETY: the argument is a jsonb, by its SQL type below; a detoasted copy lives in the memory
// context of the call, which outlives 'fcx.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above; a bytea and a jsonb are both plain varlenas.
        Jsonb(unsafe { <&'fcx [u8]>::unbox_arg_unchecked(arg) })
    }
}

/// A `json` argument: its text.
#[derive(Clone, Copy)]
pub struct Json<'a>(pub &'a str);

// SAFETY: the argument is a json, by its SQL type below, which has the form of a text.
unsafe impl<'fcx> ArgAbi<'fcx> for Json<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above.
        Json(unsafe { <&'fcx str>::unbox_arg_unchecked(arg) })
    }
}

// SAFETY: the SQL type is json.
unsafe impl SqlTranslatable for Json<'_> {
    const TYPE_IDENT: &'static str = concat!(module_path!(), "::Json");
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("json"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("json")));
}

impl IntoDatum for JsonbBuf {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        self.0.as_slice().into_datum()
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: returns the datum of a jsonb, allocated in the context of the call.
unsafe impl BoxRet for JsonbBuf {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: the datum matches the declared SQL type.
            Some(datum) => unsafe { fcinfo.return_raw_datum(datum) },
            None => fcinfo.return_null(),
        }
    }
}

// SAFETY: the SQL type is jsonb.
unsafe impl SqlTranslatable for Jsonb<'_> {
    const TYPE_IDENT: &'static str = concat!(module_path!(), "::Jsonb");
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: the SQL type is jsonb.
unsafe impl SqlTranslatable for JsonbBuf {
    const TYPE_IDENT: &'static str = concat!(module_path!(), "::JsonbBuf");
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

/// Bytes from the server's strong random source, or `None` when it has failed.
pub fn random_bytes() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // SAFETY: writes exactly as many bytes as there are.
    let filled = unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) };
    filled.then_some(bytes)
}
