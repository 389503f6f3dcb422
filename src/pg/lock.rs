//! Locks of PostgreSQL's lock manager on what is no table: advisory locks and databases. None of
//! these calls waits, but for one.

use pgrx::pg_sys;

/// An advisory lock of the whole cluster: `pg_locks` shows it with database 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvisoryLock {
    /// `classid` in `pg_locks`.
    pub class: u32,
    /// `objid` in `pg_locks`.
    pub object: u32,
}

/// An advisory lock that this process holds, across transactions, until it is dropped.
#[derive(Debug)]
pub struct HeldLock(AdvisoryLock);

impl AdvisoryLock {
    /// `objsubid` in `pg_locks`. SQL's advisory locks have 1 or 2, so that SQL cannot take these.
    pub const KIND: u16 = 3;

    /// Acquires it exclusively; `None` if another process holds it.
    pub fn try_acquire(self) -> Option<HeldLock> {
        let acquired = try_acquire(&self.tag(), pg_sys::ExclusiveLock, true);
        acquired.then(|| HeldLock(self))
    }

    /// Whether another process holds it.
    pub fn is_held(self) -> bool {
        let acquired = try_acquire(&self.tag(), pg_sys::ShareLock, true);
        if acquired {
            release(&self.tag(), pg_sys::ShareLock, true);
        }
        !acquired
    }

    fn tag(self) -> pg_sys::LOCKTAG {
        self.tag_in(pg_sys::InvalidOid)
    }

    fn tag_in(self, database: pg_sys::Oid) -> pg_sys::LOCKTAG {
        pg_sys::LOCKTAG {
            locktag_field1: database.to_u32(),
            locktag_field2: self.class,
            locktag_field3: self.object,
            locktag_field4: Self::KIND,
            locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
            locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        }
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        release(&self.0.tag(), pg_sys::ExclusiveLock, true);
    }
}

/// Acquires such a lock of the connected database, exclusively and to the end of the transaction. Waits for
/// those who hold it.
pub fn lock_in_database(lock: AdvisoryLock) {
    let tag = lock.tag_in(super::current_database());
    // SAFETY: any tag may be locked.
    unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, false, false) };
}

/// Whether a command holds a database to itself or waits for that, as DROP DATABASE and CREATE
/// DATABASE … TEMPLATE do: whoever connects now would wait for it. Asked inside a transaction.
pub fn is_database_locked(database: pg_sys::Oid) -> bool {
    let tag = pg_sys::LOCKTAG {
        locktag_field1: 0, // shared between databases
        locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
        locktag_field3: database.to_u32(),
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    // As a process that connects (`InitPostgres`).
    let acquired = try_acquire(&tag, pg_sys::RowExclusiveLock, false);
    if acquired {
        release(&tag, pg_sys::RowExclusiveLock, false);
    }
    !acquired
}

fn try_acquire(tag: &pg_sys::LOCKTAG, mode: u32, for_session: bool) -> bool {
    // SAFETY: any tag may be locked; never waits.
    let result = unsafe { pg_sys::LockAcquire(tag, mode as i32, for_session, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

fn release(tag: &pg_sys::LOCKTAG, mode: u32, for_session: bool) {
    // SAFETY: at worst a warning that the lock is not held.
    unsafe { pg_sys::LockRelease(tag, mode as i32, for_session) };
}
