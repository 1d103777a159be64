//! In which style times are written.

use super::{clock, found::DateOrder, number::Numbers};

/// Excel's number of 1 January 1970, and those of the days it may have.
pub(super) const EXCEL_1970: f64 = 25_569.0;
const EXCEL_DAYS: std::ops::Range<f64> = 25_569.0..73_051.0;

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// Hours from the start.
    Hours,
    /// Seconds since 1970, in units of so many a second.
    Epoch(f64),
    /// Excel's days since 1900.
    ExcelDays,
    /// Dates and times of day.
    Written,
}

/// The style that the samples have.
pub(super) fn style(samples: &[(u64, String)], numbers: &Numbers) -> Style {
    let is_time = |(_, text): &(u64, String)| {
        clock::read(text).is_some_and(|written| written.date(DateOrder::DayFirst).is_some())
    };
    if samples.first().is_some_and(is_time) {
        return Style::Written;
    }
    let values = samples
        .iter()
        .filter_map(|(_, text)| numbers.float(text.trim()));
    let values: Vec<f64> = values.collect();
    let Some(first) = values.first() else {
        return Style::Written;
    };
    if let Some(units) = epoch(*first) {
        return Style::Epoch(units);
    }
    let within_days = values.windows(2).any(|pair| {
        let step = (pair[1] - pair[0]).abs();
        step > 0.0 && step < 0.9
    });
    match EXCEL_DAYS.contains(first) && within_days {
        true if first.fract() == 0.0 && hours_in_steps(&values) => Style::Hours,
        true => Style::ExcelDays,
        false => Style::Hours,
    }
}

/// Whether all numbers are quarters of an hour, as an index in hours has them and Excel's days mostly have not.
fn hours_in_steps(values: &[f64]) -> bool {
    values.windows(2).all(|pair| {
        let step = (pair[1] - pair[0]).abs();
        step == 0.25 || step == 0.5
    })
}

/// How many units a second a number since 1970 has, if it can be one: between 1973 and 2286.
pub(super) fn epoch(number: f64) -> Option<f64> {
    [1.0, 1e3, 1e6, 1e9]
        .into_iter()
        .find(|units| (1e8..1e10).contains(&(number / units)))
}
