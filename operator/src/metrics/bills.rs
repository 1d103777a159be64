//! Of bills.

use metrics::counter;
use wire::Reason;

pub(super) const BILLS: &str = "cipherwatt_operator_bills_total";
pub(super) const BILLS_REJECTED: &str = "cipherwatt_operator_bills_rejected_total";

pub(crate) fn billed() {
    counter!(BILLS).increment(1);
}

pub(crate) fn bill_rejected(reason: Reason) {
    counter!(BILLS_REJECTED, "reason" => reason.as_str()).increment(1);
}
