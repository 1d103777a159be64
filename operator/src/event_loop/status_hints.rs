//! Saying what the operator waits for, and the command that brings it.

use std::time::Duration;

use tokio::time::Instant;
use wire::HolderId;

use super::EventLoop;
use crate::plan::stored::unowned;

/// How long something may be missing before it is mentioned, and after it was mentioned.
const PATIENCE: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_secs(60);

/// What a deployment needs before its first release, as far as it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present {
    /// A connection to the broker.
    pub broker: bool,
    /// Enrolment requests that wait for approval.
    pub pending: usize,
    pub meters: usize,
    /// Least meters of a release.
    pub min_meters: usize,
    /// The most meters on one feeder, or on the feeders of one area.
    pub largest_feeder: usize,
    pub analytics: usize,
    /// Feeders that no analytics service adds for.
    pub unowned: usize,
    /// Sums taken since the start.
    pub releases: usize,
}

impl Present {
    /// The first thing that is missing for a release, if anything.
    ///
    /// A missing broker is said by the MQTT client, which knows why.
    pub(crate) fn missing(&self) -> Option<String> {
        if !self.broker {
            return None;
        }
        if self.pending > 0 {
            let requests = self.pending;
            return Some(format!(
                "{requests} enrolment requests wait for approval: list them with `operator pending`, approve one with `operator approve ID`"
            ));
        }
        if self.meters == 0 {
            return Some(
                "waiting for meters to enrol: start a fleet with `cargo run --release -p meter`"
                    .to_owned(),
            );
        }
        if self.analytics == 0 {
            let start = "waiting for an analytics service: start one with `cargo run --release -p analytics`";
            return Some(start.to_owned());
        }
        if self.unowned > 0 {
            return Some(format!(
                "{} feeders belong to no analytics service, so their reports wait at the gateways: start one whose \
                 `analytics.feeders` lists them; `operator doctor` names them",
                self.unowned
            ));
        }
        if self.largest_feeder < self.min_meters {
            return Some(format!(
                "no feeder has plan.min_meters = {} meters (the largest has {}), so nothing can be released: start a \
                 larger fleet with `cargo run --release -p meter -- --meters N`, or spread it over fewer feeders",
                self.min_meters, self.largest_feeder
            ));
        }
        (self.releases == 0).then(|| "waiting for the first window to be released".to_owned())
    }
}

/// Says what is missing: once it has been for a while, and again now and then.
#[derive(Debug, Default)]
pub(crate) struct StatusHints {
    current: Option<(String, Instant)>,
    /// What the observer was told last: how many sums are with the holders, and who of them does not answer.
    pub(super) awaited: (usize, Vec<HolderId>),
}

impl StatusHints {
    /// What to say now, if anything. Call it about once a second.
    pub(crate) fn say(&mut self, present: &Present, now: Instant) -> Option<String> {
        let Some(missing) = present.missing() else {
            self.current = None;
            return None;
        };
        match &mut self.current {
            Some((said, due)) if *said == missing => {
                if now < *due {
                    return None;
                }
                *due = now + AGAIN;
                Some(missing)
            }
            _ => {
                self.current = Some((missing, now + PATIENCE));
                None
            }
        }
    }
}

impl EventLoop {
    pub(super) fn say_what_is_missing(&mut self) {
        let registry = &self.enrolment.registry;
        let plan = registry.plan.plan();
        let present = Present {
            broker: self.publisher.is_connected(),
            pending: self.enrolment.pending(),
            meters: registry.roster.len(),
            min_meters: plan.min_meters as usize,
            largest_feeder: registry.largest_feeder_or_area() as usize,
            analytics: plan.analytics.len() + plan.pool.len(),
            unowned: unowned(plan).len(),
            releases: self.releases,
        };
        if let Some(text) = self.hints.say(&present, Instant::now()) {
            tracing::info!("{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_names_what_brings_the_next() {
        let mut present = Present {
            min_meters: 15,
            ..Present::default()
        };
        assert_eq!(
            present.missing(),
            None,
            "the MQTT client speaks of the broker"
        );
        present.broker = true;
        assert!(present.missing().unwrap().contains("-p meter"));
        (present.meters, present.largest_feeder) = (20, 10);
        assert!(present.missing().unwrap().contains("-p analytics"));
        present.analytics = 1;
        present.unowned = 1;
        assert!(present.missing().unwrap().contains("analytics.feeders"));
        present.unowned = 0;
        assert!(present.missing().unwrap().contains("plan.min_meters = 15"));
        present.largest_feeder = 20;
        assert!(present.missing().unwrap().contains("first window"));
        present.releases = 1;
        assert_eq!(present.missing(), None);
        present.pending = 2;
        assert!(present.missing().unwrap().contains("operator approve"));
    }

    #[test]
    fn it_is_said_after_a_while_and_seldom() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut hints = StatusHints::default();
        let present = Present {
            broker: true,
            ..Present::default()
        };
        assert_eq!(hints.say(&present, at(0)), None);
        assert!(hints.say(&present, at(3)).is_some());
        assert_eq!(hints.say(&present, at(10)), None);
        assert!(hints.say(&present, at(63)).is_some());
        let meters = Present {
            meters: 100,
            largest_feeder: 100,
            ..present
        };
        assert_eq!(
            hints.say(&meters, at(64)),
            None,
            "something new is given time too"
        );
    }
}
