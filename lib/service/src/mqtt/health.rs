//! The subscriptions that the broker refuses, for `/health`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Refused topic filters by connection. Of the process, as its endpoint is.
static REFUSED: Mutex<BTreeMap<u64, Vec<String>>> = Mutex::new(BTreeMap::new());

/// The topic filters that the broker refuses at present; empty while all is well.
pub(crate) fn refused() -> Vec<String> {
    lock().values().flatten().cloned().collect()
}

/// The entry of one connection, for as long as that lives.
#[derive(Debug)]
pub(super) struct Refusals(u64);

impl Refusals {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// These are refused, and no others of this connection.
    pub(super) fn set(&self, filters: Vec<String>) {
        lock().insert(self.0, filters);
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        lock().remove(&self.0);
    }
}

fn lock() -> MutexGuard<'static, BTreeMap<u64, Vec<String>>> {
    // Valid at every step.
    REFUSED.lock().unwrap_or_else(PoisonError::into_inner)
}
