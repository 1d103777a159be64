use packed::Lifted;
use proptest::prelude::*;

use super::*;

fn ternary(len: usize, step: usize) -> Vec<i8> {
    (0..len)
        .map(|i| ((i * step + i / 7) % 3) as i8 - 1)
        .collect()
}

/// The phase of a small ciphertext, as the smallest number of its residue.
fn phase(ciphertext: &Lwe, secret: &[i8]) -> i64 {
    let (words, modulus) = (ciphertext.words(), 1i64 << SIGN_BITS);
    let product: i64 = words
        .iter()
        .zip(secret)
        .map(|(word, z)| *word as i64 * i64::from(*z))
        .sum();
    let phase = (words[DIMENSION] as i64 - product).rem_euclid(modulus);
    if phase >= modulus / 2 {
        phase - modulus
    } else {
        phase
    }
}

/// A sum whose coefficients have these phases under `secret`, by schoolbook multiplication.
fn sum(phases: &[i64], secret: &[i8]) -> Lifted {
    let n = RING.dimension;
    let c1: Vec<u64> = (0..n as u64)
        .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % RING.modulus)
        .collect();
    let c0 = phases.iter().enumerate().map(|(j, phase)| {
        let product: i128 = (0..n)
            .map(|i| {
                let (place, sign) = if i <= j { (j - i, 1) } else { (n + j - i, -1) };
                i128::from(c1[place]) * i128::from(secret[i]) * sign
            })
            .sum();
        (i128::from(*phase) - product).rem_euclid(i128::from(RING.modulus)) as u64
    });
    Lifted {
        c0: c0.collect(),
        c1: c1.clone(),
    }
}

#[test]
fn a_difference_is_what_it_was_up_to_the_noise_that_the_margin_is_made_for() {
    let (from, to) = (ternary(RING.dimension, 5), ternary(DIMENSION, 11));
    let key = SwitchKey::generate(&from, &to).unwrap();
    let key = SwitchKey::from_bytes(&key.to_bytes()).unwrap();
    let unit = RING.modulus as f64 / f64::from(1 << SIGN_BITS);
    let multiplier = 3;
    // Up to 10,000 steps of the rounded modulus after the multiplication.
    let phases: Vec<i64> = (-10..10)
        .map(|k| (f64::from(k) * 1e3 * unit) as i64 / multiplier)
        .collect();
    let sum = sum(&phases, &from);
    let number = 77 << 30;
    let mut squares = 0.0;
    for (j, expected) in phases.iter().enumerate() {
        let difference = Difference::new(&sum, j, number).unwrap();
        let found = phase(&key.switch(&difference, multiplier as u64), &to) + OFF_CENTRE;
        let expected = (expected - number as i64) as f64 * multiplier as f64 / unit;
        squares += (found as f64 - expected).powi(2);
    }
    let deviation = (squares / phases.len() as f64).sqrt();
    assert!((3.0..16.0).contains(&deviation), "{deviation}");
    assert_eq!(Difference::new(&sum, phases.len(), 0), None);
}

#[test]
fn the_difference_of_two_coefficients_has_no_number_in_it() {
    let from = ternary(RING.dimension, 5);
    let sum = sum(&[1 << 40, 3 << 38], &from);
    let [first, second] = [0, 1].map(|j| Difference::new(&sum, j, 1 << 20).unwrap());
    let less = first.less(&second);
    let product = less
        .a
        .iter()
        .zip(&from)
        .map(|(a, s)| i128::from(*a) * i128::from(*s));
    let total = product.sum::<i128>() + i128::from(less.b);
    assert_eq!(total.rem_euclid(i128::from(RING.modulus)), 1 << 38);
}

#[test]
fn a_key_of_another_length_or_with_a_word_out_of_range_is_refused() {
    let key = SwitchKey::of([1; SEED], vec![5; ROWS], vec![0; ROWS * (DIMENSION + 1)]);
    let mut bytes = key.to_bytes();
    assert_eq!(bytes.len(), SwitchKey::LEN);
    let short = SwitchKey::from_bytes(&bytes[1..]).unwrap_err();
    assert_eq!(
        short,
        SwitchKeyError::Length {
            actual: SwitchKey::LEN - 1
        }
    );
    bytes[SEED + 3 * WORD + 4] = 8;
    assert_eq!(
        SwitchKey::from_bytes(&bytes).unwrap_err(),
        SwitchKeyError::Range { index: 3 }
    );
}

proptest! {
    #[test]
    fn narrowing_rounds(word in 0..RING.modulus, multiplier in 1..1_000_u64) {
        let product = u128::from(word) * u128::from(multiplier) % u128::from(RING.modulus);
        let exact = product as f64 / RING.modulus as f64 * f64::from(SWITCH_BITS).exp2();
        let distance = (narrowed(word, multiplier) as f64 - exact).abs();
        let around = f64::from(SWITCH_BITS).exp2() - distance;
        prop_assert!(distance.min(around) <= 0.5 + 1e-3);
    }
}
