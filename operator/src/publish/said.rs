//! What is said of noise.

use privacy::{Agreed, Guarantee, Noise};
use serde::{Deserialize, Serialize};
use wire::{FeederPlan, Plan, PrivacyUnit};

/// What the noise of a total is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseSaid {
    /// What ε is about.
    pub unit: PrivacyUnit,
    /// "laplace" or "gaussian".
    pub mechanism: String,
    /// ε.
    pub epsilon: f64,
    /// Only of Gaussian noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// The greatest difference that one meter makes to an interval: twice what its readings are cut off at.
    pub sensitivity_wh: u64,
    /// How many draws were added, each of a party that does not know the others'.
    #[serde(default = "one")]
    pub shares: u32,
    /// Of one draw; of Gaussian noise the standard deviation.
    pub scale_wh: f64,
    /// All the noise of 95 intervals in 100 is within this.
    pub half_width_wh: u64,
}

/// The draws of a line of an earlier version.
const fn one() -> u32 {
    1
}

impl NoiseSaid {
    /// Of noise for this promise; `sensitivity` is in quanta.
    pub(super) fn new(
        guarantee: &Guarantee,
        noise: &Noise,
        (sensitivity, shares): (u64, u32),
        quantum_wh: u64,
    ) -> Self {
        Self {
            unit: guarantee.unit,
            mechanism: guarantee.mechanism().as_str().to_owned(),
            epsilon: guarantee.epsilon.value(),
            delta: guarantee.delta.map(|delta| delta.value()),
            sensitivity_wh: sensitivity.saturating_mul(quantum_wh),
            shares,
            scale_wh: (noise.scale() * quantum_wh as f64 * 1e3).round() / 1e3,
            half_width_wh: noise.half_width().saturating_mul(quantum_wh),
        }
    }

    /// Of the noise that holders add to sums under a setting.
    pub(crate) fn agreed(agreed: &Agreed, setting: &FeederPlan, plan: &Plan) -> Self {
        let sensitivity = agreed.sensitivity(setting, plan.interval_s);
        let noise = agreed.noise(setting, plan);
        let quantum_wh = setting.quantum_wh.max(1);
        let scale = (sensitivity, agreed.shares);
        Self::new(&agreed.guarantee, &noise, scale, quantum_wh)
    }

    /// Whether it promises just that.
    pub(super) fn promises(&self, guarantee: &Guarantee) -> bool {
        self.unit == guarantee.unit
            && self.epsilon == guarantee.epsilon.value()
            && self.delta == guarantee.delta.map(|delta| delta.value())
    }
}
