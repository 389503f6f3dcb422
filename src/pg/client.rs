//! The client's connection: what it is having done, and which messages have already arrived.

use core::ffi::CStr;
use pgrx::pg_sys;

// libpq.h is not among the headers that pgrx binds.
unsafe extern "C-unwind" {
    fn pq_startmsgread();
    fn pq_endmsgread();
    fn pq_peekbyte() -> i32;
}

/// Whether a portal runs the client's own statement, and nothing follows it in its transaction.
pub(super) fn runs_alone(portal: &pg_sys::PortalData) -> bool {
    // SAFETY: both are texts while the portal runs; the client may have sent none.
    unsafe {
        let (sent, runs) = (pg_sys::debug_query_string, portal.sourceText);
        if sent.is_null() || runs.is_null() {
            return false;
        }
        // In the extended protocol PostgreSQL shows a copy of the text, and another statement may follow
        // in the same transaction until the client has sent Sync. Another text belongs to a portal of a
        // function that the statement calls.
        sent == runs || (is_sync_next() && CStr::from_ptr(sent) == CStr::from_ptr(runs))
    }
}

/// Whether the client's next message has arrived and is Sync, which ends the transaction.
fn is_sync_next() -> bool {
    const SYNC: i32 = b'S' as i32;
    // SAFETY: between two messages, so that reading one may begin; it does not wait for what is there.
    unsafe {
        if !super::version::has_received_more() {
            return false;
        }
        pq_startmsgread();
        let next = pq_peekbyte();
        pq_endmsgread();
        next == SYNC
    }
}
