//! What is checked of reports, and against what.

use service::config::Settings;
use service::trust::Roster;
use wire::{Reason, Topics, UnixMillis};

use crate::admit::{Admission, Incoming, Refusal};
use crate::assignment::AssignedPlan;
use crate::verify::{Verdicts, verify};

/// What reports are checked against.
pub(super) struct Judge<'a> {
    pub(super) settings: &'a Settings,
    pub(super) topics: &'a Topics,
    pub(super) assigned: &'a AssignedPlan,
    pub(super) roster: &'a Roster,
    pub(super) now: UnixMillis,
}

impl Judge<'_> {
    /// What becomes of each report. Under a plan by which nothing can be checked, all are counted and not answered, so
    /// that their gateways keep them and send them again.
    pub(super) fn verdicts(&self, batch: &[Incoming]) -> Verdicts {
        let settings = self.settings;
        let assigned = self.assigned;
        match Admission::new(settings, self.topics, assigned, self.roster, self.now) {
            Ok(admission) => verify(&admission, batch, settings.analytics.verify_threads),
            Err(error) => {
                let detail = format!("the plan cannot be used: {error}");
                let refused = || Err(Refusal::silent(Reason::NotReady, detail.clone()));
                batch.iter().map(|_| refused()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::{Plan, PlanVersion};

    use super::*;

    /// They used to vanish: neither folded nor counted.
    #[test]
    fn reports_under_a_plan_that_cannot_be_used_are_counted_and_not_answered() {
        let settings = Settings::defaults();
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let plan = Plan {
            deployment: settings.deployment.id.clone(),
            version: PlanVersion(1),
            interval_s: 3600,
            batch: 1,
            layout: "profile".parse().unwrap(),
            profile: "of-a-later-version".parse().unwrap(),
            min_meters: 15,
            feeders: Vec::new(),
            epochs: Vec::new(),
            analytics: Vec::new(),
        };
        let assigned = AssignedPlan::new(plan, settings.analytics.id.clone());
        let roster = Roster::from_pages([]).unwrap();
        let report = Incoming {
            topic: "t".to_owned(),
            payload: Vec::new().into(),
        };
        let judged = Judge {
            settings: &settings,
            topics: &topics,
            assigned: &assigned,
            roster: &roster,
            now: UnixMillis(0),
        };
        let verdicts = judged.verdicts(&[report.clone(), report]);
        assert_eq!(verdicts.len(), 2);
        for verdict in verdicts {
            let refusal = verdict.unwrap_err();
            assert_eq!(refusal.reason, Reason::NotReady);
            assert!(refusal.detail.contains("of-a-later-version"));
            assert!(refusal.address.is_none(), "so it is sent again");
        }
    }
}
