use super::super::cer;
use super::{Of, read, says};

const CER: Of = (cer::is, cer::read);
/// 1 January 2009 in Ireland.
const DAY_1: u64 = 1_230_768_000;

#[test]
fn days_count_from_2009_and_half_hours_from_local_midnight() {
    let rows = read(
        CER,
        "1392 00101 0.14\n1392 00148 0.138\n1951 19501 1\n",
        None,
    )
    .unwrap();
    assert_eq!(
        rows[0],
        ("1392".to_owned(), DAY_1, 1_800, Some(140_000_000))
    );
    assert_eq!(rows[1].1, DAY_1 + 47 * 1_800);
    // Day 195 is 14 July 2009: summer time, an hour ahead of UTC.
    assert_eq!(rows[2].1, DAY_1 + 194 * 86_400 - 3_600);
}

#[test]
fn a_day_of_25_hours_has_50_half_hours() {
    // Day 298 is 25 October 2009.
    let midnight = DAY_1 + 297 * 86_400 - 3_600;
    let rows = read(CER, "1 29801 1\n1 29850 2\n1 29901 3\n", None).unwrap();
    let starts: Vec<u64> = rows.iter().map(|row| row.1).collect();
    assert_eq!(
        starts,
        [midnight, midnight + 49 * 1_800, midnight + 50 * 1_800]
    );
    says(
        read(CER, "1 29950 2\n", None),
        &["line 1", "half hour 50 of day 299"],
    );
}

#[test]
fn the_half_hours_of_a_day_of_23_hours_are_those_that_the_file_leaves_out_or_46_in_order() {
    // Day 452 is 28 March 2010, when 01:00 is 02:00.
    let midnight = DAY_1 + 451 * 86_400;
    let of = |rows: &str| -> Vec<u64> {
        let rows = read(CER, rows, None).unwrap();
        rows.iter().map(|row| (row.1 - midnight) / 1_800).collect()
    };
    assert_eq!(of("1 45201 1\n1 45203 1\n1 45246 1\n"), [0, 2, 45]);
    assert_eq!(
        of("1 45201 1\n1 45202 1\n1 45205 1\n1 45248 1\n"),
        [0, 1, 2, 45]
    );
    assert_eq!(of("1 45201 1\n1 45204 1\n1 45248 1\n"), [0, 1, 45]);
    let all: String = (1..=48).map(|n| format!("1 452{n:02} 1\n")).collect();
    says(
        read(CER, &all, None),
        &["line 47", "\"45247\"", "has 46", "correct it"],
    );
}

#[test]
fn other_rows_are_not_of_the_trial() {
    assert!(!cer::is(&["1 19503 1".to_owned(), "a b c".to_owned()]));
    assert!(!cer::is(&["2014-03-03 00:00 1".to_owned()]));
}
