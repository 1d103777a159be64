//! Arithmetic and the transform, by the definition of what they are for. Tests are compiled with checks for overflow,
//! so the bounds that the transform states are tested with the largest words that they allow.

use proptest::prelude::*;

use super::{key_of, residues};
use crate::kernel::{Kernel, Loops};
use crate::known_answers::{Input, compute};
use crate::ring::{N, Q, companion, multiply, power, product, product_of_halves, reduce};
use crate::transform::Factors;

/// `x × y` in `Z_q[X]/(X^N + 1)`, by the definition.
fn schoolbook(x: &[u64], y: &[i64]) -> Vec<i128> {
    let mut sums = vec![0i128; N];
    for (i, &x) in x.iter().enumerate() {
        for (j, &y) in y.iter().enumerate() {
            let term = i128::from(x) * i128::from(y);
            if i + j < N {
                sums[i + j] += term;
            } else {
                sums[i + j - N] -= term;
            }
        }
    }
    sums
}

fn residue(number: i128) -> u64 {
    number.rem_euclid(i128::from(Q)) as u64
}

/// An array of these words.
fn array(words: &[u64]) -> [u64; N] {
    words.try_into().unwrap()
}

/// Any word, extreme ones among them.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(Q),
        Just(1 << 63),
        any::<u64>()
    ]
}

proptest! {
    #[test]
    fn products_and_reductions_are_what_a_division_gives(factor in residues(1), word in word()) {
        let factor = factor[0];
        let expected = (u128::from(factor) * u128::from(word) % u128::from(Q)) as u64;
        let exact = product(factor, companion(factor), word);
        let lazy = product_of_halves(factor, companion(factor), word);
        prop_assert!(exact < 2 * Q && exact % Q == expected, "{exact}");
        prop_assert!(lazy < 4 * Q && lazy % Q == expected, "{lazy}");
        prop_assert_eq!(reduce(word), word % Q);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_kernel_computes_a_ciphertext_as_the_definition_does(
        key in residues(2 * N),
        v in prop::collection::vec(-1..=1i8, N),
        e0 in prop::collection::vec(-21..=21i8, 96),
        e1 in prop::collection::vec(-21..=21i8, N),
        m in residues(96),
    ) {
        let wide: Vec<i64> = v.iter().map(|&v| v.into()).collect();
        let sum = |(product, error): (&i128, &i8)| product + i128::from(*error);
        let bv = schoolbook(&key[..N], &wide);
        let c0: Vec<_> = bv.iter().zip(&e0).map(sum).zip(&m)
            .map(|(sum, &m)| residue(sum + i128::from(m))).collect();
        let av = schoolbook(&key[N..], &wide);
        let c1: Vec<_> = av.iter().zip(&e1).map(sum).map(residue).collect();
        let key = key_of(&key);
        let input = Input { v, e0, e1, m };
        for kernel in Kernel::available() {
            let output = compute(kernel, &key, &input).unwrap();
            prop_assert_eq!(&output.c0, &c0, "c0 by {}", kernel);
            prop_assert_eq!(&output.c1, &c1, "c1 by {}", kernel);
        }
    }

    #[test]
    fn the_inverse_undoes_the_transform(words in residues(N)) {
        for kernel in Kernel::available() {
            prop_assert_eq!(&there_and_back(kernel, &array(&words))[..], &words[..], "{}", kernel);
        }
    }
}

/// The residues of a polynomial that was transformed, divided by `N`, and transformed back.
fn there_and_back(kernel: Kernel, polynomial: &[u64; N]) -> [u64; N] {
    let loops = Loops::of(kernel).unwrap();
    let mut polynomial = *polynomial;
    let mut values = [0; N];
    loops.forward(&mut polynomial, &mut values);
    let mut products = [0; N];
    let scale = Factors::new([power(N as u64, Q - 2); N]);
    loops.multiply(&scale, &values, &mut products);
    loops.inverse(&mut products, &mut polynomial);
    polynomial.map(reduce)
}

#[test]
fn the_largest_words_that_a_bound_allows_do_not_overflow() {
    let largest = Q + 1;
    for kernel in Kernel::available() {
        let loops = Loops::of(kernel).unwrap();
        assert_eq!(there_and_back(kernel, &[largest; N]), [1; N], "{kernel}");

        let mut values = [0; N];
        loops.forward(&mut [largest; N], &mut values);
        let bound = largest + 11 * 4 * Q;
        assert!(values.iter().all(|&value| value <= bound), "{kernel}");

        // All products 4q − 1: the constant polynomial with N times that.
        let mut polynomial = [0; N];
        loops.inverse(&mut [4 * Q - 1; N], &mut polynomial);
        assert!(polynomial.iter().all(|&word| word < 1 << 63), "{kernel}");
        assert_eq!(reduce(polynomial[0]), Q - N as u64, "{kernel}");
        assert!(polynomial[1..].iter().all(|&word| reduce(word) == 0));

        let mut sums = [(1 << 63) - 1; 8];
        loops.add(&[1 << 63; 8], &mut sums);
        assert_eq!(sums, [u64::MAX % Q; 8], "{kernel}");
    }
}

#[test]
fn a_monomial_wraps_around_with_a_minus() {
    // X^2047 × X = −1.
    let mut key = vec![0; 2 * N];
    key[N - 1] = 1;
    let mut v = vec![0; N];
    v[1] = 1;
    let input = Input {
        v,
        e0: vec![0; 8],
        e1: vec![0; N],
        m: vec![0; 8],
    };
    for kernel in Kernel::available() {
        let output = compute(kernel, &key_of(&key), &input).unwrap();
        assert_eq!(output.c0, [Q - 1, 0, 0, 0, 0, 0, 0, 0], "{kernel}");
    }
}

#[test]
fn powers_and_products_for_tables_are_right() {
    assert_eq!(multiply(Q - 1, Q - 1), 1);
    assert_eq!(power(3, Q - 1), 1, "Fermat");
    assert_eq!(multiply(power(2048, Q - 2), 2048), 1);
}
