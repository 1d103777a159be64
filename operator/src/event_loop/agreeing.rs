//! Which mask keys are agreed on before the sums that need them.

use tokio::sync::mpsc;
use wire::KeyEpoch;

use super::EventLoop;
use crate::release::take_result::{Unagreed, Work};

/// What the keys depend on: the version of the roster, and the key epoch.
type State = (u64, KeyEpoch);

#[derive(Debug, Default)]
pub(super) struct Agreeing {
    /// At the last look.
    seen: Option<State>,
    /// When the thread that takes sums was told last.
    told: Option<State>,
}

impl EventLoop {
    /// Has the keys of the newest epoch agreed on, once the roster has stopped changing: a change copies the meters of a feeder while
    /// somebody else has them.
    pub(super) fn agree_ahead(&mut self, jobs: &mpsc::Sender<Work>) {
        let registry = &self.enrolment.registry;
        let epochs = &registry.plan.plan().epochs;
        let Some(epoch) = epochs.last().map(|epoch| epoch.epoch) else {
            return;
        };
        let now = Some((registry.roster.version(), epoch));
        let agreeing = &mut self.agreeing;
        let is_quiet = std::mem::replace(&mut agreeing.seen, now) == now;
        if !is_quiet || agreeing.told == now {
            return;
        }
        let unagreed = |(feeder, members)| Unagreed {
            feeder,
            epoch,
            members,
        };
        let unagreed = registry.roster.feeders().map(unagreed).collect();
        if jobs.try_send(Work::Agree(unagreed)).is_ok() {
            agreeing.told = now;
        }
    }
}
