//! A report that waits: for its sealing, for its turn, for its receipt.

use super::Sealed;
use crate::batch::Batch;

#[derive(Debug)]
pub(super) struct WaitingReport {
    pub(super) batch: Batch,
    pub(super) sealed: Option<Sealed>,
    /// When this process first sent it; none if an earlier one may have.
    pub(super) first_sent_ms: Option<u64>,
    /// Whether it may have been sent before.
    pub(super) sent: bool,
    /// Whether it waits in its lane to be sent.
    pub(super) ready: bool,
    /// Whether it is being sealed.
    pub(super) sealing: bool,
    /// How often it was sent, or failed to be sealed.
    pub(super) attempts: u32,
    /// When it comes back after a refusal: to be sent, or sealed, again.
    pub(super) due_ms: Option<u64>,
}

impl WaitingReport {
    pub(super) fn new(batch: Batch) -> Self {
        Self {
            batch,
            sealed: None,
            first_sent_ms: None,
            sent: false,
            ready: false,
            sealing: false,
            attempts: 0,
            due_ms: None,
        }
    }
}
