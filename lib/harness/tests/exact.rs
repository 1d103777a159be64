//! The judge finds a mistake of one meter: real sums are exact, and a sum in which one customer's readings are dropped or counted
//! twice is not, even without the masks that would keep the operator from opening it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use harness::oracle::{Clear as _, FileTruth, Truths};
use harness::verdict::judge;
use harness::watch::{Seen, Watch};
use openfhe::{Context, secret};
use operator::{By, FeederReport, Scale};
use packed::layout::{Encoding, Entered, Layout, Shape};
use packed::{Accumulator, noise, sum};
use readings::{MicroWattHours, ReplayOptions, open_replay};
use service::config::Settings;
use wire::{
    ContributorSet, Digest, FeederId, KeyEpoch, Part, PlanVersion, Salt, Sum, UnixMillis,
    UnixSeconds, WindowStart,
};

const BATCH: u16 = 24;
const START: UnixSeconds = UnixSeconds(1_393_804_800);

/// A feeder's customers, encrypted; the key that opens their sum.
struct Feeder {
    key: secret::SecretKey,
    encoding: Encoding,
    /// In µWh.
    readings: Vec<Vec<i64>>,
    reports: Vec<Vec<u8>>,
}

/// Every fourth customer, as the demo's first feeder.
fn readings() -> Vec<Vec<i64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/uci_electricity_hourly.csv");
    let options = ReplayOptions::default();
    let replay = open_replay(&path, &options).unwrap();
    let mut file = FileTruth::open(&path, &options, replay.found()).unwrap();
    let mut readings = vec![Vec::new(); file.meters()];
    for hour in 0..u64::from(BATCH) {
        let at = UnixSeconds(START.0 + hour * 3600);
        let energies = file.interval(at, 3600).unwrap();
        for (customer, energy) in readings.iter_mut().zip(energies) {
            customer.push(energy.unwrap_or(0));
        }
    }
    readings.into_iter().step_by(4).collect()
}

/// What a meter enters.
fn entered(readings: &[i64], scale: meter::Scale) -> Vec<Option<Entered>> {
    let exact = |&uwh: &i64| Some((MicroWattHours(uwh), false));
    meter::enter(readings.iter().map(exact), scale, &mut MicroWattHours(0))
}

fn feeder() -> Feeder {
    let readings = readings();
    let greatest = readings.iter().flatten().max().copied().unwrap() as u64;
    let reference_wh = (greatest / 1_000_000 + 1).next_power_of_two();
    let context = Context::new().unwrap();
    let (key, public) = secret::generate(&context).unwrap();
    let meters = readings.len() as u32;
    let profile = noise::choose(Layout::Profile, reference_wh, meters, &key.norms());
    let quantum_wh = noise::quantum_wh(profile, &key.norms(), reference_wh, meters);
    let shape = Shape::new(Layout::Profile, BATCH).unwrap();
    let encoding = Encoding::new(profile, shape, reference_wh, quantum_wh, None).unwrap();
    let scale = meter::Scale {
        quantum_wh,
        reference_wh,
    };
    let public = seal::PublicKey::from_packed(public.as_packed()).unwrap();
    let seal = |readings: &Vec<i64>| {
        let plaintext = encoding.encode(&entered(readings, scale)).unwrap();
        let mut limbs = Vec::new();
        seal::encrypt(&public, profile, &plaintext, &mut limbs).unwrap();
        limbs
    };
    Feeder {
        reports: readings.iter().map(seal).collect(),
        key,
        encoding,
        readings,
    }
}

impl Feeder {
    /// Whether the demo's judge accepts the sum of these customers as the feeder's total.
    fn accepts(&self, customers: &[usize]) -> bool {
        self.accepts_changed(customers, |_| {})
    }

    /// The same of a total that somebody has changed.
    fn accepts_changed(&self, customers: &[usize], change: impl Fn(&mut FeederReport)) -> bool {
        let coefficients = self.encoding.shape.coefficients();
        let profile = self.encoding.profile;
        let mut added = Accumulator::new(profile, coefficients);
        for &customer in customers {
            added.add(&self.reports[customer]).unwrap();
        }
        let contributors = added.contributors();
        let packed = added.to_packed();
        let lifted = sum::lift(profile, coefficients, &packed, contributors).unwrap();
        let residues = self.key.open(&lifted).unwrap();
        let sigma = noise::sigma(profile, &self.key.norms());
        let mut totals = self
            .encoding
            .decode(&residues, contributors, sigma)
            .unwrap();
        // What a wrong sum would claim: the count alone shows nothing.
        let meters = self.readings.len() as u32;
        totals.present = vec![meters; usize::from(BATCH)];
        let id: FeederId = "feeder-1".parse().unwrap();
        let window = WindowStart(START.0);
        let scale = Scale {
            holders: None,
            interval_s: 3600,
            intervals: BATCH,
            quantum_wh: self.encoding.quantum_wh,
            square_unit_wh2: None,
            edges: *self.encoding.shape.edges(),
            reference_wh: self.encoding.reference_wh,
            enrolled: meters,
            part: Part(0),
            areas: Vec::new(),
            rules: Settings::defaults().release.rules(15),
        };
        let by = By {
            operator: String::new(),
            taken_at: UnixMillis(0),
        };
        let released = released(&id, window, meters);
        let mut report = FeederReport::new(&released, &Digest([0; 32]), &totals, &scale, &by);
        change(&mut report);
        let mut truths = Truths::default();
        for readings in &self.readings {
            let readings: Vec<_> = readings.iter().copied().map(Some).collect();
            truths.add((id.clone(), window), &readings, i64::MAX);
        }
        let mut watch = Watch::new(15);
        watch.record(&Seen::Operator(operator::Event::Released(Box::new(report))));
        let verdict = judge(&watch, &truths);
        assert_eq!(verdict.exact, verdict.wrong.is_empty());
        verdict.exact
    }
}

fn released(feeder: &FeederId, window: WindowStart, meters: u32) -> Sum {
    Sum {
        analytics: "analytics-1".parse().unwrap(),
        plan_version: PlanVersion(1),
        epoch: KeyEpoch(1),
        feeder: feeder.clone(),
        window,
        part: Part(0),
        rest: None,
        replaces: None,
        set: ContributorSet::from_numbers(0..meters).unwrap(),
        salts: (0..meters)
            .map(|n| Salt(u64::from(n).to_le_bytes()))
            .collect(),
        oldest_sealed_at: UnixMillis(0),
        newest_sealed_at: UnixMillis(0),
        contributors_digest: Digest([0; 32]),
    }
}

#[test]
fn a_deviation_without_a_unit_of_squares_is_found_and_a_unit_without_a_deviation() {
    let feeder = feeder();
    let everyone: Vec<usize> = (0..feeder.readings.len()).collect();
    let deviation = |report: &mut FeederReport| report.std_wh = Some(vec![Some(0); 24]);
    let unit = |report: &mut FeederReport| report.square_unit_wh2 = Some(1);
    assert!(!feeder.accepts_changed(&everyone, deviation));
    assert!(!feeder.accepts_changed(&everyone, unit));
}

#[test]
fn an_interval_more_than_the_window_has_is_found() {
    let feeder = feeder();
    let everyone: Vec<usize> = (0..feeder.readings.len()).collect();
    let longer = |report: &mut FeederReport| {
        report.energy_wh.push(None);
        report.mean_wh.push(None);
        report.present.push(Some(0));
        report.missing += u64::from(report.meters);
    };
    assert!(!feeder.accepts_changed(&everyone, longer));
}

#[test]
fn one_customer_dropped_or_doubled_is_found_whoever_it_is() {
    let feeder = feeder();
    let everyone: Vec<usize> = (0..feeder.readings.len()).collect();
    assert!(feeder.accepts(&everyone));
    let mut silent = 0;
    for customer in &everyone {
        if feeder.readings[*customer].iter().all(|uwh| *uwh == 0) {
            silent += 1;
            continue;
        }
        let dropped: Vec<usize> = everyone
            .iter()
            .copied()
            .filter(|other| other != customer)
            .collect();
        let doubled: Vec<usize> = everyone.iter().copied().chain([*customer]).collect();
        assert!(!feeder.accepts(&dropped), "customer {customer} dropped");
        assert!(!feeder.accepts(&doubled), "customer {customer} doubled");
    }
    assert!(
        silent < 3,
        "{silent} customers of {} use nothing at all",
        everyone.len()
    );
}
