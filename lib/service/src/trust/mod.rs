//! What a process takes from the operator: a plan and a roster, verified, pinned to one operator and cached on disk.
//!
//! - [`PlanKeeper`] and [`RosterKeeper`] hold the newest of each. Both take the messages of their topics and say what an
//!   accepted one changed, or why one was refused.
//! - [`Members`]: the meters of a feeder by their number · [`countersigned`]: whether holders countersigned a page of the roster
//! - `renewal`: until when the plan is valid · [`MinMeters`]: the minimum group, window by window
//! - `waiting`: what is said while there is no plan · `advice`: what to do about a meter that is not enrolled
//! - `pin`: which operator a process trusts.

mod advice;
mod cache;
mod countersigned;
mod error;
mod held;
mod holders;
mod members;
mod min_meters;
mod pin;
mod plan;
mod renewal;
mod roster;
mod waiting;

pub use advice::advice;
pub(crate) use cache::ASIDE;
pub use countersigned::countersigned;
pub use error::{KeepError, Refused};
pub use held::HeldPlan;
pub use members::{Member, Members};
pub use min_meters::{MinMeters, first_window_after};
pub use plan::PlanKeeper;
pub(crate) use roster::CACHES as ROSTER_CACHES;
pub use roster::{EnrolledMeter, EnrolledTwice, Roster, RosterKeeper, RosterScope};
pub use waiting::{PlanWait, no_plan};

/// What an accepted message changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// There is something new to act on.
    New,
    /// It is what was held before.
    Same,
    /// It is part of something that is not complete yet.
    Partial,
    /// The plan that is held is valid for longer.
    Renewed,
}
