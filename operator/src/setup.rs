//! What several parts of the operator take from the settings.

use std::path::PathBuf;

pub(crate) use service::clock::latest;
use service::config::Settings;

/// The operator's folder of state.
#[must_use]
pub fn folder(settings: &Settings) -> PathBuf {
    settings.deployment.operator_folder()
}

/// Whether requests are granted without a person: in development on loopback only, whatever else is configured.
pub(crate) fn enrols_automatically(settings: &Settings) -> bool {
    settings.enrols_automatically(settings.operator.enrolment)
}
