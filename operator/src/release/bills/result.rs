//! What became of a bill, for whoever tells of it.

use bytes::Bytes;
use wire::Reason;

use super::report::BillReport;

/// What became of a bill.
#[derive(Clone, Debug)]
pub(crate) struct BillResult {
    pub(crate) verdict: BillVerdict,
    /// The receipt, if the bill was verified: topic and bytes.
    pub(crate) message: Option<(String, Bytes)>,
}

#[derive(Clone, Debug)]
pub(crate) enum BillVerdict {
    /// Its line is durable.
    Released(Box<BillReport>),
    Duplicate,
    Rejected(Reason),
    /// It could not be made durable. Analytics gets no answer and sends it again.
    Deferred,
}
