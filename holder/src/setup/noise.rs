//! The noise of an agreement, on the command line and in words.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use privacy::{Delta, Epsilon, Guarantee};
use service::Settings;
use service::config::Publish;
use wire::{FeederId, NoiseTerms, PrivacyUnit};

use super::error::SetupError;

/// What ε is about.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum NoiseUnit {
    /// A reading of a household
    Interval,
    /// All readings of a household in a day
    HouseholdDay,
}

impl From<NoiseUnit> for PrivacyUnit {
    fn from(unit: NoiseUnit) -> Self {
        match unit {
            NoiseUnit::Interval => Self::Interval,
            NoiseUnit::HouseholdDay => Self::HouseholdDay,
        }
    }
}

/// Noise that hides each household from everybody, the operator too.
#[derive(Debug, Args)]
pub(super) struct Noise {
    /// Add noise with this ε, so that nobody, the operator included, has exact totals
    #[arg(long, value_name = "EPSILON")]
    noise_epsilon: Option<f64>,
    /// What epsilon is about
    #[arg(
        long,
        value_enum,
        default_value = "interval",
        requires = "noise_epsilon"
    )]
    noise_unit: NoiseUnit,
    /// Gaussian noise, with this chance that more is given away; Laplace noise without it
    #[arg(long, value_name = "DELTA", requires = "noise_epsilon")]
    noise_delta: Option<f64>,
    /// The most power that meters enter readings with, of either sign, in W: what is beyond is cut off. The reference of the feeder
    /// unless given
    #[arg(long, value_name = "WATTS", requires = "noise_epsilon")]
    noise_clip: Option<u64>,
    /// The most epsilon of a feeder in a period; `publish.budget_epsilon` unless given
    #[arg(long, value_name = "EPSILON", requires = "noise_epsilon")]
    noise_budget: Option<f64>,
    /// How long a period is; `publish.budget_period` unless given
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "noise_epsilon")]
    noise_period: Option<Duration>,
    /// A feeder whose totals get noise; all unless given
    #[arg(long, value_name = "FEEDER", requires = "noise_epsilon")]
    noise_feeder: Vec<FeederId>,
}

impl Noise {
    pub(super) fn terms(self, settings: &Settings) -> Result<Option<NoiseTerms>, SetupError> {
        let Some(epsilon) = self.noise_epsilon else {
            return Ok(None);
        };
        let guarantee = Guarantee {
            unit: self.noise_unit.into(),
            epsilon: Epsilon::try_from(epsilon)
                .map_err(|_| wrong("--noise-epsilon", epsilon, EPSILON))?,
            delta: (self.noise_delta)
                .map(|delta| {
                    Delta::try_from(delta).map_err(|_| wrong("--noise-delta", delta, DELTA))
                })
                .transpose()?,
        };
        if self.noise_clip == Some(0) {
            return Err(wrong("--noise-clip", "0", CLIP));
        }
        let publish = &settings.publish;
        let feeders: BTreeSet<FeederId> = self.noise_feeder.into_iter().collect();
        Ok(Some(NoiseTerms {
            clip_w: self.noise_clip.unwrap_or(0),
            budget_millionths: budget(self.noise_budget.unwrap_or(publish.budget_epsilon))?,
            period_s: period(self.noise_period.unwrap_or(publish.budget_period))?,
            feeders: feeders.into_iter().collect(),
            ..terms(&guarantee, publish)
        }))
    }
}

const EPSILON: &str = "a number from 0.001 to 100 with at most six decimals";
const DELTA: &str =
    "a number from 1e-15 to 0.001, a whole multiple of 1e-15, or leave it out for Laplace noise";
const CLIP: &str = "a power of at least 1 W, or leave it out for the reference of the feeder";
const BUDGET: &str = "an epsilon from 0.000001 to 4294967295";
const PERIOD: &str = "whole seconds, from 1s to 4294967295s";

fn wrong(option: &'static str, given: impl ToString, expected: &'static str) -> SetupError {
    SetupError::NoiseOption {
        option,
        given: given.to_string(),
        expected,
    }
}

/// In millionths.
fn budget(epsilon: f64) -> Result<u64, SetupError> {
    match (1e-6..=f64::from(u32::MAX)).contains(&epsilon) {
        true => Ok(millionths(epsilon)),
        false => Err(wrong(
            "--noise-budget, or publish.budget_epsilon,",
            epsilon,
            BUDGET,
        )),
    }
}

fn millionths(epsilon: f64) -> u64 {
    (epsilon * 1e6).round() as u64
}

/// In seconds.
fn period(period: Duration) -> Result<u64, SetupError> {
    let is_whole = period.subsec_nanos() == 0;
    match is_whole && (1..=u64::from(u32::MAX)).contains(&period.as_secs()) {
        true => Ok(period.as_secs()),
        false => Err(wrong(
            "--noise-period, or publish.budget_period,",
            humantime::format_duration(period),
            PERIOD,
        )),
    }
}

/// The terms of noise that promises this in the totals of all feeders, with the budget and the period that are published with.
#[must_use]
pub fn terms(guarantee: &Guarantee, publish: &Publish) -> NoiseTerms {
    NoiseTerms {
        unit: guarantee.unit,
        epsilon_millionths: guarantee.epsilon.millionths(),
        delta_quadrillionths: guarantee.delta.map_or(0, Delta::quadrillionths),
        rho_trillionths: guarantee.rho().unwrap_or(0),
        clip_w: 0,
        budget_millionths: millionths(publish.budget_epsilon),
        period_s: publish.budget_period.as_secs(),
        feeders: Vec::new(),
    }
}

/// What a person is told of it: a line.
pub(super) fn told(noise: &NoiseTerms) -> String {
    let guarantee = Guarantee::agreed(noise);
    let mut text = match guarantee {
        Ok(guarantee) => format!("  noise: {guarantee}, {}", guarantee.mechanism().as_str()),
        Err(error) => format!("  noise that cannot be: {error}"),
    };
    // Writing to a string cannot fail.
    let _ = match noise.clip_w {
        0 => write!(text, ", readings up to the feeder's reference"),
        watts => write!(text, ", readings cut off at {watts} W"),
    };
    let period = humantime::format_duration(Duration::from_secs(noise.period_s));
    let budget = noise.budget_millionths as f64 / 1e6;
    let _ = write!(text, "; at most ε {budget} of a feeder in {period}; ");
    let feeders: Vec<_> = noise.feeders.iter().map(FeederId::as_str).collect();
    let _ = match feeders.is_empty() {
        true => writeln!(text, "nobody has exact totals"),
        false => writeln!(text, "nobody has exact totals of {}", feeders.join(", ")),
    };
    text
}
