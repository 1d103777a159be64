//! How long a process takes from its death to useful work.

use std::net::SocketAddr;
use std::time::Duration;

use analytics::metrics as analytics;
use meter::metrics as meter;
use operator::metrics as operator;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::house::House;
use super::observer::Observer;
use super::probe::Metrics;
use super::process::State;
use super::serve::Role;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A life whose recovery was timed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Recovery {
    pub(crate) role: Role,
    /// Which of its lives did useful work again, from 1.
    pub(crate) life: u32,
    /// From the kill to useful work.
    #[serde(rename = "took_ms", serialize_with = "milliseconds")]
    pub(crate) took: Duration,
}

fn milliseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64() * 1e3)
}

/// Tells from outside whether a process does useful work:
///
/// * the broker has relayed a message to the subscriber,
/// * the operator has taken a release or answered one it had,
/// * analytics has folded a report or recognised one, or has a share of a pool's feeders,
/// * the gateway has been given a receipt that settled a report, and the live one has answered a line.
///
/// Metrics count from 0 in every life.
pub(crate) struct Probe {
    pub(crate) role: Role,
    pub(crate) address: SocketAddr,
    pub(crate) observer: Observer,
    pub(crate) house: Option<House>,
}

impl Probe {
    async fn is_useful(&self, since: Instant) -> bool {
        let metrics: &[&str] = match self.role {
            Role::Broker => {
                let last = self.observer.seen().last_message;
                return last.is_some_and(|last| last > since);
            }
            Role::Operator => &[operator::TAKEN, operator::DUPLICATE],
            // Of a pool, a process may have shards without a feeder.
            Role::Analytics | Role::SecondAnalytics | Role::ThirdAnalytics => &[
                analytics::FOLDED,
                analytics::DUPLICATE,
                analytics::shards::SHARDS,
            ],
            Role::FirstHolder
            | Role::SecondHolder
            | Role::ThirdHolder
            | Role::FourthHolder
            | Role::FifthHolder => &[holder::metrics::ASKED],
            Role::Meter => &[meter::SETTLED],
            Role::Live => {
                // Once every line is answered, it has no more to do than to send what it has.
                let sent = self.house.as_ref().map(|house| house.sent());
                return sent.is_some_and(|sent| {
                    sent.is_over || sent.last_answer.is_some_and(|last| last > since)
                });
            }
        };
        let scrape = Metrics::scrape(self.address).await;
        scrape.is_some_and(|scrape| metrics.iter().any(|metric| scrape.sum(metric) > 0.0))
    }
}

/// Times how long each life takes from the death before it to useful work. A life that ends before counts on to the next.
pub(crate) async fn time(
    probe: Probe,
    mut state: watch::Receiver<State>,
    working: watch::Sender<u32>,
    recoveries: mpsc::UnboundedSender<Recovery>,
) {
    let mut life = 0;
    let mut down = None::<Instant>;
    loop {
        let (since, over) = {
            let Ok(now) = state
                .wait_for(|state| state.life > life || state.over)
                .await
            else {
                return;
            };
            let before = now.death_of(life).map(|death| death.at);
            life = now.life;
            down = down.or(before);
            (now.since, now.over)
        };
        if over {
            working.send_replace(u32::MAX);
            return;
        }
        let Some(since) = since else { continue };
        let alive = |state: &State| state.life == life && state.death_of(life).is_none();
        while alive(&state.borrow()) {
            if probe.is_useful(since).await && alive(&state.borrow()) {
                if let Some(down) = down.take() {
                    let _ = recoveries.send(Recovery {
                        role: probe.role,
                        life,
                        took: down.elapsed(),
                    });
                }
                working.send_replace(life);
                break;
            }
            sleep(LOOK).await;
        }
    }
}
