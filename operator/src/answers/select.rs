//! Which of the released totals a question is about.

use anyhow::Context as _;
use service::Settings;
use wire::{FeederId, UnixSeconds};

use crate::commands::existing_folder;
use crate::keys::keyring;
use crate::plan::stored::stored_key;
use crate::release::report::FeederReport;
use crate::release::totals;

/// Which totals.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of these feeders; of all if there are none.
    pub feeders: Vec<FeederId>,
    /// Intervals that begin at this time or later.
    pub from: Option<UnixSeconds>,
    /// Intervals that begin before this time.
    pub to: Option<UnixSeconds>,
}

impl Selection {
    /// The totals of these feeders, at any time, in the order of release. Only what the operator of this deployment released: the
    /// file may have totals of others.
    ///
    /// # Errors
    /// The operator's key or the file of totals cannot be read.
    pub(super) fn reports(
        &self,
        settings: &Settings,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<FeederReport>>> {
        let key = stored_key(&existing_folder(settings)?)?;
        let path = &settings.operator.totals_file;
        let reports = totals::reports(path, 0, &keyring::name_of(&key))
            .context("`operator.totals_file` is where released totals are")?;
        Ok(reports
            .filter(|report| match report {
                Ok(report) => self.has_feeder(&report.feeder),
                Err(_) => true,
            })
            .map(|report| Ok(report?)))
    }

    pub(super) fn has_feeder(&self, feeder: &FeederId) -> bool {
        self.feeders.is_empty() || self.feeders.contains(feeder)
    }

    /// Whether an interval that begins at this time, in seconds since the Unix epoch, is asked about.
    pub(super) fn has(&self, start: u64) -> bool {
        self.from.is_none_or(|from| start >= from.0) && self.to.is_none_or(|to| start < to.0)
    }
}

/// The intervals of a window: when each begins, in seconds since the Unix epoch, from its first.
pub(super) fn starts(report: &FeederReport) -> impl Iterator<Item = u64> {
    let (first, length) = (report.window_start.0, u64::from(report.interval_s));
    (0..report.energy_wh.len() as u64).map(move |k| first + k * length)
}
