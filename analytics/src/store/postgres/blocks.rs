//! Who is in the sums of a window, as bytes: what one commit added, or all there is once a sum of it is settled.
//!
//! A contributor of a sum that takes reports, or awaits its receipt, is kept whole. Of one whose sum keeps members only there are a gap
//! to the seat before and the beginning of its report's digest: nine bytes where seats are dense.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wire::{Digest, MeterId, Part, Salt};

use crate::store::{ContributorRow, Short, SumKey, short};

/// Says what follows; another would be of a later version.
const FORM: u8 = 1;

/// The short name of a meter on its feeder.
pub(super) type Seat = i32;

/// A contributor that is kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) part: Part,
    pub(super) number: u32,
    pub(super) salt: Salt,
    pub(super) digest: Digest,
}

/// The contributors of a window.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contributors {
    pub(super) whole: BTreeMap<MeterId, Whole>,
    pub(super) members: BTreeMap<Part, BTreeMap<Seat, Short>>,
}

impl Contributors {
    /// Takes up a contributor; what was known of that meter counts no more.
    pub(super) fn add(&mut self, row: &ContributorRow) {
        let whole = Whole {
            part: row.key.part,
            number: row.number,
            salt: row.salt,
            digest: row.digest,
        };
        self.whole.insert(row.meter.clone(), whole);
    }

    /// Takes up a row of the window, of a later commit than those before.
    pub(super) fn read(&mut self, block: &[u8]) -> Result<(), String> {
        let mut input = Input(block);
        let read = self.read_from(&mut input);
        read.filter(|()| input.0.is_empty())
            .ok_or_else(|| "a row of contributors is not what was written".to_owned())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Option<()> {
        let [form] = input.take()?;
        if form != FORM {
            return None;
        }
        for _ in 0..input.number()? {
            let part = Part(u16::from_le_bytes(input.take()?));
            let number = u32::from_le_bytes(input.take()?);
            let salt = Salt(input.take()?);
            let digest = Digest(input.take()?);
            let [length] = input.take()?;
            let (meter, rest) = input.0.split_at_checked(usize::from(length))?;
            input.0 = rest;
            let meter = MeterId::try_from(std::str::from_utf8(meter).ok()?).ok()?;
            let whole = Whole {
                part,
                number,
                salt,
                digest,
            };
            self.whole.insert(meter, whole);
        }
        while !input.0.is_empty() {
            let part = Part(u16::from_le_bytes(input.take()?));
            let members = self.members.entry(part).or_default();
            let mut seat = 0;
            for _ in 0..input.number()? {
                seat = Seat::try_from(input.number()?).ok()?.checked_add(seat)?;
                members.insert(seat, input.take()?);
            }
        }
        Some(())
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut block = vec![FORM];
        put(&mut block, self.whole.len());
        for (meter, whole) in &self.whole {
            block.extend(whole.part.0.to_le_bytes());
            block.extend(whole.number.to_le_bytes());
            block.extend(whole.salt.0);
            block.extend(whole.digest.0);
            // No id is longer than 64 bytes.
            block.push(meter.as_str().len() as u8);
            block.extend(meter.as_str().as_bytes());
        }
        for (part, members) in &self.members {
            block.extend(part.0.to_le_bytes());
            put(&mut block, members.len());
            let mut before = 0;
            for (seat, short) in members {
                put(&mut block, seat.abs_diff(before) as usize);
                block.extend(short);
                before = *seat;
            }
        }
        block
    }

    /// Keeps members only of a part; `seats` has a seat for each of its meters.
    pub(super) fn shrink(&mut self, part: Part, seats: &HashMap<String, Seat>) {
        let gone = self.whole.extract_if(.., |_, whole| whole.part == part);
        let members = self.members.entry(part).or_default();
        for (meter, whole) in gone {
            if let Some(seat) = seats.get(meter.as_str()) {
                members.insert(*seat, short(&whole.digest.0));
            }
        }
    }

    /// The meters of parts.
    pub(super) fn meters_of(&self, parts: &BTreeSet<Part>) -> impl Iterator<Item = &MeterId> {
        let of = move |(meter, whole): (_, &Whole)| parts.contains(&whole.part).then_some(meter);
        self.whole.iter().filter_map(of)
    }

    /// The part that a meter is in, and whether its report there is that of `digest`.
    pub(super) fn of(
        &self,
        meter: &MeterId,
        seat: Option<Seat>,
        digest: &Digest,
    ) -> Option<(Part, bool)> {
        if let Some(whole) = self.whole.get(meter) {
            return Some((whole.part, whole.digest == *digest));
        }
        let seat = seat?;
        let in_part = |(part, members): (&Part, &BTreeMap<Seat, Short>)| {
            let found = members.get(&seat)?;
            Some((*part, *found == short(&digest.0)))
        };
        self.members.iter().rev().find_map(in_part)
    }

    /// Gives those that are kept whole to `each`.
    pub(super) fn each_whole(&self, key: &SumKey, each: &mut dyn FnMut(ContributorRow)) {
        for (meter, whole) in &self.whole {
            each(ContributorRow {
                key: SumKey {
                    part: whole.part,
                    ..key.clone()
                },
                meter: meter.clone(),
                number: whole.number,
                salt: whole.salt,
                digest: whole.digest,
            });
        }
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let [byte] = self.take()?;
            number |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::SHORT_DIGEST;

    fn contributors() -> impl Strategy<Value = Contributors> {
        let whole = (0..3_u16, any::<u32>(), any::<[u8; 8]>(), any::<[u8; 32]>());
        let whole = proptest::collection::btree_map("[a-z]{1,64}", whole, 0..20);
        let members = proptest::collection::btree_map(0..Seat::MAX, any::<Short>(), 0..50);
        let members = proptest::collection::btree_map(0..4_u16, members, 0..3);
        (whole, members).prop_map(|(whole, members)| Contributors {
            whole: whole
                .into_iter()
                .map(|(meter, (part, number, salt, digest))| {
                    let whole = Whole {
                        part: Part(part),
                        number,
                        salt: Salt(salt),
                        digest: Digest(digest),
                    };
                    (meter.parse().unwrap(), whole)
                })
                .collect(),
            members: members
                .into_iter()
                .map(|(part, members)| (Part(part), members))
                .collect(),
        })
    }

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written(contributors in contributors()) {
            let mut read = Contributors::default();
            read.read(&contributors.write()).unwrap();
            prop_assert_eq!(read, contributors);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Contributors::default().read(&bytes);
        }
    }

    #[test]
    fn a_member_takes_nine_bytes() {
        let mut contributors = Contributors::default();
        let members = contributors.members.entry(Part(0)).or_default();
        members.extend((0..1000).map(|seat| (seat, [7; SHORT_DIGEST])));
        assert!(contributors.write().len() < 9 * 1000 + 10);
    }
}
