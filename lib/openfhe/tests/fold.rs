//! Our sum of ciphertexts is OpenFHE's, bit for bit, whichever kernel computes it.

#![allow(clippy::unwrap_used)]

use openfhe::{Context, PublicKey, reference, secret};
use packed::{Accumulator, Kernel, Profile};
use proptest::prelude::*;

/// Real ciphertexts of values that differ, and OpenFHE's running sums of them.
struct Sums {
    profile: &'static Profile,
    sealed: Vec<Vec<u8>>,
    sums: Vec<Vec<u8>>,
}

fn seal(context: &Context, public: &PublicKey, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|i| {
            let values: Vec<f64> = (0..context.profile().slots())
                .map(|slot| ((slot * 7 + i) as f64).sin())
                .collect();
            context.encrypt(public, &values).unwrap()
        })
        .collect()
}

fn sums(profile: &'static Profile, count: usize) -> Sums {
    let context = Context::new(profile).unwrap();
    let (_, public) = secret::generate(&context).unwrap();
    let sealed = seal(&context, &public, count);
    let mut sum = sealed[0].clone();
    let mut sums = vec![sum.clone()];
    for next in &sealed[1..] {
        sum = reference::eval_add(&context, &sum, next).unwrap();
        sums.push(sum.clone());
    }
    Sums {
        profile,
        sealed,
        sums,
    }
}

#[test]
fn every_kernel_equals_eval_add_after_every_ciphertext() {
    for profile in Profile::all() {
        let expected = sums(profile, 40);
        let mut tried = 0;
        for kernel in Kernel::available() {
            let mut accumulator = Accumulator::with_kernel(profile, kernel).unwrap();
            for (sealed, sum) in expected.sealed.iter().zip(&expected.sums) {
                accumulator.add(sealed).unwrap();
                assert!(
                    accumulator.to_packed() == *sum,
                    "{kernel:?} differs after {}",
                    accumulator.contributors()
                );
            }
            tried += 1;
        }
        assert!(tried > 0);
    }
}

#[test]
fn a_long_sum_equals_eval_add_past_every_lazy_reduction() {
    // 2^11 lazy additions fit at 53 bits; add the same few ciphertexts more often than that.
    const ROUNDS: usize = 1100;
    for profile in Profile::all() {
        let context = Context::new(profile).unwrap();
        let (_, public) = secret::generate(&context).unwrap();
        let sealed = seal(&context, &public, 4);
        let objects: Vec<_> = sealed
            .iter()
            .map(|bytes| reference::Ciphertext::from_packed(&context, bytes).unwrap())
            .collect();
        let mut sum = reference::Ciphertext::from_packed(&context, &sealed[0]).unwrap();
        for object in objects.iter().cycle().skip(1).take(4 * ROUNDS - 1) {
            sum.add_assign(object).unwrap();
        }
        let expected = sum.to_packed().unwrap();
        for kernel in Kernel::available() {
            let mut accumulator = Accumulator::with_kernel(profile, kernel).unwrap();
            for bytes in sealed.iter().cycle().take(4 * ROUNDS) {
                accumulator.add(bytes).unwrap();
            }
            assert!(accumulator.to_packed() == expected, "{kernel:?}");
        }
    }
}

#[test]
fn packed_bytes_are_openfhes_words() {
    for profile in Profile::all() {
        let context = Context::new(profile).unwrap();
        let (_, public) = secret::generate(&context).unwrap();
        let object = reference::Ciphertext::encrypt(&context, &public, &[0.5]).unwrap();
        let bytes = object.to_packed().unwrap();
        let rebuilt = reference::Ciphertext::from_packed(&context, &bytes).unwrap();
        assert!(rebuilt.to_packed().unwrap() == bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any split into two sums that are then merged, in any order, with any kernel, equals EvalAdd.
    #[test]
    fn any_grouping_equals_eval_add(
        wide in any::<bool>(),
        sides in prop::collection::vec(any::<bool>(), 12),
        kernel in prop::sample::select(Kernel::available().collect::<Vec<_>>()),
    ) {
        use std::sync::OnceLock;
        static SUMS: [OnceLock<Sums>; 2] = [OnceLock::new(), OnceLock::new()];
        let index = usize::from(wide);
        let expected = SUMS[index].get_or_init(|| sums(Profile::all()[index], 12));
        let mut parts = [(); 2].map(|()| Accumulator::with_kernel(expected.profile, kernel).unwrap());
        for (sealed, side) in expected.sealed.iter().zip(sides) {
            parts[usize::from(side)].add(sealed).unwrap();
        }
        let [mut sum, other] = parts;
        sum.merge(&other).unwrap();
        prop_assert_eq!(sum.contributors(), 12);
        prop_assert!(sum.to_packed() == expected.sums[11]);
    }
}
