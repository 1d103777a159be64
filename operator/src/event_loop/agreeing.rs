//! Which mask keys are agreed on before the sums that need them.

use tokio::sync::mpsc;
use wire::KeyEpoch;

use super::EventLoop;
use crate::release::take_result::{Unagreed, Work};

/// What the keys depend on: the version of the roster, and the key epochs.
type State = (u64, Vec<KeyEpoch>);

#[derive(Debug, Default)]
pub(super) struct Agreeing {
    /// At the last look.
    seen: Option<State>,
    /// When the thread that takes sums was told last.
    told: Option<State>,
}

impl EventLoop {
    /// Has the keys of the plan's epochs agreed on, those of the newest first, once the roster has stopped changing: a change
    /// copies the meters of a feeder while somebody else has them.
    pub(super) fn agree_ahead(&mut self, jobs: &mpsc::Sender<Work>) {
        let registry = &self.enrolment.registry;
        let epochs = registry
            .plan
            .plan()
            .epochs
            .iter()
            .rev()
            .map(|epoch| epoch.epoch);
        let epochs: Vec<KeyEpoch> = epochs.collect();
        let now = Some((registry.roster.version(), epochs.clone()));
        let agreeing = &mut self.agreeing;
        let is_quiet = agreeing.seen == now;
        agreeing.seen.clone_from(&now);
        if !is_quiet || agreeing.told == now {
            return;
        }
        let of_epoch = |epoch| {
            let feeders = registry.roster.feeders();
            feeders.map(move |(feeder, members)| Unagreed {
                feeder,
                epoch,
                members,
            })
        };
        let unagreed = epochs.into_iter().flat_map(of_epoch).collect();
        if jobs.try_send(Work::Agree(unagreed)).is_ok() {
            agreeing.told = now;
        }
    }
}
