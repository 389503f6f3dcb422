//! Acting with the table owner's rights, the way referential-integrity checks do
//! (`ri_PerformCheck` in PostgreSQL's `ri_triggers.c`): an application needs no table privilege.

use pgrx::pg_sys;

struct Identity {
    user: pg_sys::Oid,
    context: i32,
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
pub fn with_rights_of<R>(owner: pg_sys::Oid, work: impl FnOnce() -> R) -> R {
    let mut before = Identity { user: pg_sys::InvalidOid, context: 0 };
    // SAFETY: Drop puts the identity back, also when unwinding; so does the abort of a transaction.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut before.user, &mut before.context);
        pg_sys::SetUserIdAndSecContext(owner, before.context | RESTRICTIONS as i32);
    }
    let _restore = before;
    work()
}

impl Drop for Identity {
    fn drop(&mut self) {
        // SAFETY: these values came from GetUserIdAndSecContext.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
    }
}
