//! How values of the journal are written: strictly, so that a damaged row is an error and never another value.

use bytes::Bytes;
use packed::layout::Entered;
use wire::{Digest, Part, UnixMillis, WindowStart};

use super::{Kept, MeterRecord, Spans};
use crate::batch::{Batch, Interval, Taken};
use crate::outbox::Sealed;
use readings::MicroWattHours;

/// A row is not what this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row is malformed")]
pub(super) struct Malformed;

const MISSING: u8 = 0;
const ENERGY: u8 = 1;
const CLAMPED: u8 = 2;

/// An interval: a reading for each meter, in millionths of a watt-hour.
pub(super) fn write_interval(interval: &Interval) -> Vec<u8> {
    let mut row = Vec::with_capacity(interval.0.len() * 6);
    for taken in &interval.0 {
        put_reading(
            &mut row,
            match taken {
                Taken::Missing => None,
                Taken::Energy(MicroWattHours(energy), clamped) => Some((*energy, *clamped)),
            },
        );
    }
    row
}

/// The interval of `meters` meters in a row.
pub(super) fn read_interval(mut row: &[u8], meters: usize) -> Result<Interval, Malformed> {
    let row = &mut row;
    let mut taken = Vec::with_capacity(meters.min(row.len()));
    for _ in 0..meters {
        taken.push(match get_reading(row)? {
            Some((energy, clamped)) => Taken::Energy(MicroWattHours(energy), clamped),
            None => Taken::Missing,
        });
    }
    end(row).map(|()| Interval(taken))
}

/// A batch: how many readings it has, and the readings, in watt-hours; meter and window are in its key.
pub(super) fn write_batch(batch: &Batch) -> Vec<u8> {
    let mut row = Vec::with_capacity(2 + batch.readings.len() * 3);
    put(&mut row, batch.readings.len() as u64);
    for reading in &batch.readings {
        put_reading(
            &mut row,
            reading.map(|entered| (entered.wh, entered.clamped)),
        );
    }
    row
}

/// The batch in a row.
pub(super) fn read_batch(
    mut row: &[u8],
    meter: usize,
    window: WindowStart,
) -> Result<Batch, Malformed> {
    let batch = batch(&mut row, meter, window)?;
    end(row).map(|()| batch)
}

fn batch(row: &mut &[u8], meter: usize, window: WindowStart) -> Result<Batch, Malformed> {
    let readings = u16::try_from(get(row)?).map_err(|_| Malformed)?;
    let entered = |(wh, clamped)| Entered { wh, clamped };
    let readings = (0..readings)
        .map(|_| Ok(get_reading(row)?.map(entered)))
        .collect::<Result<_, _>>()?;
    Ok(Batch {
        meter,
        window,
        readings,
    })
}

/// A batch in a row of format 3 or before, which had watt-hours for every interval, 0 for a missing one, and only counted
/// those that are missing and those that were clamped.
///
/// Which ones they are is not known for certain: a window that was closed early misses its last intervals, so it is the last
/// zeros that are missing; and what was clamped is at the capacity, so it is the largest readings.
pub(super) fn read_batch_3(mut row: &[u8], window: WindowStart) -> Result<Batch, Malformed> {
    let row = &mut row;
    let clamped = get(row)?;
    let missing = get(row)?;
    let count = u16::try_from(get(row)?).map_err(|_| Malformed)?;
    let energies: Vec<i64> = (0..count)
        .map(|_| get(row).map(unzigzag))
        .collect::<Result<_, _>>()?;
    end(row)?;
    let mut readings: Vec<_> = energies
        .iter()
        .map(|&wh| Some(Entered { wh, clamped: false }))
        .collect();
    for _ in 0..missing {
        let zero = |reading: &Option<Entered>| reading.is_some_and(|entered| entered.wh == 0);
        let last = readings.iter().rposition(zero).ok_or(Malformed)?;
        readings[last] = None;
    }
    for _ in 0..clamped {
        let present = readings.iter_mut().flatten();
        let unclamped = present.filter(|entered| !entered.clamped);
        let largest = unclamped.max_by_key(|entered| entered.wh.unsigned_abs());
        largest.ok_or(Malformed)?.clamped = true;
    }
    Ok(Batch {
        meter: 0,
        window,
        readings,
    })
}

/// A sealed report: the batch it was made of, its digest, and the exact bytes that are sent.
pub(super) fn write_sealed(batch: &Batch, sealed: &Sealed) -> Vec<u8> {
    let mut row = write_batch(batch);
    row.reserve_exact(32 + sealed.payload.len());
    row.extend_from_slice(&sealed.digest.0);
    row.extend_from_slice(&sealed.payload);
    row
}

/// The sealed report in a row, and its batch.
pub(super) fn read_sealed(
    mut row: &[u8],
    meter: usize,
    window: WindowStart,
) -> Result<(Batch, Sealed), Malformed> {
    let batch = batch(&mut row, meter, window)?;
    let (digest, payload) = row.split_first_chunk::<32>().ok_or(Malformed)?;
    let sealed = Sealed {
        meter,
        window,
        digest: Digest(*digest),
        payload: Bytes::copy_from_slice(payload),
    };
    Ok((batch, sealed))
}

/// That a sealed report is in a sum: since when, and in which part of the window.
pub(super) fn write_kept(kept: &Kept) -> Vec<u8> {
    let mut row = Vec::with_capacity(8);
    put(&mut row, kept.since.0);
    put(&mut row, u64::from(kept.part.0));
    row
}

/// What a row says of a sealed report whose envelope has so many bytes.
pub(super) fn read_kept(mut row: &[u8], bytes: u64) -> Result<Kept, Malformed> {
    let kept = Kept {
        since: UnixMillis(get(&mut row)?),
        part: Part(get(&mut row)?.try_into().map_err(|_| Malformed)?),
        bytes,
    };
    end(row).map(|()| kept)
}

/// What a meter has reported: its remainder, and its windows.
pub(super) fn write_record(record: &MeterRecord) -> Vec<u8> {
    let mut row = Vec::new();
    put(&mut row, zigzag(record.remainder.0));
    for (from, to) in record.reported.iter() {
        put(&mut row, from);
        put(&mut row, to);
    }
    row
}

/// What a meter has reported, in a row.
pub(super) fn read_record(mut row: &[u8]) -> Result<MeterRecord, Malformed> {
    let remainder = MicroWattHours(unzigzag(get(&mut row)?));
    let reported = read_spans(row)?;
    Ok(MeterRecord {
        reported,
        remainder,
    })
}

/// The windows in what is left of a row, and in a whole one of format 3 or before.
pub(super) fn read_spans(mut row: &[u8]) -> Result<Spans, Malformed> {
    let mut spans = Vec::new();
    while !row.is_empty() {
        spans.push((get(&mut row)?, get(&mut row)?));
    }
    Spans::try_from(spans).map_err(|_| Malformed)
}

/// A byte that says what it is, and its energy unless it is missing.
fn put_reading(row: &mut Vec<u8>, reading: Option<(i64, bool)>) {
    match reading {
        None => row.push(MISSING),
        Some((energy, clamped)) => {
            row.push(if clamped { CLAMPED } else { ENERGY });
            put(row, zigzag(energy));
        }
    }
}

fn get_reading(row: &mut &[u8]) -> Result<Option<(i64, bool)>, Malformed> {
    match byte(row)? {
        MISSING => Ok(None),
        kind @ (ENERGY | CLAMPED) => Ok(Some((unzigzag(get(row)?), kind == CLAMPED))),
        _ => Err(Malformed),
    }
}

/// Little-endian base 128, the shortest form only.
fn put(row: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        row.push(value as u8 | 0x80);
        value >>= 7;
    }
    row.push(value as u8);
}

fn get(row: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = byte(row)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn byte(row: &mut &[u8]) -> Result<u8, Malformed> {
    let (first, rest) = row.split_first().ok_or(Malformed)?;
    *row = rest;
    Ok(*first)
}

fn end(row: &[u8]) -> Result<(), Malformed> {
    row.is_empty().then_some(()).ok_or(Malformed)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests;
