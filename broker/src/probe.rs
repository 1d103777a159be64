//! A message through the router and back: the only way to know that it still routes.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use rumqttd::Notification;
use rumqttd::local::{LinkRx, LinkTx};
use service::telemetry::register;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Where the probe goes. Outside every deployment's root.
pub(crate) const TOPIC: &str = "cipherwatt-broker/probe";

/// The probe's client id.
pub(crate) const CLIENT: &str = "cipherwatt-broker-probe";

const EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);

const UP: &str = "cipherwatt_broker_up";
const FAILURES: &str = "cipherwatt_broker_probe_failures_total";
const ROUND_TRIP: &str = "cipherwatt_broker_probe_duration_seconds";

pub(crate) fn describe() {
    register::gauge(UP, "1 if the last message through the router came back");
    register::counter(
        FAILURES,
        "Messages through the router that did not come back in time",
    );
    register::histogram(ROUND_TRIP, "A message through the router and back");
}

/// A link to the router.
pub(crate) type Link = (LinkTx, LinkRx);

/// Probes until the router has ended.
pub(crate) async fn run((mut sender, mut receiver): Link) {
    let mut subscribed = sender.try_subscribe(TOPIC).is_ok();
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0_u64;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            // A late answer says nothing; that the router has ended does.
            late = come_back(&mut receiver) => match late {
                Ok(()) => continue,
                Err(Ended) => break,
            },
        }
        number += 1;
        // A full channel is a router that does not keep up, not one that has ended.
        subscribed = subscribed || sender.try_subscribe(TOPIC).is_ok();
        let started = Instant::now();
        let sent = subscribed && sender.try_publish(TOPIC, number.to_string()).is_ok();
        match timeout(PATIENCE, come_back(&mut receiver)).await {
            Ok(Ok(())) if sent => {
                gauge!(UP).set(1.0);
                histogram!(ROUND_TRIP).record(started.elapsed().as_secs_f64());
            }
            Ok(Err(Ended)) => break,
            Ok(Ok(())) | Err(_) => {
                gauge!(UP).set(0.0);
                counter!(FAILURES).increment(1);
                tracing::error!("a message through the router did not come back in time");
            }
        }
    }
    gauge!(UP).set(0.0);
}

struct Ended;

async fn come_back(receiver: &mut LinkRx) -> Result<(), Ended> {
    loop {
        match receiver.next().await {
            Ok(Some(Notification::Forward(_))) => return Ok(()),
            Ok(Some(Notification::Unschedule)) => receiver.wake().await.map_err(|_| Ended)?,
            Ok(_) => {}
            Err(_) => return Err(Ended),
        }
    }
}
