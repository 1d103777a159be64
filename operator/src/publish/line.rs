//! A line of a recipient's file: a noisy total, or that there is none and why.

use privacy::{Guarantee, Noise};
use serde::{Deserialize, Serialize};
use wire::{FeederId, NoisyTotal, Part, Reason, RecipientId, WindowStart};

use super::said::NoiseSaid;
use crate::release::ledger::NoiseKey;
use crate::release::report::FeederReport;

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub recipient: RecipientId,
    pub feeder: FeederId,
    /// Seconds since the Unix epoch.
    pub window_start: WindowStart,
    pub part: Part,
    #[serde(flatten)]
    pub content: Content,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Content {
    Noisy(Box<Noisy>),
    /// There is no total.
    Refused {
        refused: NoTotal,
    },
}

/// A total with noise, and what the noise is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noisy {
    pub interval_s: u32,
    pub quantum_wh: u64,
    #[serde(flatten)]
    pub said: NoiseSaid,
    /// With noise; none where an interval is withheld, and where nobody had a reading.
    pub energy_wh: Vec<Option<i64>>,
}

/// Why there is no noisy total: also the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoTotal {
    /// The feeder has given away what it may in the period.
    BudgetSpent,
    /// The sum has fewer meters than household-days need.
    TooFewMeters,
    /// The holders of mask keys have added noise that promises something else.
    OtherNoise,
    /// With the noise of holders the total may not fit the feeder's profile.
    BeyondProfile,
}

impl NoTotal {
    pub(crate) const ALL: [Self; 4] = [
        Self::BudgetSpent,
        Self::TooFewMeters,
        Self::OtherNoise,
        Self::BeyondProfile,
    ];

    /// What recipients are told of a sum that is refused because of the noise that it would get, if it is.
    pub(crate) const fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::BudgetSpent => Some(Self::BudgetSpent),
            Reason::MinMeters => Some(Self::TooFewMeters),
            Reason::BeyondProfile => Some(Self::BeyondProfile),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BudgetSpent => "budget_spent",
            Self::TooFewMeters => "too_few_meters",
            Self::OtherNoise => "other_noise",
            Self::BeyondProfile => "beyond_profile",
        }
    }
}

impl Line {
    pub(crate) fn new(key: &NoiseKey, content: Content) -> Self {
        Self {
            recipient: key.recipient.clone(),
            feeder: key.feeder.clone(),
            window_start: key.window,
            part: key.part,
            content,
        }
    }

    pub(crate) fn json(&self) -> String {
        // It has string keys and finite numbers only, which serde_json always writes.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it is sent; none if there is no total.
    pub(crate) fn message(&self) -> Option<NoisyTotal> {
        let Content::Noisy(noisy) = &self.content else {
            return None;
        };
        let said = &noisy.said;
        let millionths = |value: f64, unit: f64| (value * unit).round() as u64;
        Some(NoisyTotal {
            recipient: self.recipient.clone(),
            feeder: self.feeder.clone(),
            window: self.window_start,
            part: self.part,
            interval_s: noisy.interval_s,
            quantum_wh: noisy.quantum_wh,
            unit: said.unit,
            epsilon_millionths: millionths(said.epsilon, 1e6),
            delta_quadrillionths: millionths(said.delta.unwrap_or(0.0), 1e15),
            sensitivity_wh: said.sensitivity_wh,
            shares: said.shares.clamp(1, u8::MAX.into()) as u8,
            scale_mwh: millionths(said.scale_wh, 1e3),
            half_width_wh: said.half_width_wh,
            energy_wh: noisy.energy_wh.clone(),
        })
    }
}

impl Noisy {
    /// The total of `report`, which has noise of holders already.
    pub(crate) fn shared(report: &FeederReport, said: &NoiseSaid) -> Self {
        Self {
            interval_s: report.interval_s,
            quantum_wh: report.quantum_wh.max(1),
            said: said.clone(),
            energy_wh: report.energy_wh.clone(),
        }
    }

    /// The total of `report` with noise drawn for it; `sensitivity` in quanta.
    ///
    /// # Errors
    /// No noise could be drawn.
    pub(crate) fn draw(
        report: &FeederReport,
        guarantee: &Guarantee,
        sensitivity: u64,
        noise: &Noise,
    ) -> Result<Self, privacy::NoiseError> {
        let quantum = report.quantum_wh.max(1);
        let noisy = |energy: &Option<i64>| {
            let Some(exact) = energy else {
                return Ok(None);
            };
            let drawn = noise.draw()?.saturating_mul(quantum as i64);
            Ok(Some(exact.saturating_add(drawn)))
        };
        Ok(Self {
            interval_s: report.interval_s,
            quantum_wh: quantum,
            said: NoiseSaid::new(guarantee, noise, (sensitivity, 1), quantum),
            energy_wh: report
                .energy_wh
                .iter()
                .map(noisy)
                .collect::<Result<_, privacy::NoiseError>>()?,
        })
    }
}
