//! A meter's seat on its feeder. A file gives them out, when a sum of the meter is settled first, and for good: unlike the roster's
//! number, which is another one when the meter is enrolled again, it stays with the id.

use std::collections::BTreeMap;

use redb::{ReadableTable, Table};
use sha2::{Digest as _, Sha256};
use wire::{FeederId, MeterId};

use super::fault::corrupted;
use super::format::{SeatColumns, seats_of};

/// The seats of meters, which are in order. Those that have none get one.
pub(super) fn seated<T>(
    seats: &mut Table<'_, SeatColumns, (u32, u32)>,
    feeder: &str,
    meters: Vec<(String, T)>,
) -> Result<Vec<(u32, T)>, redb::Error> {
    let mut seated = Vec::with_capacity(meters.len());
    let mut without = Vec::new();
    let mut meters = meters.into_iter().peekable();
    let mut free = 0;
    for row in seats.range(seats_of(feeder))? {
        let (key, columns) = row?;
        let (_, id) = key.value();
        let seat = checked(feeder, id, columns.value())?;
        free = free.max(seat + 1);
        while let Some(new) = meters.next_if(|(meter, _)| meter.as_str() < id) {
            without.push(new);
        }
        if let Some((_, digest)) = meters.next_if(|(meter, _)| meter == id) {
            seated.push((seat, digest));
        }
    }
    without.extend(meters);
    for (seat, (meter, digest)) in (free..).zip(without) {
        let columns = (seat, check(feeder, &meter, seat));
        seats.insert((feeder, meter.as_str()), columns)?;
        seated.push((seat, digest));
    }
    Ok(seated)
}

/// The seat of a meter, if it has one.
pub(super) fn seat_of(
    seats: &impl ReadableTable<SeatColumns, (u32, u32)>,
    feeder: &FeederId,
    meter: &MeterId,
) -> Result<Option<u32>, redb::Error> {
    let (feeder, meter) = (feeder.as_str(), meter.as_str());
    let columns = seats.get((feeder, meter))?;
    let seat = columns.map(|columns| checked(feeder, meter, columns.value()));
    seat.transpose()
}

/// Who has which seat on a feeder.
pub(super) fn names(
    seats: &impl ReadableTable<SeatColumns, (u32, u32)>,
    feeder: &FeederId,
) -> Result<BTreeMap<u32, MeterId>, redb::Error> {
    let mut names = BTreeMap::new();
    for row in seats.range(seats_of(feeder.as_str()))? {
        let (key, columns) = row?;
        let (_, meter) = key.value();
        let seat = checked(feeder.as_str(), meter, columns.value())?;
        let meter = MeterId::try_from(meter).map_err(|error| corrupted(error.to_string()))?;
        names.insert(seat, meter);
    }
    Ok(names)
}

/// A seat as it was given out.
fn checked(feeder: &str, meter: &str, (seat, found): (u32, u32)) -> Result<u32, redb::Error> {
    match found == check(feeder, meter, seat) {
        true => Ok(seat),
        false => Err(corrupted(format!(
            "the seat of meter {meter} on feeder {feeder} is damaged"
        ))),
    }
}

fn check(feeder: &str, meter: &str, seat: u32) -> u32 {
    let mut hash = Sha256::new();
    for text in [feeder, meter] {
        hash.update([text.len() as u8]);
        hash.update(text);
    }
    hash.update(seat.to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}
