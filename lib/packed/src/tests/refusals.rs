//! Decrypted sums that must not be released.

use crate::layout::{DecodeError, Encoding, Entered, Layout, Shape};
use crate::{ADDITIVE_FINE, RING};

const SIGMA: f64 = 100.0;

/// Contributors of the sums here.
const N: u32 = 9;

/// One standard deviation of a sum.
const NOISE: i64 = 300;

/// Nine intervals, so that eighths are 2, 2, 2, 2, 1, 0, 0, 0; reference 64 Wh, quantum 4 Wh,
/// squares in units of 2 Wh².
fn encoding() -> Encoding {
    let shape = Shape::new(Layout::Moments, 9).unwrap();
    Encoding::new(&ADDITIVE_FINE, shape, 64, 4, Some(2)).unwrap()
}

/// The sum of nine equal reports: all readings at the reference and clamped, none in interval 8.
fn sum() -> Vec<i64> {
    let clamped = true;
    let mut readings = [Some(Entered { wh: 64, clamped }); 9];
    readings[8] = None;
    let encoded = encoding().encode(&readings).unwrap();
    encoded.iter().map(|&m| i64::from(N) * m as i64).collect()
}

fn residues(sum: &[i64]) -> Vec<u64> {
    sum.iter().map(|&value| RING.residue(value)).collect()
}

/// The verdict on the sum with `by` added to one coefficient.
fn shifted(coefficient: usize, by: i64) -> Result<(), DecodeError> {
    let mut sum = sum();
    sum[coefficient] += by;
    let decoded = encoding().decode(&residues(&sum), N, SIGMA);
    decoded.map(drop)
}

/// First coefficient and unit of every class.
fn classes() -> [(usize, i64); 4] {
    let shape = encoding().shape;
    [
        (shape.values().start, 1 << 35),
        (shape.presence().start, 1 << 39),
        (shape.clamped().start, 1 << 38),
        (shape.squares().start, 1 << 28),
    ]
}

#[test]
fn a_coefficient_off_the_grid_of_its_own_class_is_refused() {
    for (coefficient, unit) in classes() {
        for sign in [1, -1] {
            assert_eq!(shifted(coefficient, sign * 12 * NOISE), Ok(()));
            let refused = Err(DecodeError::OffGrid);
            assert_eq!(shifted(coefficient, sign * (12 * NOISE + 1)), refused);
            assert_eq!(shifted(coefficient, sign * unit / 2), refused);
            // One unit down, which is in range unless a reading is then nobody's.
            if coefficient != encoding().shape.presence().start {
                assert_eq!(shifted(coefficient, -unit - 12 * NOISE), Ok(()));
            }
            assert_eq!(shifted(coefficient, -unit - 12 * NOISE - 1), refused);
        }
    }
}

/// A unit of another class is no unit of this one: half a unit of presence is whole in quanta.
#[test]
fn half_a_reading_is_off_the_grid_of_presence() {
    let presence = encoding().shape.presence();
    assert_eq!(
        shifted(presence.start, -(1 << 38)),
        Err(DecodeError::OffGrid)
    );
    assert_eq!(shifted(0, -(1 << 38)), Ok(()));
}

#[test]
fn a_total_beyond_what_its_contributors_can_have_entered_is_refused() {
    let shape = encoding().shape;
    let refused = Err(DecodeError::OutOfRange);
    for (coefficient, unit) in classes() {
        assert_eq!(shifted(coefficient, unit), refused, "{coefficient}");
    }
    // From the largest to the smallest value, and one below.
    let whole = 2 * 16 * i64::from(N);
    assert_eq!(shifted(0, -whole << 35), Ok(()));
    assert_eq!(shifted(0, (-whole - 1) << 35), refused);
    let (clamped, squares) = (shape.clamped().start, shape.squares().start);
    assert_eq!(shifted(clamped, (-2 * i64::from(N)) << 38), Ok(()));
    assert_eq!(shifted(clamped, (-2 * i64::from(N) - 1) << 38), refused);
    assert_eq!(shifted(squares, (-2_048 * i64::from(N)) << 28), Ok(()));
    assert_eq!(shifted(squares, (-2_048 * i64::from(N) - 1) << 28), refused);
}

/// What nobody reported has no energy, no square and was not clamped.
#[test]
fn an_interval_without_readings_carries_nothing_else() {
    let shape = encoding().shape;
    let refused = Err(DecodeError::OutOfRange);
    assert_eq!(shifted(shape.values().start + 8, 1 << 35), refused);
    assert_eq!(shifted(shape.values().start + 8, -1 << 35), refused);
    assert_eq!(shifted(shape.presence().start + 8, -1 << 39), refused);
    assert_eq!(shifted(shape.clamped().start + 4, 1 << 38), refused);
    assert_eq!(shifted(shape.clamped().start + 7, 1 << 38), refused);
    assert_eq!(shifted(shape.squares().start + 8, 1 << 28), refused);
}

/// A colluder who takes a sum of others to the edge of the modulus learns on which side it is only
/// if a wrapped sum is treated otherwise than one that is merely too large.
#[test]
fn a_sum_at_the_edge_of_the_modulus_is_refused_on_both_sides() {
    let half = (RING.modulus / 2) as i64;
    let largest = i64::from(N) << 39;
    for by in [-1 << 36, 1 << 36] {
        assert!(shifted(0, half - largest + by).is_err());
    }
}

#[test]
fn no_error_carries_a_value() {
    assert_eq!(
        DecodeError::OffGrid.to_string(),
        "the sum is not of whole quanta"
    );
    assert_eq!(
        DecodeError::OutOfRange.to_string(),
        "the sum is beyond what its contributors can have entered"
    );
}

#[test]
fn zero_checks_pass_up_to_three_standard_deviations_and_no_further() {
    let encoding = encoding();
    let checks = encoding.shape.checks();
    let passes = |check: &dyn Fn(usize) -> i64| {
        let mut sum = sum();
        for (i, coefficient) in checks.clone().enumerate() {
            sum[coefficient] = check(i);
        }
        encoding.checks_pass(&residues(&sum), N, SIGMA)
    };
    let sign = |i: usize| if i.is_multiple_of(2) { 1 } else { -1 };
    assert!(passes(&|_| 0));
    assert!(passes(&|i| sign(i) * 3 * NOISE));
    assert!(!passes(&|i| sign(i) * (3 * NOISE + 1)));
    // A single one stands out if it alone takes the mean beyond.
    let count = checks.len() as f64;
    let alone = (count.sqrt() * 3.0 * NOISE as f64) as i64;
    for at in 0..checks.len() {
        assert!(passes(&|i| if i == at { alone } else { 0 }));
        assert!(!passes(&|i| if i == at { -alone - 1 } else { 0 }));
    }
}

#[test]
fn payload_is_nothing_to_the_checks() {
    let mut sum = sum();
    for value in &mut sum[..encoding().shape.checks().start] {
        *value += 12_345_678;
    }
    assert!(encoding().checks_pass(&residues(&sum), N, SIGMA));
}
