//! How a file of fields is written: what separates them, where the rows begin, how numbers look.

use csv::StringRecord;

use super::{
    error::FileError,
    found::Found,
    look::{Look, is_row, look},
    marks,
    number::Numbers,
    options::With,
    row::Value,
    unit::is_unit,
};

/// Lines that are looked at, and fields of them.
const LINES: usize = 1_000;
const FIELDS: usize = 100_000;

/// How a file of fields is written.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    /// `,`, `;`, a tab, `|`, or a blank for any number of them.
    pub(super) separator: char,
    /// Line of the header, from 1; 0 where there is none.
    pub(super) header: u64,
    /// Line of the first row.
    pub(super) first: u64,
    /// Names of the columns; made up where there is no header.
    pub(super) columns: Vec<String>,
    /// The fields of the lines before the header, and of one with units below it.
    pub(super) preface: Vec<Vec<String>>,
    /// How numbers are written.
    pub(super) numbers: Numbers,
    /// The first rows and their lines.
    pub(super) rows: Vec<(u64, Vec<String>)>,
}

impl Dialect {
    /// What a row has in a column.
    pub(super) fn value(
        &self,
        line: u64,
        (row, place): (&StringRecord, usize),
        found: &Found,
    ) -> Result<Value, FileError> {
        let field = row.get(place).unwrap_or_default();
        let value = self.numbers.value(field, found.unit, found.values);
        value.ok_or_else(|| {
            let problem = self.numbers.problem(field, found.unit, found.values);
            FileError::field(line, &self.columns[place], field, problem)
        })
    }
}

/// Finds out the dialect by the first lines.
pub(super) fn sniff(head: &[String], with: &With<'_>) -> Result<Dialect, FileError> {
    let separator = match with.options.separator {
        Some(separator) => separator,
        None => separator(head)?,
    };
    let mut fields = 0;
    let mut lines: Vec<(u64, Vec<String>)> = Vec::new();
    for (line, text) in (1..).zip(head) {
        let split = split(text, separator);
        if split.iter().all(String::is_empty) {
            continue;
        }
        fields += split.len();
        lines.push((line, split));
        if lines.len() >= LINES || fields >= FIELDS {
            break;
        }
    }
    if lines.is_empty() {
        let problem = "the file is empty: it needs a header line and rows of readings";
        return Err(FileError::Whole(problem.to_owned()));
    }
    let missing = &with.options.missing;
    let first = first_row(&lines, missing);
    let (header, preface) = header(&lines, first, missing);
    let (columns, header_line) = match header {
        Some(place) => (lines[place].1.clone(), lines[place].0),
        None => (
            made_up(lines.get(first).map_or(1, |(_, fields)| fields.len())),
            0,
        ),
    };
    let first_line = lines.get(first).map_or(header_line + 1, |(line, _)| *line);
    let preface = lines[..preface]
        .iter()
        .chain(&lines[header.map_or(preface, |place| place + 1)..first.min(lines.len())])
        .map(|(_, fields)| fields.clone())
        .collect();
    let rows = lines.split_off(first.min(lines.len()));
    let columns = trimmed(columns, &rows);
    if columns.len() < 2 {
        return Err(one_column(header_line.max(1)));
    }
    let numbers = Numbers {
        missing: missing.clone(),
        ..marks::numbers(&rows, separator, with)?
    };
    Ok(Dialect {
        separator,
        header: header_line,
        first: first_line,
        columns,
        preface,
        numbers,
        rows,
    })
}

fn one_column(line: u64) -> FileError {
    let problem = "only one column: the time is in one and a customer's readings in another, separated by ',', ';', a tab, '|' or \
        blanks (meter.separator says which)";
    FileError::line(line, problem)
}

/// The fields of a line, without blanks around them.
pub(super) fn split(line: &str, separator: char) -> Vec<String> {
    let line = line.trim_end_matches(['\n', '\r']);
    if separator == ' ' {
        return line.split_whitespace().map(str::to_owned).collect();
    }
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c == separator && !quoted => fields.push(String::new()),
            c => fields
                .last_mut()
                .into_iter()
                .for_each(|field| field.push(c)),
        }
    }
    for field in &mut fields {
        *field = field.trim().to_owned();
    }
    fields
}

/// What separates fields on most lines.
fn separator(head: &[String]) -> Result<char, FileError> {
    let lines = head
        .iter()
        .filter(|line| !line.trim().is_empty())
        .take(LINES);
    let lines: Vec<&String> = lines.collect();
    let regular = |separator: char, least: usize| {
        let counts = lines.iter().map(|line| split(line, separator).len());
        let mut counts: Vec<usize> = counts.collect();
        counts.sort_unstable();
        let runs = counts.chunk_by(|a, b| a == b).filter(|run| run[0] >= least);
        let most = runs.map(<[usize]>::len).max().unwrap_or(0);
        2 * most > lines.len() || (most > 0 && most + 2 >= lines.len())
    };
    let found = ['\t', ';', '|', ','].into_iter().find(|c| regular(*c, 2));
    match found {
        Some(separator) => Ok(separator),
        None if regular(' ', 3) => Ok(' '),
        None if lines.is_empty() => Ok(','),
        None if lines.iter().any(|line| line.contains(',')) => Ok(','),
        None => Err(one_column(1)),
    }
}

/// Place of the first row of readings; the place after the first line where none looks like one.
fn first_row(lines: &[(u64, Vec<String>)], missing: &[String]) -> usize {
    let rows = lines
        .iter()
        .map(|(_, fields)| is_row(fields, missing).then_some(fields.len()));
    let rows: Vec<Option<usize>> = rows.collect();
    let count = |length: usize| {
        rows.iter()
            .flatten()
            .filter(|other| **other == length)
            .count()
    };
    let mut most = None;
    for length in rows.iter().flatten() {
        if most.is_none_or(|(_, best)| count(*length) > best) {
            most = Some((*length, count(*length)));
        }
    }
    let place = most.and_then(|(length, _)| rows.iter().position(|row| *row == Some(length)));
    place.unwrap_or(1.min(lines.len()))
}

/// Place of the header among `lines`, and how many lines are before it; a line of units may be between it and the rows.
fn header(
    lines: &[(u64, Vec<String>)],
    first: usize,
    missing: &[String],
) -> (Option<usize>, usize) {
    let is_units = |fields: &[String]| {
        let mut named = fields.iter().filter(|field| !field.is_empty());
        let units = fields.iter().filter(|field| is_unit(field)).count();
        units > 0
            && named.all(|field| is_unit(field) || look(field, missing) == Look::Text)
            && units * 2 >= fields.len()
    };
    let above = |place: usize| place.checked_sub(1);
    let Some(place) = above(first) else {
        return (None, 0);
    };
    let place = match above(place) {
        Some(over) if is_units(&lines[place].1) && lines[over].1.len() > 1 => over,
        _ => place,
    };
    match lines[place].1.len() {
        0 | 1 => (None, first),
        _ => (Some(place), place),
    }
}

fn made_up(columns: usize) -> Vec<String> {
    (1..=columns)
        .map(|number| format!("column {number}"))
        .collect()
}

/// Columns without those at the end that have neither a name nor a value.
fn trimmed(mut columns: Vec<String>, rows: &[(u64, Vec<String>)]) -> Vec<String> {
    while columns.last().is_some_and(String::is_empty) {
        let place = columns.len() - 1;
        let used =
            |(_, row): &(u64, Vec<String>)| row.get(place).is_some_and(|field| !field.is_empty());
        if rows.iter().any(used) {
            break;
        }
        columns.pop();
    }
    columns
}

#[cfg(test)]
mod tests;
