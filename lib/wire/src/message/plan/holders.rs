//! The holders of mask keys, window by window.

use super::Plan;
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::FeederId;
use crate::message::{Agreement, Terms};
use crate::units::Watts;

/// The most agreements of a plan: the one in force, and those that windows still to be released were sealed under.
pub const MAX_AGREEMENTS: usize = 8;

impl Plan {
    /// The terms that hold for `window`: the last whose first window is not after it. None where the operator has all mask keys.
    pub fn terms_for(&self, window: WindowStart) -> Option<&Terms> {
        let mut agreements = self.holders.iter().map(|agreement| &agreement.terms);
        agreements.rfind(|terms| terms.from <= window)
    }

    /// The most power that readings of a feeder enter with in `window`, of either sign, where holders add noise to its totals and agreed on
    /// one; none: what its reference allows.
    pub fn noise_clip(&self, feeder: &FeederId, window: WindowStart) -> Option<Watts> {
        let noise = self.terms_for(window)?.noise_of([feeder].into_iter())?;
        (noise.clip_w > 0).then_some(Watts(noise.clip_w))
    }
}

/// Each follows the one before it, of a later window.
pub(super) fn check(agreements: &[Agreement]) -> Result<(), WireError> {
    let terms = || agreements.iter().map(|agreement| &agreement.terms);
    let follows = |(before, after): (&Terms, &Terms)| {
        after.previous == Some(before.digest())
            && before.generation.checked_add(1) == Some(after.generation)
            && before.from < after.from
    };
    match terms().zip(terms().skip(1)).all(follows) {
        true => Ok(()),
        false => Err(WireError::HoldersChain),
    }
}
