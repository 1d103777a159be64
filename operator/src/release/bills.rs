//! Bills: the energy of one meter by tariff band over a billing period.
//!
//! # Layout
//! * `report`: what is written down of one · `rules`: whether it is opened · `beside`: the same beside totals · `take`: verified, judged,
//!   decrypted, spent, looked at, made durable, and only then answered · `result`: what it came to

mod beside;
mod report;
mod result;
mod rules;
mod take;

pub(crate) use report::BillStage;
pub use report::{BandEnergy, BillReport};
pub(crate) use result::{BillResult, BillVerdict};
