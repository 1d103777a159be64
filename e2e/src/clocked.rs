//! A deployment in this process whose readings pass as the test sets the clock, a window at a time.

use std::time::Duration;

use service::Settings;
use wire::{UnixMillis, WindowStart};

/// The length of a window of two intervals, in seconds of event time.
pub const WINDOW_S: u64 = 7_200;

/// The first window.
const START: u64 = 1_700_000_000 / WINDOW_S * WINDOW_S;

/// Clock time in which a window's readings pass.
const WINDOW_MS: u64 = 200;

/// What the clock shows when the readings of so many windows have passed.
#[must_use]
pub fn passed(windows: u64) -> UnixMillis {
    UnixMillis((START + 1_000 * WINDOW_S) * 1_000 + windows * WINDOW_MS)
}

/// The window with this number, from 0.
#[must_use]
pub fn window(number: u64) -> WindowStart {
    WindowStart(START + number * WINDOW_S)
}

/// Settings under which a fleet reports so many windows, each of which closes when it is complete and for no other reason
/// within `limit`.
#[must_use]
pub fn settings(windows: u64, limit: Duration) -> Settings {
    let mut settings = Settings::defaults();
    settings.broker.metrics_listen = None;
    settings.operator.metrics_listen = None;
    settings.analytics.metrics_listen = None;
    settings.meter.metrics_listen = None;
    settings.mqtt.backoff_min = Duration::from_millis(20);
    settings.mqtt.backoff_max = Duration::from_millis(200);
    settings.plan.interval = Duration::from_secs(WINDOW_S / 2);
    settings.plan.batch = 2;
    settings.analytics.grace = Duration::from_secs(1_000 * WINDOW_S);
    settings.analytics.idle_limit = limit;
    let fleet = &mut settings.meter;
    fleet.start = Some(window(0).seconds());
    fleet.duration = Some(Duration::from_secs(windows * WINDOW_S));
    fleet.speed = (WINDOW_S * 1_000 / WINDOW_MS) as f64;
    fleet.retry_min = Duration::from_millis(200);
    fleet.retry_max = Duration::from_secs(1);
    settings
}
