//! Encryption computes what OpenFHE computes, bit for bit: the known answers that are compiled in, which OpenFHE
//! computes here once more, and as many random ones.
//!
//! To write the file again, under a new key of OpenFHE's:
//!
//! ```text
//! SEAL_WRITE_KNOWN_ANSWERS=1 cargo test -p seal --test known_answers
//! ```
//!
//! A run that writes it fails, so that it cannot pass for one that compared.

#![allow(clippy::unwrap_used)]

use openfhe::{Context, reference, secret};
use packed::RING;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use seal::known_answers::{Input, KnownAnswers, OPENFHE, Output, compute};
use seal::{Kernel, PublicKey};

/// The largest error of a centred binomial of 21 − 21 bits.
const LARGEST: i8 = 21;

/// Coefficients of a report of 96 readings.
const USUAL: usize = 232;

/// Everything at the end of its range.
fn extreme(coefficients: usize, v: i8, [e0, e1]: [i8; 2], m: u64) -> Input {
    Input {
        v: vec![v; RING.dimension],
        e0: vec![e0; coefficients],
        e1: vec![e1; RING.dimension],
        m: vec![m; coefficients],
    }
}

/// Values over their whole ranges, drawn with this seed.
fn random(coefficients: usize, seed: u64) -> Input {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let mut small = |count: usize, largest: i8| -> Vec<i8> {
        let values = 2 * u64::from(largest.unsigned_abs()) + 1;
        let mut value = || (random.next_u64() % values) as i8 - largest;
        (0..count).map(|_| value()).collect()
    };
    Input {
        v: small(RING.dimension, 1),
        e0: small(coefficients, LARGEST),
        e1: small(RING.dimension, LARGEST),
        m: (0..coefficients)
            .map(|_| random.next_u64() % RING.modulus)
            .collect(),
    }
}

/// The inputs of the file.
fn inputs() -> Vec<Input> {
    let last = RING.modulus - 1;
    vec![
        extreme(USUAL, 1, [LARGEST, LARGEST], last),
        extreme(USUAL, -1, [-LARGEST, -LARGEST], last),
        extreme(USUAL, 1, [-LARGEST, -LARGEST], 0),
        extreme(8, 0, [-LARGEST, LARGEST], 0),
        random(RING.dimension, 1),
        random(USUAL, 2),
    ]
}

/// What OpenFHE computes, with zeros where the input is shorter than its polynomials.
fn openfhes(context: &Context, key: &openfhe::PublicKey, input: &Input) -> Output {
    let coefficients = input.m.len();
    let (mut e0, mut m) = (input.e0.clone(), input.m.clone());
    e0.resize(RING.dimension, 0);
    m.resize(RING.dimension, 0);
    let small = [&input.v, &e0, &input.e1].map(Vec::as_slice);
    let mut combined = reference::combine(context, key, small, &m).unwrap();
    combined.c0.truncate(coefficients);
    Output {
        c0: combined.c0,
        c1: combined.c1,
    }
}

/// The file's content, as OpenFHE computes it under this key.
fn content(context: &Context, key: &openfhe::PublicKey) -> Vec<u8> {
    let answer = |input: Input| {
        let output = openfhes(context, key, &input);
        (input, output)
    };
    let known = KnownAnswers {
        key: key.as_packed().to_vec(),
        answers: inputs().into_iter().map(answer).collect(),
    };
    known.to_bytes().unwrap()
}

#[test]
fn openfhe_computes_the_known_answers_again_byte_for_byte_and_so_does_every_kernel() {
    let context = Context::new().unwrap();
    if std::env::var_os("SEAL_WRITE_KNOWN_ANSWERS").is_some() {
        let (_, key) = secret::generate(&context).unwrap();
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/known-answers-openfhe-1.4.2.bin"
        );
        std::fs::write(file, content(&context, &key)).unwrap();
        panic!("written; run again without the variable to compare");
    }
    let known = KnownAnswers::parse(OPENFHE).unwrap();
    let key = openfhe::PublicKey::from_packed(&context, &known.key).unwrap();
    assert!(content(&context, &key) == OPENFHE);
    assert_eq!(seal::self_test(), Ok(inputs().len()));
}

#[test]
fn of_random_values_every_kernel_makes_openfhes_ciphertext_under_each_of_many_keys() {
    const KEYS: u64 = 7;
    const EACH: u64 = 50;
    let context = Context::new().unwrap();
    for number in 0..KEYS {
        let (_, openfhes_key) = secret::generate(&context).unwrap();
        let key = PublicKey::from_packed(openfhes_key.as_packed()).unwrap();
        for seed in 0..EACH {
            let input = random(
                [USUAL, RING.dimension][seed as usize % 2],
                number * EACH + seed,
            );
            let expected = openfhes(&context, &openfhes_key, &input);
            for kernel in Kernel::available() {
                let ours = compute(kernel, &key, &input).unwrap();
                assert!(ours == expected, "{kernel}, key {number}, seed {seed}");
            }
        }
    }
}
