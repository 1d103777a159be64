//! The bound on the error separates noise from a mistake: real sums are within it, and a sum in which one customer's
//! reading is dropped or counted twice is not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use harness::oracle::{Clear as _, FileTruth, Truth, Truths};
use harness::verdict::judge;
use harness::watch::{Seen, Watch};
use openfhe::{Context, secret};
use operator::{By, FeederReport, Scale};
use packed::layout::{self, Layout};
use packed::{ADDITIVE, Accumulator};
use wire::{
    Digest, FeederId, KeyEpoch, Part, PlanVersion, Sum, UnixMillis, UnixSeconds, WindowStart,
};

const BATCH: usize = 24;
const START: UnixSeconds = UnixSeconds(1_393_804_800);

/// A feeder's customers, encrypted; the key that opens their sum.
struct Feeder {
    key: secret::SecretKey,
    readings: Vec<Vec<i64>>,
    ciphertexts: Vec<Vec<u8>>,
    reference_wh: u64,
}

fn feeder() -> Feeder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/uci_electricity_hourly.csv");
    let mut file = FileTruth::open(&path, START, "UTC").unwrap();
    let mut readings = vec![Vec::new(); file.meters()];
    for hour in 0..BATCH as u64 {
        let energies = file
            .interval(UnixSeconds(START.0 + hour * 3600), 3600)
            .unwrap();
        for (customer, energy) in readings.iter_mut().zip(energies) {
            customer.push(energy.unwrap_or(0.0) as i64);
        }
    }
    // Every fourth customer, as the demo's first feeder.
    let readings: Vec<Vec<i64>> = readings.into_iter().step_by(4).collect();
    let greatest = readings.iter().flatten().max().copied().unwrap() as u64;
    let reference_wh = greatest.next_power_of_two();
    let context = Context::new(&ADDITIVE).unwrap();
    let (key, public) = secret::generate(&context).unwrap();
    let encrypt = |readings: &Vec<i64>| {
        let slots = layout::encode(Layout::Profile, readings, reference_wh).unwrap();
        context.encrypt(&public, &slots).unwrap()
    };
    Feeder {
        ciphertexts: readings.iter().map(encrypt).collect(),
        key,
        readings,
        reference_wh,
    }
}

impl Feeder {
    /// Whether the demo's judge accepts the sum of these customers as the feeder's total.
    fn accepts(&self, customers: &[usize]) -> bool {
        let mut sum = Accumulator::new(&ADDITIVE);
        for &customer in customers {
            sum.add(&self.ciphertexts[customer]).unwrap();
        }
        let slots = self.key.decrypt(&sum.to_packed()).unwrap();
        let totals = layout::decode(Layout::Profile, &slots, BATCH, self.reference_wh).unwrap();
        let id: FeederId = "feeder-1".parse().unwrap();
        let window = WindowStart(START.0);
        let meters = self.readings.len() as u32;
        let released = Sum {
            analytics: "analytics-1".parse().unwrap(),
            plan_version: PlanVersion(1),
            epoch: KeyEpoch(1),
            feeder: id.clone(),
            window,
            part: Part(0),
            // What a wrong sum would claim: the count alone shows nothing.
            contributors: meters,
            enrolled: meters,
            clamped: 0,
            missing: 0,
            oldest_sealed_at: UnixMillis(0),
            newest_sealed_at: UnixMillis(0),
            contributors_digest: Digest([0; 32]),
        };
        let scale = Scale {
            profile: &ADDITIVE,
            interval_s: 3600,
            reference_wh: self.reference_wh,
            quantum_wh: 1,
        };
        let by = By {
            operator: String::new(),
            taken_at: UnixMillis(0),
        };
        let report = FeederReport::new(&released, &Digest([0; 32]), &totals, &scale, &by);
        let energy_wh = (0..BATCH)
            .map(|k| {
                self.readings
                    .iter()
                    .map(|customer| customer[k] as f64)
                    .sum()
            })
            .collect();
        let truths: Truths = [((id, window), Truth { energy_wh, meters })].into();
        let mut watch = Watch::new(15);
        watch.record(&Seen::Operator(operator::Event::Released(Box::new(report))));
        judge(&watch, &truths).wrong.is_empty()
    }
}

#[test]
fn one_reading_dropped_or_doubled_is_out_of_bounds_for_every_customer() {
    let feeder = feeder();
    let everyone: Vec<usize> = (0..feeder.readings.len()).collect();
    assert!(feeder.accepts(&everyone));
    let mut silent = 0;
    for customer in &everyone {
        if feeder.readings[*customer].iter().all(|wh| *wh == 0) {
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
