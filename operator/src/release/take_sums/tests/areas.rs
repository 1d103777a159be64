//! The rest of an area: what a dishonest analytics asks for, and what a kill leaves.

use wire::{Areas, ContributorSet, FeederId, Rest, Share};

use super::*;

/// A meter of a feeder, and its readings.
type Of = (&'static str, u32);

impl Bench {
    /// Sums of three and more.
    fn with_areas() -> Self {
        Self::new().in_areas()
    }

    /// feeder-1 and feeder-2 under transformer t-1, feeder-3 under t-2, both under north; feeder-4 under elsewhere.
    pub(super) fn in_areas(mut self) -> Self {
        let plan = Arc::make_mut(&mut self.plan);
        let first = plan.feeders[0].clone();
        plan.feeders.clear();
        for (feeder, transformer, substation) in [
            ("feeder-1", "t-1", Some("north")),
            ("feeder-2", "t-1", Some("north")),
            ("feeder-3", "t-2", Some("north")),
            ("feeder-4", "elsewhere", None),
        ] {
            let mut setting = first.clone();
            setting.feeder = feeder.parse().unwrap();
            setting.areas = Some(Areas {
                transformer: transformer.parse().unwrap(),
                substation: substation.map(|area| area.parse().unwrap()),
            });
            plan.feeders.push(setting);
        }
        self
    }

    fn sealed(&self, window: u64, (feeder, number): Of) -> Sealed {
        let under = crate::testing::fleet::Under {
            plan: self.plan.clone(),
            feeder: feeder.parse().unwrap(),
            ..self.fleet.under(self.fleet.window(window), true)
        };
        let readings = [Some(100), Some(7)].into_iter().cycle();
        let readings = readings.take(usize::from(self.plan.batch)).collect();
        self.fleet.seal(number, &under, &readings)
    }

    /// The honest rest of an area, over these meters, of each feeder's part 0.
    fn rest(&self, window: u64, area: &str, meters: &[Of]) -> (Sum, Vec<u8>) {
        let reports: Vec<Sealed> = meters.iter().map(|of| self.sealed(window, *of)).collect();
        let limbs = self.fleet.limbs(reports.iter().map(|report| (1, report)));
        let mut feeders: Vec<&str> = meters.iter().map(|(feeder, _)| *feeder).collect();
        feeders.dedup();
        let shares = feeders.iter().map(|feeder| {
            let own = || {
                meters
                    .iter()
                    .zip(&reports)
                    .filter(|((of, _), _)| of == feeder)
            };
            Share {
                feeder: feeder.parse().unwrap(),
                plan_version: self.plan.feeders[0].since,
                part: Part(0),
                set: ContributorSet::from_numbers(own().map(|((_, number), _)| *number)).unwrap(),
                salts: own().map(|(_, report)| report.salt).collect(),
            }
        });
        let mut shares: Vec<Share> = shares.collect();
        let first = shares.remove(0);
        let sum = Sum {
            feeder: first.feeder,
            plan_version: first.plan_version,
            set: first.set,
            salts: first.salts,
            rest: Some(Rest {
                area: area.parse().unwrap(),
                others: shares,
            }),
            ..self.fleet.sum(self.fleet.window(window), 0, &reports)
        };
        (sum, limbs)
    }

    fn rest_job(&self, (sum, limbs): &(Sum, Vec<u8>)) -> Job {
        let rest = sum.rest.as_ref().unwrap();
        let others = rest.others.iter();
        Job {
            feeder: sum.feeder.clone(),
            others: others
                .map(|share| (share.feeder.clone(), self.fleet.members.clone()))
                .collect(),
            ..self.job_of(sum, limbs)
        }
    }

    pub(super) fn rest_of(&self, window: u64, area: &str, meters: &[Of]) -> Job {
        self.rest_job(&self.rest(window, area, meters))
    }

    /// An honest sum of feeder-1 under the plan with areas.
    fn alone_of(&self, window: u64, part: u16, numbers: std::ops::Range<u32>) -> Job {
        let reports: Vec<Sealed> = numbers
            .map(|number| self.sealed(window, ("feeder-1", number)))
            .collect();
        let (sum, limbs) = self.sum(window, part, &reports);
        self.job_of(&sum, &limbs)
    }
}

const SMALL: [Of; 4] = [
    ("feeder-1", 0),
    ("feeder-1", 1),
    ("feeder-2", 5),
    ("feeder-2", 6),
];

#[test]
fn the_rest_of_an_area_opens_and_spends_the_meters_of_each_feeder() {
    let mut bench = Bench::with_areas();
    let job = bench.rest_of(1, "t-1", &SMALL);
    let results = bench.take(vec![job.clone()]);
    let [
        TakeResult::Taken {
            report, messages, ..
        },
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!(report.energy_wh, [Some(400), Some(28)]);
    assert_eq!((report.feeder.as_str(), report.meters), ("t-1", 4));
    let areas: Vec<&str> = report.areas.iter().map(|area| area.as_str()).collect();
    assert_eq!(areas, ["t-1", "north"]);
    let shares = report
        .rest
        .iter()
        .map(|share| (share.feeder.as_str(), share.meters));
    assert_eq!(
        shares.collect::<Vec<_>>(),
        [("feeder-1", 2), ("feeder-2", 2)]
    );
    // The receipt is on the topic of its first feeder, the total on that of the area.
    assert_eq!(
        messages[0].0,
        topics().sum_receipt(wire::Shard(0), &"feeder-1".parse().unwrap())
    );
    assert_eq!(
        messages[1].0,
        topics().area_total(wire::Shard(0), &"t-1".parse().unwrap())
    );
    for restart in [false, true] {
        if restart {
            bench.restart(|ledger| ledger);
        }
        assert_eq!(bench.answer(job.clone()), SumStatus::Duplicate);
        // Late, some of its meters, and all of them.
        for (part, numbers, reason) in [
            (1, 2..8, Reason::BatchCollected),
            (1, 0..5, Reason::AlreadyOpened),
            (0, 2..8, Reason::Conflict),
        ] {
            let sum = bench.alone_of(1, part, numbers);
            assert_eq!(bench.reason(sum), (reason, true), "part {part}");
        }
    }
    assert_eq!(bench.totals(), 1);
}

#[test]
fn a_rest_that_overlaps_a_released_feeder_or_comes_after_it_is_refused() {
    let mut bench = Bench::with_areas();
    let alone = bench.alone_of(1, 0, 0..3);
    assert_eq!(bench.answer(alone), SumStatus::Taken);
    let overlaps = bench.rest_of(1, "t-1", &SMALL);
    assert_eq!(bench.reason(overlaps), (Reason::AlreadyOpened, true));
    let others = [("feeder-1", 4), ("feeder-2", 5), ("feeder-2", 6)];
    let (mut sum, limbs) = bench.rest(1, "t-1", &others);
    sum.part = Part(1);
    let late = bench.rest_job(&(sum, limbs));
    assert_eq!(bench.reason(late), (Reason::BatchCollected, true));
    // Both at once: what came first decides.
    let mut bench = Bench::with_areas();
    let jobs = vec![bench.alone_of(1, 0, 0..3), bench.rest_of(1, "t-1", &SMALL)];
    let results = bench.take(jobs);
    assert!(matches!(
        &results[..],
        [
            TakeResult::Taken { .. },
            TakeResult::Rejected {
                reason: Reason::AlreadyOpened,
                ..
            }
        ]
    ));
}

#[test]
fn a_rest_below_the_minimum_or_with_a_feeder_of_another_area_is_refused() {
    let mut bench = Bench::with_areas();
    let few = bench.rest_of(1, "t-1", &SMALL[1..3]);
    assert_eq!(bench.reason(few), (Reason::MinMeters, true));
    for (area, feeder) in [("t-1", "feeder-3"), ("north", "feeder-4")] {
        let mut meters = SMALL.to_vec();
        meters.push((feeder, 3));
        let foreign = bench.rest_of(1, area, &meters);
        assert_eq!(bench.reason(foreign), (Reason::WrongFeeder, true));
    }
    // Under the substation it is one.
    let mut meters = SMALL.to_vec();
    meters.push(("feeder-3", 3));
    let north = bench.rest_of(1, "north", &meters);
    assert_eq!(bench.answer(north), SumStatus::Taken);
    let plan = Arc::make_mut(&mut bench.plan);
    plan.feeders[1].quantum_wh *= 2;
    let scales = bench.rest_of(2, "t-1", &SMALL);
    assert_eq!(bench.reason(scales), (Reason::ProfileMismatch, true));
    let plan = Arc::make_mut(&mut bench.plan);
    plan.feeders[1].quantum_wh /= 2;
    plan.feeders
        .iter_mut()
        .for_each(|setting| setting.max_meters = 3);
    let full = bench.rest_of(2, "t-1", &SMALL);
    assert_eq!(bench.reason(full), (Reason::BatchFull, true));
}

#[test]
fn an_area_has_one_rest_in_a_window() {
    let mut bench = Bench::with_areas();
    let first = bench.rest_of(1, "north", &SMALL);
    assert_eq!(bench.answer(first), SumStatus::Taken);
    // Of the same meters, and of others that waited.
    let again = bench.rest_of(1, "north", &SMALL);
    assert_eq!(bench.reason(again), (Reason::AlreadyOpened, true));
    Arc::make_mut(&mut bench.plan).feeders[3].areas = bench.plan.feeders[2].areas.clone();
    let others = [("feeder-3", 1), ("feeder-3", 2), ("feeder-4", 1)];
    let second = bench.rest_of(1, "north", &others);
    assert_eq!(bench.reason(second), (Reason::BatchCollected, true));
    let next = bench.rest_of(2, "north", &others);
    assert_eq!(bench.answer(next), SumStatus::Taken);
}

#[test]
fn a_rest_comes_from_the_service_of_all_its_feeders() {
    let mut bench = Bench::with_areas();
    let job = bench.rest_of(1, "t-1", &SMALL);
    let plan = Arc::make_mut(&mut bench.plan);
    let mut other = plan.analytics[0].clone();
    other.id = "analytics-2".parse().unwrap();
    other.feeders = vec!["feeder-2".parse().unwrap()];
    plan.analytics.push(other);
    let job = Job {
        plan: bench.plan.clone(),
        ..job
    };
    assert_eq!(bench.reason(job), (Reason::UnknownAnalytics, false));
}

#[test]
fn a_rest_of_other_meters_than_it_names_is_burnt_whole_and_costs_one_refusal() {
    let mut bench = Bench::with_areas();
    let (mut sum, limbs) = bench.rest(1, "t-1", &SMALL);
    let rest = sum.rest.as_mut().unwrap();
    rest.others[0].set = ContributorSet::from_numbers([5, 7]).unwrap();
    let lie = bench.rest_job(&(sum, limbs));
    let burnt = SumStatus::Rejected(Reason::NotOpened);
    assert_eq!(bench.answer(lie.clone()), burnt);
    assert_eq!((bench.refusals(), bench.totals()), (1, 0));
    bench.restart(|ledger| ledger);
    assert_eq!(bench.answer(lie), burnt);
    assert_eq!(bench.refusals(), 1);
    let of_feeder = bench.alone_of(1, 1, 0..3);
    assert_eq!(bench.reason(of_feeder), (Reason::AlreadyOpened, true));
    let line = &bench.lines("totals.refused.jsonl")[0];
    for name in ["\"t-1\"", "meter-0", "meter-1", "meter-5", "meter-7"] {
        assert!(line.contains(name), "{name} in {line}");
    }
}

#[test]
fn a_rest_that_a_kill_left_spent_is_opened_when_it_comes_again() {
    let mut bench = Bench::with_areas();
    let (sum, limbs) = bench.rest(1, "t-1", &SMALL);
    let digest = Digest::of(&limbs);
    let (whole, shares) = Opening::of_rest(&sum, sum.rest.as_ref().unwrap(), Part(0), &digest);
    let rows: Vec<Opening> = [whole].into_iter().chain(shares).collect();
    let ledger = &mut bench.taker.as_mut().unwrap().ledger;
    ledger.spend(&rows).unwrap();
    bench.restart(|ledger| ledger);
    let other = bench.rest_of(1, "t-1", &SMALL);
    assert_eq!(bench.reason(other), (Reason::AlreadyOpened, true));
    let same = bench.rest_job(&(sum, limbs));
    assert_eq!(bench.answer(same.clone()), SumStatus::Taken);
    assert_eq!(bench.answer(same), SumStatus::Duplicate);
}

#[test]
fn an_older_ledger_learns_of_rests_from_the_other_files() {
    let mut bench = Bench::with_areas();
    let (mut sum, limbs) = bench.rest(2, "t-1", &SMALL);
    sum.salts.swap(0, 1);
    let burnt = bench.rest_job(&(sum, limbs));
    let taken = bench.rest_of(1, "t-1", &SMALL);
    bench.restart(|ledger| ledger);
    let ledger = bench.dir.path().join("releases.redb");
    bench.taker = None;
    let older = std::fs::read(&ledger).unwrap();
    bench.restart(|ledger| ledger);
    assert_eq!(bench.answer(taken.clone()), SumStatus::Taken);
    assert_eq!(
        bench.answer(burnt.clone()),
        SumStatus::Rejected(Reason::NotOpened)
    );
    bench.taker = None;
    std::fs::write(&ledger, older).unwrap();
    bench.restart(|ledger| ledger);
    assert_eq!(bench.refusals(), 1);
    assert_eq!(bench.answer(taken), SumStatus::Duplicate);
    assert_eq!(bench.answer(burnt), SumStatus::Rejected(Reason::NotOpened));
    for window in [1, 2] {
        let sum = bench.alone_of(window, 1, 2..8);
        let refused = bench.reason(sum).0;
        assert!(
            matches!(refused, Reason::AlreadyOpened | Reason::BatchCollected),
            "{refused}"
        );
    }
}

#[test]
fn areas_are_no_feeders_to_whoever_asks_how_far_these_are() {
    let mut bench = Bench::with_areas();
    let job = bench.rest_of(1, "t-1", &SMALL);
    assert_eq!(bench.answer(job), SumStatus::Taken);
    let newest = bench.taker.as_mut().unwrap().ledger.newest().unwrap();
    let feeders: Vec<&str> = newest.keys().map(FeederId::as_str).collect();
    assert_eq!(feeders, ["feeder-1", "feeder-2"]);
}
