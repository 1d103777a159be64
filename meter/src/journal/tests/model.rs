//! What a journal must hold after a list of changes, said plainly; and a list that has all of them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::{Digest, Grid, WattHours, WindowStart};

use crate::batch::{Batch, Filling, Interval, Taken};
use crate::journal::{Held, Op, Place, Progress, Spans};
use crate::outbox::Sealed;

const METERS: usize = 3;

/// The journal in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    held: Held,
    batches: BTreeMap<Place, Batch>,
    sealed: BTreeMap<Place, (Batch, Sealed)>,
    settled: BTreeSet<i64>,
    accepted: BTreeSet<i64>,
}

impl Model {
    pub(super) fn apply(&mut self, ops: &[Op]) {
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
                    reported,
                } => {
                    self.held.filling.truncate(progress.interval.into());
                    self.held.progress = Some(progress);
                    for (place, batch) in batches {
                        self.accepted.extend(&batch.readings_wh);
                        self.batches.insert(place, batch);
                    }
                    self.held.reported.extend(reported);
                }
                Op::Sealed(place, batch, sealed) => {
                    self.batches.remove(&place);
                    self.sealed.insert(place, (batch, sealed));
                }
                Op::Reopened(place, batch) => {
                    self.sealed.remove(&place);
                    self.batches.insert(place, batch);
                }
                Op::Settled(place) => {
                    let (batch, _) = self.sealed.remove(&place).unwrap();
                    self.settled.extend(batch.readings_wh);
                }
            }
        }
    }

    pub(super) fn held(&self) -> Held {
        let batches = self.batches.clone().into_iter().collect();
        let sealed = self.sealed.clone().into_iter();
        Held {
            batches,
            sealed: sealed
                .map(|(place, (batch, sealed))| (place, batch, sealed))
                .collect(),
            ..self.held.clone()
        }
    }

    /// Every reading that was accepted and is not settled is in one place. Each has an energy of its own.
    pub(super) fn check_places(&self, held: &Held) {
        let batches = held.batches.iter().map(|(_, batch)| batch);
        let sealed = held.sealed.iter().map(|(_, batch, _)| batch);
        let batched = batches
            .chain(sealed)
            .flat_map(|batch| batch.readings_wh.clone());
        let mut seen = BTreeSet::new();
        for energy in held.filling.iter().flat_map(energies).chain(batched) {
            assert!(seen.insert(energy), "{energy} is in two places");
        }
        assert!(seen.is_disjoint(&self.settled));
        seen.extend(&self.settled);
        assert_eq!(seen, self.accepted);
    }
}

fn energies(interval: &Interval) -> Vec<i64> {
    let energy = |taken: &Taken| match taken {
        Taken::Energy(WattHours(wh), _) => Some(*wh),
        Taken::Missing => None,
    };
    interval.0.iter().filter_map(energy).collect()
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

/// Groups of changes: three windows of a run, with reports sealed, refused, sealed again and settled meanwhile, an earlier
/// window in the middle of the third, and a second run.
pub(super) fn script() -> Vec<Vec<Op>> {
    let mut run = ScriptedRun {
        grid: Grid::new(60, 2).unwrap(),
        progress: Progress {
            run: 1,
            settings: "some".to_owned(),
            interval_s: 60,
            batch: 2,
            from: 1_200,
            end: Some(1_560),
            window: 1_200,
            interval: 0,
            live: false,
            behind: BTreeMap::new(),
            missed: Spans::default(),
        },
        reported: Spans::default(),
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
    reported: Spans,
    energy: i64,
    digest: u8,
}

impl ScriptedRun {
    /// The changes of the next window, in six groups.
    fn window(&mut self) -> [Vec<Op>; 6] {
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
        self.reported.insert(window.0, self.progress.window);
        // Indices are not kept.
        let batches = filling.finish().into_iter();
        let batches: Vec<_> = batches
            .map(|batch| (place(window, batch.meter), Batch { meter: 0, ..batch }))
            .collect();
        let reported = batches.iter();
        let full = Op::Window {
            progress: self.progress.clone(),
            reported: reported
                .map(|(place, _)| (place.meter.clone(), self.reported.clone()))
                .collect(),
            batches: batches.clone(),
        };
        let (refused, batch) = batches[1].clone();
        [
            vec![interval],
            vec![full],
            vec![self.seal(&batches[0]), self.seal(&batches[1])],
            vec![
                Op::Settled(batches[0].0.clone()),
                Op::Reopened(refused, batch),
                self.seal(&batches[2]),
            ],
            vec![self.seal(&batches[1])],
            vec![Op::Settled(batches[2].0.clone())],
        ]
    }

    /// An earlier window, in which a feeder was behind, while the present one has its first interval.
    fn catch_up(&mut self) -> Vec<Op> {
        let window = WindowStart(1_080);
        self.reported
            .insert(window.0, self.grid.window_end(window).0);
        let batch = Batch {
            meter: 0,
            window,
            readings_wh: vec![1_000_000, 1_000_001],
            clamped: 0,
            missing: 0,
        };
        let place = place(window, 1);
        let progress = Progress {
            interval: 1,
            ..self.progress.clone()
        };
        vec![Op::Window {
            progress,
            reported: vec![(place.meter.clone(), self.reported.clone())],
            batches: vec![(place, batch)],
        }]
    }

    fn interval(&mut self) -> Interval {
        let meters = self.energy..self.energy + METERS as i64;
        self.energy = meters.end;
        let taken = meters.map(|wh| Taken::Energy(WattHours(wh), wh % 2 == 0));
        Interval(taken.collect())
    }

    fn seal(&mut self, (place, batch): &(Place, Batch)) -> Op {
        self.digest += 1;
        let report = sealed(place.window, self.digest);
        Op::Sealed(place.clone(), batch.clone(), report)
    }
}
