//! AEMO's NEM12: interval data of the Australian market.
//!
//! A `200` record names a connection point (NMI) and one register of its meter; each `300` record below it is a day of that
//! register, and `400` records say the quality of parts of a day. The `100` and `900` records around them may be left out.
//!
//! # Rules
//! * Days are of NEM time, UTC+10 without summer time; the first value of a day is of the interval that starts at midnight.
//! * Registers `E…` count what the customer draws, `B…` what it exports: a reading is their difference (see `net`). Reactive,
//!   average and check registers, and others than of energy or power, are passed over.
//! * Values of quality `N` (null), and empty ones, are missing. Actual, substituted and estimated ones are read.

mod record;

use self::record::{Block, Fields, quality};
use super::super::options::With;
use super::super::row::Sink;
use super::super::text::Text;
use super::super::{FileError, Found};
use super::net::{Customers, Run};

/// Whether a file has this form, by its first lines.
pub(in crate::file) fn is(head: &[String]) -> bool {
    let mut lines = head
        .iter()
        .map(|line| fields(line))
        .filter(|fields| fields.len() > 1);
    match lines.next() {
        Some(first) if first[0] == "100" => first[1].to_ascii_uppercase().starts_with("NEM1"),
        Some(first) => first[0] == "200" && lines.next().is_some_and(|next| next[0] == "300"),
        None => false,
    }
}

/// Writes the readings of the file to `sink`.
pub(in crate::file) fn read(
    text: &mut Text<'_>,
    _: &With<'_>,
    _: &mut Found,
    sink: &mut dyn Sink,
) -> Result<(), FileError> {
    let mut file = File::default();
    while let Some((line, record)) = text.next_line()? {
        file.take(line, &fields(record))?;
    }
    file.end_day();
    if !file.passed_over.is_empty() {
        tracing::warn!(registers = %file.passed_over.join(", "), "registers are not read: they are not of a customer's energy");
    }
    if file.days == 0 {
        let problem = "the NEM12 file has no day (record 300) of a register of energy (E or B): ask for one that has";
        return Err(FileError::Whole(problem.to_owned()));
    }
    file.customers.write(sink)
}

fn fields(line: &str) -> Fields<'_> {
    line.split(',')
        .map(|field| field.trim().trim_matches('"'))
        .collect()
}

#[derive(Default)]
struct File {
    /// What the last `200` record says.
    block: Option<Block>,
    /// The last `300` record, until its `400` records are read.
    day: Option<Run>,
    customers: Customers,
    passed_over: Vec<String>,
    days: u64,
}

impl File {
    fn take(&mut self, line: u64, fields: &Fields<'_>) -> Result<(), FileError> {
        if fields.iter().all(|field| field.is_empty()) {
            return Ok(());
        }
        match fields[0] {
            "200" => {
                self.end_day();
                let block = Block::read(line, fields)?;
                if block.energy.is_none() && !self.passed_over.contains(&block.register) {
                    self.passed_over.push(block.register.clone());
                }
                self.block = Some(block);
            }
            "300" => {
                self.end_day();
                let block = self.block.as_ref().ok_or_else(|| {
                    FileError::line(
                        line,
                        "a 300 record without a 200 record above it, which says whose day it is: add that record",
                    )
                })?;
                self.day = block.day(line, fields)?;
            }
            "400" => quality(line, fields, self.day.as_mut())?,
            "100" => named_nem12(line, fields)?,
            "500" | "900" => {}
            "250" | "550" => return Err(FileError::line(line, NEM13)),
            other => {
                return Err(FileError::field(
                    line,
                    "RecordIndicator",
                    other,
                    "is not one of NEM12: correct it to 100, 200, 300, 400, 500 or 900",
                ));
            }
        }
        Ok(())
    }

    fn end_day(&mut self) {
        let Some((run, block)) = self.day.take().zip(self.block.as_ref()) else {
            return;
        };
        if let Some((_, direction)) = block.energy {
            self.days += 1;
            self.customers
                .add(&block.nmi, (&block.register, direction), run);
        }
    }
}

const NEM13: &str =
    "a record of NEM13, which has reads of months: ask for the interval data, NEM12";

fn named_nem12(line: u64, fields: &Fields<'_>) -> Result<(), FileError> {
    match fields.get(1) {
        Some(version) if version.eq_ignore_ascii_case("NEM12") => Ok(()),
        _ => Err(FileError::line(line, NEM13)),
    }
}
