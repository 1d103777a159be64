//! How values of the journal are written: strictly, so that a damaged row is an error and never another value.

use bytes::Bytes;
use wire::{Digest, WattHours, WindowStart};

use super::Spans;
use crate::batch::{Batch, Interval, Taken};
use crate::outbox::Sealed;

/// A row is not what this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row is malformed")]
pub(super) struct Malformed;

const MISSING: u8 = 0;
const ENERGY: u8 = 1;
const CLAMPED: u8 = 2;

/// An interval: for each meter a byte that says what it is, and its energy.
pub(super) fn write_interval(interval: &Interval) -> Vec<u8> {
    let mut row = Vec::with_capacity(interval.0.len() * 4);
    for taken in &interval.0 {
        match taken {
            Taken::Missing => row.push(MISSING),
            Taken::Energy(WattHours(wh), clamped) => {
                row.push(if *clamped { CLAMPED } else { ENERGY });
                put(&mut row, zigzag(*wh));
            }
        }
    }
    row
}

/// The interval of `meters` meters in a row.
pub(super) fn read_interval(mut row: &[u8], meters: usize) -> Result<Interval, Malformed> {
    let row = &mut row;
    let mut taken = Vec::with_capacity(meters.min(row.len()));
    for _ in 0..meters {
        taken.push(match byte(row)? {
            MISSING => Taken::Missing,
            kind @ (ENERGY | CLAMPED) => {
                Taken::Energy(WattHours(unzigzag(get(row)?)), kind == CLAMPED)
            }
            _ => return Err(Malformed),
        });
    }
    end(row).map(|()| Interval(taken))
}

/// A batch: its counts and its readings; meter and window are in its key.
pub(super) fn write_batch(batch: &Batch) -> Vec<u8> {
    let mut row = Vec::with_capacity(4 + batch.readings_wh.len() * 3);
    put(&mut row, u64::from(batch.clamped));
    put(&mut row, u64::from(batch.missing));
    put(&mut row, batch.readings_wh.len() as u64);
    for wh in &batch.readings_wh {
        put(&mut row, zigzag(*wh));
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
    let mut small = || get(row)?.try_into().map_err(|_| Malformed);
    let clamped: u16 = small()?;
    let missing: u16 = small()?;
    let readings: u16 = small()?;
    let readings_wh = (0..readings)
        .map(|_| get(row).map(unzigzag))
        .collect::<Result<_, _>>()?;
    Ok(Batch {
        meter,
        window,
        readings_wh,
        clamped,
        missing,
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

/// The windows a meter has reported.
pub(super) fn write_spans(spans: &Spans) -> Vec<u8> {
    let mut row = Vec::new();
    for (from, to) in spans.iter() {
        put(&mut row, from);
        put(&mut row, to);
    }
    row
}

/// The windows in a row.
pub(super) fn read_spans(mut row: &[u8]) -> Result<Spans, Malformed> {
    let mut spans = Vec::new();
    while !row.is_empty() {
        spans.push((get(&mut row)?, get(&mut row)?));
    }
    Spans::try_from(spans).map_err(|_| Malformed)
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken() -> impl Strategy<Value = Taken> {
        let energy = (any::<i64>(), any::<bool>());
        prop_oneof![
            Just(Taken::Missing),
            energy.prop_map(|(wh, clamped)| Taken::Energy(WattHours(wh), clamped)),
        ]
    }

    proptest! {
        #[test]
        fn intervals_come_back(taken in proptest::collection::vec(taken(), 0..20)) {
            let interval = Interval(taken);
            let row = write_interval(&interval);
            prop_assert_eq!(read_interval(&row, interval.0.len()), Ok(interval.clone()));
            prop_assert_eq!(read_interval(&row, interval.0.len() + 1), Err(Malformed));
            if let Some(fewer) = interval.0.len().checked_sub(1) {
                prop_assert_eq!(read_interval(&row, fewer), Err(Malformed));
            }
        }

        #[test]
        fn sealed_reports_come_back_and_no_shorter_row_is_one(
            readings_wh in proptest::collection::vec(any::<i64>(), 0..20), clamped: u16, missing: u16,
            digest: [u8; 32], payload in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let meter = 3;
            let window = WindowStart(900);
            let batch = Batch { meter, window, readings_wh, clamped, missing };
            let sealed = Sealed { meter, window, digest: Digest(digest), payload: payload.into() };
            let row = write_batch(&batch);
            prop_assert_eq!(read_batch(&row, meter, window), Ok(batch.clone()));
            prop_assert_eq!(read_batch(&row[..row.len() - 1], meter, window), Err(Malformed));
            let row = write_sealed(&batch, &sealed);
            prop_assert_eq!(read_sealed(&row, meter, window), Ok((batch.clone(), sealed.clone())));
            let short = row.len() - sealed.payload.len() - 1;
            prop_assert_eq!(read_sealed(&row[..short], meter, window), Err(Malformed));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(row in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(interval) = read_interval(&row, 5) {
                prop_assert_eq!(write_interval(&interval), row.clone());
            }
            if let Ok(batch) = read_batch(&row, 0, WindowStart(0)) {
                prop_assert_eq!(write_batch(&batch), row.clone());
            }
            if let Ok(spans) = read_spans(&row) {
                prop_assert_eq!(write_spans(&spans), row);
            }
        }
    }

    #[test]
    fn spans_come_back() {
        let mut spans = Spans::default();
        spans.insert(1_400, 2_800);
        spans.insert(1_700_000_000, u64::MAX);
        assert_eq!(read_spans(&write_spans(&spans)), Ok(spans));
    }
}
