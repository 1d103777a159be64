//! The transform, by the definition of what it is for.

use proptest::prelude::*;

use crate::PublicKey;
use crate::kernel::Kernel;
use crate::known_answers::{Input, compute};
use crate::ring::{N, Q};

/// `x × y` in `Z_q[X]/(X^N + 1)`, by the definition.
fn schoolbook(x: &[u64], y: &[i64]) -> Vec<u64> {
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
    let q = i128::from(Q);
    sums.iter().map(|sum| sum.rem_euclid(q) as u64).collect()
}

fn residues(count: usize) -> impl Strategy<Value = Vec<u64>> {
    let residue = prop_oneof![Just(0), Just(1), Just(Q - 1), 0..Q];
    prop::collection::vec(residue, count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_kernel_multiplies_as_the_definition_does(
        words in residues(2 * N),
        v in prop::collection::vec(-1..=1i8, N),
        e0 in prop::collection::vec(-21..=21i8, 96),
        e1 in prop::collection::vec(-21..=21i8, N),
        m in residues(96),
    ) {
        let key = PublicKey::from_packed(&packed::pack(&packed::RING, &words).unwrap()).unwrap();
        let wide: Vec<i64> = v.iter().map(|&v| v.into()).collect();
        let q = Q as i64;
        let c0: Vec<u64> = schoolbook(&words[..N], &wide).iter().zip(&e0).zip(&m)
            .map(|((&c, &e), &m)| (c as i64 + i64::from(e) + m as i64).rem_euclid(q) as u64).collect();
        let c1: Vec<u64> = schoolbook(&words[N..], &wide).iter().zip(&e1)
            .map(|(&c, &e)| (c as i64 + i64::from(e)).rem_euclid(q) as u64).collect();
        let input = Input { v, e0, e1, m };
        for kernel in Kernel::available() {
            let output = compute(kernel, &key, &input).unwrap();
            prop_assert_eq!(&output.c0, &c0, "c0 by {}", kernel);
            prop_assert_eq!(&output.c1, &c1, "c1 by {}", kernel);
        }
    }
}
