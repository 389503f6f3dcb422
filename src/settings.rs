//! The settings, `session_store.*`.

use crate::codec;
use crate::error::ORIGIN;
use crate::lifetime::{Lifetime, Limits, MAX_SECONDS, Terms};
use crate::pg;
use core::ffi::CStr;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::time::Duration;

static MAX_LIFETIME: GucSetting<i32> = GucSetting::<i32>::new(3_600);
static ABSOLUTE_LIFETIME: GucSetting<i32> = GucSetting::<i32>::new(0);
static EXPIRY_GRANULARITY: GucSetting<i32> = GucSetting::<i32>::new(60);
static GC_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);
static GC_BATCH_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1_000);
static DIRECT: GucSetting<bool> = GucSetting::<bool>::new(true);
static STRICT: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_SIZE: GucSetting<i32> = GucSetting::<i32>::new(1024 * 1024);

const MAX_LIFETIME_NAME: &CStr = c"session_store.max_lifetime";
const ATTACHED: &CStr = c"session_store.attached";

struct Integer {
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    min: i32,
    max: i32,
    context: GucContext,
    unit: GucFlags,
}

/// Defines the settings; called once, when the library is loaded.
pub fn define() {
    let integers = [
        Integer {
            name: MAX_LIFETIME_NAME,
            short: c"Idle lifetime of new sessions.",
            long: c"A session that nobody uses for this long expires. Zero sets no idle limit.",
            setting: &MAX_LIFETIME,
            min: 0,
            max: MAX_SECONDS,
            context: GucContext::Userset,
            unit: GucFlags::UNIT_S,
        },
        Integer {
            name: c"session_store.absolute_lifetime",
            short: c"Time after its creation at which any session ends.",
            long: c"It ends however active it is. Zero sets no absolute limit.",
            setting: &ABSOLUTE_LIFETIME,
            min: 0,
            max: MAX_SECONDS,
            context: GucContext::Suset,
            unit: GucFlags::UNIT_S,
        },
        Integer {
            name: c"session_store.expiry_granularity",
            short: c"Grid to which the idle expiry is rounded up.",
            long: c"Using a session within one step writes nothing. A sixteenth of the session's lifetime caps it. Zero keeps expiry exact.",
            setting: &EXPIRY_GRANULARITY,
            min: 0,
            max: 86_400,
            context: GucContext::Suset,
            unit: GucFlags::UNIT_S,
        },
        Integer {
            name: c"session_store.max_size",
            short: c"Largest stored size of one session.",
            long: c"A write beyond it is refused, and the old data stays.",
            setting: &MAX_SIZE,
            min: 1,
            // As jsonb the data can be twelve times as large, and must stay below 256 MB.
            max: codec::MAX_SIZE as i32,
            context: GucContext::Suset,
            unit: GucFlags::UNIT_BYTE,
        },
        Integer {
            name: c"session_store.gc_interval",
            short: c"Pause between two sweeps that remove expired sessions.",
            long: c"Zero stops sweeping.",
            setting: &GC_INTERVAL,
            min: 0,
            max: 86_400,
            context: GucContext::Sighup,
            unit: GucFlags::UNIT_S,
        },
        Integer {
            name: c"session_store.gc_batch_size",
            short: c"Rows that a sweep removes in one transaction.",
            long: c"",
            setting: &GC_BATCH_SIZE,
            min: 1,
            max: 100_000,
            context: GucContext::Sighup,
            unit: GucFlags::default(),
        },
    ];
    for Integer { name, short, long, setting, min, max, context, unit } in integers {
        let is_limit = matches!(context, GucContext::Suset);
        let asked = pg::reset_value(name, unit.bits());
        GucRegistry::define_int_guc(name, short, long, setting, min, max, context, unit);
        // Anybody's connection options replace the configured value before it is known who may set
        // it. PostgreSQL drops what was not allowed, and leaves no limit at all.
        let is_dropped = asked != pg::reset_value(name, unit.bits());
        if is_limit && is_dropped && asked.is_some_and(|asked| (min..=max).contains(&asked)) {
            pg::refuse_connection(name, ORIGIN);
        }
    }
    GucRegistry::define_bool_guc(
        c"session_store.strict",
        c"Never adopts an unknown session id.",
        c"session_read() of an unknown id returns NULL and session_regenerate() of one fails.",
        &STRICT,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"session_store.direct",
        c"Reads and writes plain tables without the executor.",
        c"For tests: off, everything goes by SQL, as it does where the owner has added to the table.",
        &DIRECT,
        GucContext::Suset,
        GucFlags::NO_SHOW_ALL,
    );
    pg::define_carried(ATTACHED, c"Set by session_attach() alone.");
    pg::reserve_prefix(c"session_store");
}

/// Has the transaction carry this principal and these attributes, or nobody's.
pub fn attach(principal: Option<&str>, attributes: Option<&[u8]>) {
    pg::carry(ATTACHED, principal.map(|principal| (principal, attributes)));
}

/// The terms of a session for which the caller gave none.
pub fn default_terms() -> Terms {
    let lifetime = Lifetime::from_seconds(MAX_LIFETIME.get());
    Terms { lifetime: lifetime.expect("the setting is checked against its range"), deadline: None }
}

/// Sets the idle lifetime of new sessions for this connection.
pub fn set_max_lifetime(lifetime: Lifetime) {
    pg::set_for_session(MAX_LIFETIME_NAME, lifetime.seconds());
}

/// The settings that bear on every expiry.
pub fn limits() -> Limits {
    Limits { absolute_lifetime: ABSOLUTE_LIFETIME.get(), granularity: EXPIRY_GRANULARITY.get() }
}

/// Whether plain tables are read and written without the executor.
pub fn direct() -> bool {
    DIRECT.get()
}

/// Whether unknown ids are never adopted.
pub fn strict() -> bool {
    STRICT.get()
}

/// The largest stored size of one session, in bytes.
pub fn max_size() -> usize {
    MAX_SIZE.get() as usize
}

/// The pause between two sweeps, `None` if there are none.
pub fn gc_interval() -> Option<Duration> {
    let seconds = GC_INTERVAL.get() as u64;
    (seconds > 0).then_some(Duration::from_secs(seconds))
}

/// Rows that a sweep removes in one transaction.
pub fn gc_batch_size() -> usize {
    GC_BATCH_SIZE.get() as usize
}
