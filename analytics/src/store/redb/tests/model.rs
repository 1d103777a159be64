//! The file and the store in memory answer the same, whatever is committed in whatever order, and however often the file is closed,
//! left behind by a killed process, or given a commit twice.

use std::collections::BTreeMap;

use packed::{ADDITIVE, Accumulator};
use proptest::prelude::*;
use wire::{
    Digest, FeederId, KeyEpoch, MeterId, Part, PlanVersion, Salt, Shard, UnixMillis, WindowStart,
};

use super::{FileStore, dump, file, open};
use crate::store::{
    Carrying, Contents, ContributorRow, Limbs, MemoryStore, Stage, Store, SumKey, SumRow,
    Transaction,
};
use crate::windows::tests::{HOUR, coefficients, store_format};

const FEEDERS: u32 = 2;
const WINDOWS: u64 = 3;
const METERS: u32 = 14;

#[derive(Debug, Clone)]
enum Act {
    /// Meters report a window, which has a sum that takes them.
    Fold { at: (u32, u64), meters: Vec<u32> },
    /// The newest sum of a window that takes reports ends so.
    End { at: (u32, u64), stage: Stage },
    /// A window goes.
    Reclaim { at: (u32, u64) },
    /// The file is closed and opened.
    Reopen,
    /// Its process is killed, and another one goes on with what is there.
    Kill,
    /// All of it is carried over to another store, and from there to another file.
    Carry,
}

fn acts() -> impl Strategy<Value = Vec<(Act, bool)>> {
    let at = || (0..FEEDERS, 0..WINDOWS);
    let stage = prop_oneof![
        3 => Just(Stage::Settled),
        1 => Just(Stage::Refused),
        1 => Just(Stage::Divided)
    ];
    let act = prop_oneof![
        6 => (at(), prop::collection::vec(0..METERS, 1..6))
            .prop_map(|(at, meters)| Act::Fold { at, meters }),
        4 => (at(), stage).prop_map(|(at, stage)| Act::End { at, stage }),
        1 => at().prop_map(|at| Act::Reclaim { at }),
        1 => Just(Act::Reopen),
        1 => Just(Act::Kill),
        1 => Just(Act::Carry),
    ];
    prop::collection::vec((act, any::<bool>()), 1..40)
}

fn feeder(number: u32) -> FeederId {
    format!("feeder-{number}").parse().unwrap()
}

fn meter(number: u32) -> MeterId {
    // In another order than the numbers.
    format!("meter-{}", number * 5 % METERS).parse().unwrap()
}

/// What a meter's report of a window has for a digest; `again`: of another report than the first.
fn digest(window: u64, meter: u32, again: bool) -> Digest {
    Digest::of(format!("{window} {meter} {again}").as_bytes())
}

/// The sums, and in which part each meter is: what the engine has in memory.
#[derive(Debug, Default)]
struct Known {
    sums: BTreeMap<SumKey, SumRow>,
    parts: BTreeMap<(u32, u64, u32), Part>,
}

impl Known {
    fn parts_of(&self, at: (u32, u64)) -> Vec<SumRow> {
        let of = |key: &SumKey| key.feeder == feeder(at.0) && key.window.0 == at.1 * HOUR;
        let rows = self.sums.values().filter(|row| of(&row.key));
        rows.cloned().collect()
    }

    /// The sum that takes reports, which may be a new one.
    fn taking(&self, at: (u32, u64)) -> SumRow {
        let rows = self.parts_of(at);
        let taking = rows.iter().find(|row| row.stage == Stage::Open);
        taking.cloned().unwrap_or_else(|| SumRow {
            key: SumKey {
                feeder: feeder(at.0),
                window: WindowStart(at.1 * HOUR),
                part: Part(rows.len() as u16),
            },
            epoch: KeyEpoch(1),
            plan_version: PlanVersion(1),
            profile: &ADDITIVE,
            contributors: 0,
            sealed_at: (UnixMillis(0), UnixMillis(0)),
            stage: Stage::Open,
            replaces: None,
        })
    }

    fn transaction<'a>(&mut self, act: &Act, sum: &'a Accumulator) -> Transaction<'a> {
        let mut transaction = Transaction::default();
        match act {
            Act::Fold { at, meters } => {
                let mut row = self.taking(*at);
                for &number in meters {
                    let slot = (at.0, at.1, number);
                    let earlier = self.parts.get(&slot).map(|part| SumKey {
                        part: *part,
                        ..row.key.clone()
                    });
                    let earlier = earlier.map(|key| self.sums.get(&key).unwrap_or(&row).stage);
                    if earlier.is_some_and(|stage| stage != Stage::Divided) {
                        continue;
                    }
                    self.parts.insert(slot, row.key.part);
                    row.contributors += 1;
                    transaction.contributors.push(ContributorRow {
                        key: row.key.clone(),
                        meter: meter(number),
                        number,
                        salt: Salt([number as u8; 8]),
                        digest: digest(at.1, number, false),
                    });
                }
                self.sums.insert(row.key.clone(), row.clone());
                transaction.sums.push((row, Limbs::Changed(sum)));
            }
            Act::End { at, stage } => {
                let rows = self.parts_of(*at);
                let taking = rows.into_iter().find(|row| row.stage == Stage::Open);
                if let Some(mut row) = taking {
                    row.stage = *stage;
                    self.sums.insert(row.key.clone(), row.clone());
                    transaction.settled.push(row.key.clone());
                    transaction.sums.push((row, Limbs::Gone));
                }
            }
            Act::Reclaim { at } => {
                let gone = self.parts_of(*at);
                gone.iter().for_each(|row| drop(self.sums.remove(&row.key)));
                let of = |slot: &(u32, u64, u32)| (slot.0, slot.1) == *at;
                self.parts.retain(|slot, _| !of(slot));
                let window = (feeder(at.0), WindowStart(at.1 * HOUR));
                transaction.reclaimed.push(window);
            }
            Act::Reopen | Act::Kill | Act::Carry => {}
        }
        transaction
    }
}

fn assert_same(known: &Known, file: &mut FileStore, model: &mut MemoryStore) {
    assert_eq!(dump(file).unwrap(), dump(model).unwrap());
    for at in 0..FEEDERS * WINDOWS as u32 * METERS {
        let (number, at) = (at % METERS, at / METERS);
        let (at, window) = (at % FEEDERS, u64::from(at / FEEDERS));
        let part = known.parts.get(&(at, window, number)).copied();
        for again in [false, true] {
            let digest = digest(window, number, again);
            let start = WindowStart(window * HOUR);
            let ask = |store: &mut dyn Store| {
                let found = store.contributor(&feeder(at), start, &meter(number), &digest);
                found.unwrap()
            };
            let expected = part.map(|part| (part, !again));
            assert_eq!(ask(model), expected, "{at} {window} {number}");
            assert_eq!(ask(file), expected, "{at} {window} {number}");
        }
    }
}

fn carry(from: &mut dyn Store, to: &mut dyn Store) {
    let format = store_format();
    let there = Contents::of(from, &format).unwrap();
    assert!(Contents::of(to, &format).unwrap().is_empty());
    let carrying = Carrying {
        from,
        to,
        format,
        shard: &|_| Shard(0),
        progress: &mut |_| {},
    };
    carrying.carry(&there.feeders).unwrap();
    assert_eq!(Contents::of(to, &format).unwrap(), there);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_file_answers_as_the_store_in_memory_does(acts in acts()) {
        let (folder, mut path) = file();
        let sum = Accumulator::new(&ADDITIVE, coefficients());
        let (mut store, mut model) = (open(&path).unwrap(), MemoryStore::default());
        let mut known = Known::default();
        for (step, (act, twice)) in acts.iter().enumerate() {
            match act {
                Act::Reopen => {
                    drop(store);
                    store = open(&path).unwrap();
                }
                Act::Kill => {
                    let left = folder.path().join(format!("left-{step}.redb"));
                    std::fs::copy(&path, &left).unwrap();
                    path = left;
                    store = open(&path).unwrap();
                }
                Act::Carry => {
                    path = folder.path().join(format!("carried-{step}.redb"));
                    let (mut there, mut carried) = (MemoryStore::default(), open(&path).unwrap());
                    carry(&mut store, &mut there);
                    carry(&mut there, &mut carried);
                    store = carried;
                }
                _ => {
                    let transaction = known.transaction(act, &sum);
                    for _ in 0..=u32::from(*twice) {
                        store.commit(&transaction).unwrap();
                        model.commit(&transaction).unwrap();
                    }
                }
            }
            assert_same(&known, &mut store, &mut model);
        }
    }
}
