//! Squares, tariff weights and sums over slots on ciphertexts, against the same in the clear.

#![allow(clippy::unwrap_used)]

use openfhe::levelled::{Beyond, KEY_PARTS, Levelled, LevelledError, SLOTS, Sum};
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
