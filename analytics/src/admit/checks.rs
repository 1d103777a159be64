//! The checks of a report, each against one thing: its topic, the plan, the time, the profile.

use packed::Profile;
use service::failpoint;
use wire::{FeederPlan, Reason, Report, Topic};

use super::{Admission, Refusal};

impl Admission<'_> {
    pub(super) fn check_topic(&self, topic: &str, claimed: &Report) -> Result<(), Refusal> {
        match self.topics.parse(topic) {
            Some(Topic::Report {
                shard,
                feeder,
                meter,
            }) if feeder == claimed.feeder
                && meter == claimed.meter
                && shard == self.plan.shard(&feeder) =>
            {
                Ok(())
            }
            _ => Err(Refusal::silent(
                Reason::WrongTopic,
                format!(
                    "a report of meter {} on feeder {} came on topic {topic}",
                    claimed.meter, claimed.feeder
                ),
            )),
        }
    }

    /// Everybody who listens to all topics sees all reports. The owner of the feeder answers; whoever else did would make
    /// the gateway's pacing count two receipts for one report.
    pub(super) fn check_owner(&self, claimed: &Report) -> Result<(), Refusal> {
        self.assigned
            .check_owner(&claimed.feeder)
            .map_err(|detail| Refusal::silent(Reason::UnknownAnalytics, detail))
    }

    /// Checks a report against the plan; returns the feeder setting that holds for its window.
    pub(super) fn check_plan(&self, report: &Report) -> Result<&FeederPlan, (Reason, String)> {
        if !self.grid.is_aligned(report.window) {
            return Err((
                Reason::MisalignedWindow,
                format!("no window of {} starts at {}", self.grid, report.window),
            ));
        }
        if report.plan_version > self.plan.version {
            return Err((
                Reason::UnknownPlan,
                format!(
                    "plan version {} is newer than {}",
                    report.plan_version, self.plan.version
                ),
            ));
        }
        let Some(feeder) = self.plan.feeder(&report.feeder, report.window) else {
            return Err((
                Reason::UnknownFeeder,
                format!("the plan has no feeder {}", report.feeder),
            ));
        };
        match self.plan.epoch_for(report.window) {
            Some(epoch) if epoch.epoch == report.epoch => {}
            Some(epoch)
                if self
                    .plan
                    .epochs
                    .iter()
                    .any(|known| known.epoch == report.epoch) =>
            {
                return Err((
                    Reason::WrongEpoch,
                    format!(
                        "window {} belongs to epoch {}, not {}",
                        report.window, epoch.epoch, report.epoch
                    ),
                ));
            }
            _ => {
                return Err((
                    Reason::UnknownEpoch,
                    format!("the plan has no epoch {}", report.epoch),
                ));
            }
        }
        if feeder.since != report.plan_version {
            return Err((
                Reason::OutdatedConfig,
                format!(
                    "window {} of feeder {} is governed by plan version {}, not {}",
                    report.window, report.feeder, feeder.since, report.plan_version
                ),
            ));
        }
        Ok(feeder)
    }

    pub(super) fn check_time(&self, report: &Report) -> Result<(), (Reason, String)> {
        let latest = self.now.0.saturating_add(self.future_tolerance_ms);
        let end_ms = self.grid.window_end(report.window).millis().0;
        let is_early = end_ms > latest || report.sealed_at.0 > latest;
        if is_early && !failpoint::sabotaged("window_clock") {
            return Err((
                Reason::ReportTooEarly,
                format!(
                    "window {} ends, or sealed_at {} lies, after {} ms since the epoch",
                    report.window, report.sealed_at, latest
                ),
            ));
        }
        Ok(())
    }

    /// Checks the length of a ciphertext against the setting's profile, and returns that.
    pub(super) fn check_ciphertext(
        &self,
        setting: &FeederPlan,
        limbs: &[u8],
    ) -> Result<&'static Profile, (Reason, String)> {
        let profile = self.assigned.held.encoding(setting).profile;
        let coefficients = self.shape.coefficients();
        let expected = profile.packed_len(coefficients);
        if limbs.len() == expected {
            return Ok(profile);
        }
        let mut others = Profile::all().iter();
        let other = others.find(|other| other.packed_len(coefficients) == limbs.len());
        let (reason, as_of) = match other {
            Some(other) => (
                Reason::ProfileMismatch,
                format!(", as of profile {}", other.name),
            ),
            None => (Reason::WrongLength, String::new()),
        };
        let detail = format!(
            "{} bytes of limbs{as_of}, not the {expected} of profile {}, which feeder {} has for the window",
            limbs.len(),
            profile.name,
            setting.feeder
        );
        Err((reason, detail))
    }
}
