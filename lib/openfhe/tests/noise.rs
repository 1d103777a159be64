//! The error of real encryptions, and sums at the edge of what a profile holds.

#![allow(clippy::unwrap_used)]

use std::thread;

use openfhe::secret::{self, SecretKey};
use openfhe::{Context, PublicKey};
use packed::{Accumulator, FoldError, Profile, noise};

fn setup(profile: &'static Profile) -> (Context, SecretKey, PublicKey) {
    let context = Context::new(profile).unwrap();
    let (secret, public) = secret::generate(&context).unwrap();
    (context, secret, public)
}

/// Mean square and greatest size of the differences.
fn error(actual: &[f64], expected: &[f64]) -> (f64, f64) {
    let errors = actual
        .iter()
        .zip(expected)
        .map(|(actual, expected)| actual - expected);
    let (square, max) = errors.fold((0.0, 0.0_f64), |(square, max), e| {
        (square + e * e, max.max(e.abs()))
    });
    (square / actual.len() as f64, max)
}

#[test]
fn the_measured_error_is_what_packed_says() {
    const KEYS: usize = 12;
    const EACH: usize = 24;
    for profile in Profile::all() {
        let context = Context::new(profile).unwrap();
        let values: Vec<f64> = (0..profile.slots())
            .map(|slot| (slot as f64).cos())
            .collect();
        let mut square = 0.0;
        for _ in 0..KEYS {
            // The size of a key's own polynomials moves the error by some per cent, so many keys.
            let (secret, public) = secret::generate(&context).unwrap();
            for _ in 0..EACH {
                let slots = secret
                    .decrypt(&context.encrypt(&public, &values).unwrap())
                    .unwrap();
                let (mean_square, max) = error(&slots, &values);
                assert!(max <= noise::bound(profile, 1), "{max} is past the bound");
                square += mean_square / (KEYS * EACH) as f64;
            }
        }
        let ratio = square.sqrt() / noise::slot_std(profile);
        assert!(
            (0.95..1.05).contains(&ratio),
            "{profile}: measured {:e}, {ratio} of what is stated",
            square.sqrt()
        );
    }
}

#[test]
fn the_error_of_a_sum_grows_with_the_root_of_its_contributors() {
    const CONTRIBUTORS: u32 = 1024;
    for profile in Profile::all() {
        let (context, secret, public) = setup(profile);
        let values: Vec<f64> = (0..profile.slots())
            .map(|slot| (slot as f64).sin())
            .collect();
        let sum = sealed_sum(&context, &public, &values, CONTRIBUTORS);
        let expected: Vec<f64> = values
            .iter()
            .map(|value| value * f64::from(CONTRIBUTORS))
            .collect();
        let (square, max) = error(&secret.decrypt(&sum.to_packed()).unwrap(), &expected);
        let ratio = square.sqrt() / (noise::slot_std(profile) * f64::from(CONTRIBUTORS).sqrt());
        // One sum under one key: 1,024 slots whose spread differs from key to key.
        assert!((0.8..1.2).contains(&ratio), "{profile}: {ratio}");
        assert!(max <= noise::bound(profile, CONTRIBUTORS));
        // So small that a single contributor's reading of a thousandth of the reference shows.
        assert!(noise::bound(profile, CONTRIBUTORS) < 1e-3);
    }
}

#[test]
fn sums_of_the_most_contributors_decode_right_and_one_more_is_refused() {
    for profile in Profile::all() {
        let (context, secret, public) = setup(profile);
        // All at the end of the range, half at each end, so that the sum is the largest there is.
        let values: Vec<f64> = (0..profile.slots())
            .map(|slot| if slot % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        check_largest(&context, &secret, &public, &values);
        // All equal: one coefficient of the encoded polynomial carries the whole sum.
        check_largest(&context, &secret, &public, &vec![1.0; profile.slots()]);
        check_largest(&context, &secret, &public, &vec![-1.0; profile.slots()]);
    }
}

fn check_largest(context: &Context, secret: &SecretKey, public: &PublicKey, values: &[f64]) {
    let profile = context.profile();
    let max = profile.max_contributors();
    // Merging a sum with itself doubles its errors instead of averaging them, so the wide profile
    // starts from more distinct ciphertexts: OpenFHE refuses to decode past log2(scale) − 5.
    let distinct = (max / 128).clamp(256, 8192);
    let base = sealed_sum(context, public, values, distinct);
    let mut sum = Accumulator::new(profile);
    let mut doubled = base.clone();
    let mut copies = max / distinct;
    while copies > 0 {
        if copies % 2 == 1 {
            sum.merge(&doubled).unwrap();
        }
        copies /= 2;
        if copies > 0 {
            let same = doubled.clone();
            doubled.merge(&same).unwrap();
        }
    }
    let one = context.encrypt(public, values).unwrap();
    while sum.contributors() < max {
        sum.add(&one).unwrap();
    }
    assert!(matches!(sum.add(&one), Err(FoldError::Full { .. })));
    assert_eq!(sum.contributors(), max);
    let slots = secret.decrypt(&sum.to_packed()).unwrap();
    let expected: Vec<f64> = values.iter().map(|value| value * f64::from(max)).collect();
    let (_, worst) = error(&slots, &expected);
    // Every error counts up to `copies` times over: at most the bound of that many equal ones.
    let bound = noise::bound(profile, distinct) * f64::from(max / distinct + 1) * 2.0;
    assert!(
        worst <= bound && worst < 0.5,
        "{profile}: off by {worst}, bound {bound}"
    );
}

/// The sum of this many encryptions of the same values, made by two threads.
fn sealed_sum(
    context: &Context,
    public: &PublicKey,
    values: &[f64],
    contributors: u32,
) -> Accumulator {
    let part = |count: u32| {
        let mut sum = Accumulator::new(context.profile());
        let mut sealed = Vec::new();
        for _ in 0..count {
            context.encrypt_into(public, values, &mut sealed).unwrap();
            sum.add(&sealed).unwrap();
        }
        sum
    };
    thread::scope(|scope| {
        let half = scope.spawn(|| part(contributors / 2));
        let mut sum = part(contributors - contributors / 2);
        sum.merge(&half.join().unwrap()).unwrap();
        sum
    })
}
