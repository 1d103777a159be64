//! What `operator pending` shows of a request: who asks, for which meters, and what would change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wire::{
    AnalyticsEnrol, CapacityClass, EnrolMeter, EnrolRequest, FeederId, Plan, RosterEntry,
    WindowStart,
};

use super::analytics::check_analytics;
use super::approvals::Waits;
use super::gateways::Gateways;
use super::leaving::Departures;
use super::message::EnrolmentRequest;
use super::physical::PhysicalMeters;
use crate::plan::roster::RosterBook;

/// What a request is shown beside.
pub(crate) struct Beside<'a> {
    pub plan: Option<&'a Plan>,
    pub roster: &'a RosterBook,
    pub departures: &'a Departures,
    pub physical: &'a PhysicalMeters,
    /// The known gateways, if a new meter's id begins with that of its gateway.
    pub prefixes: Option<&'a Gateways>,
    /// What the command that approves a request ends in.
    pub flags: &'a str,
}

/// What a gateway asks for on a feeder.
#[derive(Default)]
struct OnFeeder {
    /// New meters by class of capacity.
    new: BTreeMap<CapacityClass, u32>,
    /// Of the new ones, those that are to be billed.
    billed: u32,
    known: u32,
}

impl Beside<'_> {
    /// The lines about a request, the command that approves it last.
    pub(crate) fn show(&self, waits: &Waits) -> String {
        let mut text = format!("{}\n", waits.subject());
        let messages: Vec<EnrolmentRequest> = waits.messages().collect();
        // Writing to a string cannot fail.
        let _ = match messages.first() {
            Some(EnrolmentRequest::Gateway(first)) => {
                let parts = messages.iter().filter_map(|message| match message {
                    EnrolmentRequest::Gateway(part) => Some(part),
                    EnrolmentRequest::Analytics(_) => None,
                });
                self.gateway(&mut text, first, &parts.collect::<Vec<_>>())
            }
            Some(EnrolmentRequest::Analytics(request)) => self.analytics(&mut text, request),
            None => Ok(()),
        };
        let name = waits.subject();
        let _ = writeln!(
            text,
            "  operator approve {name} --digest {}{}",
            waits.digest(),
            self.flags
        );
        text
    }

    fn gateway(
        &self,
        text: &mut String,
        first: &EnrolRequest,
        parts: &[&EnrolRequest],
    ) -> std::fmt::Result {
        writeln!(
            text,
            "  gateway {}, key {}",
            first.gateway, first.gateway_key
        )?;
        if parts.len() < first.chunks as usize {
            writeln!(
                text,
                "  {} of {} parts have come",
                parts.len(),
                first.chunks
            )?;
        }
        let mut feeders = BTreeMap::<&FeederId, OnFeeder>::new();
        let mut changes = Vec::new();
        let mut refused = BTreeMap::<&str, Vec<&EnrolMeter>>::new();
        for asked in parts.iter().flat_map(|part| &part.meters) {
            let feeder = feeders.entry(&asked.feeder).or_default();
            if let Err(why) = self.may_come(first, asked) {
                refused.entry(why).or_default().push(asked);
                continue;
            }
            match self.roster.get(&asked.meter) {
                Some(known) if is_known(known, asked) => feeder.known += 1,
                Some(known) => changes.push(change(known, asked)),
                None => feeder.add(asked),
            }
        }
        for (feeder, asked) in &feeders {
            self.feeder(text, first, feeder, asked)?;
        }
        for change in changes {
            writeln!(text, "  change: {change}")?;
        }
        for (why, meters) in refused {
            writeln!(
                text,
                "  refused: {} meters, the first {}: {why}",
                meters.len(),
                meters[0].meter
            )?;
        }
        Ok(())
    }

    fn feeder(
        &self,
        text: &mut String,
        request: &EnrolRequest,
        feeder: &FeederId,
        asked: &OnFeeder,
    ) -> std::fmt::Result {
        let new: u32 = asked.new.values().sum();
        if new == 0 {
            return Ok(());
        }
        let classes = asked
            .new
            .iter()
            .map(|(class, meters)| format!("{meters} {class}"));
        let classes: Vec<String> = classes.collect();
        write!(
            text,
            "  {feeder}: {new} new meters ({})",
            classes.join(", ")
        )?;
        if asked.billed > 0 {
            write!(
                text,
                ", {} of them to be billed by tariff band",
                asked.billed
            )?;
        }
        if asked.known > 0 {
            write!(text, ", {} known", asked.known)?;
        }
        let plan = self.plan;
        let setting = plan.and_then(|plan| plan.feeder(feeder, WindowStart(u64::MAX)));
        if setting.is_none() {
            let declared = request
                .feeders
                .iter()
                .find(|declared| declared.feeder == *feeder);
            match (self.physical.feeder(feeder), declared) {
                (Some((capacity, meters)), _) => {
                    write!(text, "; the feeder is new, for {meters} meters {capacity}")?;
                }
                (None, Some(declared)) => {
                    let (meters, capacity) = (declared.meters, declared.max_capacity);
                    write!(text, "; the feeder is new, for {meters} meters {capacity}")?;
                }
                (None, None) => write!(text, "; the feeder is new")?,
            }
        }
        writeln!(text)
    }

    /// Why a meter of a request would be refused.
    fn may_come(&self, request: &EnrolRequest, asked: &EnrolMeter) -> Result<(), &'static str> {
        if let Some(known) = self.roster.get(&asked.meter) {
            let is_same = (&known.gateway, &known.feeder) == (&request.gateway, &asked.feeder)
                && (known.key, known.mask_key) == (asked.key, asked.mask_key);
            return match is_same {
                true => Ok(()),
                false => {
                    Err("enrolled behind another gateway, on another feeder or with other keys")
                }
            };
        }
        if self.departures.check_meter(asked).is_err() {
            return Err("removed, out of service, or with keys that are not taken any more");
        }
        if self.physical.check(asked).is_err() {
            return Err("not as the imported list of meters has it");
        }
        let prefixes = self.prefixes.filter(|_| self.physical.len().is_none());
        let may_name = |gateways: &Gateways| gateways.may_name(&request.gateway, &asked.meter);
        match prefixes.is_none_or(may_name) {
            true => Ok(()),
            false => Err("an id that does not begin with the gateway's (operator.meter_prefix)"),
        }
    }

    fn analytics(&self, text: &mut String, request: &AnalyticsEnrol) -> std::fmt::Result {
        writeln!(
            text,
            "  analytics service {}, key {}",
            request.id, request.key
        )?;
        let list = |feeders: &[FeederId]| match feeders {
            [] => "all feeders that no other service names".to_owned(),
            feeders => feeders
                .iter()
                .map(FeederId::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        };
        writeln!(text, "  adds for: {}", list(&request.feeders))?;
        let Some(plan) = self.plan else {
            return Ok(());
        };
        if let Some(pool) = &request.pool {
            writeln!(text, "  shares them with the others of pool {pool}")?;
        }
        if let Some(known) = plan.analytics.iter().find(|known| known.id == request.id) {
            writeln!(text, "  change: it adds for {} now", list(&known.feeders))?;
        }
        match check_analytics(plan, request) {
            Ok(()) => Ok(()),
            Err(refused) => writeln!(text, "  cannot be granted yet: {refused}"),
        }
    }
}

impl OnFeeder {
    fn add(&mut self, asked: &EnrolMeter) {
        *self.new.entry(asked.capacity).or_default() += 1;
        self.billed += u32::from(asked.billing);
    }
}

fn is_known(known: &RosterEntry, asked: &EnrolMeter) -> bool {
    (known.capacity, known.billing) == (asked.capacity, asked.billing)
}

fn change(known: &RosterEntry, asked: &EnrolMeter) -> String {
    let billed = |billing| match billing {
        true => ", billed by tariff band",
        false => "",
    };
    format!(
        "{}: {}{}, was {}{}",
        asked.meter,
        asked.capacity,
        billed(asked.billing),
        known.capacity,
        billed(known.billing)
    )
}
