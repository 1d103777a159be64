//! Shapes, encodings and what is refused.

use proptest::prelude::*;

use super::shape;
use crate::layout::{
    DecodeError, Encoding, Entered, Layout, LayoutError, Shape, ShapeError, Totals, squares,
};
use crate::{ADDITIVE, ADDITIVE_FINE, ADDITIVE_SMALL, Profile, RING};

/// Two intervals, reference 64 Wh, quantum 2 Wh, squares in units of 4 Wh².
fn small(layout: Layout) -> Encoding {
    let unit = (layout == Layout::Moments).then_some(4);
    Encoding::new(&ADDITIVE, shape(layout, 2), 64, 2, unit).unwrap()
}

fn entered(wh: i64) -> Option<Entered> {
    let clamped = false;
    Some(Entered { wh, clamped })
}

proptest! {
    #[test]
    fn the_parts_of_a_shape_follow_each_other(
        batch in 1u16..=250,
        layout in prop::sample::select(Layout::ALL.to_vec()),
    ) {
        let shape = shape(layout, batch);
        let batch = usize::from(batch);
        prop_assert_eq!((shape.layout(), shape.batch()), (layout, batch));
        prop_assert_eq!(shape.values(), 0..batch);
        prop_assert_eq!(shape.presence(), batch..2 * batch);
        prop_assert_eq!(shape.clamped(), 2 * batch..2 * batch + 8);
        let squares = if layout == Layout::Moments { batch } else { 0 };
        prop_assert_eq!(shape.squares(), 2 * batch + 8..2 * batch + 8 + squares);
        let bins = if layout == Layout::Histogram { 6 * batch } else { 0 };
        prop_assert_eq!(shape.bins(), shape.squares().end..shape.squares().end + bins);
        prop_assert_eq!(shape.maximum().start, shape.bins().end);
        prop_assert_eq!(shape.maximum().len(), usize::from(layout == Layout::Maxima));
        prop_assert_eq!(shape.checks().start, shape.maximum().end);
        prop_assert!((32..40).contains(&shape.checks().len()));
        prop_assert_eq!(shape.checks().end, shape.coefficients());
        prop_assert_eq!(shape.coefficients() % 8, 0);
        prop_assert!(8 * shape.eighth() >= batch && 8 * (shape.eighth() - 1) < batch);
    }

    /// Nothing is lost: what is not entered yet is at most half a unit.
    #[test]
    fn squares_of_a_day_add_up(
        readings in prop::collection::vec(prop::option::of(-4_096i64..=4_096), 1..100),
        unit_bits in 0u32..=24,
    ) {
        let unit = 1u64 << unit_bits;
        let entered = squares(readings.iter().copied(), unit);
        prop_assert_eq!(entered.len(), readings.len());
        let (mut exact, mut sum) = (0i128, 0i128);
        for (reading, &entered) in readings.iter().zip(&entered) {
            prop_assert_eq!(entered % u128::from(unit), 0);
            prop_assert!(entered <= 4_096 * 4_096);
            prop_assert!(reading.is_some() || entered == 0);
            exact += i128::from(reading.unwrap_or(0)).pow(2);
            sum += entered as i128;
            prop_assert!(2 * (exact - sum).abs() <= i128::from(unit));
        }
    }
}

#[test]
fn a_day_of_quarter_hours_takes_232_coefficients_and_328_with_squares() {
    let profile = shape(Layout::Profile, 96);
    assert_eq!((profile.coefficients(), profile.eighth()), (232, 12));
    assert_eq!(profile.checks(), 200..232);
    assert_eq!(shape(Layout::Moments, 96).coefficients(), 328);
}

#[test]
fn a_report_carries_its_greatest_reading_and_a_sum_what_they_add_up_to() {
    let encoding = small(Layout::Maxima);
    let of = |readings: [Option<Entered>; 2]| encoding.encode(&readings).unwrap();
    let at = encoding.shape.maximum().start;
    for (readings, greatest) in [
        ([entered(6), entered(8)], 8),
        ([entered(8), entered(6)], 8),
        ([None, entered(-4)], -4),
        ([entered(-4), entered(-6)], -4),
    ] {
        let report = of(readings);
        let totals = encoding.decode(&report, 1, 1.0).unwrap();
        assert_eq!(totals.maxima_wh, Some(greatest), "{readings:?}");
        let quantum = 1 << (ADDITIVE.scale_bits + 1 - 6);
        assert_eq!(ADDITIVE.ring.centre(report[at]), greatest / 2 * quantum);
    }
    let mut report = of([entered(6), None]);
    report[at] = 2 << ADDITIVE.scale_bits;
    assert_eq!(
        encoding.decode(&report, 1, 1.0),
        Err(DecodeError::OutOfRange)
    );
    report[at] = 1 << (ADDITIVE.scale_bits - 6);
    assert_eq!(encoding.decode(&report, 1, 1.0), Err(DecodeError::OffGrid));
}

/// With an envelope of 186 bytes.
#[test]
fn a_message_of_96_readings_keeps_to_the_bytes_it_may_take() {
    let coefficients = shape(Layout::Profile, 96).coefficients();
    assert!(ADDITIVE_SMALL.packed_len(coefficients) + 186 <= 12_100);
    for profile in Profile::all() {
        assert!(
            profile.packed_len(coefficients) + 186 <= 13_900,
            "{profile}"
        );
    }
}

#[test]
fn batches_that_do_not_fit_are_refused_at_the_edge() {
    for (layout, most) in [(Layout::Profile, 1_004), (Layout::Moments, 669)] {
        assert!(shape(layout, most).coefficients() <= 2_048);
        for batch in [most + 1, u16::MAX] {
            let error = Shape::new(layout, batch).unwrap_err();
            assert!(matches!(
                error,
                ShapeError::TooLarge {
                    available: 2_048,
                    ..
                }
            ));
        }
        assert_eq!(Shape::new(layout, 0), Err(ShapeError::Empty));
    }
    let error = Shape::new(Layout::Moments, 670).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layout moments with a batch of 670 needs 2056 coefficients, above 2048"
    );
}

#[test]
fn names_round_trip() {
    for layout in Layout::ALL {
        assert_eq!(layout.to_string().parse(), Ok(layout));
    }
    let error = "maximum".parse::<Layout>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown layout \"maximum\": known are profile, maxima, moments, histogram"
    );
}

#[test]
fn each_class_of_coefficients_is_in_its_own_unit() {
    let shape = shape(Layout::Moments, 20);
    let encoding = Encoding::new(&ADDITIVE_FINE, shape, 1 << 12, 1 << 2, Some(1 << 6)).unwrap();
    let mut readings = vec![None; 20];
    let clamped = true;
    readings[4] = entered(-8);
    readings[19] = Some(Entered { wh: 4_096, clamped });
    readings[18] = Some(Entered { wh: 0, clamped });
    let encoded = encoding.encode(&readings).unwrap();
    let mut expected = vec![0; shape.coefficients()];
    // Two quanta of 2^(39 + 2 − 12).
    expected[4] = RING.modulus - (2 << 29);
    expected[19] = 1 << 39;
    for k in [4, 18, 19] {
        expected[20 + k] = 1 << 39;
    }
    // An eighth of 20 intervals is 3, and 4 the next power of two.
    expected[40 + 6] = 2 << 37;
    // A square of 8² is one unit of 2^(39 + 6 − 24), that of the reference 2^18 of them.
    expected[48 + 4] = 1 << 21;
    expected[48 + 19] = 1 << 39;
    assert_eq!(encoded, expected);
}

#[test]
fn settings_that_do_not_fit_each_other_are_refused() {
    let make = |layout, reference_wh, quantum_wh, unit| {
        Encoding::new(&ADDITIVE, shape(layout, 2), reference_wh, quantum_wh, unit)
    };
    for reference_wh in [0, 3, 1_000, 1 << 43, u64::MAX] {
        let error = make(Layout::Profile, reference_wh, 1, None).unwrap_err();
        assert_eq!(error, LayoutError::Reference { reference_wh });
    }
    // With a scale of 2^34, a quantum of 2^42 / 2^34.
    for (reference_wh, finest_wh) in [(64, 1), (1 << 42, 256)] {
        for quantum_wh in [finest_wh, reference_wh] {
            assert!(make(Layout::Profile, reference_wh, quantum_wh, None).is_ok());
        }
        for quantum_wh in [0, 3, finest_wh / 2, 2 * reference_wh] {
            let error = make(Layout::Profile, reference_wh, quantum_wh, None).unwrap_err();
            assert!(matches!(error, LayoutError::Quantum { finest_wh: f, .. } if f == finest_wh));
        }
    }
    // 2^40 / 2^34 to 2^40.
    for unit in [64, 1 << 40] {
        assert!(make(Layout::Moments, 1 << 20, 1, Some(unit)).is_ok());
    }
    for unit in [None, Some(0), Some(32), Some(96), Some(1 << 41)] {
        let error = make(Layout::Moments, 1 << 20, 1, unit).unwrap_err();
        assert!(matches!(error, LayoutError::SquareUnit { .. }), "{unit:?}");
    }
    let error = make(Layout::Profile, 1 << 20, 1, Some(64)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unit of squares of 64 Wh² does not fit layout profile with a reference of 1048576 Wh"
    );
}

#[test]
fn readings_that_cannot_be_encoded_are_refused_and_those_at_the_edge_are_not() {
    let encoding = small(Layout::Moments);
    assert!(encoding.encode(&[entered(64), entered(-64)]).is_ok());
    let (batch, reference_wh, quantum_wh) = (2, 64, 2);
    for actual in [0, 1, 3] {
        let error = encoding.encode(&vec![None; actual]).unwrap_err();
        assert_eq!(error, LayoutError::WrongBatch { batch, actual });
    }
    let refused = |wh| encoding.encode(&[None, entered(wh)]).unwrap_err();
    for reading_wh in [65, 66, -66, i64::MIN, i64::MAX] {
        let error = LayoutError::ReadingAboveReference {
            index: 1,
            reading_wh,
            reference_wh,
        };
        assert_eq!(refused(reading_wh), error);
    }
    for reading_wh in [1, -1, 63] {
        let error = LayoutError::NotWhole {
            index: 1,
            reading_wh,
            quantum_wh,
        };
        assert_eq!(refused(reading_wh), error);
    }
}

#[test]
fn mean_and_variance_are_those_of_the_readings_there_were() {
    let totals = Totals {
        energy_wh: vec![600, 0, 0],
        present: vec![3, 2, 0],
        clamped: 0,
        squares_wh2: Some(vec![140_000, 3_200, 0]),
        bins: None,
        maxima_wh: None,
    };
    assert_eq!(totals.mean_wh(0), Some(200.0));
    assert!((totals.variance_wh2(0).unwrap() - 20_000.0 / 3.0).abs() < 1e-9);
    assert_eq!(totals.variance_wh2(1), Some(1_600.0));
    assert_eq!((totals.mean_wh(2), totals.variance_wh2(2)), (None, None));
    assert_eq!((totals.mean_wh(3), totals.variance_wh2(3)), (None, None));
    let rounded = Totals {
        squares_wh2: Some(vec![119_000, 0, 0]),
        ..totals.clone()
    };
    assert_eq!(rounded.variance_wh2(0), Some(0.0));
    let none = Totals {
        squares_wh2: None,
        ..totals
    };
    assert_eq!(none.variance_wh2(0), None);
}

#[test]
fn another_number_of_residues_is_refused() {
    let encoding = small(Layout::Profile);
    for actual in [0, 43, 45, 2_048] {
        let error = encoding.decode(&vec![0; actual], 1, 1.0).unwrap_err();
        let expected = encoding.shape.coefficients();
        assert_eq!(error, DecodeError::WrongCoefficients { expected, actual });
        assert!(!encoding.checks_pass(&vec![0; actual], 1, 1.0));
    }
}
