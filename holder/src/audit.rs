//! Audits: the signed reports behind a sum that this holder consented to, demanded of the gateways and added up again.
//!
//! A sum is drawn when it is consented to, in the commit of the consent, so that neither a restart nor a question that is asked again
//! draws another time; a person may demand one too. An audit that a kill interrupts begins again.
//!
//! # Layout
//! * `check`: one audit · `desk`: all that are under way · `lapse`: those that never begin · `demand`: what gateways are asked for · `records`: what became of them, in files · `say`: and in the log · `wanted`: what persons demand · [`command`]: `holder audit`

mod check;
mod command;
mod demand;
mod desk;
mod lapse;
pub(crate) mod records;
mod say;
mod wanted;

pub use command::{AuditCommand, AuditError};
pub(crate) use desk::Audits;
pub(crate) use records::{AuditResult, read_all};

/// Whether something that happens to this share is to happen now. Nobody else can tell before.
pub(crate) fn is_drawn(share: f64) -> bool {
    // 53 random bits, which a double has exactly: below 1, so that a share of 1 is all and one of 0 none.
    let drawn = (drawn() >> 11) as f64 / (1_u64 << 53) as f64;
    drawn < share
}

/// A random number. Where the system has none to give, 0: then everything is audited that any share says is.
fn drawn() -> u64 {
    getrandom::u64().unwrap_or(0)
}

#[cfg(test)]
mod tests;
