//! Reads of registers in a file become energies of intervals, by the rules of [`crate::live`].

use crate::MicroWattHours;
use crate::live::{Gap, RegisterRules, Registers};

use super::{
    account::Account,
    column::{Column, Forgotten, MISSING},
    customer::Customer,
    error::FileError,
    options::LONGEST_FILLED_GAP,
    run::{Entry, Run},
    times::show,
};

/// Lengths that the intervals of reads can have, in seconds.
const LENGTHS: [u32; 9] = [60, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 86_400];
/// Most that a read may be away from an interval's end, in seconds.
const TOLERANCE_S: u32 = 60;

/// The length of the intervals between the customers' reads: the shortest usual one that is no shorter than their most frequent
/// distance, a tenth aside.
pub(super) fn interval_s(customers: &[Customer]) -> Result<u32, FileError> {
    let mut distances: Vec<(u64, usize)> = Vec::new();
    for customer in customers {
        for (place, run) in customer.runs.iter().enumerate() {
            distances.push((run.step.unsigned_abs(), run.values.len() - 1));
            if let Some(next) = customer.runs.get(place + 1) {
                distances.push((next.start - run.last().at, 1));
            }
        }
    }
    distances.retain(|(_, count)| *count > 0);
    distances.sort_unstable();
    let half = distances.iter().map(|(_, count)| count).sum::<usize>() / 2;
    let mut seen = 0;
    let median = distances.iter().find(|(_, count)| {
        seen += count;
        seen > half
    });
    let Some((median, _)) = median else {
        let problem =
            "too few rows of readings: an interval needs the reads of a register at both its ends";
        return Err(FileError::Whole(problem.to_owned()));
    };
    let fits = LENGTHS
        .into_iter()
        .find(|length| u64::from(*length) * 10 >= median * 9);
    fits.ok_or_else(|| {
        FileError::Whole(format!(
            "reads of a register are {median} s apart, and an interval is at most a day of 86400 s: replay reads that are closer"
        ))
    })
}

/// The energies of the intervals between a customer's reads.
pub(super) fn column(
    customer: Customer,
    interval_s: u32,
    account: &mut Account,
) -> Result<Column, FileError> {
    let registers = registers(&customer, interval_s)?;
    let near = |entry: Entry| registers.end_near(entry.at);
    let first = reads(&customer).find_map(near);
    let last = reads(&customer).filter_map(near).last();
    let mut values = Vec::new();
    let start = first.unwrap_or(0);
    for start in (start..last.unwrap_or(0)).step_by(interval_s as usize) {
        match registers.interval(start) {
            Ok(counted) => {
                account.readings += 1;
                account.total_uwh += i128::from(counted.energy.0);
                values.push(counted.energy.0);
            }
            Err(gap) => {
                account.swapped += u64::from(gap == Gap::Swap);
                account.missing += 1;
                values.push(MISSING);
            }
        }
    }
    Ok(Column {
        id: customer.id,
        start,
        values,
        forgotten: Forgotten::default(),
    })
}

fn reads(customer: &Customer) -> impl Iterator<Item = Entry> + '_ {
    let entries = customer.runs.iter().flat_map(Run::entries);
    entries.filter(|read| read.value != MISSING)
}

/// The customer's reads, none too long after the one before it.
fn registers(customer: &Customer, interval_s: u32) -> Result<Registers, FileError> {
    let mut registers = Registers::new(RegisterRules {
        interval_s,
        tolerance_s: TOLERANCE_S,
        capacity: None,
    });
    let longest = LONGEST_FILLED_GAP * u64::from(interval_s);
    let mut before: Option<u64> = None;
    for Entry {
        at, value, line, ..
    } in reads(customer)
    {
        let problem = if before
            .replace(at)
            .is_some_and(|before| at - before > longest)
        {
            format!(
                "is more than {LONGEST_FILLED_GAP} intervals of {interval_s} s after the one before: correct the date"
            )
        } else if registers.read(at, MicroWattHours(value)).is_err() {
            "is not the only one of that time: remove one".to_owned()
        } else {
            continue;
        };
        let problem = format!("the read of {:?} at {} {problem}", customer.name, show(at));
        return Err(FileError::line(line, problem));
    }
    Ok(registers)
}
