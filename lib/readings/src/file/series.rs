//! The rows of a file, in memory: sorted by customer and time, without repetitions.
//!
//! # Rules
//! * Rows may come in any order. One that repeats another is left out and counted; another value for the same customer and time is
//!   refused, also where one of the two is missing.
//! * A file has energies, powers or reads of registers, not some of each.

use std::collections::HashMap;

use super::{
    column::{Forgotten, MISSING},
    customer::{Counted, Customer, Kind},
    error::FileError,
    ids::Ids,
    intervals::Lengths,
    row::{Row, Sink, Value},
    run::{Conflict, Entry, Run, sorted},
    times::show,
};

/// Takes the rows of a file.
pub(super) struct Series {
    ids: Ids,
    places: HashMap<String, usize>,
    /// The customer of the row before.
    latest: usize,
    pub(super) customers: Vec<Customer>,
    pub(super) kind: Option<Kind>,
    pub(super) rows: u64,
    /// Rows that repeat another.
    pub(super) repeated: u64,
    /// What is replayed, where the rest may be forgotten once it is counted.
    keep: Option<(u64, u64)>,
}

impl Series {
    pub(super) fn new(keep: Option<(u64, u64)>) -> Self {
        Self {
            keep,
            ids: Ids::default(),
            places: HashMap::new(),
            latest: 0,
            customers: Vec::new(),
            kind: None,
            rows: 0,
            repeated: 0,
        }
    }

    /// Place of a customer, who is mostly the one of the row before or the next.
    fn place(&mut self, line: u64, name: &str) -> Result<usize, FileError> {
        let near = [self.latest, self.latest + 1, 0];
        let is = |place: &&usize| {
            self.customers
                .get(**place)
                .is_some_and(|customer| customer.name == name)
        };
        if let Some(place) = near.iter().find(is) {
            return Ok(*place);
        }
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let id = self.ids.insert(line, name)?;
        self.places.insert(name.to_owned(), self.customers.len());
        self.customers.push(Customer {
            name: name.to_owned(),
            id,
            runs: Vec::new(),
            counted: Counted::default(),
            forgotten: Forgotten::default(),
        });
        Ok(self.customers.len() - 1)
    }

    fn value(&mut self, row: &Row<'_>) -> Result<i64, FileError> {
        let (kind, value) = match row.value {
            Value::Missing => return Ok(MISSING),
            Value::Energy(value) => (Kind::Energy, value),
            Value::Power(value) => (Kind::Power, value),
            Value::Register(value) => (Kind::Register, value),
        };
        if *self.kind.get_or_insert(kind) != kind {
            let problem = "the file has energies, powers and reads of registers mixed: replay one of them at a time";
            return Err(FileError::line(row.line, problem));
        }
        Ok(value)
    }

    /// Sorts what was taken; says whether that could be done with what was not forgotten.
    pub(super) fn sort(&mut self) -> Result<bool, FileError> {
        let kind = self.kind;
        for customer in &mut self.customers {
            let runs = std::mem::take(&mut customer.runs);
            let sorted = sorted(runs, &mut self.repeated);
            let sorted = sorted.map_err(|conflict| refused(&customer.name, kind, conflict))?;
            let Some(sorted) = sorted else {
                return Ok(false);
            };
            customer.runs = sorted;
        }
        Ok(true)
    }

    /// Whether intervals of `lengths` can be made without what was forgotten: each value is one of them.
    pub(super) fn can_forget(&self, lengths: &Lengths) -> bool {
        let runs = self.customers.iter().flat_map(|customer| &customer.runs);
        let mut forgotten = runs.filter(|run| run.forgotten);
        forgotten.all(|run| run.length_s().is_some() && run.length_s() == lengths.single())
    }
}

impl Sink for Series {
    fn take(&mut self, row: Row<'_>) -> Result<(), FileError> {
        self.rows += 1;
        let value = self.value(&row)?;
        let place = self.place(row.line, row.customer)?;
        self.latest = place;
        let customer = &mut self.customers[place];
        let entry = Entry {
            at: row.start,
            interval_s: row.interval_s,
            line: row.line,
            value,
        };
        if let Some(run) = customer.runs.last_mut() {
            let last = run.last();
            if last.at == entry.at {
                if last.value != value {
                    return Err(refused(&customer.name, self.kind, Conflict(last, entry)));
                }
                self.repeated += 1;
                return Ok(());
            }
            if run.append(entry) {
                customer.counted.see(value);
                customer.forget(self.keep, self.kind);
                return Ok(());
            }
        }
        customer.counted.see(value);
        customer.runs.push(Run::new(entry));
        Ok(())
    }
}

fn refused(customer: &str, kind: Option<Kind>, Conflict(first, second): Conflict) -> FileError {
    let shown = |value| kind.unwrap_or(Kind::Energy).shown(value);
    let problem = format!(
        "customer {customer:?} has {} at {}, and {} on line {}: remove one of the two rows",
        shown(second.value),
        show(second.at),
        shown(first.value),
        first.line
    );
    FileError::line(second.line, problem)
}
