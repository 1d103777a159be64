//! What a journal must hold after a list of changes, said plainly; and a list that has all of them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use packed::layout::Entered;
use wire::{Digest, Grid, HolderId, MeterId, Part, UnixMillis, WindowStart};

use crate::batch::{Batch, Filling, Interval, Taken};
use crate::journal::{
    Held, Kept, MeterRecord, Op, Place, Progress, Read, Released, Shown, Spans, rows,
};
use crate::outbox::Sealed;
use crate::quantum::Scale;
use readings::{FeedChange, Kept as LiveReading, KeptKind, MicroWattHours};

const METERS: usize = 3;

/// The journal in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    held: Held,
    batches: BTreeMap<Place, Batch>,
    sealed: BTreeMap<Place, (Batch, Sealed)>,
    kept: BTreeMap<Place, Kept>,
    released: BTreeMap<Place, UnixMillis>,
    live: BTreeMap<(u64, MeterId, KeptKind), LiveReading>,
    settled: BTreeSet<i64>,
    accepted: BTreeSet<i64>,
}

impl Model {
    /// Returns the reports that are asked for.
    pub(super) fn apply(&mut self, ops: &[Op]) -> Read {
        let mut read = Read::default();
        for op in ops {
            match op.clone() {
                Op::Begin { progress, fleet } => {
                    self.held.filling.clear();
                    (self.held.progress, self.held.fleet) = (Some(progress), fleet);
                }
                Op::Interval { progress, interval } => {
                    self.accepted.extend(energies(&interval));
                    self.held.filling.push(interval);
                    self.held.progress = Some(progress);
                }
                Op::Window {
                    progress,
                    batches,
                    records,
                } => {
                    self.held.filling.truncate(progress.interval.into());
                    self.held.progress = Some(progress);
                    for (place, batch) in batches {
                        self.accepted.extend(entered(&batch));
                        self.batches.insert(place, batch);
                    }
                    self.held.records.extend(records);
                }
                Op::EnteredAgain(place, batch, record) => self.enter_again(place, batch, record),
                Op::Sealed(place, batch, sealed) => {
                    self.batches.remove(&place);
                    self.sealed.insert(place, (batch, sealed));
                }
                Op::Reopened(place, batch) => {
                    self.sealed.remove(&place);
                    self.batches.insert(place, batch);
                }
                Op::Folded(place, kept) => {
                    self.kept.insert(place, kept);
                }
                Op::Wanted(place) => {
                    self.kept.remove(&place);
                    let (batch, sealed) = self.sealed[&place].clone();
                    read.wanted.push((place, batch, sealed));
                }
                Op::Released(place, at) => self.release(place, at),
                Op::Shown(place, holder) => read.shown.extend(self.shown(place, holder)),
                Op::Live(changes) => changes
                    .into_iter()
                    .for_each(|change| self.change_live(change)),
                Op::LiveForgotten(before) => self.live.retain(|(at, ..), _| *at >= before),
                Op::Settled(place) => self.settle(&place),
            }
        }
        read
    }

    fn release(&mut self, place: Place, at: UnixMillis) {
        self.kept.remove(&place);
        self.settled.extend(entered(&self.sealed[&place].0));
        self.released.insert(place, at);
    }

    fn settle(&mut self, place: &Place) {
        self.kept.remove(place);
        self.released.remove(place);
        let (batch, _) = self.sealed.remove(place).unwrap();
        self.settled.extend(entered(&batch));
    }

    fn shown(&self, place: Place, holder: HolderId) -> Option<Shown> {
        let (_, sealed) = self.sealed.get(&place)?;
        Some(Shown {
            holder,
            payload: sealed.payload.clone(),
            place,
        })
    }

    fn enter_again(&mut self, place: Place, batch: Batch, record: MeterRecord) {
        self.accepted.extend(entered(&batch));
        let earlier = self.batches.insert(place.clone(), batch).unwrap();
        for energy in entered(&earlier) {
            self.accepted.remove(&energy);
        }
        self.held.records.insert(place.meter, record);
    }

    fn change_live(&mut self, change: FeedChange) {
        for kept in change.put {
            let key = (kept.at, kept.meter.clone(), kept.kind);
            self.live.insert(key, kept);
        }
        for (meter, at, kind) in change.dropped {
            self.live.remove(&(at, meter, kind));
        }
    }

    pub(super) fn held(&self) -> Held {
        let batches = self.batches.clone().into_iter().collect();
        let sealed = self.sealed.clone().into_iter();
        let is_waiting =
            |place: &Place| !self.kept.contains_key(place) && !self.released.contains_key(place);
        let waiting = sealed.filter(|(place, _)| is_waiting(place));
        let released = self.released.iter().map(|(place, at)| {
            let (batch, sealed) = &self.sealed[place];
            Released {
                place: place.clone(),
                at: *at,
                bytes: rows::write_sealed(batch, sealed).len() as u64,
            }
        });
        Held {
            batches,
            sealed: waiting
                .map(|(place, (batch, sealed))| (place, batch, sealed))
                .collect(),
            kept: self.kept.clone().into_iter().collect(),
            released: released.collect(),
            live: self.live.values().cloned().collect(),
            ..self.held.clone()
        }
    }

    /// Every reading that was accepted and is not settled is in one place. Each has an energy of its own.
    pub(super) fn check_places(&self, held: &Held) {
        let batches = held.batches.iter().map(|(_, batch)| batch);
        let sealed = held.sealed.iter().map(|(_, batch, _)| batch);
        let kept = held.kept.iter().map(|(place, _)| &self.sealed[place].0);
        let batched = batches.chain(sealed).chain(kept).flat_map(entered);
        let mut seen = BTreeSet::new();
        for energy in held.filling.iter().flat_map(energies).chain(batched) {
            assert!(seen.insert(energy), "{energy} is in two places");
        }
        assert!(seen.is_disjoint(&self.settled));
        seen.extend(&self.settled);
        assert_eq!(seen, self.accepted);
    }
}

/// In watt-hours: every one of the script is a whole number of them.
fn energies(interval: &Interval) -> Vec<i64> {
    let energy = |taken: &Taken| match taken {
        Taken::Energy(MicroWattHours(energy), _) => Some(energy / MicroWattHours::PER_WH),
        Taken::Missing => None,
    };
    interval.0.iter().filter_map(energy).collect()
}

fn entered(batch: &Batch) -> Vec<i64> {
    let readings = batch.readings.iter().flatten();
    readings.map(|entered| entered.wh).collect()
}

fn place(window: WindowStart, meter: usize) -> Place {
    Place {
        window,
        feeder: format!("feeder-{}", meter % 2 + 1).parse().unwrap(),
        meter: format!("meter-{meter}").parse().unwrap(),
    }
}

fn sealed(window: WindowStart, number: u8) -> Sealed {
    Sealed {
        meter: 0,
        window,
        digest: Digest([number; 32]),
        // More than a page, as a real one.
        payload: Bytes::from(vec![number; 9_000]),
    }
}

/// Groups of changes: three windows of a run, with reports sealed, refused, entered and sealed again, kept, wanted and settled meanwhile,
/// an earlier window in the middle of the third, and a second run.
pub(super) fn script() -> Vec<Vec<Op>> {
    let mut run = ScriptedRun {
        grid: Grid::new(60, 2).unwrap(),
        progress: Progress {
            run: 1,
            settings: "some".to_owned(),
            interval_s: 60,
            batch: 2,
            time_zone: None,
            from: 1_200,
            end: Some(1_560),
            window: 1_200,
            interval: 0,
            live: false,
            behind: BTreeMap::new(),
            missed: Spans::default(),
        },
        record: MeterRecord::default(),
        energy: 1,
        digest: 0,
    };
    let fleet = (0..METERS).map(|meter| {
        let place = place(WindowStart(0), meter);
        (place.feeder, place.meter)
    });
    let begin = Op::Begin {
        progress: run.progress.clone(),
        fleet: fleet.clone().collect(),
    };
    let mut groups = vec![vec![begin]];
    groups.extend(run.window());
    groups.extend(run.window());
    let catch_up = run.catch_up();
    let [interval, full @ ..] = run.window();
    groups.extend([interval, catch_up]);
    groups.extend(full);
    run.progress.run = 2;
    groups.push(vec![Op::Begin {
        progress: run.progress,
        fleet: fleet.rev().collect(),
    }]);
    groups
}

/// A run whose every reading has an energy of its own, and every report a digest.
struct ScriptedRun {
    grid: Grid,
    progress: Progress,
    record: MeterRecord,
    energy: i64,
    digest: u8,
}

impl ScriptedRun {
    /// The changes of the next window, in seven groups.
    fn window(&mut self) -> [Vec<Op>; 7] {
        let window = WindowStart(self.progress.window);
        let mut filling = Filling::new(self.grid, window, METERS);
        let first = self.interval();
        filling.add(&first);
        filling.add(&self.interval());
        self.progress.interval = 1;
        let interval = Op::Interval {
            progress: self.progress.clone(),
            interval: first,
        };
        self.progress.window = self.grid.next_window(window).0;
        self.progress.interval = 0;
        self.record.reported.insert(window.0, self.progress.window);
        self.record.remainder.0 -= 1;
        // Indices are not kept.
        let enter = |meter_window: crate::batch::MeterWindow| {
            let place = place(window, meter_window.meter);
            let batch = meter_window.enter(Scale::of(1), &mut MicroWattHours(0));
            (place, Batch { meter: 0, ..batch })
        };
        let mut batches: Vec<_> = filling.finish().into_iter().map(enter).collect();
        let records = batches.iter();
        let full = Op::Window {
            progress: self.progress.clone(),
            records: records
                .map(|(place, _)| (place.meter.clone(), self.record.clone()))
                .collect(),
            batches: batches.clone(),
        };
        let (refused, batch) = batches[1].clone();
        let [first, third] = [0, 2].map(|index: usize| batches[index].0.clone());
        let [live, closer] = self.live(window);
        [
            vec![live, interval],
            vec![full, closer, Op::LiveForgotten(window.0)],
            vec![self.seal(&batches[0]), self.seal(&batches[1])],
            vec![
                self.fold(&first, 0),
                Op::Reopened(refused, batch),
                self.seal(&batches[2]),
            ],
            vec![
                self.enter_again(&mut batches[1]),
                self.seal(&batches[1]),
                Op::Settled(first),
            ],
            vec![self.fold(&third, 0), Op::Wanted(third.clone())],
            vec![
                self.fold(&third, 1),
                Op::Released(third.clone(), UnixMillis(window.0)),
                Op::Shown(third, "holder-1".parse().unwrap()),
                Op::Shown(place(window, 9), "holder-1".parse().unwrap()),
            ],
        ]
    }

    /// An earlier window, in which a feeder was behind, while the present one has its first interval.
    fn catch_up(&mut self) -> Vec<Op> {
        let window = WindowStart(1_080);
        self.record
            .reported
            .insert(window.0, self.grid.window_end(window).0);
        let clamped = false;
        let entered = |wh| Some(Entered { wh, clamped });
        let batch = Batch {
            meter: 0,
            window,
            readings: [1_000_000, 1_000_001].map(entered).to_vec(),
        };
        let place = place(window, 1);
        let progress = Progress {
            interval: 1,
            ..self.progress.clone()
        };
        vec![Op::Window {
            progress,
            records: vec![(place.meter.clone(), self.record.clone())],
            batches: vec![(place, batch)],
        }]
    }

    /// A read of a register and an energy, and then a read that takes the place of the first one.
    fn live(&self, window: WindowStart) -> [Op; 2] {
        let kept = |at, kind, value| LiveReading {
            meter: "meter-1".parse().unwrap(),
            at,
            kind,
            value: MicroWattHours(value),
        };
        let at = window.0 + 1;
        let first = vec![
            kept(at, KeptKind::Import, i64::MAX),
            kept(at, KeptKind::Energy(30), i64::MIN),
        ];
        let first = FeedChange {
            put: first,
            dropped: Vec::new(),
        };
        let closer = FeedChange {
            put: vec![
                kept(window.0, KeptKind::Import, 7),
                kept(at, KeptKind::Export, 0),
            ],
            dropped: vec![("meter-1".parse().unwrap(), at, KeptKind::Import)],
        };
        [Op::Live(vec![first]), Op::Live(vec![closer])]
    }

    fn interval(&mut self) -> Interval {
        let meters = self.energy..self.energy + METERS as i64;
        self.energy = meters.end;
        let energy = |wh| MicroWattHours(wh * MicroWattHours::PER_WH);
        let taken = meters.map(|wh| Taken::Energy(energy(wh), wh % 2 == 0));
        Interval(taken.collect())
    }

    /// Into readings that no other batch has.
    fn enter_again(&mut self, (place, batch): &mut (Place, Batch)) -> Op {
        for entered in batch.readings.iter_mut().flatten() {
            entered.wh += 2_000_000;
        }
        self.record.remainder.0 += 1_000;
        Op::EnteredAgain(place.clone(), batch.clone(), self.record.clone())
    }

    fn fold(&self, place: &Place, part: u16) -> Op {
        let kept = Kept {
            part: Part(part),
            since: UnixMillis(self.progress.window * 1000),
            bytes: 9_000,
        };
        Op::Folded(place.clone(), kept)
    }

    fn seal(&mut self, (place, batch): &(Place, Batch)) -> Op {
        self.digest += 1;
        let report = sealed(place.window, self.digest);
        Op::Sealed(place.clone(), batch.clone(), report)
    }
}
