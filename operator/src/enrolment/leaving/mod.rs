//! Who leaves, or has left: meters, gateways and analytics services that a person takes out or whose keys change, and meters
//! that spoil sums.
//!
//! A departure has a first window. Reports of a meter count in the windows before it, and in none from it on. The roster only
//! says who is in it now, so a meter leaves it while reports of the first window cannot be taken yet: half-way to where they
//! can ([`Leaving::at`]). What came until then counts; of those that come later analytics knows no key any more.
//!
//! What is known of a meter that has left is never forgotten: its number is not used again, and sums of earlier windows open
//! with its mask key only.
//!
//! # Layout
//! [`Leaving`]: when and why · `record`: what is kept of one · `departures`: all of them · `request`: what the commands leave for the running operator

mod departures;
mod record;
mod request;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{Grid, UnixMillis, UnixSeconds, WindowStart};

pub(crate) use self::departures::Departures;
pub use self::request::{Change, Party};
pub(crate) use self::request::{LeaveError, LeaveInbox, LeaveRequest, first_window};

/// Why a party leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// A person took it out: nobody may have its name until a person takes it back.
    Removed,
    /// Its keys change: somebody with other keys may have its name.
    Rekeyed,
    /// A meter that spoils sums: out of service until a person decides.
    SpoilsSums,
}

/// When and why a party leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaving {
    pub why: Why,
    /// The first window that it is not in.
    pub first_window: WindowStart,
    /// When it leaves roster or plan.
    pub at: UnixMillis,
}

impl Leaving {
    /// From `first_window` on: half-way from its start to where its reports can be taken, which is `tolerance` before its end.
    pub(crate) fn from(
        first_window: WindowStart,
        why: Why,
        grid: Grid,
        tolerance: Duration,
    ) -> Self {
        let start = first_window.0.saturating_mul(1000);
        let tolerance = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
        let length = grid.window_end(first_window).0 - first_window.0;
        let taken_after = length.saturating_mul(1000).saturating_sub(tolerance);
        let at = UnixMillis(start.saturating_add(taken_after / 2));
        Self {
            why,
            first_window,
            at,
        }
    }
}

/// The first window of which no report can have been taken yet.
pub(crate) fn untouched(grid: Grid, now: UnixMillis, tolerance: Duration) -> WindowStart {
    let latest = now.0 / 1000 + tolerance.as_secs() + 1;
    grid.window_of(UnixSeconds(latest))
}
