use wire::{ContributorSet, MeterId};

use super::super::observer::Release;
use super::super::totals::{Total, read_lines};
use super::*;

const METERS: u32 = 4;
const WINDOW: WindowStart = WindowStart(3_600);

fn feeder() -> FeederId {
    "feeder-1".parse().unwrap()
}

fn meter(number: u32) -> MeterId {
    format!("meter-{number}").parse().unwrap()
}

fn digest(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

/// Meters of 100 Wh, then of −5 Wh.
fn truths(meters: u32) -> Truths {
    let mut truths = Truths::default();
    for _ in 0..meters {
        let readings = [Some(100_000_000), Some(-5_000_000)];
        truths.add((feeder(), WINDOW), &readings, i64::MAX);
    }
    truths
}

/// The ledgers of one window that agree.
struct Ledgers {
    truths: Truths,
    seen: Seen,
    totals: Vec<Total>,
    supplement_min_meters: u32,
}

impl Ledgers {
    fn new() -> Self {
        let mut seen = Seen::default();
        for number in 0..METERS {
            let mut sealed = Sealed::default();
            sealed.folded.insert(digest(1_000));
            seen.reports.insert(
                (meter(number), WINDOW),
                BTreeMap::from([(digest(number), sealed)]),
            );
            seen.feeders.insert(meter(number), feeder());
            seen.numbers.insert(meter(number), number);
        }
        let bytes: Vec<u8> = (0..METERS).flat_map(|number| digest(number).0).collect();
        let release = Release {
            set: ContributorSet::from_numbers(0..METERS).unwrap(),
            contributors_digest: Digest::of(&bytes),
            answered: true,
            divided: false,
            refused: BTreeSet::new(),
        };
        seen.releases.insert(
            (feeder(), WINDOW, Part(0)),
            BTreeMap::from([(digest(2_000), release)]),
        );
        let total = Total {
            feeder: feeder(),
            window_start: WINDOW,
            part: Part(0),
            meters: METERS,
            energy_wh: vec![Some(400), Some(-20)],
            present: vec![Some(METERS); 2],
            quantum_wh: 1,
            digest: digest(2_000),
        };
        Self {
            truths: truths(METERS),
            seen,
            totals: vec![total],
            supplement_min_meters: 0,
        }
    }

    fn judge(&self) -> Verdict {
        let rules = Rules {
            min_meters: 2,
            supplement_min_meters: self.supplement_min_meters,
        };
        judge(&self.truths, &self.seen, &self.totals, rules)
    }

    /// Lost, duplicated, wrong windows, once `change` is made.
    fn after(change: impl FnOnce(&mut Self)) -> (u64, u64, usize) {
        let mut ledgers = Self::new();
        change(&mut ledgers);
        let verdict = ledgers.judge();
        assert!(!verdict.is_clean(), "{verdict:?}");
        (verdict.lost, verdict.duplicated, verdict.windows_wrong)
    }
}

#[test]
fn ledgers_that_agree_are_clean_and_the_contributors_identified() {
    let verdict = Ledgers::new().judge();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.reports_expected, verdict.reports_folded), (4, 4));
    assert_eq!((verdict.windows, verdict.windows_identified), (1, 1));
    assert_eq!(verdict.receipts_seen, 4);
    assert_eq!(
        (verdict.max_relative_error, verdict.sums_not_opened),
        (0.0, 0)
    );
}

#[test]
fn a_meter_missing_from_the_total_is_lost() {
    assert_eq!(Ledgers::after(|l| l.totals[0].meters = 3), (1, 0, 1));
    assert_eq!(Ledgers::after(|l| l.totals.clear()), (4, 0, 1));
}

#[test]
fn a_meter_too_many_is_a_duplicate_and_so_is_a_second_line() {
    assert_eq!(Ledgers::after(|l| l.totals[0].meters = 6), (0, 2, 1));
    let twice = |l: &mut Ledgers| l.totals.push(l.totals[0].clone());
    assert_eq!(Ledgers::after(twice), (0, 4, 1));
}

#[test]
fn one_lost_and_another_doubled_make_the_window_wrong() {
    assert_eq!(
        Ledgers::after(|l| l.totals[0].energy_wh[0] = Some(401)),
        (0, 0, 1)
    );
    let other = |l: &mut Ledgers| {
        let of = l.seen.releases.values_mut().next().unwrap();
        of.get_mut(&digest(2_000)).unwrap().contributors_digest = digest(9);
    };
    assert_eq!(Ledgers::after(other), (0, 0, 1));
}

#[test]
fn two_receipts_of_folding_are_a_duplicate_though_the_totals_are_right() {
    let sealed = |l: &mut Ledgers, receipt| {
        let of = l.seen.reports.get_mut(&(meter(0), WINDOW)).unwrap();
        of.get_mut(&digest(0)).unwrap().folded.insert(receipt);
    };
    assert_eq!(Ledgers::after(|l| sealed(l, digest(1_001))), (0, 1, 1));
    // The same receipt delivered twice is one receipt.
    let mut ledgers = Ledgers::new();
    sealed(&mut ledgers, digest(1_000));
    assert!(ledgers.judge().is_clean());
}

#[test]
fn a_report_with_two_ciphertexts_or_a_sum_released_twice_is_wrong() {
    let resealed = |l: &mut Ledgers| {
        let of = l.seen.reports.get_mut(&(meter(0), WINDOW)).unwrap();
        of.insert(digest(77), Sealed::default());
    };
    assert_eq!(Ledgers::after(resealed), (0, 0, 1));
    let twice = |l: &mut Ledgers| {
        let of = l.seen.releases.values_mut().next().unwrap();
        let second = of[&digest(2_000)].clone();
        of.insert(digest(2_001), second);
    };
    assert_eq!(Ledgers::after(twice), (0, 0, 1));
}

/// A report lost from a sum or twice in it leaves masks that do not come off.
#[test]
fn a_sum_that_the_operator_could_not_open_is_counted_whatever_came_of_its_window() {
    let change = |change: fn(&mut Release)| {
        let mut ledgers = Ledgers::new();
        let of = ledgers.seen.releases.values_mut().next().unwrap();
        change(of.get_mut(&digest(2_000)).unwrap());
        let verdict = ledgers.judge();
        (verdict.sums_not_opened, verdict.is_clean())
    };
    assert_eq!(change(|release| release.divided = true), (1, false));
    for reason in [Reason::NotOpened, Reason::AlreadyOpened] {
        let mut ledgers = Ledgers::new();
        let of = ledgers.seen.releases.values_mut().next().unwrap();
        let release = of.get_mut(&digest(2_000)).unwrap();
        release.refused.insert(reason);
        let verdict = ledgers.judge();
        assert_eq!((verdict.sums_not_opened, verdict.is_clean()), (1, false));
    }
    let later = |release: &mut Release| {
        release.refused.insert(Reason::UnknownPlan);
    };
    assert_eq!(change(later), (0, true));
}

#[test]
fn a_window_nobody_should_have_reported_is_wrong() {
    assert_eq!(Ledgers::after(|l| l.truths = Truths::default()), (0, 0, 1));
}

#[test]
fn parts_add_up_and_what_the_subscriber_missed_proves_nothing() {
    let mut ledgers = Ledgers::new();
    let mut second = ledgers.totals[0].clone();
    for (total, energy_wh) in [
        (&mut ledgers.totals[0], [300, -20]),
        (&mut second, [100, 0]),
    ] {
        (total.meters, total.present) = (2, vec![Some(2); 2]);
        total.energy_wh = energy_wh.map(Some).to_vec();
    }
    second.part = Part(1);
    ledgers.totals.push(second);
    let verdict = ledgers.judge();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!(verdict.windows_identified, 0);
    let mut ledgers = Ledgers::new();
    ledgers.seen.reports.remove(&(meter(2), WINDOW));
    let verdict = ledgers.judge();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!(verdict.windows_identified, 0);
}

#[test]
fn an_interval_of_too_few_readings_is_withheld_and_wrong_once_shown() {
    let thin = |l: &mut Ledgers| {
        l.truths = Truths::default();
        for last in [Some(-5_000_000), None, None, None] {
            let readings = [Some(100_000_000), last];
            l.truths.add((feeder(), WINDOW), &readings, i64::MAX);
        }
        l.totals[0].energy_wh = vec![Some(400), None];
        l.totals[0].present = vec![Some(METERS), None];
    };
    let mut ledgers = Ledgers::new();
    thin(&mut ledgers);
    let verdict = ledgers.judge();
    assert!(verdict.is_clean(), "{verdict:?}");
    let shown = |l: &mut Ledgers| {
        thin(l);
        (l.totals[0].energy_wh[1], l.totals[0].present[1]) = (Some(-5), Some(1));
    };
    assert_eq!(Ledgers::after(shown), (0, 0, 1));
}

#[test]
fn a_window_with_too_few_meters_is_withheld_and_wrong_once_released() {
    let mut ledgers = Ledgers::new();
    ledgers.truths = truths(1);
    ledgers.totals.clear();
    let verdict = ledgers.judge();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.windows_withheld, verdict.lost), (1, 0));
    let released = |l: &mut Ledgers| {
        l.truths = truths(1);
        l.totals[0].meters = 1;
    };
    assert_eq!(Ledgers::after(released), (0, 0, 1));
}

#[test]
fn a_supplement_that_is_too_small_is_withheld_if_there_are_receipts_for_it() {
    let small = |l: &mut Ledgers| (l.totals[0].meters, l.supplement_min_meters) = (METERS - 1, 2);
    let mut ledgers = Ledgers::new();
    small(&mut ledgers);
    let verdict = ledgers.judge();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.windows_withheld, verdict.lost), (1, 0));
    let unanswered = |l: &mut Ledgers| {
        small(l);
        l.seen.reports.remove(&(meter(2), WINDOW));
    };
    assert_eq!(Ledgers::after(unanswered), (1, 0, 1));
    let too_many = |l: &mut Ledgers| {
        small(l);
        l.totals[0].meters = METERS - 2;
    };
    assert_eq!(Ledgers::after(too_many), (2, 0, 1));
}

#[test]
fn totals_are_read_line_by_line_and_a_torn_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("totals.jsonl");
    assert_eq!(read_lines::<Total>(&path).unwrap(), []);
    let line = format!(
        r#"{{"feeder":"feeder-1","window_start":3600,"part":0,"interval_s":900,"meters":4,"energy_wh":[400,-20],"present":[4,4],"quantum_wh":1,"digest":"{}","more":1}}"#,
        digest(2_000)
    );
    std::fs::write(&path, format!("{line}\n")).unwrap();
    assert_eq!(read_lines::<Total>(&path).unwrap(), Ledgers::new().totals);
    std::fs::write(&path, format!("{line}\n{}", &line[..40])).unwrap();
    let error = format!("{:#}", read_lines::<Total>(&path).unwrap_err());
    assert!(error.contains("line 2"), "{error}");
}
