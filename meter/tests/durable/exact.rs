//! What arrives is what was read, to the last watt-hour, whatever happened in between.

use std::collections::BTreeMap;

use meter::{Event, Readings};
use readings::{MeterSpec, MicroWattHours, Reading, Replay, ReplayOptions, Source, SourceError};
use service::Stop;
use service::clock::SystemClock;
use tokio::sync::mpsc;
use wire::{Status, UnixSeconds, Watts};

use crate::world::{BATCH, INTERVAL_S, LIMIT, WINDOW_S, World};

const START: u64 = 1_700_002_800;
const WINDOWS: u64 = 6;

/// Two homes whose readings have more decimals than a watt-hour, with gaps and export. In each window the second has a reading
/// above the 400 W that it declares.
fn rows() -> Vec<[Option<i64>; 2]> {
    let intervals = WINDOWS as i64 * i64::from(BATCH);
    let first = |number: i64| (number % 7 != 3).then_some(31_333_333 + number * 1_234_567);
    let second = |number: i64| match number % 4 {
        0 => Some(99_999_999),
        1 => Some(-70_400_001),
        2 => Some(100_000_001),
        _ => Some(499_999),
    };
    (0..intervals)
        .map(|number| [first(number), second(number)])
        .collect()
}

const CAPACITIES_W: [u64; 2] = [1_000, 400];

/// What a meter's readings are in all, in millionths of a watt-hour.
fn exact(meter: usize) -> i64 {
    let limit = CAPACITIES_W[meter] as i64 * i64::from(INTERVAL_S) * 1_000_000 / 3_600;
    let clamped = |row: &[Option<i64>; 2]| row[meter].map(|energy| energy.clamp(-limit, limit));
    rows().iter().filter_map(clamped).sum()
}

/// The rule, said again: clamped, the rest of the one before added, rounded with halves away from zero.
fn expected(meter: usize) -> Vec<Option<i64>> {
    let limit = CAPACITIES_W[meter] as i64 * i64::from(INTERVAL_S) * 1_000_000 / 3_600;
    let mut rest = 0;
    let enter = |row: &[Option<i64>; 2]| {
        let exact = row[meter]?.clamp(-limit, limit) + rest;
        let wh = (exact.abs() + 500_000) / 1_000_000 * exact.signum();
        rest = exact - wh * 1_000_000;
        Some(wh)
    };
    rows().iter().map(enter).collect()
}

/// A replay of [`rows`] by meters of [`CAPACITIES_W`].
struct Homes {
    replay: Replay,
    meters: Vec<MeterSpec>,
}

impl Homes {
    fn new() -> Self {
        let field = |energy: &Option<i64>| match energy {
            Some(energy) => format!("{:.9}", *energy as f64 / 1e9),
            None => String::new(),
        };
        let line = |(number, [first, second]): (usize, &[Option<i64>; 2])| {
            let hour = number as f64 / 4.0;
            format!("{hour},{},{}\n", field(first), field(second))
        };
        let lines = rows().iter().enumerate().map(line).collect::<String>();
        let csv = "hour,home-1,home-2\n".to_owned() + &lines;
        let options = ReplayOptions {
            start: UnixSeconds(START),
            ..ReplayOptions::default()
        };
        let replay = Replay::from_reader(csv.as_bytes(), "own".as_ref(), &options).unwrap();
        let specs = replay.meters().iter().zip(CAPACITIES_W);
        let declared = |(spec, watts): (&MeterSpec, u64)| MeterSpec {
            id: spec.id.clone(),
            capacity_w: Watts(watts),
        };
        let meters = specs.map(declared).collect();
        Self { replay, meters }
    }
}

impl Source for Homes {
    fn meters(&self) -> &[MeterSpec] {
        &self.meters
    }

    fn interval_s(&self) -> u32 {
        self.replay.interval_s()
    }

    fn range(&self) -> (UnixSeconds, Option<UnixSeconds>) {
        self.replay.range()
    }

    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError> {
        self.replay.read(interval_start, interval_s, out)
    }
}

#[test]
fn the_source_gives_every_decimal() {
    let mut homes = Homes::new();
    let mut read = Vec::new();
    homes
        .read(UnixSeconds(START), INTERVAL_S, &mut read)
        .unwrap();
    let energies = [31_333_333, 99_999_999].map(|energy| Reading::Energy(MicroWattHours(energy)));
    assert_eq!(read, energies);
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_arrive_exactly_with_what_is_missing_and_clamped_across_restarts() {
    let mut world = World::start().await;
    // Room for one window: the others are read later, by other processes.
    world.settings.meter.outbox_max_reports = 2;
    world.settings.meter.duration = None;
    world.settings.meter.start = None;
    let start = || {
        let (stop, stopped) = Stop::manual();
        let settings = world.settings.clone();
        let readings = Readings::new(Homes::new(), "two homes");
        let clock = SystemClock::shared();
        let run = async move { meter::run_on(&settings, readings, clock, stopped, None).await };
        (stop, tokio::spawn(run))
    };
    for answered in [0, 1, 3] {
        let end = START + answered * WINDOW_S;
        world.answer(move |arrival, _| (arrival.window < end).then_some(Status::Folded));
        let (stop, running) = start();
        let taken = 2 * (answered as usize + 1);
        world
            .until("a window more is taken", |books| books.taken.len() == taken)
            .await;
        stop.stop();
        running.await.unwrap().unwrap();
    }
    world.answer(|_, _| Some(Status::Folded));
    let (_stop, running) = start();
    let ended = tokio::time::timeout(LIMIT, running).await.unwrap();
    assert_eq!(ended.unwrap().unwrap().lost, 0);

    let mut arrived: BTreeMap<String, Vec<Option<i64>>> = BTreeMap::new();
    let mut clamped = BTreeMap::new();
    for ((meter, _), arrival) in &world.books().taken {
        let totals = &arrival.totals;
        let readings = totals.energy_wh.iter().zip(&totals.present);
        let readings = readings.map(|(wh, present)| (*present == 1).then_some(*wh));
        let of_meter = arrived.entry(meter.to_string()).or_default();
        of_meter.extend(readings);
        *clamped.entry(meter.to_string()).or_insert(0) += totals.clamped;
    }
    assert_eq!(arrived["home-1"], expected(0));
    assert_eq!(arrived["home-2"], expected(1));
    assert_eq!((clamped["home-1"], clamped["home-2"]), (0, WINDOWS));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_that_are_rounded_again_to_a_coarser_quantum_add_up_all_the_same() {
    // Nobody adds for the meters' feeders before the plan changes.
    let mut world = World::start_owning(&["feeder-3"]).await;
    world.settings.meter.duration = None;
    world.settings.meter.start = None;
    let (_stop, stopped) = Stop::manual();
    let (observer, mut events) = mpsc::unbounded_channel();
    let settings = world.settings.clone();
    let readings = Readings::new(Homes::new(), "two homes");
    let clock = SystemClock::shared();
    let run =
        async move { meter::run_on(&settings, readings, clock, stopped, Some(observer)).await };
    let running = tokio::spawn(run);
    let taken = async { while events.recv().await.unwrap() != Event::Ended {} };
    tokio::time::timeout(LIMIT, taken).await.unwrap();
    world.change_plan();
    let ended = tokio::time::timeout(LIMIT, running).await.unwrap();
    assert_eq!(ended.unwrap().unwrap().lost, 0);

    for (number, meter) in ["home-1", "home-2"].iter().enumerate() {
        let books = world.books();
        let of_meter = books
            .taken
            .iter()
            .filter(|((id, _), _)| id.as_str() == *meter);
        let mut entered = 0;
        for wh in of_meter.flat_map(|(_, arrival)| &arrival.totals.energy_wh) {
            assert_eq!(wh % 4, 0);
            entered += wh;
        }
        let left = exact(number) - entered * 1_000_000;
        assert!(left.abs() <= 2_000_000, "{meter}: {left}");
    }
    world.end().await;
}
