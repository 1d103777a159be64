//! Keeping members only, and forgetting them.

use redb::{ReadableTable as _, Table, WriteTransaction};
use wire::{FeederId, WindowStart};

use super::format::{
    self, ContributorColumns, MembersColumns, MeterColumns, PieceColumns, SeatColumns, SumColumns,
};
use super::members::{Members, place_of};
use super::row::{Row, columns, sealed};
use super::{pieces, seats};
use crate::store::{Short, SumKey, SumRow, short};

/// Keeps of the contributors of `sums` that keep members no more than that.
pub(super) fn shrink<'r>(
    changes: &WriteTransaction,
    sums: impl Iterator<Item = &'r SumRow>,
) -> Result<(), redb::Error> {
    let mut sums = sums.filter(|row| row.stage.keeps_members()).peekable();
    if sums.peek().is_none() {
        return Ok(());
    }
    let mut contributors = changes.open_table(format::CONTRIBUTORS)?;
    let mut keeping = Keeping::open(changes)?;
    for SumRow { key, .. } in sums {
        keeping.keep(key, take(&mut contributors, key)?)?;
    }
    Ok(())
}

/// Tables in which members are kept.
pub(super) struct Keeping<'t> {
    seats: Table<'t, SeatColumns, Row<u32>>,
    members: Table<'t, SumColumns, Row<MembersColumns>>,
    pieces: Table<'t, PieceColumns, &'static [u8]>,
}

impl<'t> Keeping<'t> {
    pub(super) fn open(changes: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            seats: changes.open_table(format::SEATS)?,
            members: changes.open_table(format::MEMBERS)?,
            pieces: changes.open_table(format::PIECES)?,
        })
    }

    /// Adds members to a sum; they come in order.
    pub(super) fn keep(
        &mut self,
        key: &SumKey,
        meters: Vec<(String, Short)>,
    ) -> Result<(), redb::Error> {
        if meters.is_empty() {
            return Ok(());
        }
        let feeder = key.feeder.as_str();
        let columns = format::key_columns(key);
        let place = self.members.get(columns)?.map(|row| row.value());
        // A commit that is repeated has its contributors again.
        let before = match place {
            Some(row) => Members::read(&self.pieces, feeder, place_of(&columns, row)?)?,
            None => Members::default(),
        };
        let mut now = before.clone();
        now.0
            .extend(seats::seated(&mut self.seats, feeder, meters)?);
        if now != before {
            let bytes = now.to_bytes()?;
            let start = pieces::append(&mut self.pieces, feeder, &bytes)?;
            let place = (start, bytes.len() as u32);
            let row = sealed::<SumColumns, MembersColumns>(&columns, place);
            self.members.insert(columns, row)?;
        }
        Ok(())
    }
}

/// Forgets the members of sums of these windows.
pub(super) fn forget(
    changes: &WriteTransaction,
    windows: &[(FeederId, WindowStart)],
) -> Result<(), redb::Error> {
    if windows.is_empty() {
        return Ok(());
    }
    let mut members = changes.open_table(format::MEMBERS)?;
    let mut pieces = changes.open_table(format::PIECES)?;
    let mut feeders: Vec<&FeederId> = Vec::new();
    for (feeder, window) in windows {
        members.retain_in(format::parts_of(feeder, *window), |_, _| false)?;
        feeders.push(feeder);
    }
    feeders.sort_unstable();
    feeders.dedup();
    for feeder in feeders {
        let Some(second) = pieces::second(&pieces, feeder.as_str())? else {
            continue;
        };
        let first = first_of(&members, feeder, second)?;
        pieces::trim(&mut pieces, feeder.as_str(), first)?;
    }
    Ok(())
}

/// Where the first of a feeder's members are; once some are found before `end`, where they are. They are settled in any order, so the
/// first may be of any window, but mostly are of the earliest.
fn first_of(
    members: &Table<'_, SumColumns, Row<MembersColumns>>,
    feeder: &FeederId,
    end: u64,
) -> Result<Option<u64>, redb::Error> {
    let mut first: Option<u64> = None;
    for row in members.range(format::sums_of(feeder))? {
        let (key, row) = row?;
        let (start, _) = place_of(&key.value(), row.value())?;
        first = Some(first.map_or(start, |first| first.min(start)));
        if start < end {
            break;
        }
    }
    Ok(first)
}

/// The contributors of a sum, by id, which are no longer there.
fn take(
    contributors: &mut Table<'_, MeterColumns, Row<ContributorColumns>>,
    key: &SumKey,
) -> Result<Vec<(String, Short)>, redb::Error> {
    let mut meters = Vec::new();
    let mut damage = None;
    let window = format::meters_of(&key.feeder, key.window);
    contributors.retain_in(window, |key_columns, row| {
        let (part, _, _, digest) = row.0;
        let is_of_sum = part == key.part.0;
        if is_of_sum {
            let read = columns::<MeterColumns, ContributorColumns>(&key_columns, row);
            damage = damage.take().or(read.err());
            meters.push((key_columns.2.to_owned(), short(digest)));
        }
        !is_of_sum
    })?;
    damage.map_or(Ok(meters), Err)
}
