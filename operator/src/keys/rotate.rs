//! A new key epoch: what `operator rotate` may ask for, and the request it leaves for the running operator.
//!
//! The rules, in the order in which they are checked:
//! 1. The first window is aligned; a time within a window means the next one. It lies after the newest epoch's first
//!    window and after every window that was released: a window has one key.
//! 2. A plan has two epochs, so a rotation ends the older one: no report of its windows can be sealed or added any more.
//!    That is refused until they would be too late anyway, which is when `analytics.retention` has passed since the
//!    newest epoch began, by the wall clock *and* by what each feeder that releases has released (a replay runs in a time of its own).
//!    A feeder that is silent for good needs `--force`; no force ends an epoch before the next has begun.
//!
//! Only the running operator makes keys and changes the plan: two commands at once then cannot make two keys for an
//! epoch. The command checks the rules to answer at once; the operator checks them again.

mod error;
mod inbox;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wire::{DeploymentId, FeederId, KeyEpoch, Plan, UnixSeconds, WindowStart};

use crate::release::ledger::{self, LedgerError};

pub use error::RotateError;
pub use inbox::Inbox;
pub use service::cli::{parse_time, time};

/// A new epoch that may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its number.
    pub epoch: KeyEpoch,
    /// Its first window.
    pub first_window: WindowStart,
    /// Whether the older epoch may leave the plan before its time.
    pub force: bool,
}

/// What the rules judge by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The plan in force.
    pub plan: &'a Plan,
    /// The newest window released by each feeder; see [`newest_released`].
    pub released: &'a BTreeMap<FeederId, WindowStart>,
    /// Wall time.
    pub now: UnixSeconds,
    /// `analytics.retention`, in seconds.
    pub retention_s: u64,
}

/// The request for the next epoch from `first` on, or from the first window that begins at least one window from now.
///
/// # Errors
/// The first rule that it breaks.
pub fn next(
    facts: &Facts<'_>,
    first: Option<UnixSeconds>,
    force: bool,
) -> Result<Request, RotateError> {
    let grid = facts.plan.grid()?;
    let first_window = match first {
        Some(first) => grid.first_from(first),
        None => grid.next_window(grid.first_from(facts.now)),
    };
    if first_window.0 > wire::MAX_UNIX_SECONDS {
        return Err(RotateError::Beyond(first.unwrap_or(facts.now).0));
    }
    let newest = (facts.plan.epochs.last())
        .ok_or_else(|| RotateError::Plan("the plan has no key epoch".to_owned()))?;
    let epoch = KeyEpoch(newest.epoch.0.saturating_add(1));
    let request = Request {
        epoch,
        first_window,
        force,
    };
    check(&request, facts)?;
    Ok(request)
}

/// Checks a request against the rules.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn check(request: &Request, facts: &Facts<'_>) -> Result<(), RotateError> {
    let grid = facts.plan.grid()?;
    let asked = request.first_window;
    let [.., newest] = &facts.plan.epochs[..] else {
        return Err(RotateError::Plan("the plan has no key epoch".to_owned()));
    };
    if !grid.is_aligned(asked) || request.epoch.0 != newest.epoch.0.saturating_add(1) {
        return Err(RotateError::Plan(format!(
            "the plan has no room for epoch {} from {asked} on",
            request.epoch
        )));
    }
    if asked <= newest.first_window {
        return Err(RotateError::NotLater {
            epoch: newest.epoch,
            current: newest.first_window,
            asked,
        });
    }
    let latest = facts.released.iter().max_by_key(|(_, window)| **window);
    if let Some((feeder, &released)) = latest.filter(|(_, released)| asked <= **released) {
        return Err(RotateError::Released {
            feeder: feeder.clone(),
            released,
            asked,
        });
    }
    let [older, newest] = &facts.plan.epochs[..] else {
        return Ok(());
    };
    if facts.now.0 < newest.first_window.0 {
        return Err(RotateError::NotBegun {
            epoch: newest.epoch,
            first: newest.first_window,
        });
    }
    let until = newest.first_window.0.saturating_add(facts.retention_s);
    let clock = ("the clock".to_owned(), facts.now.0);
    let feeders = (facts.released.iter())
        .map(|(feeder, window)| (feeder.to_string(), grid.window_end(*window).0));
    match feeders.chain([clock]).find(|(_, at)| *at <= until) {
        Some((who, at)) if !request.force => Err(RotateError::Needed {
            epoch: older.epoch,
            until: WindowStart(until),
            who,
            at: WindowStart(at),
        }),
        _ => Ok(()),
    }
}

/// The newest window each feeder has released, as the ledger in `dir` has it. An operator may be writing to it.
///
/// # Errors
/// It cannot be read. Without a ledger nothing was released.
pub fn newest_released(
    dir: &Path,
    deployment: &DeploymentId,
) -> Result<BTreeMap<FeederId, WindowStart>, LedgerError> {
    let state = ledger::state(dir, deployment, false)?;
    Ok(state.map_or_else(BTreeMap::new, |state| state.newest))
}

#[cfg(test)]
mod tests;
