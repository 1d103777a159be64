//! Of the plan: until when it is valid, and whether it is gone by.

use metrics::gauge;
use service::telemetry::register;
use wire::UnixSeconds;

const VALID_UNTIL: &str = "cipherwatt_meter_plan_valid_until_seconds";
const PAUSED: &str = "cipherwatt_meter_sealing_paused";

pub(super) fn describe() {
    register::gauge(
        VALID_UNTIL,
        "When the plan ends unless it is renewed, in seconds since 1970; 0 without a plan",
    );
    register::gauge(
        PAUSED,
        "1 while nothing is sealed although there is a plan: it has ended, is below the floor, or an analytics service has a \
         newer one",
    );
}

pub(crate) fn valid_until(until: Option<UnixSeconds>) {
    gauge!(VALID_UNTIL).set(until.unwrap_or_default().0 as f64);
}

pub(crate) fn paused(paused: bool) {
    gauge!(PAUSED).set(f64::from(u8::from(paused)));
}
