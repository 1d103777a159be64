//! Reports that came before the plan or the roster they are judged by.
//!
//! A gateway and this service hear of a new plan at the same time and from the same broker, and nothing says which of
//! them is first. What is dropped because the gateway was would come again once its patience is over, which is seconds.

use std::collections::{HashMap, VecDeque};

use wire::Reason;

use super::Runner;
use crate::admit::Incoming;
use crate::metrics;
use crate::verify::Verdicts;

/// Reports kept at most, of either kind: more than a gateway sends before it has heard anything.
const MOST: usize = 512;

/// Reports that are judged again once there is a newer plan or roster. Bounded: some make way, and are sent again by
/// their gateways like any that was lost.
///
/// Anybody can send a report of a meter that is in no roster, so these have a place of their own: they push out no report
/// whose signature holds, and of them the feeder with the most makes way first.
#[derive(Debug)]
pub(super) struct Early {
    signed: Queue,
    unsigned: Queue,
}

/// Early reports of both kinds.
#[derive(Debug, Default)]
pub(super) struct EarlyReports {
    /// By enrolled meters.
    pub(super) signed: Vec<Incoming>,
    /// By whoever: there is no key yet to check them with.
    pub(super) unsigned: Vec<Incoming>,
}

impl EarlyReports {
    pub(super) fn unsigned(reports: impl IntoIterator<Item = Incoming>) -> Self {
        Self {
            signed: Vec::new(),
            unsigned: reports.into_iter().collect(),
        }
    }
}

impl Early {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            signed: Queue::new(max_bytes / 2),
            unsigned: Queue::new(max_bytes / 2),
        }
    }

    /// Keeps reports that came under the plan and the roster of this count. Returns how many had to make way.
    pub(super) fn keep(&mut self, reports: EarlyReports, generation: u64) -> usize {
        let EarlyReports { signed, unsigned } = reports;
        self.signed.keep(signed, generation) + self.unsigned.keep(unsigned, generation)
    }

    /// Takes the reports that came under an earlier plan or roster, in order.
    pub(super) fn take(&mut self, generation: u64) -> Vec<Incoming> {
        let mut taken = self.signed.take(generation);
        taken.extend(self.unsigned.take(generation));
        taken
    }
}

impl Runner {
    /// Keeps reports for a newer plan or roster than those of `generation`.
    pub(super) fn keep_early(&mut self, reports: EarlyReports, generation: u64) {
        for _ in 0..self.early.keep(reports, generation) {
            let detail = "too many reports came before the plan or the roster that knows them";
            metrics::rejected(Reason::Overloaded, || detail.to_owned());
        }
    }
}

#[derive(Debug)]
struct Queue {
    /// Each with the count of plans and rosters under which it came.
    reports: VecDeque<(u64, Incoming)>,
    by_feeder: HashMap<String, usize>,
    bytes: usize,
    max_bytes: usize,
}

impl Queue {
    fn new(max_bytes: usize) -> Self {
        Self {
            reports: VecDeque::new(),
            by_feeder: HashMap::new(),
            bytes: 0,
            max_bytes,
        }
    }

    fn keep(&mut self, reports: Vec<Incoming>, generation: u64) -> usize {
        let mut made_way = 0;
        for report in reports {
            self.bytes += report.payload.len();
            *self
                .by_feeder
                .entry(feeder(&report).to_owned())
                .or_default() += 1;
            self.reports.push_back((generation, report));
            while self.reports.len() > MOST || self.bytes > self.max_bytes {
                self.make_way();
                made_way += 1;
            }
        }
        made_way
    }

    /// Drops the oldest report of the feeder with the most.
    fn make_way(&mut self) {
        let most = self.by_feeder.values().max().copied();
        let has_most = |report: &Incoming| self.by_feeder.get(feeder(report)).copied() == most;
        let index = self.reports.iter().position(|(_, report)| has_most(report));
        if let Some((_, report)) = self.reports.remove(index.unwrap_or(0)) {
            self.gone(&report);
        }
    }

    fn take(&mut self, generation: u64) -> Vec<Incoming> {
        let mut taken = Vec::new();
        while let Some((_, report)) = self.reports.pop_front_if(|(under, _)| *under < generation) {
            self.gone(&report);
            taken.push(report);
        }
        taken
    }

    fn gone(&mut self, report: &Incoming) {
        self.bytes -= report.payload.len();
        if let Some(reports) = self.by_feeder.get_mut(feeder(report)) {
            *reports -= 1;
            if *reports == 0 {
                self.by_feeder.remove(feeder(report));
            }
        }
    }
}

/// The part of a report's topic that names the feeder: all before the meter.
fn feeder(report: &Incoming) -> &str {
    let topic = &report.topic;
    topic.rsplit_once('/').map_or(topic, |(feeder, _)| feeder)
}

/// Those of the reports that a newer plan or roster may say something else about. `is_unowned`: whether the plan gives the
/// feeder of a report's topic to nobody; what it gives to another service is heard all the time.
pub(super) fn of(
    reports: Vec<Incoming>,
    verdicts: &Verdicts,
    is_unowned: impl Fn(&str) -> bool,
) -> EarlyReports {
    let mut early = EarlyReports::default();
    for (report, verdict) in reports.into_iter().zip(verdicts) {
        match verdict.as_ref().err().map(|refusal| refusal.reason) {
            Some(Reason::UnknownPlan | Reason::UnknownFeeder | Reason::UnknownEpoch) => {
                early.signed.push(report);
            }
            Some(Reason::UnknownMeter) => early.unsigned.push(report),
            Some(Reason::UnknownAnalytics) if is_unowned(&report.topic) => {
                early.unsigned.push(report);
            }
            _ => {}
        }
    }
    early
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: usize, bytes: usize) -> Incoming {
        report_of("feeder-1", name, bytes)
    }

    fn report_of(feeder: &str, name: usize, bytes: usize) -> Incoming {
        Incoming {
            topic: format!("{feeder}/{name}"),
            payload: vec![0; bytes].into(),
        }
    }

    fn signed(reports: impl IntoIterator<Item = Incoming>) -> EarlyReports {
        EarlyReports {
            signed: reports.into_iter().collect(),
            unsigned: Vec::new(),
        }
    }

    fn meters(reports: &[Incoming]) -> Vec<&str> {
        let mut meters = Vec::new();
        for report in reports {
            meters.push(report.topic.rsplit_once('/').unwrap().1);
        }
        meters
    }

    #[test]
    fn reports_are_judged_again_once_under_each_newer_plan() {
        let mut early = Early::new(1_000);
        early.keep(signed([report(1, 10), report(2, 10)]), 0);
        assert!(early.take(0).is_empty());
        early.keep(signed([report(3, 10)]), 1);
        assert_eq!(meters(&early.take(1)), ["1", "2"]);
        assert!(early.take(1).is_empty());
        assert_eq!(meters(&early.take(2)), ["3"]);
        assert_eq!(early.signed.bytes, 0);
        assert!(early.signed.by_feeder.is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_make_way() {
        let mut early = Early::new(200);
        let made_way = early.keep(signed((0..5).map(|name| report(name, 40))), 0);
        assert_eq!(made_way, 3);
        assert_eq!(meters(&early.take(1)), ["3", "4"]);
        let many = (0..MOST + 2).map(|name| report(name, 0));
        assert_eq!(early.keep(EarlyReports::unsigned(many), 1), 2);
        assert_eq!(early.take(2).len(), MOST);
        // One that exceeds the bound by itself is not kept.
        assert_eq!(early.keep(signed([report(9, 101)]), 2), 1);
        assert!(early.take(3).is_empty());
    }

    /// Anybody can send those, without a key.
    #[test]
    fn a_flood_of_unknown_meters_pushes_out_neither_signed_reports_nor_other_feeders() {
        let mut early = Early::new(1 << 20);
        early.keep(signed([report(1, 10)]), 0);
        early.keep(EarlyReports::unsigned([report_of("feeder-2", 2, 10)]), 0);
        let flood = (0..3 * MOST).map(|name| report_of("feeder-1", 1_000 + name, 10));
        assert_eq!(early.keep(EarlyReports::unsigned(flood), 0), 2 * MOST + 1);
        let kept = early.take(1);
        assert_eq!(kept.len(), 1 + MOST);
        assert_eq!(meters(&kept)[..2], ["1", "2"]);
    }
}
