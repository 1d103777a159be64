//! The search for who spoils a sum, over signed reports.

use std::collections::BTreeSet;

use super::*;
use crate::search::collect::{Collection, Judged};
use crate::search::searched::Searched;
use wire::{MeterId, Report};

/// Makes another report of one.
type Change<'a> = &'a dyn Fn(&mut Report);

/// Room for every report.
const ROOM: usize = 1 << 20;

/// Eight meters, of which `culprit` adds to its ciphertext, and the sum of all. Its analytics is honest.
struct Case {
    bench: Bench,
    reports: Vec<Sealed>,
    /// As they were before they were spoiled.
    honest: Vec<Sealed>,
    sum: Sum,
    limbs: Vec<u8>,
}

impl Case {
    fn new(spoil: impl Fn(&mut Sealed)) -> Self {
        let bench = Bench::new();
        let honest = bench.reports(1, &alike(0..8));
        let mut reports = honest.clone();
        reports.iter_mut().for_each(spoil);
        let (mut sum, limbs) = bench.sum(1, 0, &reports);
        let digests = reports.iter().flat_map(|report| digest(&bench, report).0);
        sum.contributors_digest = Digest::of(&digests.collect::<Vec<u8>>());
        Self {
            bench,
            reports,
            honest,
            sum,
            limbs,
        }
    }

    /// The sum does not open; returns what a search needs.
    fn divided(&mut self) -> Option<Judged> {
        let job = self.bench.job_of(&self.sum, &self.limbs);
        match self.bench.take(vec![job]).pop() {
            Some(TakeResult::Divided { judged, .. }) => judged.map(|judged| *judged),
            other => panic!("{other:?}"),
        }
    }

    /// The topic of a meter's report, and the report as the meter signs it, changed by `change`.
    fn signed(&self, report: &Sealed, change: impl Fn(&mut Report), seed: u8) -> (String, Bytes) {
        let number = report.number;
        let mut message = Report {
            plan_version: self.sum.plan_version,
            epoch: self.sum.epoch,
            feeder: self.sum.feeder.clone(),
            meter: format!("meter-{number}").parse().unwrap(),
            gateway: "gateway-1".parse().unwrap(),
            window: self.sum.window,
            salt: report.salt,
            sealed_at: UnixMillis(1),
        };
        change(&mut message);
        let topic = topics().report(wire::Shard(0), &message.feeder, &message.meter);
        let limbs = packed(&self.bench, report);
        let key = signing(seed);
        let (bytes, _) = wire::seal(&message, Some(&limbs), &deployment(), &topic, &key);
        (topic, bytes.into())
    }

    /// The topic of a meter's report, and the report as the meter signs it, of these limbs.
    fn signed_limbs(&self, report: &Sealed, limbs: &[u8]) -> (String, Bytes) {
        let (topic, bytes) = self.signed(report, |_| {}, report.number as u8);
        let message = wire::decode::<Report>(&bytes, bytes.len()).unwrap();
        let message = message.claimed();
        let key = signing(report.number as u8);
        let (bytes, _) = wire::seal(message, Some(limbs), &deployment(), &topic, &key);
        (topic, bytes.into())
    }

    fn come(&self, collection: &mut Collection, reports: &[Sealed]) {
        for report in reports {
            let (topic, bytes) = self.signed(report, |_| {}, report.number as u8);
            collection.take(&topic, &bytes, &topics(), &deployment());
        }
    }

    fn search(&mut self, collection: &Collection) -> Searched {
        match self.bench.taker.as_mut().unwrap().search(collection) {
            TakeResult::Searched(searched) => *searched,
            other => panic!("{other:?}"),
        }
    }

    /// A search of all reports.
    fn found(&mut self) -> Searched {
        let judged = self.divided().expect("a search");
        let (mut collection, _) = Collection::new(judged, ROOM);
        self.come(&mut collection, &self.reports);
        assert!(collection.is_complete());
        self.search(&collection)
    }

    fn record(&self) -> Vec<String> {
        self.bench.lines("totals.refused.jsonl")
    }
}

impl Case {
    /// A part of the sum, of these meters: itself and its ciphertext.
    fn part(&self, number: u16, meters: &[u32]) -> Job {
        let is_in = |report: &&Sealed| meters.contains(&report.number);
        let reports: Vec<Sealed> = self.reports.iter().filter(is_in).cloned().collect();
        let (mut sum, limbs) = self.bench.sum(1, number, &reports);
        sum.replaces = Some(Part(0));
        self.bench.job_of(&sum, &limbs)
    }

    /// The groups of the sum, that of `meter` first.
    fn groups(&self, meter: u32) -> [Vec<u32>; 2] {
        let groups = self.sum.set.partition(3, self.sum.window);
        let groups = groups.iter().map(|group| group.iter().collect());
        let mut groups: [Vec<u32>; 2] = groups.collect::<Vec<_>>().try_into().unwrap();
        groups.sort_by_key(|group| !group.contains(&meter));
        groups
    }
}

/// Nobody but the culprit loses readings: its part is never opened, and is made again without it.
#[test]
fn the_others_of_a_part_whose_culprit_is_named_are_in_a_total() {
    let mut case = Case::new(|report| {
        if report.number == 5 {
            key_leak(report);
        }
    });
    let [spoilt, other] = case.groups(5);
    let rest: Vec<u32> = spoilt.iter().copied().filter(|n| *n != 5).collect();
    let searched = case.found();
    assert_eq!(searched.culprits, meters_named(&[5]));
    let refusals = case.bench.refusals();
    let part = case.part(1, &spoilt);
    for _ in 0..2 {
        assert_eq!(case.bench.answer(part.clone()), SumStatus::Divide);
    }
    assert_eq!(case.bench.opened(1).len(), 1, "it is not opened");
    let part = case.part(2, &other);
    assert_eq!(case.bench.answer(part), SumStatus::Taken);
    let part = case.part(3, &rest);
    assert_eq!(case.bench.answer(part), SumStatus::Taken);
    assert_eq!((case.bench.refusals(), case.bench.totals()), (refusals, 2));
    // With it, or as another choice of its group, nothing more is opened.
    for numbers in [&spoilt[..], &spoilt[..3], &rest[..]] {
        let part = case.part(4, numbers);
        assert_eq!(case.bench.reason(part).0, Reason::AlreadyOpened);
    }
}

#[test]
fn parts_are_opened_once_the_search_has_ended() {
    let mut case = Case::new(key_leak);
    case.reports = case.honest.clone();
    let judged = case.divided().unwrap();
    let book = case.bench.taker.as_ref().unwrap().searches.clone();
    let (mut collection, _) = Collection::new(judged, ROOM);
    collection.hold_parts(book.begin(&case.sum));
    let [part, _] = case.groups(5);
    let part = case.part(1, &part);
    assert_eq!(case.bench.reason(part.clone()).0, Reason::NotReady);
    drop(collection);
    assert_eq!(case.bench.answer(part), SumStatus::Taken);
}

/// The limbs of a report.
fn packed(bench: &Bench, report: &Sealed) -> Vec<u8> {
    let profile = bench.fleet.encoding().profile;
    let raised = |words: &[u64], dropped: u32| -> Vec<u64> {
        words.iter().map(|word| word << dropped).collect()
    };
    let (c0, c1) = (
        raised(&report.c0, profile.dropped[0]),
        raised(&report.c1, profile.dropped[1]),
    );
    let mut limbs = Vec::new();
    packed::report::pack(profile, &c0, &c1, &mut limbs).unwrap();
    limbs
}

fn digest(bench: &Bench, report: &Sealed) -> Digest {
    Digest::of(&packed(bench, report))
}

/// Brings coefficients of the key into everything.
fn key_leak(report: &mut Sealed) {
    // Below (q − 1) / 4, as in this profile.
    report.c1[7] = (report.c1[7] + (1 << 40)) % ((1 << 48) - 4_096);
}

fn meters_named(numbers: &[u32]) -> Vec<MeterId> {
    let names = numbers
        .iter()
        .map(|number| format!("meter-{number}").parse().unwrap());
    names.collect()
}

#[test]
fn meters_whose_checks_are_wrong_are_named_and_counted() {
    let culprits = BTreeSet::from([2, 5]);
    let mut case = Case::new(|report| {
        if culprits.contains(&report.number) {
            key_leak(report);
        }
    });
    let searched = case.found();
    assert_eq!(searched.culprits, meters_named(&[2, 5]));
    assert_eq!((searched.reports, searched.missing), (8, 0));
    assert_eq!(searched.silent, []);
    assert!(!searched.is_cut_short && !searched.sum_differs);
    assert_eq!(case.bench.refusals(), 3, "the sum and two culprits");
    let [_divided, line] = &case.record()[..] else {
        panic!("{:?}", case.record())
    };
    assert!(
        line.contains(r#""culprits":["meter-2","meter-5"]"#),
        "{line}"
    );
    case.bench.restart(|ledger| ledger);
    assert_eq!(case.bench.refusals(), 3, "after a restart too");
}

#[test]
fn a_meter_that_spoils_readings_alone_is_not_found() {
    let mut case = Case::new(|_| {});
    case.limbs = spoil(&case.bench, &case.limbs);
    let searched = case.found();
    assert_eq!(searched.culprits, []);
    assert!(searched.sum_differs, "here it was analytics");
    assert_eq!((case.bench.refusals(), case.record().len()), (1, 1));

    let half = |report: &mut Sealed| {
        if report.number == 3 {
            // Half a watt-hour more or less in one reading.
            report.c0[0] ^= 1 << 26;
        }
    };
    let mut case = Case::new(half);
    let searched = case.found();
    assert_eq!((searched.culprits, searched.sum_differs), (vec![], false));
}

#[test]
fn only_what_the_meter_signed_and_the_sum_names_counts() {
    let mut case = Case::new(|report| {
        if report.number == 5 {
            key_leak(report);
        }
    });
    let judged = case.divided().unwrap();
    let (mut collection, _) = Collection::new(judged, ROOM);
    let report = case.reports[5].clone();
    let honest = report.number as u8;
    let changes: [(Change<'_>, u8); 7] = [
        (&|report| report.window.0 += case.sum.window.0, honest),
        (&|report| report.epoch.0 += 1, honest),
        (&|report| report.plan_version.0 += 1, honest),
        (&|report| report.salt.0[0] ^= 1, honest),
        (
            &|report| report.feeder = "feeder-2".parse().unwrap(),
            honest,
        ),
        (&|report| report.meter = "meter-99".parse().unwrap(), honest),
        (&|_| {}, honest + 1),
    ];
    for (change, seed) in changes {
        let (topic, bytes) = case.signed(&report, change, seed);
        collection.take(&topic, &bytes, &topics(), &deployment());
    }
    let (topic, bytes) = case.signed(&report, |_| {}, honest);
    collection.take("cipherwatt/v2/plan", &bytes, &topics(), &deployment());
    collection.take(&topic, &bytes.slice(1..), &topics(), &deployment());
    assert_eq!((collection.reports.len(), collection.missing()), (0, 8));
    assert_eq!(case.search(&collection).culprits, []);
    for _ in 0..2 {
        collection.take(&topic, &bytes, &topics(), &deployment());
    }
    assert_eq!(case.search(&collection).culprits, meters_named(&[5]));
}

#[test]
fn a_meter_that_signs_two_reports_under_one_salt_is_a_culprit() {
    let mut case = Case::new(|report| {
        if report.number == 5 {
            key_leak(report);
        }
    });
    let judged = case.divided().unwrap();
    let (mut collection, _) = Collection::new(judged, ROOM);
    // In order when the operator looks first.
    case.come(&mut collection, &case.honest[5..6]);
    case.come(&mut collection, &case.reports);
    let searched = case.search(&collection);
    assert_eq!(searched.culprits, meters_named(&[5]));
    assert_eq!(case.bench.refusals(), 1, "no answer about the key");
}

#[test]
fn a_meter_that_does_not_send_its_report_again_is_named_for_that() {
    let mut case = Case::new(|report| {
        if report.number == 5 {
            key_leak(report);
        }
    });
    let judged = case.divided().unwrap();
    let (mut collection, _) = Collection::new(judged, ROOM);
    case.come(&mut collection, &case.reports[..5]);
    case.come(&mut collection, &case.reports[6..]);
    let searched = case.search(&collection);
    assert_eq!(
        (searched.culprits, searched.silent),
        (vec![], meters_named(&[5]))
    );
    let record = case.record();
    assert!(record[1].contains(r#""silent":["meter-5"]"#), "{record:?}");
    assert_eq!(case.bench.refusals(), 1);
}

#[test]
fn reports_beyond_the_memory_are_left_out() {
    let mut case = Case::new(key_leak);
    let judged = case.divided().unwrap();
    let one = packed(&case.bench, &case.reports[0]).len();
    let (mut collection, _) = Collection::new(judged, 2 * one + one / 2);
    case.come(&mut collection, &case.reports);
    let searched = case.search(&collection);
    assert_eq!((searched.reports, searched.missing), (2, 6));
    assert_eq!(searched.silent, [], "they came");
    assert_eq!(searched.culprits.len(), 2);
}

#[test]
fn a_search_names_no_more_than_an_eighth_of_the_refusals_that_are_left() {
    let mut case = Case::new(key_leak);
    case.bench.max_refusals = 4;
    case.bench.restart(|ledger| ledger);
    let searched = case.found();
    // One for the sum, two set aside for its parts.
    assert_eq!((searched.culprits.len(), case.bench.refusals()), (1, 2));
    assert!(searched.is_cut_short);

    let mut case = Case::new(key_leak);
    case.bench.max_refusals = 1;
    case.bench.restart(|ledger| ledger);
    assert!(case.divided().is_none(), "nothing is left to search with");
}

/// All eight meters are behind two gateways, and spoil their sums.
#[test]
fn many_meters_behind_one_gateway_cost_few_refusals_and_name_it() {
    let mut case = Case::new(key_leak);
    let searched = case.found();
    assert_eq!(searched.culprits.len(), 6, "{searched:?}");
    assert_eq!(searched.gateways.len(), 2, "{searched:?}");
    assert_eq!(case.bench.refusals(), 7);
    assert!(case.record()[1].contains(r#""gateways":["gateway-"#));
}

/// It is signed for the sum by its meter, and analytics would have refused it.
#[test]
fn a_report_that_no_sum_can_have_takes_no_room_and_names_its_meter() {
    let mut case = Case::new(|report| {
        if report.number == 5 {
            key_leak(report);
        }
    });
    let judged = case.divided().unwrap();
    let length = packed(&case.bench, &case.reports[5]).len();
    let (mut collection, _) = Collection::new(judged, 8 * length);
    for (number, limbs) in [
        (5, vec![0; 2 << 20]),
        (6, vec![0; length - 1]),
        (7, vec![0xff; length]),
    ] {
        let (topic, bytes) = case.signed_limbs(&case.reports[number], &limbs);
        collection.take(&topic, &bytes, &topics(), &deployment());
        collection.take(&topic, &bytes, &topics(), &deployment());
    }
    assert_eq!(
        collection.reports.len(),
        1,
        "that of 7 is as long as a report"
    );
    case.come(&mut collection, &case.honest[..5]);
    assert!(collection.is_complete());
    let searched = case.search(&collection);
    assert_eq!(searched.culprits, meters_named(&[5, 6, 7]));
    assert_eq!(case.bench.refusals(), 1, "no answer about the key");
}
