//! Customers whose meter has several registers, which make one reading: what is drawn less what is exported.
//!
//! # Rules
//! * An interval has a reading if each of the customer's registers in the file has a value for it; it is missing otherwise.
//! * A value that a register repeats for an interval is passed over; a different one is refused.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::FileError;
use super::super::column::MISSING;
use super::super::customer::Kind;
use super::super::found::{Unit, Values};
use super::super::number::{Numbers, nearest};
use super::super::row::{Row, Sink, Value};

/// The energy that a field stands for, in millionths of a watt-hour: power is the mean over `interval_s` seconds. None for a missing
/// value; what is no number, or too large a one, is refused by its line and column.
pub(super) fn energy(
    (line, column): (u64, &str),
    field: &str,
    unit: Unit,
    interval_s: u32,
) -> Result<Option<i64>, FileError> {
    let energy = match Numbers::default().value(field, unit, Values::Interval) {
        Some(Value::Missing) => return Ok(None),
        Some(Value::Energy(energy) | Value::Register(energy)) => Some(energy),
        Some(Value::Power(nanowatts)) => {
            let energy = nearest(i128::from(nanowatts) * i128::from(interval_s), 3_600_000);
            i64::try_from(energy).ok()
        }
        None => None,
    };
    let energy = energy.ok_or_else(|| FileError::field(line, column, field, problem(unit)))?;
    Ok(Some(energy))
}

/// What is wrong with a field that is no number of `unit`, or too large a one, and the mend.
pub(super) fn problem(unit: Unit) -> String {
    format!(
        "is not a number of {unit}, or is one that no customer can have: correct it, or empty it for a missing reading"
    )
}

/// Whether a register counts what is drawn from the grid or what is sent into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Import,
    Export,
}

/// Values of a register for intervals that follow one another.
pub(super) struct Run {
    pub(super) line: u64,
    pub(super) start: u64,
    pub(super) interval_s: u32,
    /// Energies in millionths of a watt-hour; `None` for a missing one.
    pub(super) values: Vec<Option<i64>>,
}

/// What the registers of a file's customers have, until all of it is known.
#[derive(Default)]
pub(super) struct Customers {
    places: HashMap<String, usize>,
    customers: Vec<Customer>,
}

struct Customer {
    name: String,
    registers: Vec<Register>,
}

struct Register {
    name: String,
    direction: Direction,
    runs: Vec<Run>,
}

/// One value of one register.
struct Cell {
    start: u64,
    register: usize,
    interval_s: u32,
    value: Option<i64>,
    line: u64,
}

impl Customers {
    /// Adds what `register` of `customer` has.
    pub(super) fn add(
        &mut self,
        customer: &str,
        (register, direction): (&str, Direction),
        run: Run,
    ) {
        let place = match self.places.get(customer) {
            Some(place) => *place,
            None => {
                self.places
                    .insert(customer.to_owned(), self.customers.len());
                self.customers.push(Customer {
                    name: customer.to_owned(),
                    registers: Vec::new(),
                });
                self.customers.len() - 1
            }
        };
        let registers = &mut self.customers[place].registers;
        match registers.iter_mut().find(|known| known.name == register) {
            Some(known) => known.runs.push(run),
            None => registers.push(Register {
                name: register.to_owned(),
                direction,
                runs: vec![run],
            }),
        }
    }

    /// Writes the readings of each customer in turn, in the order of time.
    pub(super) fn write(self, sink: &mut dyn Sink) -> Result<(), FileError> {
        for customer in self.customers {
            customer.write(sink)?;
        }
        Ok(())
    }
}

impl Customer {
    fn write(self, sink: &mut dyn Sink) -> Result<(), FileError> {
        let mut cells = self.cells();
        cells.sort_by_key(|cell| (cell.start, cell.register, cell.line));
        for cells in cells.chunk_by(|a, b| a.start == b.start) {
            let value = self.net(cells)?;
            sink.take(Row {
                line: cells[0].line,
                customer: &self.name,
                start: cells[0].start,
                interval_s: cells[0].interval_s,
                value,
            })?;
        }
        Ok(())
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (register, known) in self.registers.iter().enumerate() {
            for run in &known.runs {
                cells.extend(
                    run.values
                        .iter()
                        .zip(0..)
                        .map(|(value, place): (_, u64)| Cell {
                            start: run.start.saturating_add(place * u64::from(run.interval_s)),
                            register,
                            interval_s: run.interval_s,
                            value: *value,
                            line: run.line,
                        }),
                );
            }
        }
        cells
    }

    /// The reading of one interval, of which `cells` has what is known.
    fn net(&self, cells: &[Cell]) -> Result<Value, FileError> {
        let mut sum = Some(0i64);
        let mut registers = 0;
        for of_register in cells.chunk_by(|a, b| a.register == b.register) {
            let first = &of_register[0];
            let differs = |cell: &&Cell| cell.value != first.value;
            if let Some(cell) = of_register.iter().find(differs) {
                let shown = |value: Option<i64>| Kind::Energy.shown(value.unwrap_or(MISSING));
                let problem = format!(
                    "has {}, and {} on line {}: remove one of the two",
                    shown(cell.value),
                    shown(first.value),
                    first.line
                );
                return Err(self.refused(cell, problem));
            }
            let other = |cell: &&Cell| cell.interval_s != cells[0].interval_s;
            if let Some(cell) = of_register.iter().find(other) {
                let problem = format!(
                    "is of {} s here and of {} s on line {}: export registers of one length",
                    cell.interval_s, cells[0].interval_s, cells[0].line
                );
                return Err(self.refused(cell, problem));
            }
            let signed = match self.registers[first.register].direction {
                Direction::Import => first.value,
                Direction::Export => first.value.and_then(i64::checked_neg),
            };
            sum = sum
                .zip(signed)
                .and_then(|(sum, value)| sum.checked_add(value));
            registers += 1;
        }
        let whole = registers == self.registers.len();
        Ok(sum.filter(|_| whole).map_or(Value::Missing, Value::Energy))
    }

    fn refused(&self, cell: &Cell, problem: String) -> FileError {
        let register = &self.registers[cell.register].name;
        let customer = &self.name;
        let time = i64::try_from(cell.start)
            .ok()
            .and_then(|start| Timestamp::from_second(start).ok())
            .unwrap_or_default();
        FileError::line(
            cell.line,
            format!("the interval at {time} of register {register:?} of {customer:?} {problem}"),
        )
    }
}
