//! The noise of real encryptions against the model, and sums at the edge of what a profile holds.

#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::thread;

use openfhe::secret::{self, SecretKey};
use openfhe::{Context, Fresh, PublicKey};
use packed::layout::{Encoding, Entered, Layout, Shape};
use packed::{ADDITIVE, Accumulator, FoldError, Lifted, Profile, RING, noise, report, sum};

fn setup() -> (Context, SecretKey, PublicKey) {
    let context = Context::new().unwrap();
    let (secret, public) = secret::generate(&context).unwrap();
    (context, secret, public)
}

/// Seals encryptions of the plaintext in two threads and hands each to `add` of its thread's own `T`.
fn seal<T: Send>(
    plaintext: &[u64],
    key: (&Context, &PublicKey),
    contributors: u32,
    start: impl Fn() -> T + Sync,
    add: impl Fn(&mut T, &Fresh) + Sync,
) -> [T; 2] {
    let (context, public) = key;
    let part = |count: u32| {
        let mut fresh = Fresh::default();
        let mut sum = start();
        for _ in 0..count {
            context.encrypt(public, plaintext, &mut fresh).unwrap();
            add(&mut sum, &fresh);
        }
        sum
    };
    thread::scope(|scope| {
        let half = scope.spawn(|| part(contributors / 2));
        let other = part(contributors - contributors / 2);
        [half.join().unwrap(), other]
    })
}

fn add_packed(sum: &mut Accumulator, fresh: &Fresh) {
    let mut packed = Vec::new();
    report::pack(sum.profile(), &fresh.c0, &fresh.c1, &mut packed).unwrap();
    sum.add(&packed).unwrap();
}

fn merged([mut sum, other]: [Accumulator; 2]) -> Accumulator {
    sum.merge(&other).unwrap();
    sum
}

/// The residues that a sum of plaintexts of so many coefficients opens to.
fn open(secret: &SecretKey, sum: &Accumulator, coefficients: usize) -> Vec<u64> {
    let (packed, contributors) = (sum.to_packed(), sum.contributors());
    let lifted = sum::lift(sum.profile(), coefficients, &packed, contributors).unwrap();
    secret.open(&lifted).unwrap()
}

/// The root mean square of residues, as numbers around zero.
fn root_mean_square(residues: &[u64]) -> f64 {
    let squares = residues
        .iter()
        .map(|&residue| (residue.min(RING.modulus - residue) as f64).powi(2));
    (squares.sum::<f64>() / residues.len() as f64).sqrt()
}

/// Encryptions of nothing but zeros, so that every coefficient shows its noise.
const ZERO: [u64; RING.dimension] = [0; RING.dimension];

#[test]
fn the_noise_of_a_report_is_what_the_model_says_of_its_key() {
    const KEYS: usize = 4;
    const EACH: u32 = 40;
    for _ in 0..KEYS {
        let (context, secret, public) = setup();
        for profile in Profile::all() {
            let squares = |sum: &mut f64, fresh: &Fresh| {
                let mut one = Accumulator::new(profile, RING.dimension);
                add_packed(&mut one, fresh);
                let rms = root_mean_square(&open(&secret, &one, RING.dimension));
                *sum += rms * rms / f64::from(EACH);
            };
            let [a, b] = seal(&ZERO, (&context, &public), EACH, || 0.0, squares);
            // The mean of what an odd number of reports leaves out is not whole: lifting rounds half a unit away.
            let bias = rounding_bias(&secret, 0..RING.dimension);
            let ratio = (a + b).sqrt() / noise::sigma(profile, &secret.norms()).hypot(bias);
            // 80,000 coefficients; the model rounds the variance of OpenFHE's errors up by 3 %.
            assert!((0.97..1.02).contains(&ratio), "{profile}: {ratio}");
        }
    }
}

#[test]
fn the_noise_of_a_sum_grows_with_the_root_of_its_contributors() {
    const KEYS: usize = 4;
    const CONTRIBUTORS: u32 = 1_000;
    let mut squares = vec![0.0; Profile::all().len()];
    for _ in 0..KEYS {
        let (context, secret, public) = setup();
        let [ours, others]: [Vec<Accumulator>; 2] = seal(
            &ZERO,
            (&context, &public),
            CONTRIBUTORS,
            || {
                let profiles = Profile::all().iter();
                profiles
                    .map(|profile| Accumulator::new(profile, RING.dimension))
                    .collect()
            },
            |sums: &mut Vec<_>, fresh| sums.iter_mut().for_each(|sum| add_packed(sum, fresh)),
        );
        for (square, pair) in squares.iter_mut().zip(ours.into_iter().zip(others)) {
            let sum = merged(pair.into());
            let rms = root_mean_square(&open(&secret, &sum, RING.dimension));
            let sigma = noise::sigma(sum.profile(), &secret.norms());
            *square += (rms / sigma).powi(2) / f64::from(CONTRIBUTORS) / KEYS as f64;
        }
    }
    for (profile, square) in Profile::all().iter().zip(squares) {
        // The standard deviation of this itself is about 1 %, since coefficients are not quite independent.
        let ratio = square.sqrt();
        assert!((0.94..1.05).contains(&ratio), "{profile}: {ratio}");
    }
}

/// A sum of reports of [`ADDITIVE`] that round to the nearest multiple of 2^t instead of down.
struct Rounded(Lifted);

impl Rounded {
    fn new(coefficients: usize) -> Self {
        Self(Lifted {
            c0: vec![0; coefficients],
            c1: vec![0; RING.dimension],
        })
    }

    fn add(&mut self, c0: &[u64], c1: &[u64]) {
        let sums = [(&mut self.0.c0, c0), (&mut self.0.c1, c1)];
        for ((sum, words), dropped) in sums.into_iter().zip(ADDITIVE.dropped) {
            for (sum, word) in sum.iter_mut().zip(words) {
                let rounded = (word + (1 << dropped >> 1)) >> dropped << dropped;
                *sum = (*sum + rounded) % RING.modulus;
            }
        }
    }
}

/// The root mean square of what rounding adds to these coefficients of an opened report. It is off by half a
/// unit on average, whatever t, because a tie goes up: so little, but in every coefficient of `c1`, and
/// multiplied by the secret.
fn rounding_bias(secret: &SecretKey, coefficients: Range<usize>) -> f64 {
    let mut ones = Rounded::new(coefficients.end).0;
    ones.c1.fill(1);
    let rms = root_mean_square(&secret.open(&ones).unwrap()[coefficients]);
    rms / 2.0
}

#[test]
fn a_sum_of_30_000_reports_is_exact_with_floor_and_would_not_be_with_rounding() {
    const CONTRIBUTORS: u32 = 30_000;
    let root = f64::from(CONTRIBUTORS).sqrt();
    let shape = Shape::new(Layout::Profile, 96).unwrap();
    // What rounding adds depends on the key, and of six keys one is lucky.
    let (context, secret, public, sigma, bias) = loop {
        let (context, secret, public) = setup();
        let sigma = noise::sigma(&ADDITIVE, &secret.norms());
        let bias = rounding_bias(&secret, shape.checks()) * root / sigma;
        if bias > 6.0 {
            break (context, secret, public, sigma, bias);
        }
    };
    let quantum_wh = noise::quantum_wh(&ADDITIVE, &secret.norms(), 65_536, CONTRIBUTORS);
    let encoding = Encoding::new(&ADDITIVE, shape, 65_536, quantum_wh, None).unwrap();
    let wh = |k: i64| (k * 41 - 1_000) * quantum_wh as i64;
    let clamped = false;
    let entered: Vec<_> = (0..96)
        .map(|k| Some(Entered { wh: wh(k), clamped }))
        .collect();
    let plaintext = encoding.encode(&entered).unwrap();
    let coefficients = shape.coefficients();
    let [(floor, mut rounded), (other_floor, other_rounded)] = seal(
        &plaintext,
        (&context, &public),
        CONTRIBUTORS,
        || {
            (
                Accumulator::new(&ADDITIVE, coefficients),
                Rounded::new(coefficients),
            )
        },
        |(floor, rounded), fresh| {
            add_packed(floor, fresh);
            rounded.add(&fresh.c0, &fresh.c1);
        },
    );

    let residues = open(&secret, &merged([floor, other_floor]), coefficients);
    assert!(encoding.checks_pass(&residues, CONTRIBUTORS, sigma));
    let totals = encoding.decode(&residues, CONTRIBUTORS, sigma).unwrap();
    let exact = (0..96).map(|k| wh(k) * i64::from(CONTRIBUTORS));
    assert!(totals.energy_wh.into_iter().eq(exact));
    assert_eq!(totals.present, [CONTRIBUTORS; 96]);

    // One rounding more among 30,000.
    rounded.add(&other_rounded.0.c0, &other_rounded.0.c1);
    let residues = secret.open(&rounded.0).unwrap();
    assert!(!encoding.checks_pass(&residues, CONTRIBUTORS, sigma));
    let rms = root_mean_square(&residues[shape.checks()]);
    let found = rms / (sigma * root);
    assert!(
        (found - bias).abs() < 2.0,
        "{found}, not {bias} of the noise"
    );
}

#[test]
fn sums_of_the_most_contributors_are_exact_at_both_ends_of_the_range() {
    for layout in Layout::ALL {
        for profile in Profile::all() {
            for reading in [Some(1), Some(-1), None] {
                check_largest(profile, layout, reading);
            }
        }
    }
}

const REFERENCE_WH: u64 = 65_536;

/// The bins of a layout that has some: up to 1,000 Wh, up to the reference, and above it.
fn largest_shape(layout: Layout) -> Shape {
    let edges_wh: &[u64] = match layout {
        Layout::Histogram => &[1_000, REFERENCE_WH],
        Layout::Profile | Layout::Maxima | Layout::Moments => &[],
    };
    Shape::with_edges(layout, edges_wh, 24).unwrap()
}

/// Everybody enters the reference, which is made the quantum too: copies of the same reports multiply their
/// noise, so a finer one would not do.
fn check_largest(profile: &'static Profile, layout: Layout, sign: Option<i64>) {
    let (context, secret, public) = setup();
    let shape = largest_shape(layout);
    let unit = (layout == Layout::Moments).then_some(REFERENCE_WH * REFERENCE_WH);
    let encoding = Encoding::new(profile, shape, REFERENCE_WH, REFERENCE_WH, unit).unwrap();
    let entered = sign.map(|sign| Entered {
        wh: sign * REFERENCE_WH as i64,
        clamped: true,
    });
    let plaintext = encoding.encode(&[entered; 24]).unwrap();
    let start = || Accumulator::new(profile, shape.coefficients());
    let max = profile.max_contributors();
    // Copies multiply the noise, and the scale of `additive-wide` has the least room for that.
    let distinct = (max / 1_024).clamp(64, 512);
    let base = merged(seal(
        &plaintext,
        (&context, &public),
        distinct,
        start,
        add_packed,
    ));
    let (mut sum, copies) = (start(), max / distinct);
    let mut doubled = base.clone();
    for bit in 0..=copies.ilog2() {
        if copies >> bit & 1 == 1 {
            sum.merge(&doubled).unwrap();
        }
        if bit < copies.ilog2() {
            let same = doubled.clone();
            doubled.merge(&same).unwrap();
        }
    }
    let mut fresh = Fresh::default();
    context.encrypt(&public, &plaintext, &mut fresh).unwrap();
    while sum.contributors() < max {
        add_packed(&mut sum, &fresh);
    }
    let mut packed = Vec::new();
    report::pack(profile, &fresh.c0, &fresh.c1, &mut packed).unwrap();
    assert!(matches!(sum.add(&packed), Err(FoldError::Full { .. })));

    // As noisy as if every report were in it that often.
    let sigma = noise::sigma(profile, &secret.norms()) * f64::from(copies + distinct).sqrt();
    let residues = open(&secret, &sum, shape.coefficients());
    assert!(encoding.checks_pass(&residues, max, sigma));
    let totals = encoding.decode(&residues, max, sigma).unwrap();
    let (total, present) = match sign {
        Some(sign) => (sign * i64::from(max) * REFERENCE_WH as i64, max),
        None => (0, 0),
    };
    assert_eq!(totals.energy_wh, [total; 24], "{profile}");
    assert_eq!(totals.present, [present; 24], "{profile}");
    assert_eq!(totals.clamped, 24 * u64::from(present), "{profile}");
    let squares = u128::from(present) * u128::from(REFERENCE_WH).pow(2);
    assert_eq!(totals.squares_wh2, unit.map(|_| vec![squares; 24]));
    let bins = (layout == Layout::Histogram).then(|| vec![bins(sign, present); 24]);
    assert_eq!(totals.bins, bins);
}

/// Export is the first bin; up to the second edge, which is the reference, reaches the fourth.
fn bins(sign: Option<i64>, present: u32) -> Vec<u32> {
    let mut bins = vec![0; 5];
    bins[if sign == Some(-1) { 0 } else { 3 }] = present;
    bins
}
