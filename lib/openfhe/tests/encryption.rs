//! Encryption and decryption over real keys.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::thread;

use openfhe::secret::{self, SecretKey};
use openfhe::{Context, Error, Fresh, PublicKey, reference};
use packed::{ADDITIVE_FINE, Lifted, PackError, RING, noise};
use sha2::{Digest, Sha256};

fn setup() -> (Context, SecretKey, PublicKey) {
    let context = Context::new().unwrap();
    let (secret, public) = secret::generate(&context).unwrap();
    (context, secret, public)
}

/// Residues over the whole range of the modulus.
fn ramp(coefficients: usize) -> Vec<u64> {
    let step = RING.modulus / coefficients as u64;
    (0..coefficients as u64)
        .map(|i| RING.modulus - 1 - i * step)
        .collect()
}

fn encrypt(context: &Context, public: &PublicKey, plaintext: &[u64]) -> Lifted {
    let mut fresh = Fresh::default();
    context.encrypt(public, plaintext, &mut fresh).unwrap();
    let Fresh { c0, c1 } = fresh;
    Lifted { c0, c1 }
}

#[track_caller]
fn assert_close(secret: &SecretKey, actual: &[u64], expected: &[u64]) {
    let bound = 7.0 * noise::sigma(&ADDITIVE_FINE, &secret.norms());
    assert_eq!(actual.len(), expected.len());
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let distance = actual.abs_diff(*expected);
        let distance = distance.min(RING.modulus - distance);
        assert!(
            distance as f64 <= bound,
            "coefficient {i}: off by {distance}"
        );
    }
}

#[test]
fn what_is_encrypted_is_opened_whole_or_in_its_first_coefficients() {
    let (context, secret, public) = setup();
    for coefficients in [1, 8, 232, RING.dimension] {
        let plaintext = ramp(coefficients);
        let sealed = encrypt(&context, &public, &plaintext);
        assert_eq!(sealed.c0.len(), coefficients);
        assert_eq!(sealed.c1.len(), RING.dimension);
        let opened = secret.open(&sealed).unwrap();
        assert_close(&secret, &opened, &plaintext);
    }
}

#[test]
fn a_buffer_serves_again_for_another_number_of_coefficients() {
    let (context, secret, public) = setup();
    let mut fresh = Fresh::default();
    for plaintext in [ramp(64), ramp(8), ramp(128)] {
        context.encrypt(&public, &plaintext, &mut fresh).unwrap();
        let Fresh { c0, c1 } = fresh.clone();
        let opened = secret.open(&Lifted { c0, c1 }).unwrap();
        assert_close(&secret, &opened, &plaintext);
    }
}

#[test]
fn threads_encrypt_at_the_same_time_with_their_own_randomness() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    let (context, secret, public) = setup();
    let plaintext = ramp(64);
    let sealed: Vec<Lifted> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| -> Vec<Lifted> {
                    (0..EACH)
                        .map(|_| encrypt(&context, &public, &plaintext))
                        .collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    // The same message and key each time: equal first polynomials, or equal second ones, would mean
    // equal randomness in part.
    let polynomials: HashSet<&[u64]> = sealed
        .iter()
        .flat_map(|sealed| [sealed.c0.as_slice(), &sealed.c1])
        .collect();
    assert_eq!(polynomials.len(), 2 * THREADS * EACH);
    thread::scope(|scope| {
        for part in sealed.chunks(EACH) {
            let (secret, plaintext) = (&secret, &plaintext);
            scope.spawn(move || {
                for sealed in part {
                    assert_close(secret, &secret.open(sealed).unwrap(), plaintext);
                }
            });
        }
    });
}

#[test]
fn keys_are_made_while_others_encrypt() {
    let (context, secret, public) = setup();
    let plaintext = ramp(8);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let sealed = encrypt(&context, &public, &plaintext);
                    assert_close(&secret, &secret.open(&sealed).unwrap(), &plaintext);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                let (context, secret, public) = setup();
                let sealed = encrypt(&context, &public, &plaintext);
                assert_close(&secret, &secret.open(&sealed).unwrap(), &plaintext);
            }
        });
    });
}

#[test]
fn what_is_not_a_polynomial_of_the_ring_is_refused_before_openfhe_sees_it() {
    let (context, secret, public) = setup();
    let mut fresh = Fresh::default();
    for count in [0, RING.dimension + 1] {
        let error = context.encrypt(&public, &vec![0; count], &mut fresh);
        assert!(
            matches!(error, Err(Error::Coefficients { actual }) if actual == count),
            "{error:?}"
        );
    }
    for value in [RING.modulus, u64::MAX] {
        let error = context
            .encrypt(&public, &[0, value], &mut fresh)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("coefficient 1 is {value}, not below the modulus 1125899906826241")
        );
    }
    let good = encrypt(&context, &public, &[5; 8]);
    let spoiled = |spoil: fn(&mut Lifted)| {
        let mut sum = good.clone();
        spoil(&mut sum);
        secret.open(&sum).unwrap_err()
    };
    let error = spoiled(|sum| sum.c0[7] = RING.modulus);
    assert!(matches!(error, Error::Residue { index: 7, .. }), "{error}");
    let error = spoiled(|sum| sum.c1[2047] = u64::MAX);
    let last = matches!(error, Error::Residue { index: 2047, .. });
    assert!(last, "{error}");
    for error in [
        spoiled(|sum| sum.c0.clear()),
        spoiled(|sum| sum.c0.resize(2049, 0)),
        spoiled(|sum| sum.c1.push(0)),
        spoiled(|sum| sum.c1.clear()),
    ] {
        assert!(matches!(error, Error::Coefficients { .. }), "{error}");
    }
    let error = spoiled(|sum| sum.c1.truncate(2047));
    assert!(error.to_string().contains("2048 words expected"), "{error}");
}

#[test]
fn a_public_key_survives_the_wire_and_its_fingerprint_binds_the_ring_and_every_bit() {
    let (context, secret, public) = setup();
    let bytes = public.as_packed();
    assert_eq!(bytes.len(), 25_600);
    let rebuilt = PublicKey::from_packed(&context, bytes).unwrap();
    assert_eq!(rebuilt, public);
    assert_eq!(rebuilt.fingerprint(), public.fingerprint());
    let plaintext = ramp(8);
    let sealed = encrypt(&context, &rebuilt, &plaintext);
    assert_close(&secret, &secret.open(&sealed).unwrap(), &plaintext);

    let bound = [RING.parameter_bytes(), bytes.to_vec()].concat();
    assert_eq!(public.fingerprint(), *Sha256::digest(&bound));
    let (_, _, other) = setup();
    assert_ne!(other.fingerprint(), public.fingerprint());
    let mut flipped = bytes.to_vec();
    flipped[100] ^= 1;
    let flipped = PublicKey::from_packed(&context, &flipped).unwrap();
    assert_ne!(flipped, public);
    assert_ne!(flipped.fingerprint(), public.fingerprint());
}

#[test]
fn bytes_that_are_not_a_public_key_are_refused() {
    let (context, _, public) = setup();
    let bytes = public.as_packed();
    let mut out_of_range = bytes.to_vec();
    out_of_range[..7].fill(0xff);
    for (bad, length) in [(&bytes[1..], true), (&[], true), (&out_of_range, false)] {
        let error = PublicKey::from_packed(&context, bad).unwrap_err();
        let expected = match error {
            Error::Packed(PackError::WrongLength { expected, .. }) => length && expected == 25_600,
            Error::Packed(PackError::OutOfRange { index, .. }) => !length && index == 0,
            _ => false,
        };
        assert!(expected, "{error}");
    }
}

#[test]
fn the_norms_are_those_of_a_ternary_secret_and_a_small_error() {
    let expected = noise::KeyNorms::expected();
    for _ in 0..5 {
        let (_, secret, _) = setup();
        let norms = secret.norms();
        // Both are sums of 2,048 squares: seven standard deviations are 11 and 22 per cent.
        assert!(
            (norms.secret / expected.secret - 1.0).abs() < 0.11,
            "{norms:?}"
        );
        assert!(
            (norms.error / expected.error - 1.0).abs() < 0.22,
            "{norms:?}"
        );
    }
}

#[test]
fn chosen_values_are_combined_as_the_formula_says_with_the_sign_that_a_turn_of_the_ring_brings() {
    const TURN: usize = 5;
    let (context, _, public) = setup();
    let words = packed::unpack(&RING, 2 * RING.dimension, public.as_packed()).unwrap();
    let (b, a) = words.split_at(RING.dimension);
    let m = ramp(RING.dimension);
    let small = |seed: i8| -> Vec<i8> {
        let value = |i: usize| (i % 43) as i8 * seed - 21 * seed;
        (0..RING.dimension).map(value).collect()
    };
    let (e0, e1) = (small(1), small(-1));
    let mut v = vec![0; RING.dimension];
    v[TURN] = -1;
    let combined = reference::combine(&context, &public, [&v, &e0, &e1], &m).unwrap();
    // −X^5 · p: the coefficient that leaves at the top returns at the bottom with its sign turned twice.
    let turned = |p: &[u64], k: usize| match k.checked_sub(TURN) {
        Some(from) => RING.modulus - p[from],
        None => p[RING.dimension + k - TURN],
    };
    let sum = |product: u64, error: i8, m: u64| {
        let sum = i128::from(product) + i128::from(error) + i128::from(m);
        sum.rem_euclid(i128::from(RING.modulus)) as u64
    };
    for k in 0..RING.dimension {
        assert_eq!(combined.c0[k], sum(turned(b, k), e0[k], m[k]), "c0, {k}");
        assert_eq!(combined.c1[k], sum(turned(a, k), e1[k], 0), "c1, {k}");
    }
    let short = reference::combine(&context, &public, [&v, &e0[1..], &e1], &m);
    assert!(matches!(short, Err(Error::Coefficients { actual: 2047 })));
}
