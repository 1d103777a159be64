//! Reports that came before the plan or the roster they are judged by.
//!
//! A gateway and this service hear of a new plan at the same time and from the same broker, and nothing says which of
//! them is first. What is dropped because the gateway was would come again once its patience is over, which is seconds.

use std::collections::VecDeque;

use wire::Reason;

use crate::admit::Incoming;
use crate::verify::Verdicts;

/// Reports kept at most: more than a gateway sends before it has heard anything.
const MOST: usize = 512;

/// Reports that are judged again once there is a newer plan or roster. Bounded: the oldest make way, and are sent again
/// by their gateways like any that was lost.
#[derive(Debug)]
pub(super) struct Early {
    /// Each with the count of plans and rosters under which it came.
    reports: VecDeque<(u64, Incoming)>,
    bytes: usize,
    max_bytes: usize,
}

impl Early {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            reports: VecDeque::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Keeps reports that came under the plan and the roster of this count.
    pub(super) fn keep(&mut self, reports: impl IntoIterator<Item = Incoming>, generation: u64) {
        for report in reports {
            self.bytes += report.payload.len();
            self.reports.push_back((generation, report));
            while (self.reports.len() > MOST || self.bytes > self.max_bytes)
                && let Some((_, oldest)) = self.reports.pop_front()
            {
                self.bytes -= oldest.payload.len();
            }
        }
    }

    /// Takes the reports that came under an earlier plan or roster, in order.
    pub(super) fn take(&mut self, generation: u64) -> Vec<Incoming> {
        let mut taken = Vec::new();
        while let Some((_, report)) = self.reports.pop_front_if(|(under, _)| *under < generation) {
            self.bytes -= report.payload.len();
            taken.push(report);
        }
        taken
    }
}

/// Those of the reports that a newer plan or roster may say something else about. `is_unowned`: whether the plan gives the
/// feeder of a report's topic to nobody; what it gives to another service is heard all the time.
pub(super) fn of(
    reports: Vec<Incoming>,
    verdicts: &Verdicts,
    is_unowned: impl Fn(&str) -> bool,
) -> Vec<Incoming> {
    let judged = reports.into_iter().zip(verdicts);
    let early = judged.filter(|(report, verdict)| {
        let reason = verdict.as_ref().err().map(|refusal| refusal.reason);
        match reason {
            Some(
                Reason::UnknownPlan
                | Reason::UnknownMeter
                | Reason::UnknownFeeder
                | Reason::UnknownEpoch,
            ) => true,
            Some(Reason::UnknownAnalytics) => is_unowned(&report.topic),
            _ => false,
        }
    });
    early.map(|(report, _)| report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: usize, bytes: usize) -> Incoming {
        Incoming {
            topic: name.to_string(),
            payload: vec![0; bytes].into(),
        }
    }

    fn topics(reports: &[Incoming]) -> Vec<&str> {
        reports.iter().map(|report| report.topic.as_str()).collect()
    }

    #[test]
    fn reports_are_judged_again_once_under_each_newer_plan() {
        let mut early = Early::new(1_000);
        early.keep([report(1, 10), report(2, 10)], 0);
        assert!(early.take(0).is_empty());
        early.keep([report(3, 10)], 1);
        assert_eq!(topics(&early.take(1)), ["1", "2"]);
        assert!(early.take(1).is_empty());
        assert_eq!(topics(&early.take(2)), ["3"]);
        assert_eq!(early.bytes, 0);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_make_way() {
        let mut early = Early::new(100);
        early.keep((0..5).map(|name| report(name, 40)), 0);
        assert_eq!(topics(&early.take(1)), ["3", "4"]);
        early.keep((0..MOST + 2).map(|name| report(name, 0)), 1);
        assert_eq!(early.take(2).len(), MOST);
        // One that exceeds the bound by itself is not kept.
        early.keep([report(9, 101)], 2);
        assert!(early.take(3).is_empty());
    }
}
