//! Sums of many reports, and what the operator makes of them.

use proptest::prelude::*;

use super::{NARROW_C0, NARROW_C1, PROFILES, Random, SMALL, WHOLE, largest_report};
use crate::{
    ADDITIVE, ADDITIVE_WIDE, Accumulator, Kernel, PackError, Profile, RING, report, sum, sum_len,
};

/// A report of random residues, and the residues.
fn random_report(profile: &Profile, coefficients: usize, seed: u64) -> (Vec<u8>, Vec<u64>) {
    let words = coefficients + profile.ring.dimension;
    let residues = Random(seed).residues(profile.ring, words);
    let mut report = Vec::new();
    let (c0, c1) = residues.split_at(coefficients);
    report::pack(profile, c0, c1, &mut report).unwrap();
    (report, residues)
}

/// `Σv·2^t + ⌊n(2^t − 1)/2⌋`, reduced once at the end.
fn naive_lift(profile: &Profile, coefficients: usize, reports: &[Vec<u64>]) -> Vec<u64> {
    let words = coefficients + profile.ring.dimension;
    let lifted = |index: usize| {
        let dropped = profile.dropped[usize::from(index >= coefficients)];
        let step = 1u128 << dropped;
        let floors = reports
            .iter()
            .map(|words| u128::from(words[index] >> dropped));
        let sum = floors.sum::<u128>() * step + reports.len() as u128 * (step - 1) / 2;
        (sum % u128::from(profile.ring.modulus)) as u64
    };
    (0..words).map(lifted).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_lifted_sum_is_that_of_128_bit_arithmetic(
        profile in prop::sample::select(PROFILES.to_vec()),
        count in 0u64..30,
        seed: u64,
    ) {
        let coefficients = 16;
        let mut sum = Accumulator::new(profile, coefficients);
        let mut residues = Vec::new();
        for i in 0..count {
            let (report, words) = random_report(profile, coefficients, seed ^ i << 32);
            sum.add(&report).unwrap();
            residues.push(words);
        }
        let packed = sum.to_packed();
        if profile.ring == &RING {
            prop_assert_eq!(packed.len(), sum_len(coefficients));
        }
        let lifted = sum::lift(profile, coefficients, &packed, count as u32).unwrap();
        prop_assert_eq!(lifted.c0.len(), coefficients);
        let expected = naive_lift(profile, coefficients, &residues);
        prop_assert_eq!([lifted.c0, lifted.c1].concat(), expected);
    }

    #[test]
    fn merging_is_adding_the_contributors(
        profile in prop::sample::select(PROFILES.to_vec()),
        ours in 0u64..20,
        theirs in 0u64..20,
        seed: u64,
    ) {
        let mut all = Accumulator::new(profile, 8);
        let mut parts = [all.clone(), all.clone()];
        for i in 0..ours + theirs {
            let (report, _) = random_report(profile, 8, seed ^ i << 32);
            all.add(&report).unwrap();
            parts[usize::from(i >= ours)].add(&report).unwrap();
        }
        let [mut merged, other] = parts;
        merged.merge(&other).unwrap();
        prop_assert_eq!(merged.contributors(), all.contributors());
        prop_assert_eq!(merged.to_packed(), all.to_packed());
    }

    #[test]
    fn a_stored_sum_continues_where_it_was(count in 0u32..6, seed: u64) {
        let report = |i: u32| random_report(&ADDITIVE, 8, seed ^ u64::from(i) << 32).0;
        let mut sum = Accumulator::new(&ADDITIVE, 8);
        for i in 0..count {
            sum.add(&report(i)).unwrap();
        }
        let mut stored = Accumulator::from_packed(&ADDITIVE, 8, &sum.to_packed(), count).unwrap();
        sum.add(&report(9)).unwrap();
        stored.add(&report(9)).unwrap();
        prop_assert_eq!(stored.to_packed(), sum.to_packed());
        prop_assert_eq!(stored.contributors(), count + 1);
    }
}

/// `count` times the largest report, packed.
fn expected(profile: &Profile, coefficients: usize, count: u64) -> Vec<u8> {
    let q = profile.ring.modulus;
    let words = coefficients + profile.ring.dimension;
    let word = |index| {
        let largest = super::largest(profile, coefficients, index);
        (u128::from(largest) * u128::from(count) % u128::from(q)) as u64
    };
    let words: Vec<u64> = (0..words).map(word).collect();
    crate::pack(profile.ring, &words).unwrap()
}

/// The largest values, whose sums leave 64 bits soonest, across the counts at which sums are
/// reduced.
#[test]
fn sums_are_exact_across_every_reduction() {
    for profile in [&WHOLE, &NARROW_C0, &NARROW_C1] {
        let report = largest_report(profile, 8);
        let largest = super::largest(profile, 8, 0).max(super::largest(profile, 8, 71));
        let capacity = u64::MAX / largest;
        for kernel in Kernel::available() {
            let mut sum = Accumulator::with_kernel(profile, 8, kernel).unwrap();
            for count in 1..=2 * capacity + 2 {
                sum.add(&report).unwrap();
                let of_the_edge = count % capacity;
                if of_the_edge <= 2 || of_the_edge >= capacity - 2 {
                    assert_eq!(
                        sum.to_packed(),
                        expected(profile, 8, count),
                        "{kernel} {count}"
                    );
                }
            }
        }
    }
}

/// Reducing at every addition would give the same sum, and take several times as long.
#[test]
fn words_are_reduced_only_when_another_addition_would_not_fit() {
    let largest = SMALL.modulus - 1;
    let report = largest_report(&WHOLE, 8);
    let mut sum = Accumulator::new(&WHOLE, 8);
    for count in 1..=u64::MAX / largest {
        sum.add(&report).unwrap();
        assert_eq!(sum.words()[0], count * largest);
    }
    sum.add(&report).unwrap();
    assert!(sum.words()[0] < 2 * SMALL.modulus);
}

/// A full sum of `additive` still fits; that is why it is never reduced on the way.
#[test]
fn the_largest_sum_of_additive_is_below_64_bits_and_of_additive_wide_above() {
    let bits = |profile: &Profile| {
        let largest = u128::from(profile.ring.modulus - 1) >> profile.dropped[1];
        largest * u128::from(profile.max_contributors())
    };
    assert!(bits(&ADDITIVE) < 1 << 64);
    assert!(bits(&ADDITIVE_WIDE) > 1 << 64);
}

/// Words that are about to be reduced, merged into others and into themselves, over and over.
#[test]
fn many_merges_of_full_words_are_exact() {
    let report = largest_report(&WHOLE, 8);
    let mut one = Accumulator::new(&WHOLE, 8);
    for _ in 0..u64::MAX / (SMALL.modulus - 1) {
        one.add(&report).unwrap();
    }
    let count = u64::from(one.contributors());
    let mut sum = one.clone();
    for merged in 2..=3 * count {
        // Two thousand times sixteen thousand contributors are at the bound of the profile.
        if merged * count > u64::from(WHOLE.max_contributors()) {
            break;
        }
        sum.merge(&one).unwrap();
        if merged % 100 < 3 {
            assert_eq!(sum.to_packed(), expected(&WHOLE, 8, merged * count));
        }
    }
    let mut twice = one.clone();
    twice.merge(&one).unwrap();
    twice.add(&report).unwrap();
    assert_eq!(twice.to_packed(), expected(&WHOLE, 8, 2 * count + 1));
}

/// A merge adds words as large as the modulus, not as a report's values.
#[test]
fn merges_count_towards_the_next_reduction() {
    let largest = crate::pack(&SMALL, &vec![SMALL.modulus - 1; 72]).unwrap();
    let one = Accumulator::from_packed(&NARROW_C1, 8, &largest, 1).unwrap();
    let mut sum = one.clone();
    let capacity = u64::MAX / (SMALL.modulus - 1);
    for merged in 2..=2 * capacity + 2 {
        sum.merge(&one).unwrap();
        if merged % capacity < 3 || merged % capacity > capacity - 2 {
            let words = vec![SMALL.modulus - merged; 72];
            assert_eq!(sum.to_packed(), crate::pack(&SMALL, &words).unwrap());
        }
    }
}

#[test]
fn sums_that_are_none_are_not_lifted() {
    let good = vec![0; sum_len(8)];
    assert!(sum::lift(&ADDITIVE, 8, &good, 32_767).is_ok());
    let error = |coefficients, packed: &[u8], contributors| {
        sum::lift(&ADDITIVE, coefficients, packed, contributors).unwrap_err()
    };
    let (max, actual) = (32_767, 32_768);
    let too_many = PackError::TooManyContributors { max, actual };
    assert_eq!(error(8, &good, actual), too_many);
    let (expected, actual) = (sum_len(16), sum_len(8));
    let short = PackError::WrongLength { expected, actual };
    assert_eq!(error(16, &good, 1), short);
    let (expected, actual) = (2064, 2057);
    let odd = PackError::WrongWords { expected, actual };
    assert_eq!(error(9, &good, 1), odd);
    let above = vec![255; sum_len(8)];
    assert!(matches!(
        error(8, &above, 1),
        PackError::OutOfRange { index: 0, .. }
    ));
}
