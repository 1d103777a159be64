//! What a gateway waits for before it reads: the plan, and its meters' enrolment.

use std::collections::BTreeSet;

use service::trust::log_waiting_for_plan;
use tokio::time::Instant;
use wire::{FeederId, WindowStart};

use super::{ASK_AGAIN, Gateway};
use crate::member::Member;

/// What is waited for, as it was last said.
#[derive(Default)]
pub(super) struct Waiting {
    /// When enrolment was last asked for.
    pub(super) last_asked: Option<Instant>,
    /// Feeders without an analytics service.
    pub(super) unowned: BTreeSet<FeederId>,
}

impl Gateway {
    /// Asks for what is missing and says what is waited for; starts the run once nothing is.
    pub(super) async fn ask(&mut self) {
        let asked = self.waiting.last_asked;
        if asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return;
        }
        self.waiting.last_asked = Some(Instant::now());
        if self.reader.run.is_some() || !self.session.publisher.is_connected() {
            return;
        }
        if self.sealing.sealer.is_none() {
            log_waiting_for_plan(&self.settings.deployment);
        }
        let gateway = &self.settings.meter.gateway;
        let pending = self.unenrolled();
        if pending.is_empty() {
            return;
        }
        tracing::info!(
            enrolled = self.fleet.meters() - pending.len(),
            meters = self.fleet.meters(),
            "waiting for the operator to enrol the meters"
        );
        self.say_too_large(&pending);
        let topic = self.session.topics.enrol(gateway);
        for request in self
            .fleet
            .enrol_requests(&self.settings, &topic, &pending, self.clock.now())
        {
            let _ = self
                .session
                .publisher
                .publish(topic.clone(), request, false)
                .await;
        }
    }

    /// Says which of the meters that are not enrolled the operator cannot enrol: there it waits for nothing.
    fn say_too_large(&self, pending: &[usize]) {
        let Some(sealer) = &self.sealing.sealer else {
            return;
        };
        let plan = sealer.plan();
        let too_large = pending.iter().filter_map(|&index| {
            let (capacity, member) = (self.fleet.capacities[index], &self.fleet.members[index]);
            let feeder = plan.feeder(&member.feeder, WindowStart(u64::MAX))?;
            let allowed_w = allowed_w(feeder.reference_wh, plan.interval_s);
            (u128::from(capacity.watts().0) > allowed_w).then_some((index, feeder, allowed_w))
        });
        let too_large: Vec<_> = too_large.collect();
        if let Some((index, feeder, allowed_w)) = too_large.first() {
            let spec = &self.fleet.specs[*index];
            tracing::warn!(
                meters = too_large.len(),
                "meter {} declares {} W, a capacity {}, and {} allows {allowed_w} W: put it on another feeder",
                spec.id,
                spec.capacity_w.0,
                self.fleet.capacities[*index],
                feeder.feeder
            );
        }
    }

    /// The meters that the roster does not have as they are here.
    pub(super) fn unenrolled(&self) -> Vec<usize> {
        let gateway = &self.settings.meter.gateway;
        let roster = self.session.roster.current();
        let enrolled = |member: &Member| {
            let entry = roster
                .as_ref()
                .and_then(|roster| roster.meter(&member.meter));
            entry.is_some_and(|entry| {
                *entry.key == member.public.verifying
                    && *entry.mask_key == member.public.mask
                    && *entry.feeder == member.feeder
                    && entry.gateway == gateway
            })
        };
        let members = self.fleet.members.iter().enumerate();
        members
            .take(self.fleet.meters())
            .filter(|(_, member)| !enrolled(member))
            .map(|(index, _)| index)
            .collect()
    }
}

/// The largest capacity, in watts, of a meter whose reading of an interval is within the reference.
fn allowed_w(reference_wh: u64, interval_s: u32) -> u128 {
    u128::from(reference_wh) * 3600 / u128::from(interval_s.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feeder_allows_the_capacity_whose_energy_in_an_interval_is_its_reference() {
        assert_eq!(allowed_w(1024, 900), 4096);
        assert_eq!(allowed_w(1, 86_400), 0);
        assert_eq!(allowed_w(1 << 32, 1), 3600 << 32);
    }
}
