//! What is left of a feeder that this service gives up, or that the plan has given to another.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use service::trust::Roster;
use wire::FeederId;

use super::Engine;
use crate::assignment::AssignedPlan;
use crate::metrics;
use crate::store::{Store, StoreError};

/// What keeps feeders from being handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handover {
    /// Each feeder that is being given up and not drained: sums to be released, releases without the operator's receipt.
    pub draining: Vec<(FeederId, usize, usize)>,
    /// Each feeder that is another service's, and its releases without the operator's receipt: the operator would refuse
    /// them, so they are kept.
    pub stranded: Vec<(FeederId, usize)>,
}

impl<S: Store> Engine<S> {
    /// Goes by `assigned` from now on: by its minimum group of each window; releases of feeders that
    /// are not this service's are kept back, and no window is opened of those that are `leaving`.
    pub fn use_plan(&mut self, assigned: Arc<AssignedPlan>, leaving: Arc<BTreeSet<FeederId>>) {
        self.windows.set_min_meters(assigned.min_meters.clone());
        self.windows.set_areas(assigned.in_areas.clone());
        self.windows.set_leaving(leaving.clone());
        self.leaving = leaving;
        self.assigned = Some(assigned);
    }

    pub(super) fn owns(&self, feeder: &FeederId) -> bool {
        let assigned = self.assigned.as_ref();
        assigned.is_none_or(|assigned| assigned.owns(feeder))
    }

    /// Ends what is held of feeders that are not this service's any more. It would wait for ever: only this service could
    /// have added to it.
    pub(super) fn withhold(&mut self, roster: &Roster) -> Result<(), StoreError> {
        let Some(assigned) = self.assigned.clone() else {
            return Ok(());
        };
        let owns = |feeder: &FeederId| assigned.owns(feeder);
        for held in self.windows.withhold(owns, &mut self.store)? {
            self.withheld(&held, roster, "the feeder was handed over")?;
        }
        Ok(())
    }

    /// What keeps feeders from being handed over. To be heeded only after a commit.
    pub fn handover(&self) -> Handover {
        let mut handover = Handover::default();
        for feeder in self.leaving.iter() {
            let (open, unsettled) = self.windows.awaited(feeder);
            if open + unsettled > 0 {
                handover.draining.push((feeder.clone(), open, unsettled));
            }
        }
        for feeder in self.unsettled.keys().map(|key| &key.feeder) {
            match handover.stranded.last_mut() {
                Some((last, releases)) if last == feeder => *releases += 1,
                _ if !self.owns(feeder) => handover.stranded.push((feeder.clone(), 1)),
                _ => {}
            }
        }
        let draining = || handover.draining.iter();
        let open = draining().map(|(_, open, _)| open).sum();
        let unsettled = draining().map(|(_, _, unsettled)| unsettled).sum();
        metrics::handover(self.leaving.len(), open, unsettled);
        metrics::stranded(handover.stranded.iter().map(|(_, releases)| releases).sum());
        handover
    }
}

impl fmt::Display for Handover {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (feeder, open, unsettled)) in self.draining.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(
                formatter,
                "{separator}{feeder} ({open} open sums, {unsettled} releases without the operator's receipt)"
            )?;
        }
        Ok(())
    }
}
