//! Readings that meters send.

use metrics::{counter, gauge};
use readings::{PayloadError, Refusal};
use service::telemetry::register;

const READINGS: &str = "cipherwatt_meter_live_readings_total";
const REFUSED: &str = "cipherwatt_meter_live_refused_total";
const SWAPS: &str = "cipherwatt_meter_live_swaps_total";
const ROLL_OVERS: &str = "cipherwatt_meter_live_roll_overs_total";
const KEPT: &str = "cipherwatt_meter_live_kept_readings";

/// What lines are refused for, beyond what messages are.
const LINES: [&str; 3] = ["too_long", "keys", "value"];

pub(super) fn describe() {
    register::counters(
        READINGS,
        "Live readings that were not refused, by what became of them: taken, there before, or needed by no interval",
        "result",
        ["taken", "repeated", "spare"],
    );
    register::counters(
        REFUSED,
        "Live readings refused, and lines and messages that are none, by reason",
        "reason",
        LINES
            .into_iter()
            .chain(PayloadError::REASONS)
            .chain(Refusal::REASONS),
    );
    register::counter(
        SWAPS,
        "Intervals without a reading because the meter's register was swapped or set back in it",
    );
    register::counter(ROLL_OVERS, "Registers that rolled over in an interval");
    register::gauge(KEPT, "Live readings that wait for their intervals");
}

/// What became of a reading that was not refused.
pub(crate) fn taken(result: &'static str) {
    counter!(READINGS, "result" => result).increment(1);
}

pub(crate) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn registers(swapped: u64, rolled_over: u64) {
    counter!(SWAPS).increment(swapped);
    counter!(ROLL_OVERS).increment(rolled_over);
}

pub(crate) fn kept(readings: usize) {
    gauge!(KEPT).set(readings as f64);
}
