//! The file of known answers, and what the self-test makes of it.

use crate::PublicKey;
use crate::kernel::Kernel;
use crate::known_answers::{FormatError, Input, KnownAnswers, compute};
use crate::ring::{N, Q};
use crate::self_test::{SelfTestError, check};

/// Two answers, as this crate computes them.
fn known() -> KnownAnswers {
    let words: Vec<u64> = (0..2 * N as u64).map(|i| i * i * i * i % Q).collect();
    let key = packed::pack(&packed::RING, &words).unwrap();
    let public = PublicKey::from_packed(&key).unwrap();
    let answers = [8, 96].map(|count| {
        let small = |i: usize, size: i64| ((i as i64 * 7 % (2 * size + 1)) - size) as i8;
        let input = Input {
            v: (0..N).map(|i| small(i, 1)).collect(),
            e0: (0..count).map(|i| small(i, 21)).collect(),
            e1: (0..N).map(|i| small(i, 20)).collect(),
            m: (0..count as u64).map(|i| Q - 1 - i).collect(),
        };
        let output = compute(Kernel::Portable, &public, &input).unwrap();
        (input, output)
    });
    KnownAnswers {
        key,
        answers: answers.to_vec(),
    }
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let known = known();
    let bytes = known.to_bytes().unwrap();
    assert_eq!(KnownAnswers::parse(&bytes), Ok(known));
}

#[test]
fn a_damaged_file_is_refused() {
    let bytes = known().to_bytes().unwrap();
    for length in 27..bytes.len() {
        if length % 997 == 0 || length < 40 {
            let result = KnownAnswers::parse(&bytes[..length]);
            assert_eq!(result, Err(FormatError::Short), "{length} bytes");
        }
    }
    assert_eq!(KnownAnswers::parse(&bytes[1..]), Err(FormatError::Magic));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(KnownAnswers::parse(&longer), Err(FormatError::TooLong(1)));
    let mut odd = bytes.clone();
    odd[27 + 4 + packed::PUBLIC_KEY_BYTES] = 9;
    let expected = FormatError::Coefficients {
        answer: 0,
        coefficients: 9,
    };
    assert_eq!(KnownAnswers::parse(&odd), Err(expected));
    let mut large = bytes;
    large[27 + 4..][..50].fill(0xff);
    let known = KnownAnswers::parse(&large).unwrap();
    let result = check(&known);
    assert!(
        matches!(result, Err(SelfTestError::Answers(FormatError::Packed(_)))),
        "{result:?}"
    );
}

#[test]
fn the_self_test_counts_answers_and_names_one_that_differs() {
    let mut known = known();
    assert_eq!(check(&known), Ok(2));
    known.answers[1].1.c0[95] ^= 1;
    let expected = SelfTestError::Differs {
        kernel: Kernel::Portable,
        answer: 1,
    };
    assert_eq!(check(&known), Err(expected));
    known.answers.clear();
    assert_eq!(check(&known), Err(SelfTestError::NoAnswers));
}
