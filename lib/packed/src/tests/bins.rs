//! Bins: where they end, what of them a report carries, and sums that say of them what nobody can have entered.

use crate::layout::{
    DecodeError, Edges, EdgesError, Encoding, Entered, Layout, MAX_EDGES, Shape, ShapeError,
};
use crate::{ADDITIVE, ADDITIVE_SMALL, Profile};

/// Two intervals, reference 64 Wh, quantum 2 Wh, and the bins: below 0, 0, up to 5, up to 20, above.
fn small() -> Encoding {
    let shape = Shape::with_edges(Layout::Histogram, &[5, 20], 2).unwrap();
    Encoding::new(&ADDITIVE, shape, 64, 2, None).unwrap()
}

fn entered(wh: i64) -> Option<Entered> {
    let clamped = false;
    Some(Entered { wh, clamped })
}

#[test]
fn a_reading_is_in_the_bin_whose_ends_are_around_it() {
    let edges = Edges::new(&[5, 20]).unwrap();
    assert_eq!((edges.bins(), edges.wh()), (5, &[5, 20][..]));
    for (wh, bin) in [
        (i64::MIN, 0),
        (-1, 0),
        (0, 1),
        (1, 2),
        (5, 2),
        (6, 3),
        (20, 3),
        (21, 4),
        (i64::MAX, 4),
    ] {
        assert_eq!(edges.bin(wh), bin, "{wh} Wh");
    }
    let ends = (0..5).map(|bin| edges.bracket(bin..=bin, 64));
    assert_eq!(
        ends.collect::<Vec<_>>(),
        [[-64, -1], [0, 0], [1, 5], [6, 20], [21, 64]]
    );
    assert_eq!(edges.bracket(0..=3, 64), [-64, 20]);
    // Nobody can be in what is above the reference.
    assert_eq!(edges.bracket(2..=4, 16), [1, 16]);
    assert_eq!(edges.bracket(4..=4, 16), [21, 16]);
}

#[test]
fn edges_ascend_from_one_watt_hour_and_are_not_too_many() {
    for wh in [&[0, 1][..], &[2, 2], &[1, 3, 2]] {
        let error = Edges::new(wh).unwrap_err();
        assert!(matches!(error, EdgesError::Order { .. }), "{wh:?}");
    }
    let wh: Vec<u64> = (1..20).collect();
    for found in [0, MAX_EDGES + 1, 19] {
        assert_eq!(Edges::new(&wh[..found]), Err(EdgesError::Count { found }));
    }
    assert_eq!(Edges::new(&wh[..MAX_EDGES]).unwrap().bins(), 16);
}

#[test]
fn only_a_histogram_has_edges() {
    for layout in [Layout::Profile, Layout::Moments] {
        let error = Shape::with_edges(layout, &[5], 2).unwrap_err();
        assert_eq!(error, ShapeError::NoBins { layout });
        assert!(Shape::new(layout, 2).unwrap().bins().is_empty());
    }
    let error = Shape::new(Layout::Histogram, 2).unwrap_err();
    assert!(matches!(error, ShapeError::Edges { .. }));
    let shape = small().shape;
    assert_eq!(shape.to_string(), "histogram with edges [5, 20] Wh");
}

/// A day of quarter hours, also the one that has 25 hours, in sixteen bins; 112 intervals do not fit.
#[test]
fn a_day_of_quarter_hours_with_sixteen_bins_is_a_report_of_19_115_bytes() {
    let edges_wh: Vec<u64> = (1..=MAX_EDGES as u64).collect();
    let shape = |batch| Shape::with_edges(Layout::Histogram, &edges_wh, batch);
    let coefficients = shape(96).unwrap().coefficients();
    assert_eq!(coefficients, 1_768);
    // What the smallest profile packs, and the envelope of 186 bytes.
    println!(
        "{} bytes in profile additive-small",
        ADDITIVE_SMALL.packed_len(coefficients) + 186
    );
    assert_eq!(ADDITIVE_SMALL.packed_len(coefficients) + 186, 19_115);
    assert_eq!(shape(100).unwrap().coefficients(), 1_840);
    assert!(shape(111).unwrap().coefficients() <= 2_048);
    let error = shape(112).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layout histogram with a batch of 112 needs 2056 coefficients, above 2048"
    );
}

#[test]
fn a_report_has_a_one_in_the_bin_of_each_reading_and_none_where_there_is_no_reading() {
    let encoding = small();
    let one = 1 << ADDITIVE.scale_bits;
    let bins = |readings: [Option<Entered>; 2]| {
        let coefficients = encoding.encode(&readings).unwrap();
        coefficients[encoding.shape.bins()].to_vec()
    };
    assert_eq!(bins([entered(6), None]), [0, 0, 0, one, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        bins([entered(-2), entered(64)]),
        [one, 0, 0, 0, 0, 0, 0, 0, 0, one]
    );
}

/// What one meter can say of itself that no honest sum can come to.
#[test]
fn a_sum_whose_bins_do_not_add_up_to_its_readings_is_out_of_range() {
    let encoding = small();
    let one = 1u64 << ADDITIVE.scale_bits;
    let ring = Profile::all()[0].ring;
    let honest = encoding.encode(&[entered(6), None]).unwrap();
    let totals = encoding.decode(&honest, 1, 1.0).unwrap();
    assert_eq!(totals.bins, Some(vec![vec![0, 0, 0, 1, 0], vec![0; 5]]));
    let bin = |interval: usize, bin: usize| encoding.shape.bins().start + 5 * interval + bin;
    // In two bins, in none, twice in one, in one that takes away from another, and without a reading.
    for change in [
        vec![(bin(0, 0), one)],
        vec![(bin(0, 3), 0)],
        vec![(bin(0, 3), 2 * one)],
        vec![(bin(0, 3), 2 * one), (bin(0, 4), ring.modulus - one)],
        vec![(bin(1, 2), one)],
    ] {
        let mut residues = honest.clone();
        for (at, value) in &change {
            residues[*at] = *value;
        }
        let refused = encoding.decode(&residues, 1, 1.0);
        assert_eq!(refused, Err(DecodeError::OutOfRange), "{change:?}");
    }
    let mut half = honest;
    half[bin(0, 1)] = one / 2;
    assert_eq!(encoding.decode(&half, 1, 1.0), Err(DecodeError::OffGrid));
}
