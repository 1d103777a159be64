//! What several parts of the operator take from the settings.

use std::path::PathBuf;

use packed::Profile;
use packed::layout::Layout;
use service::config::{Enrolment, Mode, Settings};

use crate::error::OperatorError;

/// The operator's folder of state.
#[must_use]
pub fn folder(settings: &Settings) -> PathBuf {
    settings.deployment.operator_folder()
}

/// What `plan.profile` names.
pub(crate) fn profile(settings: &Settings) -> Result<&'static Profile, OperatorError> {
    Profile::by_name(&settings.plan.profile).map_err(|error| invalid("plan.profile", &error))
}

/// What `plan.layout` names.
pub(crate) fn layout(settings: &Settings) -> Result<Layout, OperatorError> {
    let layout = settings.plan.layout.parse();
    layout.map_err(|error| invalid("plan.layout", &error))
}

/// For `map_err`: a value that the settings should not have let through.
pub(crate) fn invalid(key: &'static str, problem: &dyn std::fmt::Display) -> OperatorError {
    OperatorError::Setting {
        key,
        problem: problem.to_string(),
    }
}

/// Whether requests are granted without a person: in development on loopback only, whatever else is configured.
pub(crate) fn enrols_automatically(settings: &Settings) -> bool {
    settings.operator.enrolment == Enrolment::Automatic
        && settings.deployment.mode == Mode::Development
        && settings.mqtt.is_loopback()
}
