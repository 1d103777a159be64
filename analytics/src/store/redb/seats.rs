//! A meter's seat on its feeder. A file gives them out, when a sum of the meter is settled first, and for good: unlike the roster's
//! number, which is another one when the meter is enrolled again, it stays with the id.

use std::collections::BTreeMap;

use redb::{ReadableTable, Table};
use wire::{FeederId, MeterId};

use super::fault::corrupted;
use super::format::{SeatColumns, seats_of};
use super::row::{Row, columns, sealed};

/// The seats of meters, which are in order. Those that have none get one.
pub(super) fn seated<T>(
    seats: &mut Table<'_, SeatColumns, Row<u32>>,
    feeder: &str,
    meters: Vec<(String, T)>,
) -> Result<Vec<(u32, T)>, redb::Error> {
    let mut seated = Vec::with_capacity(meters.len());
    let mut without = Vec::new();
    let mut meters = meters.into_iter().peekable();
    let mut free = 0;
    for row in seats.range(seats_of(feeder))? {
        let (key, row) = row?;
        let (_, id) = key.value();
        let seat = columns::<SeatColumns, u32>(&key.value(), row.value())?;
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
        let key = (feeder, meter.as_str());
        seats.insert(key, sealed::<SeatColumns, u32>(&key, seat))?;
        seated.push((seat, digest));
    }
    Ok(seated)
}

/// The seat of a meter, if it has one.
pub(super) fn seat_of(
    seats: &impl ReadableTable<SeatColumns, Row<u32>>,
    feeder: &FeederId,
    meter: &MeterId,
) -> Result<Option<u32>, redb::Error> {
    let key = (feeder.as_str(), meter.as_str());
    let row = seats.get(key)?;
    let seat = row.map(|row| columns::<SeatColumns, u32>(&key, row.value()));
    seat.transpose()
}

/// Who has which seat on a feeder.
pub(super) fn names(
    seats: &impl ReadableTable<SeatColumns, Row<u32>>,
    feeder: &FeederId,
) -> Result<BTreeMap<u32, MeterId>, redb::Error> {
    let mut names = BTreeMap::new();
    for row in seats.range(seats_of(feeder.as_str()))? {
        let (key, row) = row?;
        let (_, meter) = key.value();
        let seat = columns::<SeatColumns, u32>(&key.value(), row.value())?;
        let meter = MeterId::try_from(meter).map_err(|error| corrupted(error.to_string()))?;
        names.insert(seat, meter);
    }
    Ok(names)
}
