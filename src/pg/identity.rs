//! Acting with a table owner's rights, the way referential-integrity checks do (`ri_PerformCheck` in
//! PostgreSQL's `ri_triggers.c`): an application needs no table privilege.

use super::guc::SettingsLevel;
use super::{Call, catalog};
use core::marker::PhantomData;
use pgrx::pg_sys;

/// The rights with which statements run: those of a table's owner, for whom row security does not
/// apply, until it is dropped.
pub struct Rights<'call> {
    user: pg_sys::Oid,
    context: i32,
    settings: Option<SettingsLevel>,
    call: PhantomData<&'call Call>,
}

impl Call {
    /// Acts as `owner`.
    ///
    /// An owner who is no superuser may have something to gain from who calls: triggers of his must
    /// leave nothing behind that acts with the caller's rights later, be it a deferred trigger, a
    /// temporary table or a `search_path`.
    pub fn act_as(&self, owner: pg_sys::Oid) -> Rights<'_> {
        let mut restrictions = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_NOFORCE_RLS;
        let is_trusted = catalog::is_superuser(owner);
        if !is_trusted {
            restrictions |= pg_sys::SECURITY_RESTRICTED_OPERATION;
        }
        let settings = (!is_trusted).then(SettingsLevel::begin);
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        // SAFETY: Drop puts the identity back, also when unwinding; so does the abort of a
        // transaction.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            pg_sys::SetUserIdAndSecContext(owner, context | restrictions as i32);
        }
        Rights { user, context, settings, call: PhantomData }
    }
}

impl Call {
    /// Acts as who acts anyway.
    pub fn act_as_oneself(&self) -> Rights<'_> {
        // SAFETY: reads a variable of the process.
        self.act_as(unsafe { pg_sys::GetUserId() })
    }
}

impl Drop for Rights<'_> {
    fn drop(&mut self) {
        drop(self.settings.take());
        // SAFETY: these values came from GetUserIdAndSecContext.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
    }
}
