//! The releases of analytics: which are taken, what a decrypted one says, and the record of them that survives a kill.

pub(crate) mod answers;
pub(crate) mod bills;
pub(crate) mod budget;
mod churn;
pub(crate) mod held;
pub(crate) mod histogram;
pub(crate) mod ledger;
pub(crate) mod opening;
mod refused;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod take_result;
pub(crate) mod take_sums;
pub(crate) mod totals;
mod verify;
