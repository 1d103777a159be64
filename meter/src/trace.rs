//! The trace of a report in the log.

use service::config::Settings;
use service::telemetry::Trace;
use wire::{FeederId, WindowStart};

pub(crate) fn of<'a>(
    settings: &'a Settings,
    feeder: &'a FeederId,
    window: WindowStart,
) -> Trace<'a> {
    Trace {
        deployment: &settings.deployment.id,
        feeder,
        window,
    }
}
