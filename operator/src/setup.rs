//! What several parts of the operator take from the settings.

use std::path::PathBuf;
use std::time::Duration;

use service::SharedClock;
use service::config::{Enrolment, Mode, Settings};
use wire::UnixMillis;

/// The operator's folder of state.
#[must_use]
pub fn folder(settings: &Settings) -> PathBuf {
    settings.deployment.operator_folder()
}

/// Whether requests are granted without a person: in development on loopback only, whatever else is configured.
pub(crate) fn enrols_automatically(settings: &Settings) -> bool {
    settings.operator.enrolment == Enrolment::Automatic
        && settings.deployment.mode == Mode::Development
        && settings.mqtt.is_loopback()
}

/// The latest time that another machine's clock may show now, if it is ahead by at most `tolerance`.
pub(crate) fn latest(clock: &SharedClock, tolerance: Duration) -> UnixMillis {
    let tolerance = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
    UnixMillis(clock.now().0.saturating_add(tolerance))
}
