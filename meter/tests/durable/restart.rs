//! Gateways in this process, stopped and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meter::{Event, Readings};
use readings::{Replay, ReplayOptions};
use service::Stop;
use service::clock::SystemClock;
use wire::{Digest, PlanVersion, Reason, Status, UnixSeconds};

use crate::gateway::Gateway;
use crate::world::{Books, LIMIT, WINDOW_S, World, windows};

fn digests(world: &World) -> BTreeMap<(String, u64), BTreeSet<(Digest, Digest)>> {
    let mut digests: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for arrival in &world.books().arrivals {
        let slot = (arrival.meter.to_string(), arrival.window);
        let sent = (arrival.digest, arrival.envelope);
        digests.entry(slot).or_default().insert(sent);
    }
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_waits_and_a_restart_sends_the_same_bytes() {
    let mut world = World::start().await;
    world.settings.meter.max_unreceipted = 7;
    world.settings.meter.outbox_max_reports = 12;
    world.answer(|_, _| None);
    let gateway = Gateway::start(&world.settings);
    world
        .until("seven reports are sent, some of them twice", |books| {
            books.taken.len() == 7 && books.arrivals.len() > 10
        })
        .await;
    let stopped = gateway.end().await;
    // Two windows of five fit into twelve, and a third does not.
    assert_eq!(
        (stopped.reports, stopped.unsettled, stopped.folded),
        (10, 10, 0)
    );

    world.answer(|_, _| Some(Status::Folded));
    let resumed = Gateway::start(&world.settings).ended().await;
    assert_eq!((resumed.resumed, resumed.reports), (10, 30));
    assert_eq!((resumed.folded + resumed.duplicates, resumed.lost), (40, 0));
    assert!(resumed.duplicates >= 7, "{resumed:?}");
    assert_eq!(resumed.sealed.1, 33, "what was sealed is not sealed again");
    world.check_taken(&windows(), 5);
    assert!(digests(&world).values().all(|sent| sent.len() == 1));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_refused_for_its_plan_is_sealed_again_and_survives_a_stop() {
    let world = World::start().await;
    let old = Status::Rejected(Reason::OutdatedConfig);
    world.answer(move |arrival, _| (arrival.plan_version < PlanVersion(2)).then_some(old));
    let gateway = Gateway::start(&world.settings);
    let resent = |books: &Books| books.arrivals.len() > 60 && books.taken.is_empty();
    world
        .until("all of it is refused and sent again", resent)
        .await;
    assert!(
        digests(&world).values().all(|sent| sent.len() == 1),
        "no newer plan, no other bytes"
    );
    world.change_plan();
    // Without receipts few are under way.
    let newer = |books: &Books| !books.taken.is_empty();
    world.until("some of it is sealed again", newer).await;
    gateway.end().await;
    world.answer(move |arrival, _| {
        let outdated = arrival.plan_version < PlanVersion(2);
        Some(if outdated { old } else { Status::Folded })
    });
    let resumed = Gateway::start(&world.settings).ended().await;
    assert_eq!((resumed.lost, resumed.unsettled), (0, 0));
    world.check_taken(&windows(), 5);
    // What was entered for the first plan is in the steps of the second.
    let taken = world.books().taken.clone();
    let mut energies = taken.values().flat_map(|taken| &taken.totals.energy_wh);
    assert!(energies.all(|wh| wh % 4 == 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_over_reports_nothing_twice() {
    let mut world = World::start().await;
    let first = Gateway::start(&world.settings).ended().await;
    assert_eq!((first.reports, first.folded), (40, 40));
    let arrivals = world.books().arrivals.len();
    let again = Gateway::start(&world.settings).ended().await;
    assert_eq!((again.reports, again.resumed), (0, 0));
    assert_eq!(world.books().arrivals.len(), arrivals);

    // Another run that overlaps the first one: what is new of it is reported.
    world.settings.meter.duration = Some(Duration::from_secs(10 * WINDOW_S));
    let mut longer = Gateway::start(&world.settings);
    let next = windows()[7] + WINDOW_S;
    longer.until(Event::Started(UnixSeconds(next))).await;
    assert_eq!(longer.ended().await.reports, 10);
    let mut all = windows();
    all.extend([next, next + WINDOW_S]);
    world.check_taken(&all, 5);

    // With a meter more, its windows are all new.
    world.settings.meter.meters = 6;
    let wider = Gateway::start(&world.settings).ended().await;
    assert_eq!((wider.reports, wider.already_reported), (10, 50));
    world.check_taken(&all, 6);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_meters_that_are_gone_or_moved_are_sent_all_the_same() {
    let mut world = World::start().await;
    world.answer(|_, _| None);
    let mut gateway = Gateway::start(&world.settings);
    gateway.until(Event::Ended).await;
    world
        .until("some arrived", |books| !books.taken.is_empty())
        .await;
    assert_eq!(gateway.end().await.unsettled, 40);
    // Fewer meters, and meter 3 is on feeder 3 now.
    (world.settings.meter.meters, world.settings.meter.feeders) = (3, 3);
    world.answer(|_, _| Some(Status::Folded));
    let resumed = Gateway::start(&world.settings).ended().await;
    assert_eq!(
        (resumed.resumed, resumed.lost, resumed.unsettled),
        (40, 0, 0)
    );
    world.check_taken(&windows(), 5);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_and_a_second_process_are_refused() {
    let world = World::start().await;
    world.answer(|_, _| None);
    let mut gateway = Gateway::start(&world.settings);
    gateway.until(Event::Ended).await;
    let (_handle, stop) = Stop::manual();
    let second = meter::run(&world.settings, SystemClock::shared(), stop, None).await;
    assert!(second.unwrap_err().to_string().contains("another gateway"));
    gateway.end().await;
    let journal = world
        .settings
        .deployment
        .state_dir
        .join("gateway-1/outbox.redb");
    std::fs::write(&journal, b"").unwrap();
    let (_handle, stop) = Stop::manual();
    let refused = meter::run(&world.settings, SystemClock::shared(), stop, None).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("is damaged") && refused.contains("outbox.redb"),
        "{refused}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_ones_own_runs_in_a_gateway_and_goes_on_after_a_restart() {
    let world = World::start().await;
    let first = 1_700_002_800;
    let readings = || {
        let options = ReplayOptions {
            start: UnixSeconds(first),
            ..ReplayOptions::default()
        };
        let rows = (0..8).map(|quarter| format!("{},0.1,0.2\n", f64::from(quarter) / 4.0));
        let csv = "hour,home-1,home-2\n".to_owned() + &rows.collect::<String>();
        let source = Replay::from_reader(csv.as_bytes(), "own".as_ref(), &options).unwrap();
        Readings::new(source, "two homes")
    };
    let run = || async {
        let (_handle, stop) = Stop::manual();
        let clock = SystemClock::shared();
        let running = meter::run_on(&world.settings, readings(), clock, stop, None);
        tokio::time::timeout(LIMIT, running).await.unwrap().unwrap()
    };
    assert_eq!(run().await.reports, 4);
    assert_eq!(run().await.reports, 0, "both windows have been reported");
    let windows: BTreeSet<u64> = world
        .books()
        .taken
        .keys()
        .map(|(_, window)| *window)
        .collect();
    assert_eq!(windows, BTreeSet::from([first, first + WINDOW_S]));
    assert_eq!(world.books().taken.len(), 4);
    world.end().await;
}

/// The peer enrols whatever asks, as an operator does not; a meter that has grown since it was enrolled reads as much.
#[tokio::test(flavor = "multi_thread")]
async fn a_meter_beyond_its_feeders_reference_is_left_out_and_the_others_go_on() {
    let world = World::start().await;
    let readings = || {
        let options = ReplayOptions {
            start: UnixSeconds(1_700_002_800),
            ..ReplayOptions::default()
        };
        let rows = (0..8).map(|quarter| format!("{},0.1,2000\n", f64::from(quarter) / 4.0));
        let csv = "hour,home-1,home-2\n".to_owned() + &rows.collect::<String>();
        let source = Replay::from_reader(csv.as_bytes(), "own".as_ref(), &options).unwrap();
        Readings::new(source, "a home and a factory")
    };
    let run = || async {
        let (_handle, stop) = Stop::manual();
        let clock = SystemClock::shared();
        let running = meter::run_on(&world.settings, readings(), clock, stop, None);
        tokio::time::timeout(LIMIT, running).await.unwrap().unwrap()
    };
    let summary = run().await;
    assert_eq!((summary.reports, summary.folded, summary.lost), (4, 2, 2));
    let taken = world.books().taken.len();
    assert_eq!((taken, summary.unsettled), (2, 0));
    // Nothing of it waits in the journal.
    assert_eq!(run().await.resumed, 0);
    world.end().await;
}
