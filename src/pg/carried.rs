//! What a transaction carries along: a text and a jsonb that only our own call can set.
//!
//! It is a setting, for settings follow savepoints, end with the transaction, and are copied to parallel
//! workers. Its check hook refuses whoever else sets it: SET, `set_config`, options of the connection or of
//! a role, clauses of a function. RESET ALL passes it by; RESET is an error from PostgreSQL 16 on, and before
//! that the superuser's.

use core::ffi::{CStr, c_char, c_void};
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, PgSqlErrorCode, pg_guard, pg_sys};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::atomic::AtomicPtr;

/// The value, in the form in which it is handed out.
#[derive(Clone, Copy)]
pub struct Carried {
    /// A `text`
    pub text: pg_sys::Datum,
    /// A `jsonb`, if there is one
    pub jsonb: Option<pg_sys::Datum>,
}

thread_local! {
    /// Set while our own call sets it.
    static ADMITS: Cell<bool> = const { Cell::new(false) };
    static CURRENT: Cell<Option<Carried>> = const { Cell::new(None) };
    /// By what is written. A query may hold on to a value that was replaced meanwhile, so that all of a
    /// transaction are kept, and of one that a procedure ends until that is over.
    static KEPT: RefCell<BTreeMap<CString, Carried>> = const { RefCell::new(BTreeMap::new()) };
    /// Nobody holds on to what is kept.
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
}

/// PostgreSQL's variable of the setting.
static WRITTEN: AtomicPtr<c_char> = AtomicPtr::new(core::ptr::null_mut());

/// Defines the setting. Called once, when the library is loaded.
pub fn define(name: &'static CStr, short: &'static CStr) {
    let flags = pg_sys::GUC_SUPERUSER_ONLY
        | pg_sys::GUC_NO_SHOW_ALL
        | pg_sys::GUC_NO_RESET_ALL
        | super::version::GUC_NO_RESET
        | pg_sys::GUC_NOT_IN_SAMPLE
        | pg_sys::GUC_DISALLOW_IN_FILE;
    // SAFETY: the strings and the variable live as long as the process.
    unsafe {
        pg_sys::DefineCustomStringVariable(
            name.as_ptr(),
            short.as_ptr(),
            core::ptr::null(),
            WRITTEN.as_ptr(),
            core::ptr::null(),
            pg_sys::GucContext::PGC_SUSET,
            flags as i32,
            Some(check),
            Some(assign),
            None,
        );
    }
}

/// Has the transaction carry this value to its end, or to that of the savepoint that is rolled back.
pub fn carry(name: &CStr, value: Option<(&str, Option<&[u8]>)>) {
    let written = value.map(|(text, jsonb)| write(text, jsonb)).unwrap_or_default();
    let _admitted = Admitted::begin();
    super::guc::set_local_as_superuser(name, &written);
}

/// Our own call sets it until this is dropped, also by an error.
struct Admitted;

impl Admitted {
    fn begin() -> Self {
        ADMITS.set(true);
        Self
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        ADMITS.set(false);
    }
}

/// What the transaction carries.
pub fn carried() -> Option<Carried> {
    CURRENT.get()
}

/// Takes note of the end of a transaction. Where a procedure goes on after it, the values stay: they may
/// be its arguments.
pub fn transaction_ended() {
    // SAFETY: reads a variable of the backend.
    if !unsafe { pg_sys::SPI_inside_nonatomic_context() } {
        IS_OVER.set(true);
    }
}

/// The length of the text, the text, and the bytes of the jsonb in hex.
fn write(text: &str, jsonb: Option<&[u8]>) -> CString {
    use std::fmt::Write;
    let mut written = format!("{}:{text}", text.len());
    for byte in jsonb.into_iter().flatten() {
        let _ = write!(written, "{byte:02x}");
    }
    CString::new(written).expect("a text has no NUL byte")
}

fn read(written: &str) -> Option<(&str, Option<Vec<u8>>)> {
    let (length, rest) = written.split_once(':')?;
    let (text, hex) = rest.split_at_checked(length.parse().ok()?)?;
    let byte = |index: usize| u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok();
    let jsonb = (0..hex.len() / 2).map(byte).collect::<Option<Vec<u8>>>()?;
    Some((text, (!jsonb.is_empty()).then_some(jsonb)))
}

fn keep(written: &CStr) -> Option<()> {
    let (text, jsonb) = read(written.to_str().ok()?)?;
    KEPT.with_borrow_mut(|kept| {
        if IS_OVER.take() {
            for old in std::mem::take(kept).into_values() {
                // SAFETY: made below, and handed out to nobody any more.
                unsafe {
                    pg_sys::pfree(old.text.cast_mut_ptr());
                    if let Some(jsonb) = old.jsonb {
                        pg_sys::pfree(jsonb.cast_mut_ptr());
                    }
                }
            }
        }
        if kept.contains_key(written) {
            return Some(());
        }
        // SAFETY: the context lives as long as the process.
        let value = unsafe {
            let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let text = text.into_datum();
            let jsonb = jsonb.map(|bytes| bytes.as_slice().into_datum());
            pg_sys::MemoryContextSwitchTo(before);
            Carried { text: text?, jsonb: jsonb.flatten() }
        };
        kept.insert(written.to_owned(), value);
        Some(())
    })
}

#[pg_guard]
unsafe extern "C-unwind" fn check(
    new: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: PostgreSQL passes a string or nothing; the variable is one of the process.
    unsafe {
        if (*new).is_null() {
            return true; // to begin with
        }
        if !ADMITS.get() && !pg_sys::InitializingParallelWorker {
            pg_sys::GUC_check_errcode(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE as i32);
            return false;
        }
        if **new == 0 {
            return true;
        }
        keep(CStr::from_ptr(*new)).is_some()
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn assign(new: *const c_char, _extra: *mut c_void) {
    // SAFETY: as above.
    let written = unsafe { (!new.is_null()).then(|| CStr::from_ptr(new)) };
    let kept = |written: &CStr| KEPT.with_borrow(|kept| kept.get(written).copied());
    CURRENT.set(written.and_then(kept));
}

/// A `text` that is handed out as it is kept.
pub struct KeptText(pub pg_sys::Datum);

/// A `jsonb` that is handed out as it is kept.
pub struct KeptJsonb(pub pg_sys::Datum);

macro_rules! handed_out {
    ($kept:ident, $sql:literal) => {
        // SAFETY: the datum is of the declared SQL type and stays to the end of the client's statement.
        unsafe impl BoxRet for $kept {
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
                // SAFETY: as above.
                unsafe { fcinfo.return_raw_datum(self.0) }
            }
        }

        // SAFETY: the SQL type is this one.
        unsafe impl SqlTranslatable for $kept {
            const TYPE_IDENT: &'static str = concat!(module_path!(), "::", stringify!($kept));
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
            const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> =
                Ok(SqlMappingRef::literal($sql));
            const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
                Ok(ReturnsRef::One(SqlMappingRef::literal($sql)));
        }
    };
}

handed_out!(KeptText, "text");
handed_out!(KeptJsonb, "jsonb");
