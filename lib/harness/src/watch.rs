//! What the services report while they run, gathered until every window is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use operator::{BillReport, FeederReport};
use wire::{FeederId, Reason, WindowStart};

use crate::oracle::Truths;

/// Something a service reported.
#[derive(Debug)]
pub enum Seen {
    /// From the operator.
    Operator(operator::Event),
    /// From analytics.
    Analytics(analytics::Event),
    /// From the gateway.
    Meter(meter::Event),
}

/// All that was reported.
#[derive(Debug)]
pub struct Watch {
    min_meters: u32,
    /// Every released window, in the order of release.
    pub released: Vec<FeederReport>,
    /// Every bill, in the order of their opening.
    pub bills: Vec<BillReport>,
    meters: BTreeMap<(FeederId, WindowStart), u32>,
    /// Windows of small feeders that are released in the rest of an area.
    in_rests: BTreeSet<(FeederId, WindowStart)>,
    /// Contributors of sums that analytics holds back, by window.
    pub held: BTreeMap<(FeederId, WindowStart), u32>,
    /// Reports analytics folded.
    pub folded: u64,
    /// Reports analytics had folded before.
    pub duplicates: u64,
    /// Reports analytics refused, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Releases the operator did not take, or took apart, in words.
    pub alarms: Vec<String>,
    /// When the readings began, and when the last release came.
    pub span: (Option<Instant>, Option<Instant>),
}

impl Watch {
    /// Nothing reported yet, under the plan's minimum group.
    #[must_use]
    pub fn new(min_meters: u32) -> Self {
        Self {
            min_meters,
            released: Vec::new(),
            bills: Vec::new(),
            meters: BTreeMap::new(),
            in_rests: BTreeSet::new(),
            held: BTreeMap::new(),
            folded: 0,
            duplicates: 0,
            rejected: BTreeMap::new(),
            alarms: Vec::new(),
            span: (None, None),
        }
    }

    /// The same, where windows of small feeders are [released in rests](crate::areas::in_rests).
    #[must_use]
    pub fn with_rests(self, in_rests: BTreeSet<(FeederId, WindowStart)>) -> Self {
        Self { in_rests, ..self }
    }

    /// Contributors below which no sum is released, and readings below which no interval of one.
    #[must_use]
    pub fn min_meters(&self) -> u32 {
        self.min_meters
    }

    /// Records what a service reported.
    pub fn record(&mut self, seen: &Seen) {
        match seen {
            Seen::Operator(operator::Event::Released(report)) => {
                self.span.1 = Some(Instant::now());
                if report.rest.is_empty() {
                    let window = (report.feeder.clone(), report.window_start);
                    *self.meters.entry(window).or_default() += report.meters;
                }
                for share in &report.rest {
                    let window = (share.feeder.clone(), report.window_start);
                    *self.meters.entry(window).or_default() += share.meters;
                }
                self.released.push(report.as_ref().clone());
            }
            Seen::Operator(operator::Event::Billed(report)) => {
                self.bills.push(report.as_ref().clone());
            }
            Seen::Operator(
                alarm @ (operator::Event::Rejected { .. }
                | operator::Event::Divided { .. }
                | operator::Event::EnrolmentRefused { .. }),
            ) => self.alarms.push(format!("{alarm:?}")),
            Seen::Analytics(event) => match event {
                analytics::Event::Folded(count) => self.folded += count,
                analytics::Event::Duplicate(count) => self.duplicates += count,
                analytics::Event::Rejected(reason) => {
                    *self.rejected.entry(*reason).or_default() += 1
                }
                analytics::Event::Held(held) => {
                    let window = (held.key.feeder.clone(), held.key.window);
                    self.held.insert(window, held.contributors);
                }
                analytics::Event::Divided(key) => {
                    self.alarms
                        .push(format!("{key:?} did not open and was divided"));
                }
                analytics::Event::Released(_) | analytics::Event::Settled(_) => {}
            },
            Seen::Meter(meter::Event::Started(_)) => self.span.0 = Some(Instant::now()),
            Seen::Operator(_) | Seen::Meter(_) => {}
        }
    }

    /// Whether a window is accounted for: released whole, over all its parts, or rightly withheld.
    #[must_use]
    pub fn accounted(&self, window: &(FeederId, WindowStart), meters: u32) -> bool {
        if meters >= self.min_meters || self.in_rests.contains(window) {
            self.meters.get(window) == Some(&meters)
        } else {
            meters == 0 || self.held.contains_key(window)
        }
    }

    /// How many windows of `truths` are accounted for.
    #[must_use]
    pub fn progress(&self, truths: &Truths) -> usize {
        let accounted = truths.windows();
        accounted
            .filter(|(window, meters)| self.accounted(window, *meters))
            .count()
    }

    /// Seconds from the first reading to the last release; 0 before both.
    #[must_use]
    pub fn span_s(&self) -> f64 {
        match self.span {
            (Some(from), Some(until)) => until.saturating_duration_since(from).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// Reports analytics refused, by reason in words.
    #[must_use]
    pub fn rejected_by_reason(&self) -> BTreeMap<String, u64> {
        let rejected = self.rejected.iter();
        rejected
            .map(|(reason, count)| (reason.to_string(), *count))
            .collect()
    }
}
