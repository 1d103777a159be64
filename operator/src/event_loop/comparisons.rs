//! Work for the thread that compares.

use bytes::Bytes;

use super::EventLoop;
use crate::comparison::{Work, question, ranking};

impl EventLoop {
    /// Gives the thread a question of the evaluator's.
    pub(super) fn asked(&self, payload: &Bytes) {
        // What names no feeder is refused when it is verified.
        let Some(feeder) = question::named(payload) else {
            return;
        };
        let registry = &self.enrolment.registry;
        self.comparisons
            .give(Work::Question(Box::new(question::Asked {
                payload: payload.clone(),
                plan: registry.plan.plan().clone(),
                min_meters: registry.plan.min_meters().clone(),
                members: registry.roster.members(&feeder),
            })));
    }

    /// Takes up a ranking that a command asked for, and asks again for what is not answered.
    pub(super) fn compare(&mut self) {
        self.comparisons.tick();
        let Some(request) = self.rankings.take() else {
            return;
        };
        let registry = &self.enrolment.registry;
        let members = request.feeders.iter().map(|feeder| {
            let members = registry.roster.members(feeder);
            (feeder.clone(), members)
        });
        self.comparisons.give(Work::Rank(Box::new(ranking::Asked {
            members: members.collect(),
            plan: registry.plan.plan().clone(),
            request,
        })));
    }
}
