//! Acting with the table owner's rights, the way referential-integrity checks do
//! (`ri_PerformCheck` in PostgreSQL's `ri_triggers.c`): an application needs no table privilege.

use pgrx::pg_sys;

struct Identity {
    user: pg_sys::Oid,
    context: i32,
    settings: Option<i32>,
}

/// What is forbidden while acting as another.
static mut RESTRICTIONS: u32 = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_NOFORCE_RLS;

/// Forbids, for the rest of this process, also what would act under its own identity later, such as
/// a deferred trigger: for a process that is superuser and has tables of others before it, as
/// autovacuum (CVE-2020-25695).
pub fn restrict_operations() {
    // SAFETY: a variable of the process's only thread.
    unsafe { RESTRICTIONS |= pg_sys::SECURITY_RESTRICTED_OPERATION };
}

/// Runs `work` as `owner`, for whom row security does not apply.
///
/// An owner who is no superuser may have something to gain from who calls: triggers of his must
/// leave nothing behind that acts with the caller's rights later, be it a deferred trigger, a
/// temporary table or a `search_path`.
pub fn with_rights_of<R>(owner: pg_sys::Oid, work: impl FnOnce() -> R) -> R {
    let mut before = Identity { user: pg_sys::InvalidOid, context: 0, settings: None };
    // SAFETY: Drop puts the identity back, also when unwinding; so does the abort of a transaction.
    unsafe {
        let mut restrictions = RESTRICTIONS;
        if !pg_sys::superuser_arg(owner) {
            restrictions |= pg_sys::SECURITY_RESTRICTED_OPERATION;
            before.settings = Some(pg_sys::NewGUCNestLevel());
        }
        pg_sys::GetUserIdAndSecContext(&mut before.user, &mut before.context);
        pg_sys::SetUserIdAndSecContext(owner, before.context | restrictions as i32);
    }
    let _restore = before;
    work()
}

impl Drop for Identity {
    fn drop(&mut self) {
        // SAFETY: these values came from GetUserIdAndSecContext and NewGUCNestLevel. After an error
        // the abort puts the settings back.
        unsafe {
            if let Some(level) = self.settings.filter(|_| !std::thread::panicking()) {
                pg_sys::AtEOXact_GUC(false, level);
            }
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
        }
    }
}
