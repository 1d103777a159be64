//! What a gateway waits for before it reads: the plan, and its meters' enrolment.
//!
//! It does not wait for ever: once nobody was enrolled for `meter.enrolment_wait`, it starts with the meters that are. The others
//! are asked for now and then, and count from their first whole window on. A meter that leaves the roster is read no more.

use std::collections::BTreeSet;
use std::time::Duration;

use service::trust::PlanWait;
use service::warn_limited;
use tokio::time::Instant;
use wire::{FeederId, Plan, WindowStart};

use super::answer::Answered;
use super::closed::Closed;
use super::stall::Stall;
use super::{ASK_AGAIN, Gateway};
use crate::fleet::is_billed;
use crate::journal::Op;
use crate::member::Member;
use crate::metrics;
use crate::notices::Notice;

/// How often the enrolment of the others is asked for while readings are taken.
const ASK_WHILE_READING: Duration = Duration::from_secs(60);

/// What is waited for, as it was last said.
#[derive(Default)]
pub(super) struct Waiting {
    /// When enrolment was last asked for.
    pub(super) last_asked: Option<Instant>,
    /// When a request was last sent.
    last_sent: Option<Instant>,
    /// How many meters were enrolled at the last look, and since when.
    enrolled: Option<(usize, Instant)>,
    /// Members of the fleet that were enrolled and have left the roster.
    left: BTreeSet<usize>,
    /// What was said of the wait for a plan.
    plan: PlanWait,
    /// What was said of the operator's answers.
    pub(super) answered: Answered,
    /// Feeders without an analytics service.
    pub(super) unowned: BTreeSet<FeederId>,
    /// How often live readings have come.
    pub(super) parcels: u64,
    /// Whether anything goes on.
    pub(super) stall: Stall,
    /// When the broker has closed the connection.
    pub(super) closed: Closed,
}

impl Waiting {
    /// How many meters were enrolled at the last look.
    pub(super) fn enrolled_now(&self) -> usize {
        self.enrolled.map_or(0, |(enrolled, _)| enrolled)
    }

    /// When it is over that others are waited for, if any are enrolled.
    pub(super) fn patience_ends(&self, patience: Duration) -> Option<Instant> {
        let (enrolled, since) = self.enrolled?;
        (enrolled > 0).then(|| since + patience)
    }
}

impl Gateway {
    /// Asks for what is missing and says what is waited for; starts the run once nothing is.
    pub(super) async fn ask(&mut self) {
        let asked = self.waiting.last_asked;
        if asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return;
        }
        self.waiting.last_asked = Some(Instant::now());
        self.look_for_stall();
        let is_reading = self.reader.run.is_some();
        let sent = self.waiting.last_sent.filter(|_| is_reading);
        if sent.is_some_and(|sent| sent.elapsed() < ASK_WHILE_READING)
            || self.reader.ended
            || !self.session.publisher.is_connected()
        {
            return;
        }
        if self.sealing.sealer.is_none() {
            self.waiting.plan.say(&self.settings.deployment);
        }
        let gateway = self.settings.meter.gateway.clone();
        let pending = self.unenrolled();
        if pending.is_empty() {
            return;
        }
        self.waiting.last_sent = Some(Instant::now());
        let meters = self.fleet.meters();
        let key = self.fleet.gateway_key();
        match &self.session.roster.current() {
            Some(_) => tracing::info!(
                %key,
                enrolled = meters - pending.len(),
                meters,
                "waiting for the operator to enrol the meters"
            ),
            None => tracing::info!(
                %key,
                meters,
                topic = self.session.topics.own_roster(&gateway, 0),
                "waiting for the operator to enrol the meters and to publish this gateway's part of the roster: a person approves \
                 what `operator pending` shows. An operator of an earlier version never publishes it: upgrade the operator first"
            ),
        }
        self.say_too_large(&pending);
        let topic = self.session.topics.enrol(&gateway);
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
    fn say_too_large(&mut self, pending: &[usize]) {
        let Some(sealer) = &self.sealing.sealer else {
            return;
        };
        let plan = sealer.plan();
        let too_large = pending.iter().filter_map(|&index| {
            let (capacity, member) = (self.fleet.capacities[index], &self.fleet.members[index]);
            let allowed_w = allowed_w(plan, &member.feeder)?;
            let too_large = u128::from(capacity.watts().0) > allowed_w;
            too_large.then_some((index, &member.feeder, allowed_w))
        });
        let too_large: Vec<_> = too_large.collect();
        let said = too_large.first().map(|(index, feeder, allowed_w)| {
            let spec = &self.fleet.specs[*index];
            format!(
                "meter {} declares {} W, a capacity {}, and {} allows {allowed_w} W: put it on another feeder",
                spec.id, spec.capacity_w.0, self.fleet.capacities[*index], feeder
            )
        });
        // It asks again and again, and says it once.
        if self.notices.say(Notice::Capacity, said.clone())
            && let Some(said) = said
        {
            tracing::warn!(meters = too_large.len(), "{said}");
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
                    && entry.billing == is_billed(&self.settings, &member.meter)
            })
        };
        let members = self.fleet.members.iter().enumerate();
        members
            .take(self.fleet.meters())
            .filter(|(_, member)| !enrolled(member))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether readings are taken without these meters, which are not enrolled.
    pub(super) fn may_start_without(&mut self, unenrolled: &[usize]) -> bool {
        let enrolled = self.fleet.meters() - unenrolled.len();
        let known = self
            .waiting
            .enrolled
            .filter(|(before, _)| *before == enrolled);
        let (_, since) = *self
            .waiting
            .enrolled
            .insert(known.unwrap_or_else(|| (enrolled, Instant::now())));
        let Some(first) = unenrolled.first() else {
            return true;
        };
        enrolled > 0
            && since.elapsed() >= self.settings.meter.enrolment_wait
            && {
                warn_limited!(
                    "starting with the {enrolled} meters that are enrolled: readings of {} others, of which {} is the first, are in no \
                 total until the operator enrols them",
                    unenrolled.len(),
                    self.fleet.members[*first].meter
                );
                true
            }
    }

    /// Acts on a newer roster: what waits of meters that are not in it any more is given up, because nobody takes it.
    pub(super) fn look_for_left(&mut self) {
        let is_reading = self.reader.run.is_some();
        let roster = self.session.roster.current();
        let Some(roster) = roster.filter(|_| is_reading || !self.outbox.is_empty()) else {
            return;
        };
        let has_left = |index: &usize| {
            let member = &self.fleet.members[*index];
            let entry = roster.meter(&member.meter);
            entry.is_none_or(|entry| {
                (*entry.key, *entry.mask_key) != (member.public.verifying, member.public.mask)
            })
        };
        let given_up: Vec<_> = self
            .outbox
            .keys()
            .filter(|(meter, _)| has_left(meter))
            .collect();
        if let Some((first, _)) = given_up.first() {
            tracing::error!(
                reports = given_up.len(), first = %self.fleet.members[*first].meter,
                "meters are not in the roster any more: what was not added of theirs is in no total"
            );
        }
        for key in given_up {
            metrics::left_out();
            self.summary.lost += 1;
            self.outbox.give_up(key);
            self.writer.push(Op::Settled(self.place(key)));
        }
        let left: BTreeSet<usize> = (0..self.fleet.meters()).filter(has_left).collect();
        if let Some(first) = left
            .difference(&self.waiting.left)
            .next()
            .filter(|_| is_reading)
        {
            tracing::warn!(
                meters = left.len(), first = %self.fleet.members[*first].meter,
                "meters of this gateway are not in the roster any more: their readings are in no total. The operator says why"
            );
        }
        self.waiting.left = left;
    }
}

/// The largest capacity, in watts, that a feeder's newest setting allows; `None` where the plan does not have the feeder.
pub(crate) fn allowed_w(plan: &Plan, feeder: &FeederId) -> Option<u128> {
    let setting = plan.feeder(feeder, WindowStart(u64::MAX))?;
    Some(within(setting.reference_wh, plan.interval_s))
}

/// The largest capacity, in watts, of a meter whose reading of an interval is within the reference.
fn within(reference_wh: u64, interval_s: u32) -> u128 {
    u128::from(reference_wh) * 3600 / u128::from(interval_s.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feeder_allows_the_capacity_whose_energy_in_an_interval_is_its_reference() {
        assert_eq!(within(1024, 900), 4096);
        assert_eq!(within(1, 86_400), 0);
        assert_eq!(within(1 << 32, 1), 3600 << 32);
    }
}
