//! Squares, tariff weights and sums over slots on ciphertexts, against the same in the clear.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use openfhe::EvaluationKeyError;
use openfhe::levelled::{
    Beyond, KEY_PARTS, Kind, Levelled, LevelledError, PRODUCT_BYTES, REPORT_BYTES, SLOTS, Sum,
};
use openfhe::secret::{LevelledSecret, generate_levelled};

const REPORTS: usize = 50;

/// The operator's secret, and a context that has been given its keys in words.
fn setup() -> (LevelledSecret, Levelled) {
    let mut context = Levelled::new().unwrap();
    let secret = generate_levelled(&context).unwrap();
    for part in 0..KEY_PARTS {
        context.set_key(part, &secret.key(part).unwrap()).unwrap();
    }
    (secret, context)
}

/// Of each report, as a share of the reference.
fn readings(report: usize) -> Vec<f64> {
    let reading = |slot: usize| ((report * 7_919 + slot * 104_729) % 1_000) as f64 / 2_500.0 - 0.1;
    (0..SLOTS).map(reading).collect()
}

fn totals(of: impl Fn(f64) -> f64) -> Vec<f64> {
    let total = |slot: usize| (0..REPORTS).map(|report| of(readings(report)[slot])).sum();
    (0..SLOTS).map(total).collect()
}

fn deviation(found: &[f64], expected: &[f64]) -> f64 {
    let squares = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (found - expected).powi(2));
    (squares.sum::<f64>() / found.len() as f64).sqrt()
}

fn refused(result: Result<(), LevelledError>) -> Beyond {
    match result.unwrap_err() {
        LevelledError::Beyond(beyond) => beyond,
        other => panic!("{other}"),
    }
}

#[test]
fn squares_weights_and_sums_over_slots_are_those_in_the_clear_and_no_further_product_is_computed() {
    let (secret, context) = setup();
    let (mut squares, mut sum) = (context.zero().unwrap(), context.zero().unwrap());
    for report in 0..REPORTS {
        let report = context.encrypt(&readings(report)).unwrap();
        context.add_square(&mut squares, &report).unwrap();
        context.add(&mut sum, &report).unwrap();
    }
    // The full variance, from both.
    assert!(matches!(
        secret.open(&context, &squares),
        Err(LevelledError::Beyond(Beyond::Order))
    ));
    context.relinearise(&mut squares).unwrap();
    context.rescale(&mut squares).unwrap();
    let is_near = |sum: &Sum, expected: &[f64]| {
        let found = secret.open(&context, sum).unwrap();
        let deviation = deviation(&found, expected);
        assert!(deviation < 3.0 * sum.noise(), "{deviation} {}", sum.noise());
        assert!(sum.noise() < 1e-4, "{}", sum.noise());
    };
    is_near(&squares, &totals(|reading| reading * reading));
    is_near(&sum, &totals(|reading| reading));
    // One product, and no other.
    let mut again = context.zero().unwrap();
    assert_eq!(
        refused(context.add_square(&mut again, &squares)),
        Beyond::Depth
    );
    assert_eq!(refused(context.add(&mut sum, &squares)), Beyond::Unlike);

    let weights: Vec<f64> = (0..SLOTS)
        .map(|slot| 0.1 + 0.2 * (slot % 4) as f64)
        .collect();
    context.weigh(&mut sum, &weights).unwrap();
    assert_eq!(refused(context.weigh(&mut sum, &weights)), Beyond::Depth);
    context.sum_slots(&mut sum).unwrap();
    context.rescale(&mut sum).unwrap();
    let weighed = totals(|reading| reading).into_iter().zip(&weights);
    let bill: f64 = weighed.map(|(total, weight)| total * weight).sum();
    is_near(&sum, &[bill; SLOTS]);
}

#[test]
fn keys_of_another_length_or_out_of_range_and_values_beyond_full_scale_are_refused() {
    let (secret, mut context) = setup();
    for part in [0, 1, 2] {
        let mut words = secret.key(part).unwrap();
        let is_refused = |result| matches!(result, Err(LevelledError::Key { .. }));
        assert!(is_refused(context.set_key(part, &words[1..])));
        words[5_000] = u64::MAX;
        assert!(is_refused(context.set_key(part, &words)));
    }
    let mut values = readings(0);
    values[3] = 1.5;
    assert!(matches!(
        context.encrypt(&values),
        Err(LevelledError::Values)
    ));
    assert!(matches!(
        context.encrypt(&values[1..]),
        Err(LevelledError::Values)
    ));
}

#[test]
fn keys_reports_and_what_is_computed_go_through_files_and_bytes_and_nothing_of_another_length_is_taken()
 {
    let folder = tempfile::tempdir().unwrap();
    let (keys, secret) = (folder.path().join("keys"), folder.path().join("secret"));
    let context = Levelled::new().unwrap();
    let made = generate_levelled(&context).unwrap();
    let sha256 = made.save_keys(&keys).unwrap();
    made.save(&secret).unwrap();
    for file in [&keys, &secret] {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    assert_eq!(fs::metadata(&keys).unwrap().len(), Levelled::FILE_LEN);
    // Meter and server have the keys, the operator the secret.
    let server = Levelled::load(&keys, &sha256).unwrap();
    let (mut sum, mut squares) = (server.zero().unwrap(), server.zero().unwrap());
    for report in 0..REPORTS {
        let report = server.seal(&readings(report)).unwrap();
        assert_eq!(report.len(), REPORT_BYTES);
        let report = server.read_report(&report).unwrap();
        server.add(&mut sum, &report).unwrap();
        server.add_square(&mut squares, &report).unwrap();
    }
    assert!(server.write(&squares).is_err(), "three polynomials");
    server.relinearise(&mut squares).unwrap();
    server.rescale(&mut squares).unwrap();
    let mut weighed = server.zero().unwrap();
    server.add(&mut weighed, &sum).unwrap();
    server.weigh(&mut weighed, &[1.0; SLOTS]).unwrap();
    server.sum_slots(&mut weighed).unwrap();
    server.rescale(&mut weighed).unwrap();
    let secret = LevelledSecret::load(&context, &secret).unwrap();
    assert!(secret.key(0).is_err(), "keys are in a file of their own");
    let all: f64 = totals(|reading| reading).iter().sum();
    for (computed, of, bytes, expected) in [
        (&sum, Kind::Sum, REPORT_BYTES, totals(|reading| reading)),
        (
            &squares,
            Kind::Squares,
            PRODUCT_BYTES,
            totals(|reading| reading * reading),
        ),
        (&weighed, Kind::Weighed, PRODUCT_BYTES, vec![all; SLOTS]),
    ] {
        let sent = server.write(computed).unwrap();
        assert_eq!(sent.len(), bytes);
        let taken = context.read_computed(&sent, (of, REPORTS as u32)).unwrap();
        assert_eq!(
            taken.noise().to_bits(),
            computed.noise().to_bits(),
            "{of:?}"
        );
        let found = secret.open(&context, &taken).unwrap();
        assert!(deviation(&found, &expected) < 3.0 * taken.noise(), "{of:?}");
    }
}

#[test]
fn bytes_of_another_length_or_out_of_range_and_too_many_reports_are_refused() {
    let (_, server) = setup();
    let mut report = server.seal(&readings(0)).unwrap();
    let refused = server.read_report(&report[1..]);
    assert!(matches!(refused, Err(LevelledError::Length { .. })));
    for (kind, bytes) in [
        (Kind::Sum, PRODUCT_BYTES),
        (Kind::Squares, REPORT_BYTES),
        (Kind::Weighed, 0),
    ] {
        let refused = server.read_computed(&report[..bytes], (kind, 1));
        assert!(
            matches!(refused, Err(LevelledError::Length { .. })),
            "{kind:?}"
        );
    }
    // More reports than the modulus has room for, of numbers that may all be 1.
    let refused = server.read_computed(&report[..PRODUCT_BYTES], (Kind::Weighed, 5_000));
    assert!(matches!(
        refused,
        Err(LevelledError::Beyond(Beyond::TooLarge))
    ));
    report[..8].fill(0xff);
    let refused = server.read_report(&report);
    assert!(matches!(refused, Err(LevelledError::Residue)));
}

#[test]
fn a_file_of_levelled_keys_with_another_length_or_hash_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let secret = generate_levelled(&Levelled::new().unwrap()).unwrap();
    let sha256 = secret.save_keys(&path).unwrap();
    let refused = |sha256| match Levelled::load(&path, sha256).unwrap_err() {
        LevelledError::File(error) => error,
        other => panic!("{other}"),
    };
    assert!(matches!(
        refused(&[7; 32]),
        EvaluationKeyError::Other { .. }
    ));
    let mut bytes = fs::read(&path).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(refused(&sha256), EvaluationKeyError::Other { .. }));
    fs::write(&path, &bytes[1..]).unwrap();
    assert!(matches!(
        refused(&sha256),
        EvaluationKeyError::Length { .. }
    ));
}
