//! Sections that every process reads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use packed::Profile;
use packed::layout::{Layout, Shape, ShapeError};
use serde::{Deserialize, Serialize};
use wire::{
    AreaId, Areas, BillingPeriod, DeploymentId, FeederId, Grid, GridError, Tariff, VerifyingKey,
    Zone,
};

use super::tariffs::{self, TariffEntry};
use super::{Rating, text};

/// `[deployment]`: identity of the deployment and where its processes keep their state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Id signed into every message; 1 to 64 of `[a-z0-9-]`.
    pub id: DeploymentId,
    /// Root of all topics, without a leading or trailing slash and without wildcards.
    pub root: String,
    /// What is tolerated; see [`Mode`].
    pub mode: Mode,
    /// Folder under which each process keeps its own folder of keys and caches.
    pub state_dir: PathBuf,
    /// The operator's verifying key. `None` (an empty string) trusts the first key seen, which is
    /// accepted only in development and only with the broker on loopback.
    #[serde(with = "text::optional")]
    pub operator_key: Option<VerifyingKey>,
}

impl Deployment {
    /// The operator's folder of state. An operator with the same `state_dir` as another process leaves its verifying key
    /// there.
    pub fn operator_folder(&self) -> PathBuf {
        self.state_dir.join("operator")
    }
}

/// `[metrics]`: who may scrape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Whether a `metrics_listen` may be an address that others can reach.
    pub remote: bool,
    /// Names, beside addresses and `localhost`, that a request may call this machine by.
    pub hosts: Vec<String>,
}

/// How strict a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// On one machine: trust on first use and automatic enrolment are allowed, on loopback only.
    Development,
    /// Everything that is trusted is configured.
    Production,
}

/// `[log]`: logs on standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,service=debug`.
    pub level: String,
    /// How a line is written.
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[plan]`: what an operator publishes when it starts for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Length of one interval; whole seconds.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Intervals in one report; a window is interval × batch. Not used where windows are days: see [`Plan::grid`].
    pub batch: u16,
    /// The time zone whose local days are windows; none: windows are multiples of their length since 1970.
    #[serde(with = "text::optional")]
    pub time_zone: Option<Zone>,
    /// What the coefficients of a report carry.
    #[serde(with = "text::layout")]
    pub layout: Layout,
    /// How finely readings are encrypted; `None` (`auto`) is chosen for each feeder.
    #[serde(with = "text::profile")]
    pub profile: Option<&'static Profile>,
    /// Contributors below which no sum is released.
    pub min_meters: u32,
    /// The same with a layout other than `profile`, if it is more.
    pub detail_min_meters: u32,
    /// Where the bins of layout `histogram` end: watts, ascending.
    pub histogram_edges: Vec<u32>,
    /// How many shards the feeders are divided into, for the processes of a pool to share.
    pub shards: u16,
    /// What feeders are under: of all that are under one transformer or substation, totals are released together where each
    /// has too few meters.
    pub areas: Vec<Transformer>,
    /// Feeders whose sums are compared with a rating, and never opened.
    pub over_rating: Vec<Rating>,
    /// Whether there may be keys for products on ciphertexts, which carry no masks.
    pub allow_levelled: bool,
    /// `month`, or the number of windows that a bill is over.
    pub billing_period: String,
    /// The tariff bands of billed meters; [`Plan::tariff`] reads them.
    pub tariffs: Vec<TariffEntry>,
}

/// A transformer: an item of `plan.areas`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transformer {
    /// Its name.
    pub transformer: AreaId,
    /// The substation that it is under, with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substation: Option<AreaId>,
    /// The feeders under it.
    pub feeders: Vec<FeederId>,
}

impl Plan {
    /// The interval in seconds; validation has ruled out fractions and overflow.
    pub fn interval_s(&self) -> u32 {
        u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX)
    }

    /// What each feeder is under, of those that are under something.
    pub fn areas_of_feeders(&self) -> BTreeMap<FeederId, Areas> {
        let under = self.areas.iter().flat_map(|under| {
            let areas = Areas {
                transformer: under.transformer.clone(),
                substation: under.substation.clone(),
            };
            let feeders = under.feeders.iter();
            feeders.map(move |feeder| (feeder.clone(), areas.clone()))
        });
        under.collect()
    }

    /// Intervals and windows: of `batch` intervals, or the days of `time_zone`, if there is one.
    ///
    /// # Errors
    /// They make no grid: never of settings that were loaded.
    pub fn grid(&self) -> Result<Grid, GridError> {
        match self.time_zone {
            Some(zone) => Grid::of_days(self.interval_s(), zone),
            None => Grid::new(self.interval_s(), self.batch),
        }
    }

    /// The least meters of a sum: the minimum group of the plan that is made from this.
    pub fn minimum_group(&self) -> u32 {
        match self.layout {
            Layout::Moments | Layout::Histogram => self.min_meters.max(self.detail_min_meters),
            Layout::Profile | Layout::Maxima => self.min_meters,
        }
    }

    /// The ratings, each as the energy of an interval in Wh, rounded down.
    pub fn ratings_wh(&self) -> BTreeMap<FeederId, u64> {
        let wh = |watts: u32| u64::from(watts) * u64::from(self.interval_s()) / 3_600;
        let ratings = self.over_rating.iter();
        ratings
            .map(|rating| (rating.feeder.clone(), wh(rating.watts)))
            .collect()
    }

    /// Where the bins of a layout that has some end, in Wh of an interval. Energies are whole Wh, so rounding down puts none of
    /// them into another bin.
    pub fn histogram_edges_wh(&self) -> Vec<u64> {
        let interval_s = u64::from(self.interval_s());
        let edges = match self.layout {
            Layout::Histogram => self.histogram_edges.as_slice(),
            Layout::Profile | Layout::Maxima | Layout::Moments => &[],
        };
        let wh = |watts: &u32| u64::from(*watts) * interval_s / 3_600;
        edges.iter().map(wh).collect()
    }

    /// The coefficients of a report of `batch` intervals.
    ///
    /// # Errors
    /// There is no such report.
    pub fn shape(&self, batch: u16) -> Result<Shape, ShapeError> {
        Shape::with_edges(self.layout, &self.histogram_edges_wh(), batch)
    }

    /// The tariff of the plan; none without `plan.tariffs`.
    ///
    /// # Errors
    /// What of it cannot be, and what to write instead.
    pub fn tariff(&self) -> Result<Option<Tariff>, String> {
        if self.tariffs.is_empty() {
            return Ok(None);
        }
        let period = self.period()?;
        tariffs::tariff(&self.tariffs, period, self.time_zone, self.interval_s()).map(Some)
    }

    /// What a bill is over.
    ///
    /// # Errors
    /// It is neither a month nor a number of windows.
    pub(super) fn period(&self) -> Result<BillingPeriod, String> {
        tariffs::period(&self.billing_period)
    }
}
