//! Encryption as a whole.

use packed::{ADDITIVE, Profile};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::a_key;
use crate::encrypt::Work;
use crate::kernel::Loops;
use crate::known_answers::{Input, compute};
use crate::noise::Noise;
use crate::ring::{N, Polynomial, Q};
use crate::{Error, Kernel, encrypt, encrypt_with};

const SEED: [u8; 32] = [7; 32];

fn plaintext() -> Vec<u64> {
    (0..96).map(|i| i * 123_456_789_012 % Q).collect()
}

/// `c0` and `c1` under [`SEED`].
fn ciphertext(kernel: Kernel) -> (Vec<u64>, Vec<u64>) {
    let mut work = Work::new(Loops::of(kernel).unwrap());
    work.encrypt(&a_key(), &mut Noise::of(&SEED), &plaintext());
    (work.values.0[..96].to_vec(), work.polynomial.0.to_vec())
}

/// What [`SEED`] gives: `v`, `e1` and `e0`, in the order in which they are drawn.
fn drawn() -> Input {
    let loops = Loops::of(Kernel::Portable).unwrap();
    let mut noise = Noise::of(&SEED);
    let small = |word: u64, zero: u64| (word as i64 - zero as i64) as i8;
    let mut v = [0; N];
    noise.ternary(loops, &mut v);
    let half = Q / 2;
    let mut errors = |count| {
        let mut sums = vec![half; count];
        noise.add_errors(loops, &mut sums);
        sums.iter().map(|&sum| small(sum, half)).collect::<Vec<_>>()
    };
    let (e1, e0) = (errors(N), errors(96));
    let v = v.iter().map(|&word| small(word, Q)).collect();
    Input {
        v,
        e0,
        e1,
        m: plaintext(),
    }
}

#[test]
fn a_report_is_the_ciphertext_of_what_was_drawn_by_every_kernel() {
    let input = drawn();
    for kernel in Kernel::available() {
        let expected = compute(kernel, &a_key(), &input).unwrap();
        assert_eq!(ciphertext(kernel), (expected.c0, expected.c1), "{kernel}");
    }
}

#[test]
fn errors_of_both_polynomials_and_v_are_drawn_from_different_parts_of_the_stream() {
    let input = drawn();
    assert_ne!(input.e0[..], input.e1[..96]);
    assert_ne!(
        input.e1[..96],
        input.e1[768..864],
        "two refills of the buffer"
    );
    assert_ne!(input.v[..96], input.e1[..96]);
}

/// Value `i` of packed values of `bits` bits.
fn value(packed: &[u8], bits: usize, i: usize) -> u64 {
    (0..bits)
        .map(|bit| (bit, i * bits + bit))
        .map(|(bit, at)| u64::from(packed[at / 8] >> (at % 8) & 1) << bit)
        .sum()
}

#[test]
fn residues_lose_their_low_bits_by_rounding_down() {
    let (c0, c1) = ciphertext(Kernel::best());
    for profile in Profile::all() {
        let mut report = Vec::new();
        packed::report::pack(profile, &c0, &c1, &mut report).unwrap();
        let widths = profile.dropped.map(|dropped| 50 - dropped as usize);
        let (packed_c0, packed_c1) = report.split_at(96 * widths[0] / 8);
        for (i, word) in c0.iter().enumerate() {
            assert_eq!(
                value(packed_c0, widths[0], i),
                word >> profile.dropped[0],
                "{profile}"
            );
        }
        for (i, word) in c1.iter().enumerate() {
            assert_eq!(
                value(packed_c1, widths[1], i),
                word >> profile.dropped[1],
                "{profile}"
            );
        }
    }
}

#[test]
fn reports_are_appended_have_the_profiles_length_and_are_never_the_same() {
    let key = a_key();
    for profile in Profile::all() {
        for count in [8, 96, N] {
            let mut reports = vec![1];
            encrypt(&key, profile, &vec![5; count], &mut reports).unwrap();
            encrypt(&key, profile, &vec![5; count], &mut reports).unwrap();
            let length = profile.packed_len(count);
            assert_eq!(reports.len(), 1 + 2 * length);
            let (first, second) = reports[1..].split_at(length);
            // Half of all bits differ: the seeds do.
            let differing: u32 = first
                .iter()
                .zip(second)
                .map(|(x, y)| (x ^ y).count_ones())
                .sum();
            let share = f64::from(differing) / (8 * length) as f64;
            assert!(
                (0.47..0.53).contains(&share),
                "{share} of {count} in {profile}"
            );
        }
    }
}

#[test]
fn plaintexts_that_cannot_be_encrypted_are_refused_and_leave_the_report_as_it_was() {
    let key = a_key();
    let mut report = vec![1, 2, 3];
    for kernel in Kernel::available() {
        for actual in [0, 7, 9, N + 8] {
            let result = encrypt_with(kernel, &key, &ADDITIVE, &vec![0; actual], &mut report);
            assert_eq!(result, Err(Error::Coefficients { actual }));
        }
        let mut plaintext = vec![0; 16];
        plaintext[9] = Q;
        let result = encrypt_with(kernel, &key, &ADDITIVE, &plaintext, &mut report);
        assert_eq!(result, Err(Error::Residue { index: 9 }));
    }
    assert_eq!(report, [1, 2, 3]);
}

#[test]
fn messages_and_debug_output_name_no_reading() {
    let error = Error::Residue { index: 3 };
    assert_eq!(
        error.to_string(),
        format!("coefficient 3 is not below the modulus {Q}")
    );
    let debug = format!("{:?}", a_key());
    assert_eq!(debug.len(), "PublicKey(0123456789abcdef…)".len(), "{debug}");
}

#[test]
fn noise_and_polynomials_are_wiped() {
    fn is_wiped<T: ZeroizeOnDrop>() {}
    is_wiped::<chacha20::ChaChaCore<chacha20::R20, chacha20::variants::Ietf>>();
    is_wiped::<Polynomial>();
    is_wiped::<Noise>();

    let loops = Loops::of(Kernel::best()).unwrap();
    let mut noise = Noise::of(&SEED);
    let mut polynomial = Polynomial::zero();
    noise.ternary(loops, &mut polynomial.0);
    noise.add_errors(loops, &mut polynomial.0);
    noise.zeroize();
    polynomial.zeroize();
    assert!(
        noise
            .random
            .as_flattened()
            .as_flattened()
            .iter()
            .all(|&byte| byte == 0)
    );
    assert_eq!(noise.errors, [0; 768]);
    assert_eq!(polynomial.0, [0; N]);
}
