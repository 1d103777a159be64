//! Bills: of meters 0 to 5 of eight, over periods of a day of hourly windows, with sums of three meters and more.

use std::collections::BTreeMap;

use packed::RING;
use packed::bill::{Scale, rest};
use release::Rule;
use wire::{
    BandRule, Bill, BillGroup, BillReceipt, BillingPeriod, Message as _, Salt, Tariff,
    TariffVersion,
};

use super::*;
use crate::release::bills::{BandEnergy, BillReport, BillVerdict};
use crate::testing::fleet::add;

const PERIOD: u64 = 24;

fn version(from: u64, peak: u8, otherwise: u8) -> TariffVersion {
    TariffVersion {
        from: WindowStart(from),
        otherwise,
        rules: vec![BandRule {
            band: peak,
            minutes: (8 * 60, 20 * 60),
            days: 15,
            season: None,
        }],
        holidays: Vec::new(),
    }
}

fn bench_of(versions: Vec<TariffVersion>) -> Bench {
    let names = ["low", "peak", "low-later", "peak-later"];
    let mut bench = Bench::of(&Scene {
        meters: 8,
        batch: 4,
        reference_wh: 4_096,
        min_meters: 3,
        tariff: Some(Tariff {
            period: BillingPeriod::Windows(PERIOD as u32),
            bands: names.map(|name| name.parse().unwrap()).to_vec(),
            versions,
        }),
        billed: 6,
        holders: false,
        noise: None,
        ..Scene::default()
    });
    bench.release.bill_min_intervals = 4;
    bench.restart(|ledger| ledger);
    bench
}

fn bench() -> Bench {
    bench_of(vec![version(0, 1, 0)])
}

/// What a meter had in a window: nothing now and then.
fn reading(number: u32, window: u64) -> Readings {
    let wh = |k: u64| {
        let wh = (u64::from(number) * 131 + window * 37 + k * 11) % 900;
        (!wh.is_multiple_of(7)).then_some(wh as i64 - 50)
    };
    (0..4).map(wh).collect()
}

/// The energies of the low and the peak band.
fn truth_of(number: u32, windows: impl Iterator<Item = u64>) -> [i64; 2] {
    windows.fold([0, 0], |mut bands, window| {
        let is_peak = (8..20).contains(&(window % 24));
        let wh: i64 = reading(number, window).into_iter().flatten().sum();
        bands[usize::from(is_peak)] += wh;
        bands
    })
}

impl Bench {
    fn billed_report(&self, number: u32, window: u64) -> Sealed {
        let under = crate::testing::fleet::Under {
            plan: self.plan.clone(),
            ..self.fleet.under(self.fleet.window(window), true)
        };
        self.fleet.seal(number, &under, &reading(number, window))
    }

    /// The bill of a meter over these windows, as analytics makes it.
    fn bill(&self, number: u32, windows: &[u64]) -> (Bill, Vec<u8>) {
        let reports = windows
            .iter()
            .map(|window| (*window, self.billed_report(number, *window)));
        self.bill_of(number, &reports.collect::<Vec<_>>())
    }

    fn bill_of(&self, number: u32, reports: &[(u64, Sealed)]) -> (Bill, Vec<u8>) {
        let tariff = self.plan.tariff.as_ref().unwrap();
        let grid = self.plan.grid().unwrap();
        let encoding = self.fleet.encoding();
        let scale = Scale::of([&encoding]).unwrap();
        let start = |window: u64| WindowStart(self.fleet.window(window));
        let mut groups = BTreeMap::<Vec<u8>, Vec<&(u64, Sealed)>>::new();
        for report in reports {
            let bands = tariff.bands_of(&grid, start(report.0)).unwrap();
            groups.entry(bands).or_default().push(report);
        }
        let mut numbers = vec![0; tariff.bands.len()];
        let mut limbs = Vec::new();
        let mut parts = Vec::new();
        for (bands, reports) in groups {
            let sum = self
                .fleet
                .limbs(reports.iter().map(|(_, report)| (1, report)));
            limbs.extend_from_slice(rest(&encoding.shape, &sum));
            for (_, report) in &reports {
                for (band, residue) in bands.iter().zip(&report.c0) {
                    let number: &mut u64 = &mut numbers[usize::from(*band)];
                    *number = add(*number, scale.sent(&encoding, *residue));
                }
            }
            parts.push(BillGroup {
                epoch: FIRST_EPOCH,
                plan_version: self.plan.feeders[0].since,
                windows: reports.iter().map(|(window, _)| start(*window)).collect(),
                salts: reports.iter().map(|(_, report)| report.salt).collect(),
            });
        }
        let bill = Bill {
            analytics: "analytics-1".parse().unwrap(),
            feeder: "feeder-1".parse().unwrap(),
            meter: self.fleet.members.get(number).unwrap().meter.clone(),
            number,
            period: tariff.period_of(&grid, start(reports[0].0)).0,
            groups: parts,
            bands: numbers,
        };
        bill.check().unwrap();
        (bill, limbs)
    }

    fn bill_job(&self, (bill, limbs): &(Bill, Vec<u8>)) -> Job {
        let topic = topics().bill(wire::Shard(0), &bill.feeder);
        let (bytes, _) = wire::seal(bill, Some(limbs), &deployment(), &topic, &signing(3));
        Job {
            others: vec![("feeder-2".parse().unwrap(), self.fleet.members.clone())],
            ..self.raw("feeder-1", bytes)
        }
    }

    fn take_bill(&mut self, job: &Job) -> BillVerdict {
        let result = self.taker.as_mut().unwrap().take_bill(job);
        let status = result.message.map(|(topic, bytes)| {
            let receipt = wire::decode::<BillReceipt>(&bytes, bytes.len()).unwrap();
            let key = self.fleet.keyring.verifying();
            receipt
                .verify(&deployment(), &topic, &key)
                .unwrap()
                .message
                .status
        });
        match (&result.verdict, status) {
            (BillVerdict::Released(_), Some(SumStatus::Taken))
            | (BillVerdict::Duplicate, Some(SumStatus::Duplicate))
            | (BillVerdict::Rejected(_) | BillVerdict::Deferred, None) => {}
            (BillVerdict::Rejected(reason), Some(status)) => {
                assert_eq!(status, SumStatus::Rejected(*reason));
            }
            other => panic!("{other:?}"),
        }
        result.verdict
    }

    fn opened_bill(&mut self, bill: &(Bill, Vec<u8>)) -> BillReport {
        match self.take_bill(&self.bill_job(bill)) {
            BillVerdict::Released(report) => *report,
            other => panic!("{other:?}"),
        }
    }

    fn refused_bill(&mut self, bill: &(Bill, Vec<u8>)) -> Reason {
        match self.take_bill(&self.bill_job(bill)) {
            BillVerdict::Rejected(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// The total of a window over these meters.
    fn total(&mut self, window: u64, numbers: std::ops::Range<u32>) -> SumStatus {
        let reports: Vec<_> = numbers
            .map(|number| self.billed_report(number, window))
            .collect();
        let (sum, limbs) = self.sum(window, 0, &reports);
        self.answer(self.job_of(&sum, &limbs))
    }
}

fn energies(report: &BillReport) -> Vec<(&str, u32, i64)> {
    let band = |band: &BandEnergy| (band.intervals, band.energy_wh);
    let bands = report.bands.iter().map(|of| (of.band.as_str(), band(of)));
    bands
        .map(|(name, (intervals, wh))| (name, intervals, wh))
        .collect()
}

#[test]
fn a_bill_is_exact_and_one_line_however_often_it_comes() {
    let mut bench = bench();
    // Four windows of the day are missing.
    let windows: Vec<u64> = (24..48).filter(|window| window % 6 != 1).collect();
    let bill = bench.bill(0, &windows);
    let report = bench.opened_bill(&bill);
    let [low, peak] = truth_of(0, windows.iter().copied());
    assert_eq!(energies(&report), [("low", 40, low), ("peak", 40, peak)]);
    assert_eq!((report.windows, report.period_windows), (20, 24));
    assert_eq!(report.period_start.0, bench.fleet.window(24));
    let job = bench.bill_job(&bill);
    assert!(matches!(bench.take_bill(&job), BillVerdict::Duplicate));
    bench.restart(|ledger| ledger);
    assert!(matches!(bench.take_bill(&job), BillVerdict::Duplicate));
    let lines = bench.lines("bills.jsonl");
    assert_eq!(lines.len(), 1);
    assert_eq!(
        serde_json::from_str::<BillReport>(&lines[0]).unwrap(),
        report
    );
    // Another one over the same windows, or over others of the period.
    for windows in [&windows[..], &[25, 31, 33]] {
        let other = bench.bill(0, windows);
        assert_eq!(bench.refused_bill(&other), Reason::AlreadyOpened);
    }
}

#[test]
fn a_kill_between_ledger_and_file_leaves_one_line() {
    let mut bench = bench();
    let bill = bench.bill(0, &[24, 25, 33]);
    bench.opened_bill(&bill);
    bench.taker = None;
    std::fs::write(bench.dir.path().join("bills.jsonl"), "{\"version\":1,\"fee").unwrap();
    bench.restart(|ledger| ledger);
    assert_eq!(bench.lines("bills.jsonl").len(), 1);
    bench.restart(|ledger| ledger);
    assert_eq!(bench.lines("bills.jsonl").len(), 1);
}

/// The operator was killed between spending a bill and its answer.
#[test]
fn a_bill_that_is_spent_and_not_answered_is_opened_when_it_comes_again() {
    let mut bench = bench();
    let bill = bench.bill(0, &[24, 25, 33]);
    let digest = {
        let topic = topics().bill(wire::Shard(0), &bill.0.feeder);
        wire::seal(&bill.0, Some(&bill.1), &deployment(), &topic, &signing(3)).1
    };
    let row = crate::release::ledger::BillRow {
        feeder: bill.0.feeder.clone(),
        period: bill.0.period,
        number: 0,
        stage: crate::release::bills::BillStage::Spent,
        digest,
    };
    let windows: Vec<_> = bill.0.windows().collect();
    let ledger = &mut bench.taker.as_mut().unwrap().ledger;
    ledger.spend_bill(&row, &windows).unwrap();
    bench.restart(|ledger| ledger);
    let other = bench.bill(0, &[24, 25, 33]);
    assert_eq!(bench.refused_bill(&other), Reason::AlreadyOpened);
    bench.opened_bill(&bill);
}

#[test]
fn a_tariff_that_changes_within_a_period_has_bands_of_both() {
    let noon = 24 * 3_600 + 12 * 3_600;
    let mut bench = bench_of(vec![version(0, 1, 0), version(noon, 3, 2)]);
    let windows: Vec<u64> = (24..48).collect();
    let report = bench.opened_bill(&bench.bill(1, &windows));
    let [low, peak] = truth_of(1, 24..36);
    let [low_later, peak_later] = truth_of(1, 36..48);
    assert_eq!(
        energies(&report),
        [
            ("low", 32, low),
            ("peak", 16, peak),
            ("low-later", 16, low_later),
            ("peak-later", 32, peak_later)
        ]
    );
}

#[test]
fn a_bill_that_is_not_by_the_rules_is_not_opened() {
    let mut bench = bench();
    let of = |bench: &Bench, change: fn(&mut Bill)| {
        let (mut bill, limbs) = bench.bill(2, &[24, 25, 33, 34]);
        change(&mut bill);
        (bill, limbs)
    };
    let meter_of = |bench: &Bench, number| bench.fleet.members.get(number).unwrap().meter.clone();
    assert_eq!(
        bench.refused_bill(&bench.bill(7, &[24, 33])),
        Reason::NotBilled
    );
    let mut stolen = bench.bill(2, &[24, 33]);
    stolen.0.meter = meter_of(&bench, 3);
    assert_eq!(bench.refused_bill(&stolen), Reason::UnknownMeter);
    for (change, reason) in [
        (
            (|bill: &mut Bill| bill.bands.truncate(3)) as fn(&mut Bill),
            Reason::WrongBands,
        ),
        (|bill| bill.period = WindowStart(0), Reason::WrongBands),
        (|bill| bill.bands[0] = RING.modulus, Reason::LimbOutOfRange),
        (
            |bill| bill.groups[0].plan_version.0 += 1,
            Reason::OutdatedConfig,
        ),
        (
            |bill| bill.groups[0].windows[0].0 += 1,
            Reason::MisalignedWindow,
        ),
        (
            // A window of the other band among those of a group.
            |bill| bill.groups[0].windows[1] = WindowStart(35 * 3_600),
            Reason::WrongBands,
        ),
    ] {
        let bill = of(&bench, change);
        assert_eq!(bench.refused_bill(&bill), reason);
    }
    bench.release.bill_min_intervals = 9;
    bench.restart(|ledger| ledger);
    assert_eq!(
        bench.refused_bill(&of(&bench, |_| {})),
        Reason::FewIntervals
    );
    assert_eq!(bench.refusals(), 0);
    assert!(bench.lines("bills.jsonl").is_empty());
}

#[test]
fn a_forged_bill_is_not_opened_and_costs_a_refusal() {
    let mut bench = bench();
    // Nobody else's signature.
    let bill = bench.bill(2, &[24, 25, 33]);
    let topic = topics().bill(wire::Shard(0), &bill.0.feeder);
    let (bytes, _) = wire::seal(&bill.0, Some(&bill.1), &deployment(), &topic, &signing(4));
    let forged = bench.raw("feeder-1", bytes);
    assert!(matches!(
        bench.take_bill(&forged),
        BillVerdict::Rejected(Reason::BadSignature)
    ));
    assert_eq!(bench.refusals(), 0);
    // Half a quantum on a band; another meter's report as this one's; a report left out; one twice.
    let mut half = bench.bill(0, &[24, 25, 33]);
    let unit = 1 << (bench.fleet.encoding().profile.scale_bits - 12);
    half.0.bands[0] = add(half.0.bands[0], unit / 2);
    let mut other = bench.bill(1, &[24, 25, 33]);
    other.1 = bench.bill(2, &[24, 25, 33]).1;
    let mut without = bench.bill(3, &[24, 25, 26, 33]);
    without.0.groups[0].windows.pop();
    without.0.groups[0].salts.pop();
    let report = bench.billed_report(4, 24);
    let again = Sealed {
        salt: Salt([9; 8]),
        ..report.clone()
    };
    let twice = bench.bill_of(4, &[(24, report), (25, again)]);
    for (expected, bill) in (1..).zip([half, other, without, twice]) {
        assert_eq!(bench.refused_bill(&bill), Reason::NotOpened);
        assert_eq!(bench.refusals(), expected);
        assert_eq!(bench.refused_bill(&bill), Reason::NotOpened);
        assert_eq!(bench.refusals(), expected, "it is not looked at again");
    }
    assert!(bench.lines("bills.jsonl").is_empty());
}

/// Analytics names what it adds up as it likes: c1 and the numbers of a single interval. The masks do not fit.
#[test]
fn one_interval_passed_off_as_a_band_is_not_opened() {
    let mut bench = bench();
    let report = bench.billed_report(0, 33);
    let encoding = bench.fleet.encoding();
    let (mut bill, limbs) = bench.bill_of(0, &[(33, report.clone())]);
    let scale = Scale::of([&encoding]).unwrap();
    bill.bands[1] = scale.sent(&encoding, report.c0[0]);
    assert_eq!(bench.refused_bill(&(bill, limbs)), Reason::NotOpened);
}

#[test]
fn a_total_minus_all_other_bills_is_never_a_few_households() {
    let mut bench = bench();
    let windows: Vec<u64> = vec![24, 25, 33, 34];
    for window in &windows {
        assert_eq!(bench.total(*window, 0..8), SumStatus::Taken);
    }
    for number in 0..5 {
        let bill = bench.bill(number, &windows);
        bench.opened_bill(&bill);
    }
    // Two would be left that have no bill, also for whoever starts again.
    let last = bench.bill(5, &windows);
    assert_eq!(bench.refused_bill(&last), Reason::FewUnbilled);
    bench.restart(|ledger| ledger);
    assert_eq!(bench.refused_bill(&last), Reason::FewUnbilled);
    // What it keeps back.
    bench.release = bench.release.without(Rule::Bills);
    bench.restart(|ledger| ledger);
    bench.opened_bill(&last);
}

#[test]
fn a_total_that_comes_after_bills_leaves_the_minimum_without_one() {
    let mut bench = bench();
    for number in 0..5 {
        let bill = bench.bill(number, &[24, 33]);
        bench.opened_bill(&bill);
    }
    assert_eq!(
        bench.total(24, 0..7),
        SumStatus::Rejected(Reason::FewUnbilled)
    );
    assert_eq!(bench.total(33, 0..8), SumStatus::Taken);
    assert_eq!(bench.total(26, 0..7), SumStatus::Taken, "it has no bills");
}

/// What counts is who is without a bill over all feeders of the rest.
#[test]
fn the_rest_of_an_area_has_the_minimum_without_a_bill() {
    let mut bench = bench().in_areas();
    let windows = [24, 25, 33, 34];
    let bill = bench.bill(0, &windows);
    bench.opened_bill(&bill);
    let meters = [
        ("feeder-1", 0),
        ("feeder-1", 1),
        ("feeder-2", 0),
        ("feeder-2", 1),
    ];
    let few = bench.rest_of(33, "t-1", &meters[..3]);
    assert_eq!(bench.reason(few), (Reason::FewUnbilled, true));
    let enough = bench.rest_of(33, "t-1", &meters);
    assert_eq!(bench.answer(enough), SumStatus::Taken);
    for restart in [false, true] {
        if restart {
            bench.restart(|ledger| ledger);
        }
        let bill = bench.bill(1, &windows);
        assert_eq!(bench.refused_bill(&bill), Reason::FewUnbilled);
    }
    // Whose share cannot be looked up may be anybody.
    let bill = bench.bill(1, &windows);
    let job = Job {
        others: Vec::new(),
        ..bench.bill_job(&bill)
    };
    let refused = bench.take_bill(&job);
    assert!(
        matches!(refused, BillVerdict::Rejected(Reason::AlreadyOpened)),
        "{refused:?}"
    );
    // Who is not in the rest may have one.
    let other = bench.bill(2, &windows);
    bench.opened_bill(&other);
}
