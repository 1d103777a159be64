use super::super::{
    row::{Row, Sink as _, Value},
    series::Series,
};
use super::*;

fn series(rows: &[(u64, Value)]) -> Series {
    let mut series = Series::new(None);
    for (line, (start, value)) in (2..).zip(rows) {
        let row = Row {
            line,
            customer: "a",
            start: *start,
            interval_s: 0,
            value: *value,
        };
        series.take(row).unwrap();
    }
    assert!(series.sort().unwrap());
    series
}

fn made(
    rows: &[(u64, Value)],
    label: Label,
    gaps: Gaps,
) -> Result<(Column, Account, u32), FileError> {
    let mut series = series(rows);
    let lengths = Lengths::of(&series.customers)?;
    let rules = Rules {
        kind: series.kind.unwrap_or(Kind::Energy),
        label,
        gaps,
        lengths: &lengths,
    };
    let mut account = Account::default();
    let column = column(series.customers.remove(0), &rules, &mut account)?;
    Ok((column, account, lengths.longest))
}

fn energies(first: u64, step: u64, count: u64) -> Vec<(u64, Value)> {
    (0..count)
        .map(|n| (first + n * step, Value::Energy(1 + n as i64)))
        .collect()
}

#[test]
fn the_end_of_an_interval_is_as_much_later_as_it_is_long() {
    let rows = energies(3_600, 3_600, 3);
    let (column, account, interval_s) = made(&rows, Label::End, Gaps::Refuse).unwrap();
    assert_eq!(
        (column.start, &column.values[..], interval_s),
        (0, &[1, 2, 3][..], 3_600)
    );
    assert_eq!((account.readings, account.total_uwh), (3, 6));
}

#[test]
fn power_becomes_energy_by_the_length_of_its_interval() {
    let rows = [
        (0, Value::Power(1_000_000_000)),
        (900, Value::Power(14_000)),
        (1_800, Value::Missing),
    ];
    let (column, account, _) = made(&rows, Label::Start, Gaps::Refuse).unwrap();
    // 1 W for a quarter of an hour; 14 µW, which is 3.5 millionths of a watt-hour.
    assert_eq!(column.values, [250_000, 4, MISSING]);
    assert_eq!((account.missing, account.total_uwh), (1, 250_004));
}

#[test]
fn intervals_that_become_shorter_are_added_up() {
    for label in [Label::Start, Label::End] {
        let shift = if label == Label::End { 1_800 } else { 0 };
        let mut rows = energies(shift, 1_800, 4);
        let quarters = shift + 4 * 1_800 - if label == Label::End { 900 } else { 0 };
        rows.extend(energies(quarters, 900, 8));
        let (column, account, interval_s) = made(&rows, label, Gaps::Refuse).unwrap();
        assert_eq!(interval_s, 1_800, "{label:?}");
        assert_eq!(column.values, [1, 2, 3, 4, 3, 7, 11, 15], "{label:?}");
        assert_eq!((account.partial, account.readings), (0, 12));
    }
}

#[test]
fn a_part_of_an_interval_is_left_out_and_counted() {
    let mut rows = energies(0, 1_800, 8);
    rows.extend(energies(8 * 1_800, 900, 5));
    let (column, account, _) = made(&rows, Label::Start, Gaps::Refuse).unwrap();
    assert_eq!(column.values.last(), Some(&MISSING));
    assert_eq!((account.partial, account.partial_uwh), (1, 5));
    let kept: i64 = column
        .values
        .iter()
        .filter(|value| **value != MISSING)
        .sum();
    assert_eq!(i128::from(kept) + account.partial_uwh, account.total_uwh);
}

#[test]
fn gaps_are_refused_with_the_setting_or_missing() {
    let mut rows = energies(0, 3_600, 5);
    rows.remove(2);
    rows.remove(2);
    let error = made(&rows, Label::Start, Gaps::Refuse)
        .unwrap_err()
        .to_string();
    for part in ["line 4", "\"a\"", "without a row: 2", "meter.gaps"] {
        assert!(error.contains(part), "{error}");
    }
    let (column, account, _) = made(&rows, Label::Start, Gaps::Missing).unwrap();
    assert_eq!(column.values, [1, 2, MISSING, MISSING, 5]);
    assert_eq!((account.without_row, account.missing), (2, 2));
    rows.push((40_000 * 3_600, Value::Energy(1)));
    let error = made(&rows, Label::Start, Gaps::Missing)
        .unwrap_err()
        .to_string();
    assert!(error.contains("8784"), "{error}");
}

#[test]
fn a_row_between_intervals_is_left_out_if_it_has_no_value_and_else_refused() {
    let mut rows = energies(0, 1_800, 4);
    rows.insert(2, (2_548, Value::Missing));
    let (column, account, _) = made(&rows, Label::Start, Gaps::Refuse).unwrap();
    assert_eq!((column.values, account.between), (vec![1, 2, 3, 4], 1));
    rows[2].1 = Value::Energy(7);
    let error = made(&rows, Label::Start, Gaps::Refuse)
        .unwrap_err()
        .to_string();
    for part in ["line 4", "00:42:28", "1800 s", "\"a\""] {
        assert!(error.contains(part), "{error}");
    }
}
