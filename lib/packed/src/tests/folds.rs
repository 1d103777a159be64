//! The fold: every kernel, every refusal.

use proptest::prelude::*;

use super::{PROFILES, Random, SMALL, WHOLE, largest, largest_report, values, with_value};
use crate::{
    ADDITIVE, ADDITIVE_SMALL, ADDITIVE_WIDE, Accumulator, FoldError, Kernel, Profile, sum_len,
    unpack,
};

fn words(sum: &Accumulator) -> Vec<u64> {
    let words = sum.coefficients() + sum.profile().ring.dimension;
    unpack(sum.profile().ring, words, &sum.to_packed()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random bytes, many out of range, at any alignment: the same sum, or the same refusal and
    /// the sum unchanged.
    #[test]
    fn every_kernel_is_the_naive_sum(
        profile in prop::sample::select(PROFILES.to_vec()),
        groups in 1usize..8,
        count in 0u64..40,
        seed: u64,
        offset in 0usize..64,
    ) {
        let coefficients = 8 * groups;
        for kernel in Kernel::available() {
            let mut sum = Accumulator::with_kernel(profile, coefficients, kernel).unwrap();
            let mut naive = vec![0u128; coefficients + profile.ring.dimension];
            let mut added = 0;
            for i in 0..count {
                let len = offset + profile.packed_len(coefficients);
                let bytes = Random(seed ^ i << 32).bytes(len);
                let report = &bytes[offset..];
                let values = values(profile, coefficients, report);
                let above = |&(i, &value): &(usize, &u64)| value > largest(profile, coefficients, i);
                if let Some((index, &value)) = values.iter().enumerate().find(above) {
                    let largest = largest(profile, coefficients, index);
                    let before = sum.to_packed();
                    let error = FoldError::LimbOutOfRange { index, value, largest };
                    prop_assert_eq!(sum.add(report), Err(error));
                    prop_assert_eq!(sum.to_packed(), before);
                } else {
                    prop_assert_eq!(sum.add(report), Ok(()));
                    added += 1;
                    for (sum, value) in naive.iter_mut().zip(values) {
                        *sum += u128::from(value);
                    }
                }
            }
            prop_assert_eq!(sum.contributors(), added);
            let q = u128::from(profile.ring.modulus);
            let reduced: Vec<u64> = naive.iter().map(|sum| (sum % q) as u64).collect();
            prop_assert_eq!(words(&sum), reduced);
        }
    }
}

/// One bad value, at every position of a group, at the start and the end of each polynomial.
#[test]
fn one_value_out_of_range_is_found_wherever_it_is() {
    let coefficients = 24;
    for profile in PROFILES {
        let good = largest_report(profile, coefficients);
        let n = profile.ring.dimension;
        let c1 = (0..16).chain(n - 16..n).map(|i| coefficients + i);
        for index in (0..coefficients).chain(c1) {
            let poly = usize::from(index >= coefficients);
            let width = profile.bits(poly);
            let start = poly * profile.poly_len(0, coefficients) * 8;
            let at = start + (index - poly * coefficients) * width as usize;
            let largest = largest(profile, coefficients, index);
            for value in [largest + 1, (1 << width) - 1] {
                if value == largest || value >> width != 0 {
                    continue;
                }
                let bad = with_value(&good, at, width, value);
                for kernel in Kernel::available() {
                    let mut sum = Accumulator::with_kernel(profile, coefficients, kernel).unwrap();
                    sum.add(&good).unwrap();
                    let before = sum.to_packed();
                    let error = FoldError::LimbOutOfRange {
                        index,
                        value,
                        largest,
                    };
                    assert_eq!(sum.add(&bad), Err(error), "{profile} {kernel}");
                    assert_eq!((sum.to_packed(), sum.contributors()), (before, 1));
                }
            }
        }
    }
}

/// The words may be reduced before the bad value is found; the sum is still the same.
#[test]
fn a_refusal_when_words_are_due_for_reduction_keeps_the_sum() {
    let good = largest_report(&WHOLE, 8);
    let bad = with_value(&good, 8 * good.len() - 50, 50, SMALL.modulus);
    for kernel in Kernel::available() {
        let mut sum = Accumulator::with_kernel(&WHOLE, 8, kernel).unwrap();
        // 2^64 over this modulus is 16,400.
        for count in 1..=16_410u64 {
            sum.add(&good).unwrap();
            if count > 16_390 {
                sum.add(&bad).unwrap_err();
                assert_eq!(words(&sum), vec![SMALL.modulus - count; 72], "{kernel}");
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let coefficients = 40;
    let expected = ADDITIVE.packed_len(coefficients);
    let mut sum = Accumulator::new(&ADDITIVE, coefficients);
    let others = [
        0,
        1,
        expected - 1,
        expected + 1,
        ADDITIVE.packed_len(48),
        ADDITIVE_SMALL.packed_len(coefficients),
        sum_len(coefficients),
    ];
    for actual in others {
        let error = FoldError::WrongLength { expected, actual };
        assert_eq!(sum.add(&vec![0; actual]), Err(error));
    }
    let expected = sum_len(coefficients);
    for actual in [0, expected - 1, expected + 1] {
        let restored = Accumulator::from_packed(&ADDITIVE, coefficients, &vec![0; actual], 1);
        let error = FoldError::WrongLength { expected, actual };
        assert_eq!(restored.unwrap_err(), error);
    }
    assert_eq!(sum.contributors(), 0);
}

#[test]
fn the_contributor_bound_holds_at_its_edge_and_is_refused_past_it() {
    let zero = vec![0; sum_len(8)];
    let profiles: [(&'static Profile, u32); 3] = [
        (&ADDITIVE_SMALL, 1_023),
        (&ADDITIVE, 32_767),
        (&ADDITIVE_WIDE, 1_048_575),
    ];
    for (profile, max) in profiles {
        let stored = |count| Accumulator::from_packed(profile, 8, &zero, count);
        let report = vec![0; profile.packed_len(8)];
        let full = Err(FoldError::Full { max });
        let mut sum = stored(max - 1).unwrap();
        assert_eq!(sum.add(&report), Ok(()));
        assert_eq!(sum.contributors(), max);
        assert_eq!(sum.add(&report), full);
        assert_eq!(sum.merge(&stored(1).unwrap()), full);
        assert_eq!(sum.contributors(), max);
        assert_eq!(sum.merge(&Accumulator::new(profile, 8)), Ok(()));
        for past in [max + 1, u32::MAX] {
            assert_eq!(stored(past).err(), full.clone().err());
        }
        // A second half that is exactly full, or one too many.
        let mut half = stored(max - 5).unwrap();
        assert_eq!(half.merge(&stored(6).unwrap()), full);
        assert_eq!(half.merge(&stored(5).unwrap()), Ok(()));
    }
}

#[test]
fn sums_of_different_profiles_or_shapes_do_not_merge() {
    let mut sum = Accumulator::new(&ADDITIVE, 8);
    let error = FoldError::ProfileMismatch {
        ours: "additive",
        theirs: "additive-wide",
    };
    assert_eq!(sum.merge(&Accumulator::new(&ADDITIVE_WIDE, 8)), Err(error));
    let (ours, theirs) = (8, 16);
    let error = FoldError::CoefficientsMismatch { ours, theirs };
    assert_eq!(sum.merge(&Accumulator::new(&ADDITIVE, 16)), Err(error));
}

#[test]
fn the_best_kernel_is_available_and_portable_always_is() {
    let available: Vec<Kernel> = Kernel::available().collect();
    // `.ci/valgrind` reads this: a run without AVX2 would show nothing of it.
    println!("kernels: {available:?}");
    assert_eq!(available.first(), Some(&Kernel::Portable));
    assert_eq!(available.last(), Some(&Kernel::best()));
    for kernel in Kernel::ALL {
        let made = Accumulator::with_kernel(&ADDITIVE, 8, kernel);
        assert_eq!(made.is_ok(), available.contains(&kernel));
    }
}
