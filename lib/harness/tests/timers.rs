//! Nothing on a healthy path waits for a timer: the whole of it, over TCP, while time stands still.
//!
//! What a service gathers on purpose (`analytics.commit_min_delay`) is set to nothing. Whatever else would be waited for
//! — a retry, a question asked again, a tick — never comes, and the test with it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use service::clock::{Clock, SharedClock, SystemClock};
use service::mqtt::{self, Event, QoS};
use service::{Settings, Stop};
use tokio::sync::{mpsc, oneshot};
use wire::{Plan, Topics, UnixMillis, Unverified};

const METERS: u32 = 20;
const FEEDERS: u32 = 2;
const WINDOWS: u64 = 3;

/// Wall time, after which something is taken to wait for time that does not pass.
const LIMIT: Duration = Duration::from_secs(120);

/// Wall time that has passed a little further at every look: readings are due, and no timer is told.
struct Looks(AtomicU64);

impl Clock for Looks {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.fetch_add(10, Ordering::SeqCst))
    }
}

fn settings(state: &std::path::Path) -> Settings {
    let mut settings = Settings::defaults();
    settings.deployment.state_dir = state.to_owned();
    settings.operator.totals_file = state.join("totals.jsonl");
    settings.broker.listen = "127.0.0.1:0".parse().unwrap();
    settings.plan.min_meters = METERS / FEEDERS;
    settings.analytics.commit_min_delay = Duration::ZERO;
    settings.analytics.commit_max_delay = Duration::ZERO;
    let event = Duration::from_secs(WINDOWS * 4 * 3_600);
    settings.meter.meters = METERS;
    settings.meter.feeders = FEEDERS;
    settings.meter.duration = Some(event);
    // All of it is due within a millisecond.
    settings.meter.speed = event.as_secs_f64() * 1e3;
    settings
}

async fn until_analytics_is_in_the_plan(settings: &Settings, stop: Stop) {
    let topic = Topics::new(&settings.deployment.root).unwrap().plan();
    let plans = vec![(topic, QoS::AtLeastOnce)];
    let (_publisher, mut plans) = mqtt::connect(&settings.mqtt, "onlooker", plans, stop);
    while let Some(event) = plans.recv().await {
        let Event::Message(message) = event else {
            continue;
        };
        plans.ack(&message);
        let plan: Unverified<Plan> =
            wire::decode_shared(&message.payload, settings.mqtt.max_packet_bytes).unwrap();
        if !plan.claimed().analytics.is_empty() {
            return;
        }
    }
}

/// From the first reading to the operator's receipt for the last sum.
#[tokio::test]
async fn readings_become_settled_sums_while_time_stands_still() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = settings(state.path());
    let (_stop, stopped) = Stop::manual();
    let (ready, address) = oneshot::channel();
    let broker = (settings.clone(), stopped.clone());
    tokio::spawn(async move { broker::run(&broker.0, broker.1, ready).await });
    settings.mqtt.address = address.await.unwrap().to_string();
    let settings = Arc::new(settings);
    let clock: SharedClock = Arc::new(Looks(AtomicU64::new(SystemClock.now().0)));

    let ((operator, mut released), (analytics, mut summed), (meter, mut read)) = (
        mpsc::unbounded_channel(),
        mpsc::unbounded_channel(),
        mpsc::unbounded_channel(),
    );
    let (of, at, stop) = (settings.clone(), clock.clone(), stopped.clone());
    tokio::spawn(async move { operator::run(&of, at, stop, Some(operator)).await });
    let (of, at, stop) = (settings.clone(), clock.clone(), stopped.clone());
    tokio::spawn(async move { analytics::run(&of, at, stop, Some(analytics)).await });
    let (of, at, stop) = (settings.clone(), clock.clone(), stopped.clone());
    let fleet = tokio::spawn(async move { meter::run(&of, at, stop, Some(meter)).await });

    // Enrolment gathers requests, so it may take its time.
    let started = async { while !matches!(read.recv().await, Some(meter::Event::Started(_))) {} };
    tokio::join!(started, until_analytics_is_in_the_plan(&settings, stopped));
    // Paused time runs ahead whenever nothing else does, but not while a blocking task is under way.
    let (done, waiting) = std_mpsc::channel::<()>();
    let limit = tokio::task::spawn_blocking(move || waiting.recv_timeout(LIMIT));
    tokio::task::yield_now().await;
    tokio::time::pause();

    let whole_path = async {
        let sums = FEEDERS as usize * WINDOWS as usize;
        let (mut taken, mut settled) = (0, 0);
        while taken < sums || settled < sums {
            tokio::select! {
                Some(event) = released.recv() => taken += usize::from(matches!(event, operator::Event::Released(_))),
                Some(event) = summed.recv() => settled += usize::from(matches!(event, analytics::Event::Settled(_))),
            }
        }
        fleet.await.unwrap().unwrap()
    };
    let summary = tokio::select! {
        summary = whole_path => summary,
        _ = limit => panic!("something waits for time to pass"),
    };
    assert_eq!(
        (summary.folded, summary.duplicates),
        (u64::from(METERS) * WINDOWS, 0)
    );
    drop(done);
}
