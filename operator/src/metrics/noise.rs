//! Noisy totals, and what is left for them.

use metrics::{counter, describe_gauge, gauge};
use service::telemetry::register;
use wire::FeederId;

use super::Feeders;
use crate::publish::line::{Content, Line, NoTotal};

const NOISY: &str = "cipherwatt_operator_noisy_totals_total";
const REFUSED: &str = "cipherwatt_operator_noisy_totals_refused_total";
const BUDGET: &str = "cipherwatt_operator_noise_budget_epsilon";
const LEFT: &str = "cipherwatt_operator_feeder_noise_budget_left_epsilon";

pub(super) fn register() {
    register::counter(NOISY, "Totals with noise, each for one recipient");
    let reasons = NoTotal::ALL.iter().map(|reason| reason.as_str());
    let help = "Totals that a recipient does not get, by reason";
    register::counters(REFUSED, help, "reason", reasons);
    register::gauge(
        BUDGET,
        "What a feeder may give away in a period by noisy totals, as epsilon; 0 without recipients",
    );
    describe_gauge!(
        LEFT,
        "What a feeder may still give away, as epsilon, in the period of the newest window taken"
    );
}

/// What a feeder may give away in a period.
pub(crate) fn budget(epsilon: f64) {
    gauge!(BUDGET).set(epsilon);
}

pub(crate) fn noisy(line: &Line) {
    match line.content {
        Content::Noisy(_) => counter!(NOISY).increment(1),
        Content::Refused { refused } => {
            counter!(REFUSED, "reason" => refused.as_str()).increment(1);
        }
    }
}

impl Feeders {
    /// What a feeder may still give away, if it has metrics of its own or room for them.
    pub(crate) fn budget_left(&mut self, feeder: &FeederId, epsilon: f64) {
        if self.names(feeder) {
            gauge!(LEFT, "feeder" => feeder.to_string()).set(epsilon);
        }
    }
}
