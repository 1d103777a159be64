//! Feeders that are behind: the outbox has no room for their windows, which wait at the source.

use std::collections::BTreeSet;
use std::sync::Arc;

use meter::Event;
use service::clock::MockClock;
use wire::{Status, UnixMillis, UnixSeconds, WindowStart};

use crate::gateway::Gateway;
use crate::world::{Books, WINDOW_S, World, windows};

#[tokio::test(flavor = "multi_thread")]
async fn a_feeder_that_nobody_adds_for_stops_no_other_and_its_readings_are_taken_later() {
    let mut world = World::start_owning(&["feeder-1"]).await;
    world.settings.meter.outbox_max_reports = 10;
    let gateway = Gateway::start(&world.settings);
    // Three of the five meters are on that feeder.
    let others = |books: &Books| books.taken.len() == 3 * 8;
    world.until("the other feeder is done", others).await;
    let stopped = gateway.end().await;
    // Two windows of two fit into its share of four. The receipts of the others may not be there yet.
    assert_eq!(stopped.reports, 3 * 8 + 4);
    assert!(stopped.unsettled >= 4, "{stopped:?}");

    let gateway = Gateway::start(&world.settings);
    world.change_plan();
    let resumed = gateway.ended().await;
    assert_eq!((resumed.resumed, resumed.reports), (stopped.unsettled, 12));
    assert_eq!(resumed.folded + resumed.duplicates, stopped.unsettled + 12);
    assert_eq!((resumed.lost, resumed.unsettled), (0, 0));
    world.check_taken(&windows(), 5);
    world.end().await;
}

/// A live fleet on a clock of its own, with room for two windows of each feeder. Nobody adds for the second feeder, which has
/// two of the five meters, until the plan changes.
struct Live {
    world: World,
    clock: Arc<MockClock>,
    first: u64,
}

impl Live {
    async fn start() -> Self {
        let mut world = World::start_owning(&["feeder-1"]).await;
        let meter = &mut world.settings.meter;
        meter.outbox_max_reports = 10;
        meter.speed = 1.0;
        meter.start = None;
        meter.duration = None;
        let first = windows()[0];
        Self {
            world,
            clock: MockClock::new(UnixMillis((first - 100) * 1000)),
            first,
        }
    }

    /// The time so many seconds after the first window began.
    fn at(&self, seconds: u64) -> UnixSeconds {
        UnixSeconds(self.first + seconds)
    }

    fn window(&self, number: u64) -> u64 {
        self.at(number * WINDOW_S).0
    }

    /// A gateway that goes on, or begins, at `begins`.
    async fn gateway(&self, begins: UnixSeconds) -> Gateway {
        let mut gateway = Gateway::start_at(&self.world.settings, self.clock.clone());
        gateway.until(Event::Started(begins)).await;
        gateway
    }

    /// Runs the first gateway until half of the fifth window: the second feeder is behind with the third and fourth then.
    ///
    /// The first feeder's reports are taken window by window. All at once would fill its outbox too for a moment, and a live
    /// run then passes over what it has no room for.
    async fn fall_behind(&self) -> Gateway {
        let gateway = self.gateway(self.at(0)).await;
        for window in 1..=4 {
            self.pass(window as u64 * WINDOW_S);
            self.until_taken(3 * window).await;
        }
        self.fall_half(gateway).await
    }

    /// The same where nobody answers: both feeders are full after two windows.
    async fn fall_behind_unanswered(&self) -> Gateway {
        self.world.answer(|_, _| None);
        let gateway = self.gateway(self.at(0)).await;
        self.fall_half(gateway).await
    }

    async fn fall_half(&self, mut gateway: Gateway) -> Gateway {
        self.pass(4 * WINDOW_S + 1_800);
        let half = Event::Interval(self.at(4 * WINDOW_S + 900));
        gateway.until(half).await;
        gateway
    }

    fn pass(&self, seconds: u64) {
        self.clock.set(UnixMillis(self.at(seconds).0 * 1000 + 17));
    }

    async fn until_taken(&self, reports: usize) {
        let taken = |books: &Books| books.taken.len() == reports;
        self.world.until("that many reports are taken", taken).await;
    }

    /// Every meter's report of just these windows is taken once, and each states so many missing intervals.
    fn check_missing(&self, windows: &[(u64, u16)]) {
        for (window, missing) in windows {
            let books = self.world.books();
            let taken = books.taken.values();
            let of_window = taken.filter(|arrival| arrival.window == self.window(*window));
            let stated: BTreeSet<_> = of_window.map(|arrival| arrival.missing()).collect();
            assert_eq!(stated, BTreeSet::from([*missing]), "{window}");
        }
        let windows: Vec<_> = windows
            .iter()
            .map(|(window, _)| self.window(*window))
            .collect();
        self.world.check_taken(&windows, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_catches_up_in_the_middle_of_a_window_which_is_kept() {
    let live = Live::start().await;
    let gateway = live.fall_behind().await;
    live.world.change_plan();
    // The clock stands still.
    live.until_taken(4 * 5).await;
    gateway.end().await;
    let mut gateway = live.gateway(live.at(4 * WINDOW_S + 1_800)).await;
    live.pass(5 * WINDOW_S);
    let fifth = Event::Window(WindowStart(live.window(4)));
    gateway.until(fifth).await;
    live.until_taken(5 * 5).await;
    gateway.end().await;
    live.check_missing(&[(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]);
    live.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_intervals_that_passed_while_it_was_down_are_missing_for_a_feeder_that_is_behind() {
    let live = Live::start().await;
    live.fall_behind().await.end().await;
    // Down for half of the fifth window, two whole ones, and a quarter of the eighth.
    live.pass(7 * WINDOW_S + 900);
    let mut gateway = live.gateway(live.at(4 * WINDOW_S + 1_800)).await;
    live.pass(8 * WINDOW_S);
    let eighth = Event::Window(WindowStart(live.window(7)));
    gateway.until(eighth).await;
    live.world.change_plan();
    live.until_taken(6 * 5).await;
    gateway.end().await;
    live.check_missing(&[(0, 0), (1, 0), (2, 0), (3, 0), (4, 2), (7, 1)]);
    live.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_gateway_that_is_up_with_a_full_outbox_reads_that_time_after_a_restart() {
    let live = Live::start().await;
    live.fall_behind_unanswered().await.end().await;
    live.pass(7 * WINDOW_S + 900);
    let gateway = live.gateway(live.at(4 * WINDOW_S + 1_800)).await;
    live.world.answer(|_, _| Some(Status::Folded));
    live.world.change_plan();
    live.until_taken(5 * 5).await;
    // It is stopped again while the eighth window passes, and is not down in between.
    gateway.end().await;
    let mut gateway = live.gateway(live.at(7 * WINDOW_S + 900)).await;
    live.pass(8 * WINDOW_S);
    let eighth = Event::Window(WindowStart(live.window(7)));
    gateway.until(eighth).await;
    live.until_taken(6 * 5).await;
    gateway.end().await;
    live.check_missing(&[(0, 0), (1, 0), (2, 0), (3, 0), (4, 2), (7, 1)]);
    live.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_reads_what_all_feeders_of_the_last_one_were_behind_with() {
    let mut live = Live::start().await;
    live.fall_behind_unanswered().await.end().await;
    live.world.settings.meter.seed += 1;
    let gateway = live.gateway(live.at(5 * WINDOW_S)).await;
    live.world.answer(|_, _| Some(Status::Folded));
    live.world.change_plan();
    live.until_taken(5 * 5).await;
    gateway.end().await;
    live.check_missing(&[(0, 0), (1, 0), (2, 0), (3, 0), (4, 2)]);
    live.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_reads_what_feeders_of_the_last_one_were_behind_with() {
    let mut live = Live::start().await;
    live.fall_behind().await.end().await;
    live.world.settings.meter.seed += 1;
    let gateway = live.gateway(live.at(5 * WINDOW_S)).await;
    live.world.change_plan();
    // What the last run had of the fifth window is reported, too.
    live.until_taken(5 * 5).await;
    assert_eq!(gateway.end().await.missing, 5 * 2);
    live.world.check_taken(&windows()[..5], 5);
    live.world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_that_waited_for_a_meter_that_is_gone_are_counted_as_missing() {
    let mut live = Live::start().await;
    live.fall_behind().await.end().await;
    // The fourth meter is gone: it was on the second feeder. So is the fifth, which was not.
    live.world.settings.meter.meters = 3;
    let gateway = live.gateway(live.at(5 * WINDOW_S)).await;
    live.world.change_plan();
    live.until_taken(5 * 5 - 2).await;
    // Half of a window of five meters, and two windows of one.
    assert_eq!(gateway.end().await.missing, 5 * 2 + 2 * 4);
    live.world.end().await;
}
