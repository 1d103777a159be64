//! The session with the broker: the plan and the roster that it brought, and receipts.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use service::config::Settings;
use service::mqtt::{self, Event as Link, Inbox, Publisher, QoS};
use service::stop::Stop;
use service::telemetry::{LogLimits, ReportId, Trace};
use service::trust::{Offer, PlanKeeper, RosterKeeper, RosterScope};
use service::warn_limited;
use wire::{
    AnalyticsId, FeederId, Owners, Receipt, ReceiptEntry, Shard, Status, Topic, Topics, Unverified,
};

use super::Gateway;
use super::filters::subscriptions;
use crate::MeterError;
use crate::journal::Op;
use crate::member::Member;
use crate::metrics;
use crate::outbox::{Destination, ReceiptEffect};
use crate::seal::{Origin, Sealer};

/// The connection for everything but the meters' own, and what it brought last.
pub(super) struct Session {
    pub(super) topics: Topics,
    pub(super) keeper: PlanKeeper,
    /// Which analytics service adds for which feeder, by the plan.
    pub(super) owners: Owners,
    /// What the operator tells this gateway of the roster: its own meters.
    pub(super) roster: RosterKeeper,
    pub(super) publisher: Publisher,
    pub(super) inbox: Inbox,
}

impl Session {
    /// Begins to connect. The plan and the roster of an earlier process are read from `directory`.
    pub(super) fn open(
        settings: &Settings,
        directory: &Path,
        stop: &Stop,
    ) -> Result<Self, MeterError> {
        let topics = Topics::new(&settings.deployment.root)?;
        let keeper = PlanKeeper::open(settings, directory)?;
        let gateway = &settings.meter.gateway;
        let scope = RosterScope::Of(gateway.clone());
        let filters = subscriptions(settings, &topics).into_iter();
        let filters = filters.chain([topics.enrol_answer(gateway)]);
        let roster = RosterKeeper::open(settings, directory, scope, keeper.operator_key())?;
        let (publisher, inbox) = mqtt::connect(
            &settings.mqtt,
            &mqtt::Client::Gateway(gateway).id(&settings.deployment),
            filters.map(|filter| (filter, QoS::AtLeastOnce)).collect(),
            stop.clone(),
        );
        Ok(Self {
            topics,
            keeper,
            owners: Owners::default(),
            roster,
            publisher,
            inbox,
        })
    }

    /// Whether a receipt of `analytics` counts for `feeder`.
    pub(super) fn is_owner(&self, analytics: &AnalyticsId, feeder: &FeederId) -> bool {
        let owner = self.owners.owner_of(analytics);
        owner.is_some() && self.owners.owner(feeder) == owner
    }

    /// The shard of a feeder by the newest plan.
    pub(super) fn shard(&self, feeder: &FeederId) -> Shard {
        let held = self.keeper.current();
        held.map_or(Shard(0), |held| held.plan.shard(feeder))
    }

    /// Where the reports of a feeder go. Those of a pool go to whoever has the shard, which may be another for each.
    fn destination(&self, feeder: &FeederId) -> Option<Destination> {
        let owner = self.owners.owner(feeder)?.clone();
        let shard = match self.owners.is_pool(&owner) {
            true => self.shard(feeder),
            false => Shard(0),
        };
        Some(Destination { owner, shard })
    }
}

impl Gateway {
    pub(super) async fn handle(&mut self, event: Link) -> Result<(), MeterError> {
        match event {
            Link::Connected => self.waiting.last_asked = None,
            Link::Disconnected { error } => self.disconnected(&error),
            Link::Message(incoming) => {
                match self.session.topics.parse(&incoming.topic) {
                    Some(Topic::Plan | Topic::Renewal) => {
                        self.take_plan(&incoming.topic, &incoming.payload)?
                    }
                    Some(Topic::OwnRoster { .. }) => {
                        self.take_roster(&incoming.topic, &incoming.payload)
                    }
                    Some(Topic::EnrolAnswer { .. }) => {
                        self.take_answer(&incoming.topic, &incoming.payload)
                    }
                    Some(Topic::AuditDemand { .. }) => {
                        self.take_demand(&incoming.topic, &incoming.payload)
                    }
                    Some(Topic::Receipt { .. }) => {
                        self.take_receipt(&incoming.topic, &incoming.payload)
                    }
                    _ => {}
                }
                self.session.inbox.ack(&incoming);
            }
        }
        Ok(())
    }

    fn take_plan(&mut self, topic: &str, payload: &bytes::Bytes) -> Result<(), MeterError> {
        match self.session.keeper.offer(topic, payload) {
            Ok(Offer::New) => self.use_plan(),
            Ok(Offer::Renewed) => {
                metrics::plan::valid_until(self.session.keeper.valid_until());
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(refused) => {
                warn_limited!(reason = refused.reason; "refused a plan or its renewal: {refused}");
                Ok(())
            }
        }
    }

    pub(super) fn use_plan(&mut self) -> Result<(), MeterError> {
        let Some(held) = self.session.keeper.current() else {
            return Ok(());
        };
        let origin = Origin {
            deployment: self.settings.deployment.id.clone(),
            gateway: self.settings.meter.gateway.clone(),
            topics: self.session.topics.clone(),
            members: self.fleet.members.clone(),
            sealer: self.settings.meter.sealer,
            min_meters_floor: self.settings.meter.min_meters_floor,
            pins_holders: !self.settings.holders.pinned.is_empty(),
        };
        let sealer = Sealer::new(origin, held.clone())?;
        tracing::info!(version = %held.plan.version, "plan taken");
        self.session.owners = Owners::of(&held.plan);
        let to = |member: &Member| self.session.destination(&member.feeder);
        let destinations: Vec<_> = self.fleet.members.iter().map(to).collect();
        self.outbox.route(&destinations);
        self.seal_again(held.plan.version);
        metrics::plan::valid_until(self.session.keeper.valid_until());
        self.say_unowned(&destinations);
        self.sealing.sealer = Some(Arc::new(sealer));
        // The operator is there now, whatever it missed before.
        self.waiting.last_asked = None;
        Ok(())
    }

    /// Says, once for each change, which feeders have no destination.
    fn say_unowned(&mut self, destinations: &[Option<Destination>]) {
        let members = self.fleet.members.iter().zip(destinations);
        let unowned: BTreeSet<FeederId> = members
            .filter(|(_, to)| to.is_none())
            .map(|(member, _)| member.feeder.clone())
            .collect();
        if let Some(first) = unowned.first()
            && unowned != self.waiting.unowned
        {
            tracing::info!(
                feeders = unowned.len(), %first,
                "waiting for an analytics service that adds for these feeders: start `cargo run --release -p analytics`"
            );
        }
        self.waiting.unowned = unowned;
    }

    fn take_roster(&mut self, topic: &str, payload: &bytes::Bytes) {
        let operator = self.session.keeper.operator_key();
        match self.session.roster.offer(operator, topic, payload) {
            Ok(Offer::New) => self.look_for_left(),
            Ok(_) => {}
            Err(refused) => {
                warn_limited!(reason = refused.reason; "refused a roster page: {refused}");
            }
        }
    }

    fn take_receipt(&mut self, topic: &str, payload: &bytes::Bytes) {
        let receipt = match self.open_receipt(topic, payload) {
            Ok(receipt) => {
                metrics::receipt_message(true);
                receipt
            }
            Err(error) => {
                metrics::receipt_message(false);
                warn_limited!("refused a receipt: {error}");
                return;
            }
        };
        for entry in &receipt.entries {
            for index in self.addressed(&receipt.analytics, entry) {
                self.apply_receipt(index, entry);
            }
        }
        // After the entries: one receipt may say that a report is in a sum, and that the sum is released.
        for settlement in &receipt.settlements {
            self.settle(&receipt.analytics, settlement);
        }
    }

    /// The members that an entry of a receipt is about: those whose feeder the analytics service adds for.
    fn addressed(&self, analytics: &AnalyticsId, entry: &ReceiptEntry) -> Vec<usize> {
        let members = &self.fleet.members;
        let adds = |&index: &usize| self.session.is_owner(analytics, &members[index].feeder);
        self.fleet.indices(&entry.meter).filter(adds).collect()
    }

    fn apply_receipt(&mut self, index: usize, entry: &ReceiptEntry) {
        let key = (index, entry.window);
        let now_ms = self.now_ms();
        let sealer = self.sealing.sealer.as_deref();
        let is_outdated = |sealed: &_| sealer.is_none_or(|sealer| sealer.is_outdated(sealed));
        let (effect, first_sent_ms) =
            self.outbox
                .receipt(key, entry.digest, entry.status, now_ms, is_outdated);
        let waited =
            first_sent_ms.map(|sent_ms| Duration::from_millis(now_ms.saturating_sub(sent_ms)));
        metrics::receipt(effect, waited);
        let feeder = &self.fleet.members[index].feeder;
        tracing::debug!(
            trace_id = %Trace { deployment: &self.settings.deployment.id, feeder, window: entry.window }, report = %ReportId(&entry.digest),
            meter = %entry.meter, status = ?entry.status,
            "receipt"
        );
        match effect {
            ReceiptEffect::Folded { bytes, .. } => self.keep(key, entry.part, bytes),
            ReceiptEffect::Lost(_) => self.writer.push(Op::Settled(self.place(key))),
            ReceiptEffect::Reseal(_) => {
                if let Some(batch) = self.outbox.batch(key) {
                    self.writer
                        .push(Op::Reopened(self.place(key), batch.clone()));
                }
            }
            ReceiptEffect::Unknown if !matches!(entry.status, Status::Rejected(_)) => {
                self.keep_in(key, entry.part);
            }
            ReceiptEffect::Retry(reason) => self.refused_under_newest(index, reason),
            ReceiptEffect::Unknown => {}
        }
        match effect {
            // It was counted when it was in its first sum.
            ReceiptEffect::Folded { .. } if self.kept.answers_again(key) => {}
            ReceiptEffect::Folded {
                status: Status::Duplicate,
                ..
            } => self.summary.duplicates += 1,
            ReceiptEffect::Folded { .. } => self.summary.folded += 1,
            ReceiptEffect::Retry(reason) | ReceiptEffect::Reseal(reason) => {
                *self.summary.rejected.entry(reason).or_default() += 1;
            }
            ReceiptEffect::Lost(reason) => {
                self.kept.answers_again(key);
                *self.summary.rejected.entry(reason).or_default() += 1;
                self.summary.lost += 1;
                static LINES: LogLimits = LogLimits::new();
                if let Some(line) = LINES.line(reason) {
                    tracing::error!(
                        meter = %entry.meter, window = entry.window.0, %reason,
                        count = line.count, unlogged = line.unlogged,
                        "a report was refused for good: its readings are in no total"
                    );
                }
            }
            ReceiptEffect::Unknown => {}
        }
    }

    /// A receipt counts only if an analytics service of the plan signed it.
    fn open_receipt(&self, topic: &str, payload: &bytes::Bytes) -> Result<Receipt, String> {
        let max_len = self.settings.mqtt.max_packet_bytes;
        let unverified: Unverified<Receipt> = wire::decode_shared(payload, max_len)
            .map_err(|error| service::Chain(&error).to_string())?;
        let held = self.session.keeper.current().ok_or("no plan yet")?;
        let claimed = &unverified.claimed().analytics;
        let key = held.plan.service_key(claimed);
        let key = key.ok_or_else(|| format!("the plan has no analytics service {claimed}"))?;
        let opened = unverified
            .verify(&self.settings.deployment.id, topic, key)
            .map_err(|error| service::Chain(&error).to_string())?;
        Ok(opened.message)
    }
}
