//! Pairs of settings that contradict each other, all in one place.
//!
//! One of the two would be ignored without a word, so no process starts with such a pair, whichever layers they came from.
//! A rule about a setting that only matters with another one looks at whether it was *given*: whether it differs from the
//! default.

mod access;
mod holders;
mod live;
mod mqtt;
mod plan;
mod postgres;
mod publish;
mod readings;

use std::net::SocketAddr;

use super::{Enrolment, Mode, Settings, StoreKind};

/// Settings that contradict each other.
#[derive(Debug)]
pub(super) struct Conflict {
    /// The key whose value would not be used.
    pub first: &'static str,
    /// The key that it contradicts.
    pub second: &'static str,
    /// What to do.
    pub mend: String,
}

/// The first conflict of `settings`; `given` says whether the value of a key differs from its default.
pub(super) fn find(settings: &Settings, given: impl Fn(&str) -> bool) -> Option<Conflict> {
    deployment(settings)
        .into_iter()
        .chain(access::find(settings))
        .chain(scraped(settings))
        .chain(listeners(settings))
        .chain(decrypted(settings))
        .chain(sizes(settings, &given))
        .chain(mqtt::login(&settings.mqtt))
        .chain(mqtt::login(&settings.meter.feed.mqtt(&settings.mqtt)))
        .chain([plan::supplements(settings)])
        .chain(plan::plans(settings))
        .chain(analytics(settings))
        .chain(publish::find(settings))
        .chain(holders::find(settings))
        .chain(readings::find(settings, &given))
        .chain(live::find(settings, &given))
        .chain(postgres::find(settings, &given))
        .flatten()
        .next()
}

/// `first` cannot be together with `second` where `wrong`.
fn pair(
    wrong: bool,
    first: &'static str,
    second: &'static str,
    mend: impl Into<String>,
) -> Option<Conflict> {
    wrong.then(|| Conflict {
        first,
        second,
        mend: mend.into(),
    })
}

/// Who is trusted, and who can reach what.
fn deployment(settings: &Settings) -> [Option<Conflict>; 5] {
    let deployment = &settings.deployment;
    let production = deployment.mode == Mode::Production;
    let automatic = settings.operator.enrolment == Enrolment::Automatic;
    let manual = "set operator.enrolment = \"manual\"";
    let keys = deployment.operator_folder();
    [
        pair(
            production && deployment.operator_key.is_none(),
            "deployment.mode",
            "deployment.operator_key",
            "in production the operator's key must be given: `operator init` makes it and sets this, and signing.pub in the \
             operator's state folder has it",
        ),
        pair(
            automatic && production,
            "operator.enrolment",
            "deployment.mode",
            format!("automatic enrolment is for development only; {manual}"),
        ),
        pair(
            automatic && !settings.mqtt.is_loopback(),
            "operator.enrolment",
            "mqtt.address",
            format!("automatic enrolment needs a broker on loopback; {manual}"),
        ),
        pair(
            automatic && !settings.broker.listen.ip().is_loopback(),
            "operator.enrolment",
            "broker.listen",
            format!(
                "anybody who can reach the broker would be enrolled; {manual}, or listen on loopback"
            ),
        ),
        pair(
            settings.operator.credentials_dir.as_ref() == Some(&keys),
            "operator.credentials_dir",
            "deployment.state_dir",
            "keys are written to the operator's state folder and only read from this one; name another",
        ),
    ]
}

fn remote(listen: SocketAddr) -> bool {
    !listen.ip().is_loopback()
}

/// Metrics that leave the machine, which has to be allowed.
fn scraped(settings: &Settings) -> [Option<Conflict>; 6] {
    let at = |listen: Option<SocketAddr>, key| {
        pair(
            listen.is_some_and(remote) && !settings.metrics.remote,
            key,
            "metrics.remote",
            "metrics have no login: choose an address on loopback, or set metrics.remote = true",
        )
    };
    [
        at(settings.broker.metrics_listen, "broker.metrics_listen"),
        at(settings.operator.metrics_listen, "operator.metrics_listen"),
        at(
            settings.analytics.metrics_listen,
            "analytics.metrics_listen",
        ),
        at(settings.meter.metrics_listen, "meter.metrics_listen"),
        at(
            settings.evaluator.metrics_listen,
            "evaluator.metrics_listen",
        ),
        at(settings.holder.metrics_listen, "holder.metrics_listen"),
    ]
}

/// Where processes listen.
fn listeners(settings: &Settings) -> [Option<Conflict>; 4] {
    let operator = &settings.operator;
    let same = |a: Option<SocketAddr>, b: Option<SocketAddr>| {
        a.is_some_and(|address| address.port() != 0) && a == b
    };
    let another = "choose another port for one of them";
    [
        pair(
            operator.live_listen.is_some_and(remote) && !operator.live_remote,
            "operator.live_listen",
            "operator.live_remote",
            "the page has no login: choose an address on loopback, such as 127.0.0.1:9470, or set \
             operator.live_remote = true",
        ),
        pair(
            operator.live_remote && !operator.live_listen.is_some_and(remote),
            "operator.live_remote",
            "operator.live_listen",
            "listen where others can reach it, such as 0.0.0.0:9470, or set operator.live_remote = false",
        ),
        pair(
            same(operator.live_listen, operator.metrics_listen),
            "operator.live_listen",
            "operator.metrics_listen",
            another,
        ),
        pair(
            same(Some(settings.broker.listen), settings.broker.metrics_listen),
            "broker.listen",
            "broker.metrics_listen",
            another,
        ),
    ]
}

/// Decrypted load that would be shown nowhere.
fn decrypted(settings: &Settings) -> [Option<Conflict>; 2] {
    let operator = &settings.operator;
    [
        pair(
            operator.live_load && operator.live_listen.is_none(),
            "operator.live_load",
            "operator.live_listen",
            "there is no page to show load on: give it an address, or set operator.live_load = false",
        ),
        pair(
            operator.export_load && operator.metrics_listen.is_none(),
            "operator.export_load",
            "operator.metrics_listen",
            "nobody could scrape it: give metrics an address, or set operator.export_load = false",
        ),
    ]
}

/// Bounds that do not fit each other.
fn sizes(settings: &Settings, given: impl Fn(&str) -> bool) -> [Option<Conflict>; 6] {
    let (mqtt, broker, meter) = (&settings.mqtt, &settings.broker, &settings.meter);
    let own_broker = mqtt.endpoints().is_ok_and(|all| {
        all.iter().any(|endpoint| {
            endpoint.host.parse() == Ok(broker.listen.ip()) && endpoint.port == broker.listen.port()
        })
    });
    [
        pair(
            mqtt.backoff_max < mqtt.backoff_min,
            "mqtt.backoff_max",
            "mqtt.backoff_min",
            "expected no less than `mqtt.backoff_min`",
        ),
        pair(
            own_broker && mqtt.max_packet_bytes > broker.max_payload_bytes,
            "mqtt.max_packet_bytes",
            "broker.max_payload_bytes",
            "the broker would refuse what its clients may send: give both the same value",
        ),
        plan::window(&settings.plan, given),
        plan::edges(&settings.plan),
        plan::shape(&settings.plan),
        pair(
            meter.retry_max < meter.retry_min,
            "meter.retry_max",
            "meter.retry_min",
            "expected no less than `meter.retry_min`",
        ),
    ]
}

/// Bounds of analytics that do not fit each other.
fn analytics(settings: &Settings) -> [Option<Conflict>; 7] {
    let analytics = &settings.analytics;
    [
        pair(
            analytics.commit_max_delay < analytics.commit_min_delay,
            "analytics.commit_max_delay",
            "analytics.commit_min_delay",
            "expected no less than `analytics.commit_min_delay`",
        ),
        pair(
            analytics.retention < analytics.grace,
            "analytics.retention",
            "analytics.grace",
            "reports would be too late for a window that is still open: expected no less than `analytics.grace`",
        ),
        pair(
            analytics.pool.is_some() && !analytics.feeders.is_empty(),
            "analytics.feeders",
            "analytics.pool",
            "the processes of a pool share all feeders that no other names: expected an empty list, or no pool",
        ),
        pair(
            analytics.pool.is_some() && analytics.store == StoreKind::File,
            "analytics.pool",
            "analytics.store",
            "the processes of a pool share one store, and a file is for one alone: set analytics.store = \"postgres\"",
        ),
        pair(
            analytics.lease_ttl < analytics.lease_renew.saturating_mul(3),
            "analytics.lease_renew",
            "analytics.lease_ttl",
            "a lease would end when one or two renewals are late: expected at most a third",
        ),
        pair(
            analytics.feeders.len() > analytics.max_feeders,
            "analytics.feeders",
            "analytics.max_feeders",
            "some of them could never have a window: raise analytics.max_feeders",
        ),
        pair(
            analytics.max_open_windows < analytics.max_feeders.saturating_mul(2),
            "analytics.max_open_windows",
            "analytics.max_feeders",
            "each feeder has room for windows of its own: expected at least twice as many",
        ),
    ]
}
