//! From the rows of a file to what is replayed.

use super::{
    account::Account,
    assemble::{self, Rules},
    counters,
    customer::{Customer, Kind},
    doubts::{Doubt, Facts, Subject},
    error::FileError,
    fields::Said,
    found::{Found, Values},
    intervals::Lengths,
    options::With,
    series::Series,
    table::Table,
};

/// Sorts what was read, makes intervals of it, and looks for what is doubtful. None where values that were forgotten are needed.
pub(super) fn finish(
    mut series: Series,
    found: &mut Found,
    said: Said,
    with: &With<'_>,
) -> Result<Option<(Vec<Doubt>, Account, Table)>, FileError> {
    if !series.sort()? {
        return Ok(None);
    }
    if series.customers.is_empty() {
        let problem = "too few rows of readings: 0, where at least 2 are needed";
        return Err(FileError::Whole(problem.to_owned()));
    }
    let kind = series.kind.unwrap_or(Kind::Energy);
    let lengths = match kind {
        Kind::Register => Lengths::only(counters::interval_s(&series.customers)?),
        _ => Lengths::of(&series.customers)?,
    };
    if !series.can_forget(&lengths) {
        return Ok(None);
    }
    found.interval_s = lengths.longest;
    if kind == Kind::Register {
        found.values = Values::Register;
    }
    let facts = Facts {
        found,
        options: with.options,
        lengths: &lengths,
        kind,
        unit_said: said.unit,
        names: said.names,
        sums: said.sums,
        first_hour: earliest(&series).filter(|_| said.hours),
        first_and_last: first_and_last(&series, with).filter(|_| said.label_open),
    };
    let mut doubts = facts.of_rows(&series.customers);
    let mut account = Account {
        rows: series.rows,
        repeated: series.repeated,
        blank: said.blank,
        ..Account::default()
    };
    let rules = Rules {
        kind,
        label: found.label,
        gaps: with.options.gaps,
        lengths: &lengths,
    };
    let mut table = Table::new(lengths.longest, with.options.keep);
    let demands = columns(series.customers, &rules, &mut account, &mut table)?;
    // What is read as something else than it is has no unit to doubt.
    if doubts.iter().all(|doubt| doubt.subject != Subject::Values) {
        doubts.extend(facts.of_unit(&demands));
    }
    Ok(Some((doubts, account, table)))
}

/// Adds a column a customer to the table. Returns the mean demand of each that has one, in kW.
fn columns(
    customers: Vec<Customer>,
    rules: &Rules<'_>,
    account: &mut Account,
    table: &mut Table,
) -> Result<Vec<f64>, FileError> {
    let length_s = rules.lengths.longest;
    let mut demands = Vec::with_capacity(customers.len());
    for customer in customers {
        let column = match rules.kind {
            Kind::Register => counters::column(customer, length_s, account)?,
            _ => assemble::column(customer, rules, account)?,
        };
        demands.extend(column.mean_kw(length_s));
        table.add(column);
    }
    Ok(demands)
}

fn times(series: &Series) -> impl Iterator<Item = (u64, u64)> + '_ {
    let runs = series
        .customers
        .iter()
        .map(|customer| (customer.runs.first(), customer.runs.last()));
    runs.filter_map(|(first, last)| Some((first?.start, last?.last().at)))
}

fn earliest(series: &Series) -> Option<u64> {
    times(series).map(|(first, _)| first).min()
}

/// The first and the last time of the file, in seconds since midnight of the zone's clock.
fn first_and_last(series: &Series, with: &With<'_>) -> Option<(u64, u64)> {
    let of_day = |at: u64| {
        let at = jiff::Timestamp::from_second(i64::try_from(at).ok()?).ok()?;
        let offset = i64::from(with.zone.to_offset(at).seconds());
        u64::try_from((at.as_second() + offset).rem_euclid(86_400)).ok()
    };
    let last = times(series).map(|(_, last)| last).max()?;
    Some((of_day(earliest(series)?)?, of_day(last)?))
}
