//! Our sum of reports is OpenFHE's sum of the same ciphertexts, whichever kernel computes it: bit for bit
//! once what the reports left out is added.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use openfhe::reference::Ciphertext;
use openfhe::{Context, Fresh, secret};
use packed::{ADDITIVE_WIDE, Accumulator, Kernel, Profile, RING, report, sum};
use proptest::prelude::*;

/// Coefficients of a report of 96 readings.
const COEFFICIENTS: usize = 232;

/// Real ciphertexts of values that differ.
fn encrypt(count: u64) -> Vec<Ciphertext> {
    let context = Context::new().unwrap();
    let (_, public) = secret::generate(&context).unwrap();
    let encrypt = |i: u64| {
        let residue = |k: u64| (k + 1) * (i + 1) * 0x9e_3779_b97f % RING.modulus;
        let plaintext: Vec<_> = (0..COEFFICIENTS as u64).map(residue).collect();
        Ciphertext::encrypt(&context, &public, &plaintext).unwrap()
    };
    (0..count).map(encrypt).collect()
}

/// Ciphertexts, and OpenFHE's sum after each of them.
struct Sums {
    added: Vec<Fresh>,
    sums: Vec<Fresh>,
}

fn sums(count: u64) -> Sums {
    let mut objects = encrypt(count);
    let added = objects.iter().map(|object| object.residues().unwrap());
    let added: Vec<_> = added.collect();
    let mut sum = objects.remove(0);
    let mut sums = vec![sum.residues().unwrap()];
    for next in &objects {
        sum.add_assign(next).unwrap();
        sums.push(sum.residues().unwrap());
    }
    Sums { added, sums }
}

fn packed(profile: &Profile, all: &Fresh) -> Vec<u8> {
    let mut packed = Vec::new();
    report::pack(profile, &all.c0[..COEFFICIENTS], &all.c1, &mut packed).unwrap();
    packed
}

/// The sums of what reports of these ciphertexts leave out.
struct Dropped([Vec<u64>; 2]);

impl Dropped {
    fn none() -> Self {
        Self([vec![0; COEFFICIENTS], vec![0; RING.dimension]])
    }

    fn add(&mut self, profile: &Profile, all: &Fresh, times: u64) {
        for (poly, words) in [&all.c0, &all.c1].into_iter().enumerate() {
            let mask = (1 << profile.dropped[poly]) - 1;
            for (dropped, word) in self.0[poly].iter_mut().zip(words) {
                *dropped += (word & mask) * times;
            }
        }
    }

    /// Fails unless the sum is `expected` once this takes the place of what stands for it, and within what
    /// can have been left out without that.
    #[track_caller]
    fn assert_completes(&self, ours: &Accumulator, expected: &Fresh) {
        let profile = ours.profile();
        let n = u64::from(ours.contributors());
        let lifted = sum::lift(
            profile,
            COEFFICIENTS,
            &ours.to_packed(),
            ours.contributors(),
        );
        let lifted = lifted.unwrap();
        let pairs = [(&lifted.c0, &expected.c0), (&lifted.c1, &expected.c1)];
        for (poly, (ours, expected)) in pairs.into_iter().enumerate() {
            let steps = (1 << profile.dropped[poly]) - 1;
            let mean = n * steps / 2;
            for (i, (&ours, &dropped)) in ours.iter().zip(&self.0[poly]).enumerate() {
                let exact = (ours + RING.modulus - mean % RING.modulus + dropped) % RING.modulus;
                assert_eq!(exact, expected[i], "{profile}: c{poly}, coefficient {i}");
                let off = ours.abs_diff(expected[i]);
                assert!(off.min(RING.modulus - off) <= mean.max(1) + 1);
            }
        }
    }
}

#[test]
fn every_kernel_equals_eval_add_after_every_report() {
    let expected = sums(40);
    for profile in Profile::all() {
        let mut tried = 0;
        for kernel in Kernel::available() {
            let mut ours = Accumulator::with_kernel(profile, COEFFICIENTS, kernel).unwrap();
            let mut dropped = Dropped::none();
            for (added, sum) in expected.added.iter().zip(&expected.sums) {
                ours.add(&packed(profile, added)).unwrap();
                dropped.add(profile, added, 1);
                dropped.assert_completes(&ours, sum);
            }
            tried += 1;
        }
        assert!(tried > 0);
    }
}

/// Of all profiles only `additive-wide` holds so many that its sums are reduced on the way, after 65,536 reports.
#[test]
fn a_long_sum_equals_eval_add_past_its_lazy_reduction() {
    const ROUNDS: usize = 17_000;
    let mut objects = encrypt(5);
    let added: Vec<_> = objects.iter().map(|o| o.residues().unwrap()).collect();
    let reports: Vec<_> = added
        .iter()
        .map(|all| packed(&ADDITIVE_WIDE, all))
        .collect();
    let mut dropped = Dropped::none();
    dropped.add(&ADDITIVE_WIDE, &added[0], 1);
    for again in &added[1..] {
        dropped.add(&ADDITIVE_WIDE, again, ROUNDS as u64);
    }
    let mut sum = objects.remove(0);
    for object in objects.iter().cycle().take(4 * ROUNDS) {
        sum.add_assign(object).unwrap();
    }
    let sum = sum.residues().unwrap();
    for kernel in Kernel::available() {
        let mut ours = Accumulator::with_kernel(&ADDITIVE_WIDE, COEFFICIENTS, kernel).unwrap();
        ours.add(&reports[0]).unwrap();
        for report in reports[1..].iter().cycle().take(4 * ROUNDS) {
            ours.add(report).unwrap();
        }
        dropped.assert_completes(&ours, &sum);
    }
}

/// Nothing is left out of a sum as it is stored and sent, so there it is equality itself.
#[test]
fn full_residues_add_up_to_eval_add_bit_for_bit() {
    let expected = sums(40);
    let full = |all: &Fresh| {
        let words = [&all.c0[..COEFFICIENTS], &all.c1].concat();
        packed::pack(&RING, &words).unwrap()
    };
    for profile in Profile::all() {
        let mut ours = Accumulator::new(profile, COEFFICIENTS);
        for (added, sum) in expected.added.iter().zip(&expected.sums) {
            let one = Accumulator::from_packed(profile, COEFFICIENTS, &full(added), 1);
            ours.merge(&one.unwrap()).unwrap();
            assert!(ours.to_packed() == full(sum), "{profile}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any split into two sums that are then merged, in any order, with any kernel, equals EvalAdd.
    #[test]
    fn any_grouping_equals_eval_add(
        profile in prop::sample::select(Profile::all()),
        sides in prop::collection::vec(any::<bool>(), 12),
        kernel in prop::sample::select(Kernel::available().collect::<Vec<_>>()),
    ) {
        static SUMS: LazyLock<Sums> = LazyLock::new(|| sums(12));
        let mut dropped = Dropped::none();
        let mut parts =
            [(); 2].map(|()| Accumulator::with_kernel(profile, COEFFICIENTS, kernel).unwrap());
        for (added, side) in SUMS.added.iter().zip(sides) {
            parts[usize::from(side)].add(&packed(profile, added)).unwrap();
            dropped.add(profile, added, 1);
        }
        let [mut sum, other] = parts;
        sum.merge(&other).unwrap();
        prop_assert_eq!(sum.contributors(), 12);
        dropped.assert_completes(&sum, &SUMS.sums[11]);
    }
}
