use proptest::prelude::*;

use super::*;
use crate::testing::{by, sum, sum_of};

fn scale(quantum_wh: u64, enrolled: u32) -> Scale {
    Scale {
        holders: None,
        quantum_wh,
        enrolled,
        rules: release::Rules::new(2),
        ..crate::testing::scale()
    }
}

fn totals(energy_wh: &[i64], present: &[u32], squares_wh2: Option<&[u128]>) -> Totals {
    Totals {
        energy_wh: energy_wh.to_vec(),
        present: present.to_vec(),
        clamped: 2,
        squares_wh2: squares_wh2.map(<[u128]>::to_vec),
        bins: None,
        maxima_wh: None,
    }
}

fn report(sum: &Sum, totals: &Totals, scale: &Scale) -> FeederReport {
    FeederReport::new(sum, &Digest([7; 32]), totals, scale, &by())
}

#[test]
fn statistics_are_over_the_meters_that_had_a_reading() {
    let message = sum_of("feeder-1", 0, 0, 0..4);
    // Four meters at 10, 20, 30, 40 Wh in interval 1: mean 25, population variance 125. In interval 0 two have 20 Wh each,
    // and in interval 2 none has a reading. A deviation of 11.18 Wh is in steps of 2 Wh.
    let decoded = totals(&[40, 100, 0], &[2, 4, 0], Some(&[800, 3_000, 0]));
    let report = report(&message, &decoded, &scale(1, 5));
    assert_eq!(report.energy_wh, [Some(40), Some(100), None]);
    assert_eq!(report.present, [Some(2), Some(4), Some(0)]);
    assert_eq!(report.mean_wh, [Some(20.0), Some(25.0), None]);
    assert_eq!(report.std_wh, Some(vec![Some(0), Some(12), None]));
    assert_eq!((report.peak_interval, report.peak_wh), (Some(1), Some(100)));
    assert_eq!(report.load_factor, Some(0.7));
    // Of 15 readings that five meters could have, 6 are there; of 12 that four could have, 6 are not.
    assert_eq!((report.completeness, report.missing), (0.4, 6));
    assert_eq!(
        (report.meters, report.enrolled, report.clamped),
        (4, 5, Some(2))
    );
    assert_eq!((report.total_wh(), report.withheld_intervals), (140, 0));
}

#[test]
fn an_interval_of_fewer_readings_than_the_minimum_is_withheld_and_the_others_are_not() {
    let message = sum_of("feeder-1", 0, 0, 0..4);
    let scale = Scale {
        rules: release::Rules::new(3),
        ..scale(1, 5)
    };
    let decoded = totals(&[30, 987, 45], &[3, 2, 4], Some(&[300, 900_000, 600]));
    let report = report(&message, &decoded, &scale);
    assert_eq!(report.energy_wh, [Some(30), None, Some(45)]);
    assert_eq!(report.present, [Some(3), None, Some(4)]);
    assert_eq!(report.mean_wh, [Some(10.0), None, Some(11.25)]);
    assert_eq!(report.std_wh, Some(vec![Some(0), None, Some(5)]));
    assert_eq!((report.peak_interval, report.peak_wh), (Some(2), Some(45)));
    assert_eq!((report.total_wh(), report.load_factor), (75, Some(0.8333)));
    assert_eq!((report.withheld_intervals, report.clamped), (1, None));
    // Of 12 readings of four meters 7 are in it: withheld ones are as good as missing.
    assert_eq!((report.completeness, report.missing), (0.466_667, 5));
}

#[test]
fn a_window_of_withheld_intervals_has_no_peak() {
    let decoded = totals(&[987, -3], &[1, 1], None);
    let report = report(&sum("f", 0, 0), &decoded, &scale(1, 20));
    assert_eq!((report.peak_interval, report.peak_wh), (None, None));
    assert_eq!((report.total_wh(), report.load_factor), (0, None));
    assert_eq!((report.withheld_intervals, report.completeness), (2, 0.0));
}

#[test]
fn a_day_shorter_than_the_longest_has_no_more_intervals_and_owes_no_more_readings() {
    let message = sum_of("feeder-1", 0, 0, 0..4);
    let scale = Scale {
        intervals: 2,
        ..scale(1, 4)
    };
    // Room for three; somebody entered something where there is no time.
    let decoded = totals(&[40, 100, 7], &[4, 4, 3], Some(&[800, 3_000, 49]));
    let report = report(&message, &decoded, &scale);
    assert_eq!(report.energy_wh, [Some(40), Some(100)]);
    assert_eq!(report.present, [Some(4), Some(4)]);
    assert_eq!(report.mean_wh.len(), 2);
    assert_eq!(report.std_wh.as_ref().map(Vec::len), Some(2));
    assert_eq!((report.completeness, report.missing), (1.0, 0));
    assert_eq!((report.total_wh(), report.peak_interval), (140, Some(1)));
}

proptest! {
    /// Whatever is entered in an interval that is withheld, by one meter or several, clamped or not: the report is the
    /// same, and with it all that leaves the operator.
    #[test]
    fn nothing_in_a_report_depends_on_what_is_withheld(
        (wh, other_wh) in (any::<i32>(), any::<i32>()),
        (few, other_few) in (1..15_u32, 1..15_u32),
        (clamped, other_clamped) in (0..9_u64, 0..9_u64),
        (square, other_square) in (any::<u64>(), any::<u64>()),
        (maxima, other_maxima) in (any::<u32>(), any::<u32>()),
    ) {
        let scale = Scale {
            rules: release::Rules::new(15),
            ..scale(1, 50)
        };
        let of = |wh: i32, few, clamped, square: u64, maxima: u32| {
            let squares = [500, square.into(), 700];
            let decoded = totals(&[40, wh.into(), 60], &[15, few, 20], Some(&squares));
            let maxima_wh = Some(maxima.into());
            report(&sum("f", 0, 0), &Totals { clamped, maxima_wh, ..decoded }, &scale)
        };
        let report = of(wh, few, clamped, square, maxima);
        prop_assert_eq!(&report, &of(other_wh, other_few, other_clamped, other_square, other_maxima));
        prop_assert_eq!(report.present, [Some(15), None, Some(20)]);
    }
}

#[test]
fn own_peaks_are_said_to_within_a_quarter_of_their_mean() {
    let of = |maxima| {
        let maxima_wh = Some(maxima);
        let decoded = Totals {
            maxima_wh,
            ..totals(&[149], &[20], None)
        };
        report(&sum_of("f", 0, 0, 0..20), &decoded, &scale(1, 20)).maxima_wh
    };
    // A mean of 1,000 Wh: steps of 256 Wh.
    assert_eq!(of(20_000), Some(19_968));
    assert_eq!(of(-20_000), Some(-19_968));
    assert_eq!(of(39), Some(39));
}

#[test]
fn a_spread_is_no_finer_than_the_readings() {
    let decoded = totals(&[149, -251], &[20, 20], Some(&[250_000, 90_000]));
    let report = report(&sum("feeder-1", 0, 0), &decoded, &scale(64, 50));
    assert_eq!(report.quantum_wh, 64);
    assert_eq!(report.std_wh, Some(vec![Some(128), Some(64)]));
    let plain = totals(&[149], &[20], None);
    let scale = scale(64, 50);
    assert_eq!(self::report(&sum("f", 0, 0), &plain, &scale).std_wh, None);
}

#[test]
fn a_feeder_that_only_exports_has_no_load_factor() {
    let decoded = totals(&[-5, -1], &[20, 20], None);
    let report = report(&sum("f", 0, 0), &decoded, &scale(1, 20));
    assert_eq!((report.peak_interval, report.peak_wh), (Some(1), Some(-1)));
    assert_eq!(report.load_factor, None);
    assert_eq!((report.completeness, report.missing), (1.0, 0));
}

#[test]
fn a_line_of_totals_starts_with_its_stable_fields() {
    let decoded = totals(&[5], &[20], None);
    let report = report(&sum("feeder-1", 3600, 2), &decoded, &scale(1, 20));
    let line = serde_json::to_string(&report).unwrap();
    let expected = r#"{"feeder":"feeder-1","window_start":3600,"part":2,"interval_s":3600,"meters":20,"energy_wh":[5],"quantum_wh":1,"#;
    assert!(line.starts_with(expected), "{line}");
    assert_eq!(serde_json::from_str::<FeederReport>(&line).unwrap(), report);
}

/// As the version before this one wrote it.
#[test]
fn a_line_of_an_earlier_version_is_read() {
    let line = r#"{"feeder":"feeder-1","window_start":1736121600,"part":0,"interval_s":3600,"meters":20,"energy_wh":[6711,5567],"epoch":1,"plan_version":2,"enrolled":20,"completeness":1.0,"clamped":0,"missing":0,"mean_wh":[335.55,278.35],"std_wh":[335,221],"peak_wh":6711,"peak_interval":0,"load_factor":0.858,"bound_wh":0.693696034459669,"digest":"aa0b567c64c64011f3ad072d7052dea77741293edbfe1960c86d0dfc8744aaaf","operator":"8be7b9fba6837fec","taken_at":1795846815704}"#;
    let report: FeederReport = serde_json::from_str(line).unwrap();
    assert_eq!(report.energy_wh, [Some(6_711), Some(5_567)]);
    assert_eq!((report.quantum_wh, report.present.len()), (0, 0));
    assert_eq!((report.clamped, report.withheld_intervals), (Some(0), 0));
    assert_eq!((report.replaces, report.analytics), (None, None));
}

#[test]
fn of_equal_peaks_the_first_counts_and_without_energy_there_is_no_load_factor() {
    let peak = coincident_peak(&[5, 9, 7, 9].map(Some));
    assert_eq!(peak, Some((1, 9)));
    assert_eq!(load_factor(&[0, 0].map(Some)), None);
    assert_eq!(load_factor(&[-3, 0].map(Some)), None);
}
