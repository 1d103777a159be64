//! Reports that are in sums: kept until the sums are released, and sent again if they fail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redb::{ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};
use wire::{Digest, Reason, SettlementOutcome, Status};

use crate::gateway::Gateway;
use crate::world::{Books, LIMIT, WINDOW_S, World, windows};

type Key = (u64, &'static str, &'static str);

/// How many reports a gateway that has ended left in its journal, and how many of them are kept.
fn left(world: &World) -> (u64, u64) {
    let path = world
        .settings
        .deployment
        .state_dir
        .join("gateway-1/outbox.redb");
    let journal = redb::Database::open(path).unwrap();
    let read = journal.begin_read().unwrap();
    let rows = |table| {
        let table: TableDefinition<Key, &[u8]> = TableDefinition::new(table);
        read.open_table(table).unwrap().len().unwrap()
    };
    (rows("sealed"), rows("kept"))
}

/// Every window but the last is answered, so that the gateway goes on.
fn answer_all_but_the_last(world: &World) {
    let last = windows()[7];
    world.answer(move |arrival, _| (arrival.window != last).then_some(Status::Folded));
}

/// How often each meter's report of a window arrived, and in how many versions.
fn arrivals(books: &Books, window: u64) -> BTreeMap<String, (usize, usize)> {
    let mut envelopes: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
    for arrival in books.arrivals.iter().filter(|one| one.window == window) {
        let of_meter = envelopes.entry(arrival.meter.to_string()).or_default();
        of_meter.push(arrival.envelope);
    }
    let versions = |all: &Vec<Digest>| all.iter().collect::<BTreeSet<_>>().len();
    let counts = envelopes.into_iter();
    counts
        .map(|(meter, all)| (meter, (all.len(), versions(&all))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reports_of_a_sum_that_failed_are_sent_again_as_they_were_also_after_a_restart() {
    let world = World::start().await;
    world.books().settle = None;
    answer_all_but_the_last(&world);
    let gateway = Gateway::start(&world.settings);
    world
        .until("all of it arrived", |books| books.taken.len() == 40)
        .await;
    gateway.end().await;

    let gateway = Gateway::start(&world.settings);
    let [first, last] = [windows()[0], windows()[7]];
    let sent = arrivals(&world.books(), last);
    world
        .until("it sends again what had no receipt", |books| {
            arrivals(books, last) != sent
        })
        .await;
    let before = arrivals(&world.books(), first);
    world.settle("feeder-1", first, SettlementOutcome::Wanted);
    let meters = [
        "gateway-1-meter-000001",
        "gateway-1-meter-000003",
        "gateway-1-meter-000005",
    ];
    let again = |books: &Books| {
        let now = arrivals(books, first);
        meters.iter().all(|meter| now[*meter].0 > before[*meter].0)
    };
    world.until("what is wanted is sent again", again).await;
    for window in windows() {
        let all = arrivals(&world.books(), window);
        assert!(all.values().all(|(_, versions)| *versions == 1), "{all:?}");
    }
    // The other feeder's are not wanted, nor is another window.
    let now = arrivals(&world.books(), first);
    let others = now
        .iter()
        .filter(|(meter, _)| !meters.contains(&meter.as_str()));
    assert!(
        others
            .into_iter()
            .all(|(meter, count)| before[meter] == *count)
    );

    world.answer(|_, _| Some(Status::Folded));
    world.books().settle = Some(SettlementOutcome::Released);
    for window in windows() {
        for feeder in ["feeder-1", "feeder-2"] {
            world.settle(feeder, window, SettlementOutcome::Released);
        }
    }
    let ended = gateway.ended().await;
    assert_eq!((ended.wanted, ended.lost, ended.unsettled), (3, 0, 0));
    // What was sent again is not counted twice.
    assert_eq!(ended.folded + ended.duplicates, ended.resumed);
    assert_eq!(left(&world), (0, 0));
    world.check_taken(&windows(), 5);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_without_settlements_and_keeps_as_much_as_it_may() {
    let mut world = World::start().await;
    world.books().settle = None;
    let ended = Gateway::start(&world.settings).ended().await;
    assert_eq!((ended.folded + ended.duplicates, ended.unsettled), (40, 0));
    assert_eq!(left(&world), (40, 40));

    // Reports of four readings have about 11 kB.
    world.settings.meter.keep_folded_bytes = 100_000;
    Gateway::start(&world.settings).ended().await;
    let (sealed, kept) = left(&world);
    assert_eq!(sealed, kept);
    assert!((7..=9).contains(&kept), "{kept}");

    world.settings.meter.keep_folded = Duration::ZERO;
    Gateway::start(&world.settings).ended().await;
    assert_eq!(left(&world), (0, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_that_is_refused_for_good_is_forgotten_as_one_that_is_released() {
    let world = World::start().await;
    world.books().settle = Some(SettlementOutcome::Refused);
    let ended = Gateway::start(&world.settings).ended().await;
    assert_eq!((ended.folded + ended.duplicates, ended.wanted), (40, 0));
    assert_eq!(left(&world), (0, 0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_is_read_back_as_there_is_room_for_it() {
    let mut world = World::start().await;
    world.books().settle = None;
    assert_eq!(Gateway::start(&world.settings).ended().await.folded, 40);
    // Each was received once, and the second time none is answered.
    world.settings.meter.max_unreceipted = 3;
    world.settings.meter.duration = Some(Duration::from_secs(9 * WINDOW_S));
    world.answer(|arrival, times| {
        (times == 0 || arrival.window > windows()[7]).then_some(Status::Folded)
    });
    let gateway = Gateway::start(&world.settings);
    world
        .until("another window is taken", |books| books.taken.len() == 45)
        .await;
    for window in windows() {
        world.settle("feeder-1", window, SettlementOutcome::Wanted);
    }
    let again = |books: &Books| books.arrivals.len() > 45 + 3;
    world.until("three are sent again and again", again).await;
    let stopped = gateway.end().await;
    assert_eq!((stopped.wanted, stopped.unsettled), (3, 3));
    assert_eq!(left(&world), (45, 42));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_whose_salt_is_taken_is_sealed_again_at_once_with_another() {
    let mut world = World::start().await;
    // Whoever waits with it waits for longer than this test.
    world.settings.meter.retry_min = 2 * LIMIT;
    world.settings.meter.retry_max = 2 * LIMIT;
    let mut refused = BTreeSet::new();
    world.answer(move |arrival, _| {
        let first = refused.insert((arrival.meter.clone(), arrival.window));
        Some(match first {
            true => Status::Rejected(Reason::SaltTaken),
            false => Status::Folded,
        })
    });
    let ended = Gateway::start(&world.settings).ended().await;
    assert_eq!((ended.lost, ended.unsettled), (0, 0));
    assert_eq!(ended.rejected[&Reason::SaltTaken], 40);
    world.check_taken(&windows(), 5);
    for window in windows() {
        let all = arrivals(&world.books(), window);
        assert!(all.values().all(|(_, versions)| *versions == 2), "{all:?}");
    }
    world.end().await;
}
