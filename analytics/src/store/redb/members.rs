//! Who is in a sum that is settled, in about nine bytes each.
//!
//! The members of a sum are a set of [seats](super::seats) and the short digest of each one's report, in the feeder's
//! [stream](super::pieces):
//!
//! | bytes | |
//! |---|---|
//! | 1 | 0: the seats are a bitmap, 1: four bytes each |
//! | 4 | bytes of the seats |
//! | | the seats, ascending |
//! | 8 each | the start of the digests, in the same order |

use std::collections::BTreeMap;
use std::ops::Range;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};
use wire::{ContributorSet, Digest, FeederId, MeterId, Part, WindowStart};

use super::fault::corrupted;
use super::format::{self, MembersColumns, PieceColumns, SeatColumns, SumColumns};
use super::row::{Row, columns};
use super::{pieces, seats};
use crate::store::fit::nobody;
use crate::store::{MemberRow, SHORT_DIGEST, Short, SumKey, short};

/// Bytes before the seats.
const HEAD: u64 = 5;
const BITMAP: u8 = 0;
const LIST: u8 = 1;

/// Where the members of a sum are, as it was written.
pub(super) fn place_of(
    key: &(&str, u64, u16),
    row: (MembersColumns, u32),
) -> Result<MembersColumns, redb::Error> {
    columns::<SumColumns, MembersColumns>(key, row)
}

/// Tables in which members are looked up.
pub(super) struct Lookup {
    seats: ReadOnlyTable<SeatColumns, Row<u32>>,
    members: ReadOnlyTable<SumColumns, Row<MembersColumns>>,
    pieces: ReadOnlyTable<PieceColumns, &'static [u8]>,
}

impl Lookup {
    pub(super) fn in_view(view: &ReadTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            seats: view.open_table(format::SEATS)?,
            members: view.open_table(format::MEMBERS)?,
            pieces: view.open_table(format::PIECES)?,
        })
    }

    /// The part that a meter is in, of the sums of a window that keep members, and whether its report has this digest.
    pub(super) fn find(
        &self,
        (feeder, window): (&FeederId, WindowStart),
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, redb::Error> {
        let Some(seat) = seats::seat_of(&self.seats, feeder, meter)? else {
            return Ok(None);
        };
        for row in self.members.range(format::parts_of(feeder, window))? {
            let (key, row) = row?;
            let place = place_of(&key.value(), row.value())?;
            if let Some(found) = self.member(feeder.as_str(), place, seat)? {
                let (_, _, part) = key.value();
                return Ok(Some((Part(part), found == short(&digest.0))));
            }
        }
        Ok(None)
    }

    /// The short digest of the report of a meter, if it is a member.
    fn member(
        &self,
        feeder: &str,
        place: MembersColumns,
        seat: u32,
    ) -> Result<Option<Short>, redb::Error> {
        let read = |range: Range<u64>| pieces::read(&self.pieces, feeder, range);
        let (start, end) = (place.0, place.0 + u64::from(place.1));
        let (kind, digests) = head(&read(start..start + HEAD)?, start).ok_or_else(malformed)?;
        let seats = read(start + HEAD..digests.min(end))?;
        let Some(rank) = rank(kind, &seats, seat) else {
            return Ok(None);
        };
        let at = digests + rank * SHORT_DIGEST as u64;
        let found = read(at..(at + SHORT_DIGEST as u64).min(end))?;
        Ok(Some(found.try_into().map_err(|_| malformed())?))
    }

    /// Every member of the sums of this window.
    pub(super) fn of_window(
        &self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(MemberRow),
    ) -> Result<(), redb::Error> {
        let names = self.names(feeder)?;
        for row in self.members.range(format::parts_of(feeder, window))? {
            let (key, row) = row?;
            let place = place_of(&key.value(), row.value())?;
            let members = Members::read(&self.pieces, feeder.as_str(), place)?;
            for (seat, digest) in members.0 {
                let nobody = || corrupted(nobody(feeder, seat));
                each(MemberRow {
                    part: Part(key.value().2),
                    meter: names.get(&seat).cloned().ok_or_else(nobody)?,
                    digest,
                });
            }
        }
        Ok(())
    }

    /// Who has which seat on a feeder.
    pub(super) fn names(&self, feeder: &FeederId) -> Result<BTreeMap<u32, MeterId>, redb::Error> {
        seats::names(&self.seats, feeder)
    }

    /// The members of a sum by seat, with the start of the digest of each one's report.
    pub(super) fn members(&self, key: &SumKey) -> Result<BTreeMap<u32, Short>, redb::Error> {
        let columns = format::key_columns(key);
        let members = match self.members.get(columns)? {
            Some(row) => {
                let place = place_of(&columns, row.value())?;
                Members::read(&self.pieces, key.feeder.as_str(), place)?
            }
            None => Members::default(),
        };
        Ok(members.0)
    }
}

/// Short digests by seat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members(pub(super) BTreeMap<u32, Short>);

impl Members {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, redb::Error> {
        let set = ContributorSet::from_numbers(self.0.keys().copied());
        let set = set.map_err(|error| corrupted(error.to_string()))?;
        let listed = self.0.keys().flat_map(|seat| seat.to_le_bytes());
        let (kind, seats) = match set.as_bytes().len() <= 4 * self.0.len() {
            true => (BITMAP, set.as_bytes().to_vec()),
            false => (LIST, listed.collect()),
        };
        let mut bytes = vec![kind];
        bytes.extend((seats.len() as u32).to_le_bytes());
        bytes.extend(seats);
        bytes.extend(self.0.values().flatten());
        Ok(bytes)
    }

    pub(super) fn read(
        pieces: &impl ReadableTable<PieceColumns, &'static [u8]>,
        feeder: &str,
        (start, len): MembersColumns,
    ) -> Result<Self, redb::Error> {
        let bytes = pieces::read(pieces, feeder, start..start + u64::from(len))?;
        Self::from_bytes(&bytes).ok_or_else(malformed)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, digests) = head(bytes, 0)?;
        let (front, digests) = bytes.split_at_checked(digests as usize)?;
        let seats: Vec<u32> = match (kind, front.get(HEAD as usize..)?) {
            (BITMAP, bitmap) => ContributorSet::from_bytes(bitmap).ok()?.iter().collect(),
            (_, list) => list
                .as_chunks()
                .0
                .iter()
                .copied()
                .map(u32::from_le_bytes)
                .collect(),
        };
        let (digests, rest) = digests.as_chunks();
        let is_whole = digests.len() == seats.len() && rest.is_empty();
        is_whole.then(|| Self(seats.into_iter().zip(digests.iter().copied()).collect()))
    }
}

/// What the seats are, and where the digests start, of members that start at `start`.
fn head(bytes: &[u8], start: u64) -> Option<(u8, u64)> {
    let (kind, bytes) = bytes.split_first()?;
    let len = u32::from_le_bytes(*bytes.first_chunk()?);
    matches!(*kind, BITMAP | LIST).then_some((*kind, start + HEAD + u64::from(len)))
}

/// How many seats come before this one, if it is there.
fn rank(kind: u8, seats: &[u8], seat: u32) -> Option<u64> {
    if kind == LIST {
        let seats = seats.as_chunks().0;
        let rank = seats.binary_search_by_key(&seat, |bytes| u32::from_le_bytes(*bytes));
        return rank.ok().map(|rank| rank as u64);
    }
    let (byte, bit) = (seat as usize / 8, seat % 8);
    let found = *seats.get(byte)?;
    let before = seats[..byte]
        .iter()
        .map(|byte| u64::from(byte.count_ones()));
    let here = u64::from((found & ((1 << bit) - 1)).count_ones());
    (found >> bit & 1 == 1).then(|| before.sum::<u64>() + here)
}

fn malformed() -> redb::Error {
    corrupted("the members of a sum are malformed".to_owned())
}
