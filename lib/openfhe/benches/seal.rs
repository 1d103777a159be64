//! What a report costs over OpenFHE's own encode and encrypt, what decryption costs, and OpenFHE's
//! way of adding a ciphertext against ours.
//!
//! ```text
//! cargo bench -p openfhe --bench seal
//! cargo bench -p openfhe --bench seal --features serialisation    # with OpenFHE's deserialise + add
//! ```
//! At the end come ratios, from rounds that alternate between the things compared: on a shared
//! machine only figures of the same seconds compare. Absolute times are for one thread.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use openfhe::secret::{self, SecretKey};
use openfhe::{Context, PublicKey, reference};
use packed::{ADDITIVE, Accumulator, layout};
use wire::{
    DeploymentId, KeyEpoch, PlanVersion, Report, Sequence, SigningKey, UnixMillis, WindowStart,
    seal,
};

/// Readings of a report: a day of quarter hours.
const BATCH: usize = 96;
/// Watt-hours of a slot of 1.
const REFERENCE_WH: u64 = 4096;

struct Bench {
    context: Context,
    secret: SecretKey,
    public: PublicKey,
    readings: Vec<i64>,
    report: Report,
    deployment: DeploymentId,
    signer: SigningKey,
    topic: String,
    packed: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let context = Context::new(&ADDITIVE).unwrap();
        let (secret, public) = secret::generate(&context).unwrap();
        Self {
            readings: (0..BATCH as i64).map(|k| (k * 37) % 900).collect(),
            report: Report {
                plan_version: PlanVersion(3),
                epoch: KeyEpoch(1),
                feeder: "feeder-1".parse().unwrap(),
                meter: "meter-000001".parse().unwrap(),
                gateway: "gateway-1".parse().unwrap(),
                window: WindowStart(1_700_006_400),
                sequence: Sequence(17),
                sealed_at: UnixMillis(1_700_092_800_000),
                clamped: 0,
                missing: 0,
            },
            deployment: "dev".parse().unwrap(),
            signer: SigningKey::generate(),
            topic: "cipherwatt/v1/feeder/feeder-1/meter/meter-000001/report".to_owned(),
            packed: Vec::new(),
            context,
            secret,
            public,
        }
    }

    fn slots(&self) -> Vec<f64> {
        layout::encode(layout::Layout::Profile, &self.readings, REFERENCE_WH).unwrap()
    }

    /// OpenFHE alone: slot values to its own ciphertext.
    fn openfhe_alone(&self, slots: &[f64]) -> reference::Ciphertext {
        reference::Ciphertext::encrypt(&self.context, &self.public, slots).unwrap()
    }

    fn encrypt_packed(&mut self, slots: &[f64]) {
        self.context
            .encrypt_into(&self.public, slots, &mut self.packed)
            .unwrap();
    }

    /// Readings to the bytes that are published.
    fn seal(&mut self) -> Vec<u8> {
        let slots = self.slots();
        self.encrypt_packed(&slots);
        seal(
            &self.report,
            Some(&self.packed),
            &self.deployment,
            &self.topic,
            &self.signer,
        )
        .0
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    let mut bench = Bench::new();
    report(&mut criterion, &mut bench);
    decrypt(&mut criterion, &mut bench);
    fold(&mut criterion, &bench);
    criterion.final_summary();
    ratio_of_sealing(&mut bench);
}

fn report(criterion: &mut Criterion, bench: &mut Bench) {
    let mut group = criterion.benchmark_group("a report of 96 readings");
    let slots = bench.slots();
    group.bench_function("OpenFHE encode + encrypt", |b| {
        b.iter(|| bench.openfhe_alone(black_box(&slots)))
    });
    group.bench_function("encode + encrypt + pack", |b| {
        b.iter(|| bench.encrypt_packed(black_box(&slots)))
    });
    group.bench_function("seal: layout + encode + encrypt + pack + sign", |b| {
        b.iter(|| bench.seal())
    });
    group.finish();
}

fn decrypt(criterion: &mut Criterion, bench: &mut Bench) {
    let slots = bench.slots();
    bench.encrypt_packed(&slots);
    let mut group = criterion.benchmark_group("a sum");
    group.bench_function("unpack + decrypt + decode", |b| {
        b.iter(|| bench.secret.decrypt(black_box(&bench.packed)))
    });
    group.bench_function("generate keys", |b| {
        b.iter(|| secret::generate(&bench.context).unwrap())
    });
    group.finish();
}

fn fold(criterion: &mut Criterion, bench: &Bench) {
    let slots = bench.slots();
    let sealed: Vec<Vec<u8>> = (0..64)
        .map(|_| bench.context.encrypt(&bench.public, &slots).unwrap())
        .collect();
    let mut group = criterion.benchmark_group("adding a ciphertext");
    group.bench_function("packed fold", |b| {
        let mut sum = Accumulator::new(&ADDITIVE);
        let mut next = sealed.iter().cycle();
        b.iter(|| {
            if sum.contributors() == ADDITIVE.max_contributors() {
                sum = Accumulator::new(&ADDITIVE);
            }
            sum.add(black_box(next.next().unwrap())).unwrap();
        });
    });
    let objects: Vec<_> = sealed
        .iter()
        .map(|bytes| reference::Ciphertext::from_packed(&bench.context, bytes).unwrap())
        .collect();
    group.bench_function("OpenFHE EvalAddInPlace", |b| {
        let mut sum = bench.openfhe_alone(&slots);
        let mut next = objects.iter().cycle();
        b.iter(|| sum.add_assign(black_box(next.next().unwrap())).unwrap());
    });
    #[cfg(feature = "serialisation")]
    {
        let bytes: Vec<_> = objects
            .iter()
            .map(|object| object.serialise().unwrap())
            .collect();
        group.bench_function("OpenFHE deserialise + EvalAddInPlace", |b| {
            let mut sum = bench.openfhe_alone(&slots);
            let mut next = bytes.iter().cycle();
            b.iter(|| {
                let other = reference::Ciphertext::deserialise(
                    &bench.context,
                    black_box(next.next().unwrap()),
                )
                .unwrap();
                sum.add_assign(&other).unwrap();
            });
        });
    }
    group.finish();
}

/// The budget of the design: sealing costs at most 1.15 times what OpenFHE alone does.
fn ratio_of_sealing(bench: &mut Bench) {
    const ROUNDS: usize = 40;
    const EACH: usize = 25;
    let slots = bench.slots();
    let (mut packing, mut sealing) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let alone = time(EACH, || drop(black_box(bench.openfhe_alone(&slots))));
        let packed = time(EACH, || bench.encrypt_packed(&slots));
        let sealed = time(EACH, || drop(black_box(bench.seal())));
        packing.push(packed / alone);
        sealing.push(sealed / alone);
    }
    println!("\nin {ROUNDS} rounds that alternate, median over OpenFHE's encode + encrypt:");
    println!(
        "  encode + encrypt + pack                        {:.3}",
        median(&mut packing)
    );
    println!(
        "  seal: layout + encode + encrypt + pack + sign  {:.3}   (budget 1.15)",
        median(&mut sealing)
    );
}

fn time(count: usize, mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        f();
    }
    start.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
