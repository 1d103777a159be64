//! Nothing on a healthy path waits for a timer: the whole of it, over TCP, while time stands still.
//!
//! What a service gathers on purpose (`analytics.commit_min_delay`) is set to nothing. Whatever else would be waited for
//! — a retry, a question asked again, a tick — never comes, and the test with it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use harness::network::Network;
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::watch::Seen;
use meter::Summary;
use operator::stored_plan;
use service::clock::{Clock, SystemClock};
use service::{Settings, Stop};
use wire::{Topics, UnixMillis};

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

fn settings() -> Settings {
    let mut settings = Settings::defaults();
    settings.set_min_meters(METERS / FEEDERS);
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

/// What has happened so far.
#[derive(Default)]
struct Progress {
    started: bool,
    taken: usize,
    settled: usize,
    summary: Option<Summary>,
}

impl Progress {
    async fn until(&mut self, stack: &mut Stack, holds: impl Fn(&Self, &Settings) -> bool) {
        let (_keep, stop) = Stop::manual();
        while !holds(self, stack.settings()) {
            match stack.next(&stop).await.unwrap() {
                Next::FleetEnded(summary) => self.summary = Some(summary),
                Next::Seen(Seen::Meter(meter::Event::Started(_))) => self.started = true,
                Next::Seen(Seen::Operator(operator::Event::Released(_))) => self.taken += 1,
                Next::Seen(Seen::Analytics(analytics::Event::Settled(_))) => self.settled += 1,
                Next::Seen(_) => {}
            }
        }
    }
}

fn analytics_is_in_the_plan(settings: &Settings) -> bool {
    let topic = Topics::new(&settings.deployment.root).unwrap().plan();
    let plan = stored_plan(&operator::folder(settings), &settings.deployment.id, &topic);
    plan.unwrap().is_some_and(|plan| !plan.analytics.is_empty())
}

/// From the first reading to the operator's receipt for the last sum.
#[tokio::test]
async fn readings_become_settled_sums_while_time_stands_still() {
    let state = tempfile::tempdir().unwrap();
    let on = On {
        clock: Arc::new(Looks(AtomicU64::new(SystemClock.now().0))),
        ..On::here()
    };
    let mut stack = Stack::services(&settings(), state.path(), &on)
        .await
        .unwrap();
    stack.add_fleet(Network::default()).await.unwrap();

    // Enrolment gathers requests, so it may take its time.
    let mut progress = Progress::default();
    let ready = |progress: &Progress, settings: &Settings| {
        progress.started && analytics_is_in_the_plan(settings)
    };
    progress.until(&mut stack, ready).await;
    // Paused time runs ahead whenever nothing else does, but not while a blocking task is under way.
    let (done, waiting) = std_mpsc::channel::<()>();
    let limit = tokio::task::spawn_blocking(move || waiting.recv_timeout(LIMIT));
    tokio::task::yield_now().await;
    tokio::time::pause();

    let sums = FEEDERS as usize * WINDOWS as usize;
    let whole_path = progress.until(&mut stack, |progress, _| {
        progress.taken >= sums && progress.settled >= sums && progress.summary.is_some()
    });
    tokio::select! {
        () = whole_path => {}
        _ = limit => panic!("something waits for time to pass"),
    };
    let summary = progress.summary.unwrap();
    assert_eq!(
        (summary.folded, summary.duplicates),
        (u64::from(METERS) * WINDOWS, 0)
    );
    drop(done);
}
