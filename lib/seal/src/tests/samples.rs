//! The samplers: every bit where it belongs, and Pearson's χ² against the exact distributions. The key streams have
//! fixed seeds, so these tests always give the same result.

use proptest::prelude::*;

use crate::kernel::{Kernel, Loops};
use crate::noise::Noise;
use crate::ring::{N, Q};
use crate::sample::Block;

/// Draws of a polynomial.
const DRAWS: usize = 200;

/// `(q + x)` as `x`.
fn centred(word: u64) -> i64 {
    word as i64 - Q as i64
}

/// How far counts are from what is expected of them: Pearson's χ², in standard deviations of its distribution (for
/// 2 and 24 degrees of freedom alike, beyond 6 of them with a probability below 10^−3).
fn deviation(counts: &[u64], probabilities: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let cells = counts.iter().zip(probabilities);
    let chi2: f64 = cells
        .map(|(&count, probability)| {
            let expected = total * probability;
            assert!(expected >= 5.0, "a cell too small for the test");
            (count as f64 - expected).powi(2) / expected
        })
        .sum();
    let freedom = counts.len() as f64 - 1.0;
    (chi2 - freedom) / (2.0 * freedom).sqrt()
}

/// All draws of `v` one after the other.
fn ternaries() -> Vec<i64> {
    let loops = Loops::of(Kernel::Portable).unwrap();
    let mut noise = Noise::of(&[1; 32]);
    let mut all = Vec::new();
    for _ in 0..DRAWS {
        let mut v = [0; N];
        noise.ternary(loops, &mut v);
        all.extend(v.map(centred));
    }
    all
}

/// Likewise of errors.
fn errors() -> Vec<i64> {
    let loops = Loops::of(Kernel::Portable).unwrap();
    let mut noise = Noise::of(&[2; 32]);
    let mut all = Vec::new();
    for _ in 0..DRAWS {
        // Halfway, so that errors have their sign.
        let mut sums = [Q / 2; N];
        noise.add_errors(loops, &mut sums);
        all.extend(sums.map(|sum| sum as i64 - (Q / 2) as i64));
    }
    all
}

/// Pearson's for numbers that should be −1, 0 and 1 alike.
fn ternary_deviation(numbers: impl Iterator<Item = i64>) -> f64 {
    let mut counts = [0; 3];
    for number in numbers {
        counts[(number + 1) as usize] += 1;
    }
    deviation(&counts, &[1.0 / 3.0; 3])
}

/// Pearson's for numbers that should be centred binomial of 21 − 21 bits; what is ±12 and beyond is one cell on each side.
fn error_deviation(numbers: impl Iterator<Item = i64>) -> f64 {
    // (42 choose k) / 2^42, for k = 0 to 42.
    let mut probability = 0.5f64.powi(42);
    let mut cells = [0.0; 25];
    for k in 0..=42i32 {
        cells[((k - 21).clamp(-12, 12) + 12) as usize] += probability;
        probability *= f64::from(42 - k) / f64::from(k + 1);
    }
    let mut counts = [0; 25];
    for number in numbers {
        counts[(number.clamp(-12, 12) + 12) as usize] += 1;
    }
    deviation(&counts, &cells)
}

#[test]
fn ternary_coefficients_are_uniform_and_independent() {
    let all = ternaries();
    assert!(ternary_deviation(all.iter().copied()) < 6.0);
    for digit in 0..8 {
        let of_digit = (0..all.len()).filter(|i| i % N / 256 == digit);
        assert!(
            ternary_deviation(of_digit.map(|i| all[i])) < 6.0,
            "digit {digit}"
        );
    }
    // Neighbours, and neighbouring digits of a word: nine cells alike.
    for apart in [1, 256] {
        let mut counts = [0; 9];
        for draw in all.chunks_exact(N) {
            for i in 0..N - apart {
                counts[(3 * (draw[i] + 1) + draw[i + apart] + 1) as usize] += 1;
            }
        }
        assert!(deviation(&counts, &[1.0 / 9.0; 9]) < 6.0, "{apart} apart");
    }
}

#[test]
fn errors_are_centred_binomial() {
    let all = errors();
    assert!(error_deviation(all.iter().copied()) < 6.0);
    // Of each two blocks the first words, the second, and what is left of both.
    for third in 0..3 {
        let of_third = (0..all.len()).filter(|i| i % N % 24 / 8 == third);
        assert!(
            error_deviation(of_third.map(|i| all[i])) < 6.0,
            "third {third}"
        );
    }
    let variance = all.iter().map(|e| e * e).sum::<i64>() as f64 / all.len() as f64;
    assert!((variance - 10.5).abs() < 0.1, "{variance}");
}

#[test]
fn wrong_distributions_are_seen() {
    // One in a hundred of the zeros is a one.
    let all = ternaries();
    let biased = all.iter().enumerate();
    let biased = biased.map(|(i, &v)| if i % 100 == 0 && v == 0 { 1 } else { v });
    assert!(ternary_deviation(biased) > 6.0);
    // One bit is never counted, as if a mask were short: it was set with a probability of (e + 21) / 42.
    let all = errors();
    let set = |i: usize, e: i64| (i % 42) as i64 * 11 % 42 < e + 21;
    let short = all
        .iter()
        .enumerate()
        .map(|(i, &e)| e - i64::from(set(i, e)));
    assert!(error_deviation(short) > 6.0);
    // A rounded Gaussian of OpenFHE's deviation, 3.19, is another distribution, if only just: its variance is 10.2.
    let gaussian = |i: usize| {
        let [u, v] = [0.618_034, 0.754_877].map(|step| (i as f64 * step + 0.5).fract());
        (3.19 * (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()).round() as i64
    };
    assert!(error_deviation((1..all.len()).map(gaussian)) > 6.0);
}

#[test]
fn every_random_bit_counts_in_one_error_but_for_two_that_are_left_over() {
    for kernel in Kernel::available() {
        let loops = Loops::of(kernel).unwrap();
        let of = |random: [Block; 2]| {
            let mut errors = [0; 24];
            loops.errors(&[random], &mut errors);
            errors.map(centred)
        };
        assert_eq!(of([[0; 64]; 2]), [-21; 24], "{kernel}");
        assert_eq!(of([[0xff; 64]; 2]), [21; 24], "{kernel}");
        let mut uses = [0; 24];
        for bit in 0..1024 {
            let mut random = [[0; 64]; 2];
            random[bit / 512][bit % 512 / 8] = 1 << (bit % 8);
            let raised = of(random).map(|error| error + 21);
            let total = raised.iter().sum::<i64>();
            assert_eq!(total, i64::from(bit % 64 != 42), "{kernel}, bit {bit}");
            for (uses, raised) in uses.iter_mut().zip(raised) {
                *uses += raised;
            }
        }
        assert_eq!(uses, [42; 24], "{kernel}");
    }
}

proptest! {
    #[test]
    fn every_kernel_takes_the_first_eight_digits_to_base_three(word in any::<u64>()) {
        let digits: Vec<i64> = (1..=8)
            .map(|place| ((u128::from(word) * 3u128.pow(place)) >> 64) % 3)
            .map(|digit| digit as i64 - 1)
            .collect();
        let mut random = [[0; 64]; N / 64];
        random[5][16..24].copy_from_slice(&word.to_le_bytes());
        for kernel in Kernel::available() {
            let mut v = [0; N];
            Loops::of(kernel).unwrap().ternary(&random, &mut v);
            let of_word: Vec<_> = v[42..].iter().step_by(256).map(|&word| centred(word)).collect();
            prop_assert_eq!(&of_word, &digits, "{}", kernel);
            prop_assert_eq!(centred(v[0]), -1);
        }
    }
}
