//! Encryption and decryption over real keys.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::thread;

use openfhe::secret::{self, SecretKey};
use openfhe::{Context, Error, PublicKey};
use packed::{ADDITIVE, ADDITIVE_WIDE, Profile};

fn setup(profile: &'static Profile) -> (Context, SecretKey, PublicKey) {
    let context = Context::new(profile).unwrap();
    let (secret, public) = secret::generate(&context).unwrap();
    (context, secret, public)
}

fn ramp(profile: &Profile) -> Vec<f64> {
    let slots = profile.slots();
    (0..slots)
        .map(|slot| 2.0 * slot as f64 / (slots - 1) as f64 - 1.0)
        .collect()
}

#[track_caller]
fn assert_close(profile: &Profile, actual: &[f64], expected: &[f64], contributors: u32) {
    let bound = packed::noise::bound(profile, contributors);
    for (slot, value) in actual.iter().enumerate() {
        let expected = expected.get(slot).copied().unwrap_or(0.0);
        assert!(
            (value - expected).abs() <= bound,
            "slot {slot}: {value} for {expected}, bound {bound}"
        );
    }
}

#[test]
fn what_is_encrypted_is_decrypted_on_every_profile() {
    for profile in Profile::all() {
        let (context, secret, public) = setup(profile);
        for values in [
            ramp(profile),
            vec![1.0],
            vec![-1.0; 96],
            vec![0.0; profile.slots()],
        ] {
            let sealed = context.encrypt(&public, &values).unwrap();
            assert_eq!(sealed.len(), profile.packed_len());
            assert_close(profile, &secret.decrypt(&sealed).unwrap(), &values, 1);
        }
    }
}

#[test]
fn threads_encrypt_at_the_same_time_with_their_own_randomness() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    let (context, secret, public) = setup(&ADDITIVE);
    let values = ramp(&ADDITIVE);
    let sealed: Vec<Vec<u8>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (context, public, values) = (context.clone(), public.clone(), &values);
                scope.spawn(move || {
                    let mut out = Vec::new();
                    let mut all = Vec::new();
                    for _ in 0..EACH {
                        context.encrypt_into(&public, values, &mut out).unwrap();
                        all.push(out.clone());
                    }
                    all
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
    let halves: HashSet<&[u8]> = sealed
        .iter()
        .flat_map(|bytes| bytes.chunks(ADDITIVE.packed_len() / 2))
        .collect();
    assert_eq!(halves.len(), 2 * THREADS * EACH);
    thread::scope(|scope| {
        for part in sealed.chunks(EACH) {
            let secret = &secret;
            let values = &values;
            scope.spawn(move || {
                for bytes in part {
                    assert_close(&ADDITIVE, &secret.decrypt(bytes).unwrap(), values, 1);
                }
            });
        }
    });
}

#[test]
fn contexts_and_keys_are_made_while_others_encrypt() {
    let (context, secret, public) = setup(&ADDITIVE);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let sealed = context.encrypt(&public, &[0.25]).unwrap();
                    assert_close(&ADDITIVE, &secret.decrypt(&sealed).unwrap(), &[0.25], 1);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                let (context, secret, public) = setup(&ADDITIVE_WIDE);
                let sealed = context.encrypt(&public, &[-0.5]).unwrap();
                assert_close(
                    &ADDITIVE_WIDE,
                    &secret.decrypt(&sealed).unwrap(),
                    &[-0.5],
                    1,
                );
            }
        });
    });
}

#[test]
fn values_that_could_wrap_the_sum_are_refused() {
    let (context, _, public) = setup(&ADDITIVE);
    for bad in [1.000_001, -1.5, f64::NAN, f64::INFINITY] {
        let error = context.encrypt(&public, &[0.0, bad]).unwrap_err();
        assert!(
            matches!(error, Error::SlotRange { index: 1, .. }),
            "{error}"
        );
    }
    for count in [0, ADDITIVE.slots() + 1] {
        let error = context.encrypt(&public, &vec![0.0; count]).unwrap_err();
        assert!(
            matches!(error, Error::SlotCount { max: 1024, actual } if actual == count),
            "{error}"
        );
    }
}

#[test]
fn a_key_of_another_profile_is_refused() {
    let (narrow, _, _) = setup(&ADDITIVE);
    let (_, _, wide_key) = setup(&ADDITIVE_WIDE);
    let error = narrow.encrypt(&wide_key, &[0.5]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a key or ciphertext of profile \"additive-wide\" cannot be used with profile \"additive\""
    );
}

#[test]
fn a_public_key_survives_the_wire_and_its_fingerprint_tells_it_apart() {
    let (context, secret, public) = setup(&ADDITIVE);
    let bytes = public.to_packed();
    let rebuilt = PublicKey::from_packed(&context, &bytes).unwrap();
    assert_eq!(rebuilt, public);
    assert_eq!(rebuilt.fingerprint(), public.fingerprint());
    let sealed = context.encrypt(&rebuilt, &[0.125]).unwrap();
    assert_close(&ADDITIVE, &secret.decrypt(&sealed).unwrap(), &[0.125], 1);

    let (_, _, other) = setup(&ADDITIVE);
    assert_ne!(other.fingerprint(), public.fingerprint());
    // The same limbs under another profile are another key.
    let wide = PublicKey::from_packed(&Context::new(&ADDITIVE_WIDE).unwrap(), &bytes).unwrap();
    assert_ne!(wide.fingerprint(), public.fingerprint());
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    assert_ne!(
        PublicKey::from_packed(&context, &flipped)
            .unwrap()
            .fingerprint(),
        public.fingerprint()
    );
}

#[test]
fn bytes_that_are_no_ciphertext_are_refused_before_openfhe_sees_them() {
    let (context, secret, public) = setup(&ADDITIVE);
    let sealed = context.encrypt(&public, &[0.5]).unwrap();
    let mut out_of_range = sealed.clone();
    out_of_range[..7].fill(0xff);
    for bad in [&sealed[1..], &[], &out_of_range] {
        assert!(matches!(secret.decrypt(bad), Err(Error::Packed(_))));
        assert!(matches!(
            PublicKey::from_packed(&context, bad),
            Err(Error::Packed(_))
        ));
    }
}

#[test]
fn a_ciphertext_for_another_key_is_an_error_and_not_a_value() {
    let (context, secret, _) = setup(&ADDITIVE);
    let (_, _, other) = setup(&ADDITIVE);
    let sealed = context.encrypt(&other, &[0.5]).unwrap();
    assert!(matches!(
        secret.decrypt(&sealed),
        Err(Error::OpenFhe {
            operation: "decrypt",
            ..
        })
    ));
}
