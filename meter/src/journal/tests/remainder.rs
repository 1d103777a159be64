//! A gateway that is started again enters what one that ran on would have entered.

use std::collections::BTreeSet;

use proptest::prelude::*;
use wire::{Grid, UnixSeconds, Watts, WindowStart};

use super::disk::Disk;
use super::open;
use crate::batch::{Batch, Filling, Interval};
use crate::journal::{Held, Op, Place, Progress, Spans};
use crate::quantum::Scale;
use readings::{MeterSpec, MicroWattHours, Reading, clamp};

const METERS: usize = 2;
const BATCH: u16 = 3;
const INTERVAL_S: u32 = 60;
/// Six watt-hours in an interval.
const CAPACITY: Watts = Watts(360);

fn specs() -> Vec<MeterSpec> {
    let spec = |number| MeterSpec {
        id: format!("meter-{number}").parse().unwrap(),
        capacity_w: CAPACITY,
    };
    (0..METERS).map(spec).collect()
}

fn place(window: WindowStart, meter: usize) -> Place {
    Place {
        window,
        feeder: "feeder-1".parse().unwrap(),
        meter: specs()[meter].id.clone(),
    }
}

fn beginning() -> Progress {
    Progress {
        run: 1,
        settings: String::new(),
        interval_s: INTERVAL_S,
        batch: BATCH,
        time_zone: None,
        from: 0,
        end: None,
        window: 0,
        interval: 0,
        live: false,
        behind: Default::default(),
        missed: Spans::default(),
    }
}

/// Runs over `readings`, started again before each interval whose number is in `restarts`, and returns the journal.
fn run(readings: &[[Reading; METERS]], restarts: &BTreeSet<usize>, quantum_wh: u64) -> Held {
    let disk = Disk::new(1);
    let grid = Grid::new(INTERVAL_S, BATCH).unwrap();
    let mut progress = beginning();
    let (mut journal, mut held) = open(&disk).unwrap();
    let fleet = (0..METERS).map(|meter| place(WindowStart(0), meter));
    let begin = Op::Begin {
        progress: progress.clone(),
        fleet: fleet.map(|place| (place.feeder, place.meter)).collect(),
    };
    journal.commit(&[begin]).unwrap();
    let mut filling = Filling::new(grid, WindowStart(0), METERS);
    for (number, readings) in readings.iter().enumerate() {
        if restarts.contains(&number) {
            drop(journal);
            (journal, held) = open(&disk).unwrap();
            let window = WindowStart(held.progress.as_ref().unwrap().window);
            filling = Filling::resume(grid, window, METERS, &held.filling);
        }
        let interval = Interval::of(&specs(), readings, INTERVAL_S);
        filling.add(&interval);
        progress.interval += 1;
        if !filling.is_full() {
            let progress = progress.clone();
            journal
                .commit(&[Op::Interval { progress, interval }])
                .unwrap();
            continue;
        }
        let next = grid.next_window(filling.window());
        (progress.window, progress.interval) = (next.0, 0);
        let full = std::mem::replace(&mut filling, Filling::new(grid, next, METERS));
        let (mut batches, mut records) = (Vec::new(), Vec::new());
        for taken in full.finish() {
            let place = place(taken.window, taken.meter);
            let record = held.records.entry(place.meter.clone()).or_default();
            let batch = record
                .enter(taken, UnixSeconds(next.0), Scale::of(quantum_wh))
                .unwrap();
            records.push((place.meter.clone(), record.clone()));
            batches.push((place, Batch { meter: 0, ..batch }));
        }
        let progress = progress.clone();
        let window = Op::Window {
            progress,
            batches,
            records,
        };
        journal.commit(&[window]).unwrap();
    }
    drop(journal);
    open(&disk).unwrap().1
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        1 => Just(Reading::Missing),
        6 => (-9_000_000_i64..9_000_000).prop_map(|energy| Reading::Energy(MicroWattHours(energy))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn restarts_at_any_interval_change_no_total_and_what_is_left_is_all_that_is_missing(
        readings in prop::collection::vec([reading(), reading()], 0..16),
        restarts in prop::collection::btree_set(0_usize..16, 0..6),
        quantum_wh in prop::sample::select(vec![1_u64, 2, 8]),
    ) {
        let held = run(&readings, &restarts, quantum_wh);
        prop_assert_eq!(&held, &run(&readings, &BTreeSet::new(), quantum_wh));
        let whole = readings.len() - readings.len() % usize::from(BATCH);
        for (meter, spec) in specs().iter().enumerate() {
            let mut exact = 0;
            let mut clamped = 0;
            for readings in &readings[..whole] {
                if let Reading::Energy(energy) = readings[meter] {
                    let (energy, was_clamped) = clamp(energy, CAPACITY, INTERVAL_S);
                    exact += energy.0;
                    clamped += usize::from(was_clamped);
                }
            }
            let batches = held.batches.iter().filter(|(place, _)| place.meter == spec.id);
            let entered: Vec<_> = batches.flat_map(|(_, batch)| batch.readings.iter().flatten()).collect();
            let sum: i64 = entered.iter().map(|entered| entered.wh).sum();
            let left = held.records.get(&spec.id).map_or(0, |record| record.remainder.0);
            prop_assert_eq!(sum * MicroWattHours::PER_WH + left, exact);
            prop_assert_eq!(entered.iter().filter(|entered| entered.clamped).count(), clamped);
            prop_assert!(left.unsigned_abs() <= quantum_wh * 500_000);
        }
    }
}
