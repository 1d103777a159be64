//! Rules about a single setting that its type cannot express. Each names its key; rules about two are in `conflicts`.

mod broker;
mod evaluator;
mod holders;
mod operator;
mod plan;
mod postgres;
mod publish;

use std::time::Duration;

use wire::MeterId;

use super::{Analytics, Settings};

/// Seconds in a day.
pub(super) const DAY: u64 = 86_400;

/// A value that breaks a rule.
pub(super) struct Wrong {
    pub key: &'static str,
    pub problem: String,
}

type Check = Result<(), Wrong>;

pub(super) fn check(settings: &Settings) -> Check {
    deployment(settings)?;
    mqtt(settings)?;
    plan::plan(&settings.plan)?;
    plan::tariff(&settings.plan)?;
    plan::release(&settings.release)?;
    publish::publish(&settings.publish)?;
    broker::broker(&settings.broker)?;
    operator::operator(&settings.operator)?;
    analytics(settings)?;
    evaluator::evaluator(settings)?;
    holders::holders(settings)?;
    meter(settings)
}

fn deployment(settings: &Settings) -> Check {
    let deployment = &settings.deployment;
    let root = &deployment.root;
    let bad_root = root.is_empty()
        || root.split('/').any(str::is_empty)
        || !root
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte));
    require("deployment.root", !bad_root, || {
        "expected letters, digits, `-`, `_`, `.` and single slashes in between".to_owned()
    })?;
    require(
        "deployment.state_dir",
        !deployment.state_dir.as_os_str().is_empty(),
        || "a folder is needed".to_owned(),
    )
}

fn mqtt(settings: &Settings) -> Check {
    let mqtt = &settings.mqtt;
    let wrong = |problem| Wrong {
        key: "mqtt.address",
        problem,
    };
    let endpoints = mqtt.endpoints().map_err(wrong)?;
    let encrypted = endpoints.iter().filter(|endpoint| endpoint.tls).count();
    require(
        "mqtt.address",
        encrypted == 0 || encrypted == endpoints.len(),
        || {
            "some with TLS and some without: whoever blocks the former would get the password and the traffic in the clear, \
             so write mqtts:// before all of them, or before none"
                .to_owned()
        },
    )?;
    let seconds = mqtt.keep_alive.as_secs();
    let whole = mqtt.keep_alive.subsec_nanos() == 0;
    require(
        "mqtt.keep_alive",
        whole && (1..=64_800).contains(&seconds),
        || "expected whole seconds between 1s and 18h".to_owned(),
    )?;
    packet_size("mqtt.max_packet_bytes", mqtt.max_packet_bytes)?;
    range("mqtt.in_flight", mqtt.in_flight, 1, 100)?;
    positive("mqtt.backoff_min", mqtt.backoff_min)
}

fn analytics(settings: &Settings) -> Check {
    let analytics = &settings.analytics;
    range(
        "analytics.min_meters_floor",
        analytics.min_meters_floor,
        2,
        u32::MAX,
    )?;
    positive("analytics.idle_limit", analytics.idle_limit)?;
    positive("analytics.retention", analytics.retention)?;
    positive("analytics.lease_ttl", analytics.lease_ttl)?;
    positive("analytics.lease_renew", analytics.lease_renew)?;
    positive("analytics.release_retry", analytics.release_retry)?;
    require(
        "analytics.store_file",
        analytics.store_file.file_name().is_some(),
        || "expected the name of a file".to_owned(),
    )?;
    postgres::postgres(&analytics.postgres)?;
    analytics_limits(analytics)
}

fn analytics_limits(analytics: &Analytics) -> Check {
    range(
        "analytics.verify_threads",
        analytics.verify_threads,
        0,
        1_024,
    )?;
    range(
        "analytics.queue_max_reports",
        analytics.queue_max_reports,
        1,
        1_000_000,
    )?;
    // One message more than the limit is taken, so any limit lets every message in.
    range(
        "analytics.queue_max_bytes",
        analytics.queue_max_bytes,
        1,
        usize::MAX,
    )?;
    range(
        "analytics.commit_max_reports",
        analytics.commit_max_reports,
        1,
        65_536,
    )?;
    range(
        "analytics.max_open_windows",
        analytics.max_open_windows,
        1,
        usize::MAX,
    )?;
    range(
        "analytics.max_small_sums_per_meter",
        analytics.max_small_sums_per_meter,
        1,
        usize::MAX,
    )?;
    range(
        "analytics.max_feeders",
        analytics.max_feeders,
        1,
        usize::MAX,
    )?;
    range(
        "analytics.receipt_max_entries",
        analytics.receipt_max_entries,
        1,
        wire::MAX_RECEIPT_ENTRIES,
    )
}

fn meter(settings: &Settings) -> Check {
    let meter = &settings.meter;
    range(
        "meter.min_meters_floor",
        meter.min_meters_floor,
        2,
        u32::MAX,
    )?;
    range("meter.meters", meter.meters, 1, 10_000_000)?;
    range("meter.feeders", meter.feeders, 1, 10_000_000)?;
    require(
        "meter.speed",
        meter.speed.is_finite() && meter.speed > 0.0,
        || "expected a number above 0".to_owned(),
    )?;
    if let Some(duration) = meter.duration {
        positive("meter.duration", duration)?;
    }
    require(
        "meter.billing",
        meter
            .billing
            .iter()
            .all(|id| MeterId::try_from(id.as_str()).is_ok()),
        || "expected ids of meters, or \"all\"".to_owned(),
    )?;
    require("meter.time_zone", !meter.time_zone.is_empty(), || {
        "expected an IANA name such as UTC or Europe/Lisbon".to_owned()
    })?;
    range("meter.seal_threads", meter.seal_threads, 0, 1_024)?;
    range(
        "meter.outbox_max_reports",
        meter.outbox_max_reports,
        1,
        usize::MAX,
    )?;
    positive("meter.retry_min", meter.retry_min)?;
    range(
        "meter.max_unreceipted",
        meter.max_unreceipted,
        1,
        usize::MAX,
    )?;
    range(
        "meter.max_unreceipted_bytes",
        meter.max_unreceipted_bytes,
        1,
        usize::MAX,
    )?;
    positive("meter.receipt_delay_target", meter.receipt_delay_target)?;
    if !meter.feed.address.is_empty() {
        let feed = meter.feed.mqtt(&settings.mqtt);
        feed.endpoints().map_err(|problem| Wrong {
            key: "meter.feed.address",
            problem,
        })?;
    }
    mix(settings)
}

fn mix(settings: &Settings) -> Check {
    let mix = &settings.meter.mix;
    for (key, share) in [
        ("meter.mix.household", mix.household),
        ("meter.mix.business", mix.business),
        ("meter.mix.solar", mix.solar),
    ] {
        require(key, share.is_finite() && share >= 0.0, || {
            "expected a number of at least 0".to_owned()
        })?;
    }
    Ok(())
}

fn require(key: &'static str, holds: bool, problem: impl FnOnce() -> String) -> Check {
    if holds {
        return Ok(());
    }
    let problem = problem();
    Err(Wrong { key, problem })
}

fn range<T: PartialOrd + std::fmt::Display>(key: &'static str, value: T, low: T, high: T) -> Check {
    require(key, value >= low && value <= high, || {
        format!("expected a number between {low} and {high}")
    })
}

fn positive(key: &'static str, value: Duration) -> Check {
    require(key, !value.is_zero(), || {
        "expected a duration above zero".to_owned()
    })
}

/// The upper limit is that of MQTT's remaining length.
fn packet_size(key: &'static str, bytes: usize) -> Check {
    range(key, bytes, 1_024, 268_435_455)
}
