//! Who is in a sum: meters by their number on the feeder, and the salts of their masks.

use std::str::FromStr;

use crate::WindowStart;
use crate::units::{HexError, parse_hex, shown_as_hex};

/// The most meters a sum can have, and the most numbers a feeder has.
pub const MAX_CONTRIBUTORS: u32 = 1_048_575;

/// The greatest number of a meter on its feeder.
pub const MAX_METER_NUMBER: u32 = MAX_CONTRIBUTORS - 1;

/// The most groups that a sum which did not open is divided into. What a culprit spoils is one of them.
const MAX_GROUPS: u32 = 32;

/// The random number of one sealed report, which its mask depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(pub [u8; 8]);

impl Salt {
    /// The 8 bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl From<[u8; 8]> for Salt {
    fn from(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

shown_as_hex!(Salt);

impl FromStr for Salt {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex(text).map(Self)
    }
}

/// A salt that stands twice in the list, if there is one. Takes time n·log n and 8 bytes of memory a salt, whatever the
/// salts are: their senders may have chosen them to make it slow.
pub(crate) fn repeated(salts: &[Salt]) -> Option<Salt> {
    let mut sorted = salts.to_vec();
    sorted.sort_unstable();
    let pair = sorted.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(pair[0])
}

/// Why bytes or numbers are not a set of contributors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// A number is above [`MAX_METER_NUMBER`].
    #[error("a meter has the number {number}; the greatest is {MAX_METER_NUMBER}")]
    TooHigh {
        /// The first such number; for bytes, the last number they reach.
        number: u64,
    },
    /// The bitmap does not end at its last member, so the same set would have two encodings.
    #[error("the bitmap ends with a zero byte")]
    TrailingZero,
}

/// A set of meters of one feeder, by their numbers.
///
/// On the wire and on disk a bitmap: number n is bit n mod 8, counted from the least significant, of byte n / 8. The last
/// byte is not zero, so a set has one encoding. At most 131,072 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ContributorSet {
    bitmap: Vec<u8>,
}

impl ContributorSet {
    /// The set of these numbers, in any order; repetitions count once.
    ///
    /// # Errors
    /// [`SetError::TooHigh`].
    pub fn from_numbers(numbers: impl IntoIterator<Item = u32>) -> Result<Self, SetError> {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number)?;
        }
        Ok(set)
    }

    /// The set that [`ContributorSet::as_bytes`] gave.
    ///
    /// # Errors
    /// The bytes end with a zero, or contain a number above [`MAX_METER_NUMBER`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SetError> {
        let Some(last) = bytes.last() else {
            return Ok(Self::default());
        };
        if *last == 0 {
            return Err(SetError::TrailingZero);
        }
        let highest = bytes.len() as u64 * 8 - 1 - u64::from(last.leading_zeros());
        if highest > u64::from(MAX_METER_NUMBER) {
            return Err(SetError::TooHigh { number: highest });
        }
        Ok(Self {
            bitmap: bytes.to_vec(),
        })
    }

    /// The bitmap.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bitmap
    }

    /// Adds a number; whether it is new.
    ///
    /// # Errors
    /// [`SetError::TooHigh`].
    pub fn insert(&mut self, number: u32) -> Result<bool, SetError> {
        if number > MAX_METER_NUMBER {
            return Err(SetError::TooHigh {
                number: number.into(),
            });
        }
        Ok(self.set(number))
    }

    /// Adds every number of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.bitmap.len() < other.bitmap.len() {
            self.bitmap.resize(other.bitmap.len(), 0);
        }
        for (mine, theirs) in self.bitmap.iter_mut().zip(&other.bitmap) {
            *mine |= theirs;
        }
    }

    /// How many numbers it has.
    pub fn count(&self) -> u32 {
        self.bitmap.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Whether it has no numbers.
    pub fn is_empty(&self) -> bool {
        self.bitmap.is_empty()
    }

    /// Whether it has this number.
    pub fn contains(&self, number: u32) -> bool {
        let (byte, bit) = place(number);
        self.bitmap.get(byte).is_some_and(|found| found & bit != 0)
    }

    /// Its numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bitmap.iter().zip(0_u32..).flat_map(|(byte, index)| {
            (0..8).filter_map(move |bit| (byte >> bit & 1 == 1).then_some(8 * index + bit))
        })
    }

    /// Whether the two have a number in common.
    pub fn intersects(&self, other: &Self) -> bool {
        let mut pairs = self.bitmap.iter().zip(&other.bitmap);
        pairs.any(|(mine, theirs)| mine & theirs != 0)
    }

    /// Whether `other` has every number of this set.
    pub fn is_subset(&self, other: &Self) -> bool {
        // A longer bitmap has a member that the other has not: its last byte is not zero.
        self.bitmap.len() <= other.bitmap.len()
            && (self.bitmap.iter().zip(&other.bitmap)).all(|(mine, theirs)| mine & !theirs == 0)
    }

    /// Takes every number of `other` out.
    pub fn remove(&mut self, other: &Self) {
        for (mine, theirs) in self.bitmap.iter_mut().zip(&other.bitmap) {
            *mine &= !theirs;
        }
        let end = self.bitmap.iter().rposition(|byte| *byte != 0);
        self.bitmap.truncate(end.map_or(0, |last| last + 1));
    }

    /// The groups that replace a sum of this set, for this window, when it did not open: disjoint, together the whole set, of
    /// nearly one size, and at most 32. Each has at least 1.5 × `min_meters`, so that some of its reports may fail to come
    /// again; a set too small for two of those has two of at least `min_meters`. One too small for that is one group, itself, if it
    /// has more than `min_meters`: it may be a sum without a meter that spoils it. A smaller one has none.
    ///
    /// Who is with whom follows from the set, `min_meters` and the window alone, so nobody can choose it, and whoever may ask
    /// for the groups gets the same. In another window the groups are others: a meter that spoils sums is with others each time.
    pub fn partition(&self, min_meters: u32, window: WindowStart) -> Vec<Self> {
        let mut numbers: Vec<u32> = self.iter().collect();
        let count = numbers.len();
        let groups = self.partition_len(min_meters) as usize;
        if groups == 0 {
            return Vec::new();
        }
        numbers.sort_unstable_by_key(|number| Self::rank(window, *number));
        // The multiples of count / groups, rounded down.
        let ends = (0..=groups).map(|group| group * count / groups);
        let ends: Vec<usize> = ends.collect();
        let parts = ends.windows(2).map(|ends| {
            let mut part = Self::default();
            for number in &numbers[ends[0]..ends[1]] {
                part.set(*number);
            }
            part
        });
        parts.collect()
    }

    /// How many groups a [partition](Self::partition) has.
    pub fn partition_len(&self, min_meters: u32) -> u32 {
        let min_meters = min_meters.max(1);
        let count = self.count();
        if u64::from(count) < 2 * u64::from(min_meters) {
            return u32::from(count > min_meters);
        }
        let group = min_meters + min_meters.div_ceil(2);
        (count / group).clamp(2, MAX_GROUPS)
    }

    /// Where a meter stands among those of its feeder when a sum of this window is divided: each group has the meters from one
    /// rank to another. No two stand at one place, since every step can be undone: it is the finaliser of SplitMix64.
    pub fn rank(window: WindowStart, number: u32) -> u64 {
        let mut rank = (window.0 << 20 | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        rank = (rank ^ (rank >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        rank = (rank ^ (rank >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        rank ^ (rank >> 31)
    }

    /// Adds a number that a set may have; whether it is new.
    fn set(&mut self, number: u32) -> bool {
        let (byte, bit) = place(number);
        if self.bitmap.len() <= byte {
            self.bitmap.resize(byte + 1, 0);
        }
        let new = self.bitmap[byte] & bit == 0;
        self.bitmap[byte] |= bit;
        new
    }
}

/// For the rules of release. Sets of two feeders cannot be compared: their meters have the same numbers.
impl release::Set for ContributorSet {
    type Member = u32;

    fn count(&self) -> u32 {
        self.count()
    }

    fn intersects(&self, other: &Self) -> bool {
        self.intersects(other)
    }

    fn is_subset(&self, other: &Self) -> bool {
        self.is_subset(other)
    }

    fn remove(&mut self, other: &Self) {
        self.remove(other);
    }

    fn members(&self) -> impl Iterator<Item = u32> {
        self.iter()
    }
}

/// The byte of the bitmap and the bit in it that stand for a number.
fn place(number: u32) -> (usize, u8) {
    (number as usize / 8, 1 << (number % 8))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bitmap_has_the_least_significant_bit_first() {
        let set = ContributorSet::from_numbers([9, 0, 3, 9]).unwrap();
        assert_eq!(set.as_bytes(), [0b0000_1001, 0b10]);
        assert_eq!(set.count(), 3);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 9]);
    }

    #[test]
    fn a_set_with_room_after_its_last_member_is_refused() {
        for bytes in [&[0][..], &[1, 0], &[0, 0]] {
            let error = ContributorSet::from_bytes(bytes).unwrap_err();
            assert_eq!(error, SetError::TrailingZero);
        }
        assert!(ContributorSet::from_bytes(&[]).unwrap().is_empty());
    }

    #[test]
    fn the_greatest_number_is_taken_and_the_next_refused() {
        let greatest = ContributorSet::from_numbers([MAX_METER_NUMBER]).unwrap();
        assert_eq!(greatest.as_bytes().len(), 131_072);
        let read = ContributorSet::from_bytes(greatest.as_bytes());
        assert_eq!(read, Ok(greatest.clone()));

        let number = u64::from(MAX_METER_NUMBER) + 1;
        let too_high = SetError::TooHigh { number };
        let mut bytes = greatest.as_bytes().to_vec();
        bytes[131_071] |= 0x80;
        let read = ContributorSet::from_bytes(&bytes);
        assert_eq!(read, Err(too_high.clone()));
        let built = ContributorSet::from_numbers([MAX_METER_NUMBER + 1]);
        assert_eq!(built, Err(too_high));

        let mut longer = vec![0; 131_073];
        longer[131_072] = 1;
        let number = u64::from(MAX_METER_NUMBER) + 2;
        let read = ContributorSet::from_bytes(&longer);
        assert_eq!(read, Err(SetError::TooHigh { number }));
    }

    const WINDOW: WindowStart = WindowStart(1_699_992_000);

    #[test]
    fn groups_have_half_as_many_again_as_the_minimum_where_two_such_are_there() {
        for (meters, min_meters, groups) in [
            (14, 15, 0),
            (15, 15, 0),
            (16, 15, 1),
            (29, 15, 1),
            (30, 15, 2),
            (45, 15, 2),
            (46, 15, 2),
            (68, 15, 2),
            (69, 15, 3),
            (1_000, 15, 32),
            (2, 0, 2),
        ] {
            let set = ContributorSet::from_numbers((0..meters).map(|n| 3 * n)).unwrap();
            let parts = set.partition(min_meters, WINDOW);
            assert_eq!(parts.len(), groups, "{meters} meters");
            let sizes: Vec<u32> = parts.iter().map(ContributorSet::count).collect();
            let (least, most) = (sizes.iter().min(), sizes.iter().max());
            assert!(least.is_none_or(|least| *least >= min_meters));
            assert!(
                least
                    .zip(most)
                    .is_none_or(|(least, most)| most - least <= 1)
            );
        }
    }

    /// Both sides compute it, maybe in different versions: these groups must never change.
    #[test]
    fn the_groups_of_a_window_are_these() {
        let set = ContributorSet::from_numbers(0..8).unwrap();
        let parts = set.partition(3, WINDOW);
        let numbers = parts.iter().map(|part| part.iter().collect::<Vec<_>>());
        assert_eq!(numbers.collect::<Vec<_>>(), [[0, 1, 3, 7], [2, 4, 5, 6]]);
    }

    #[test]
    fn two_meters_that_are_together_in_one_window_are_not_in_most_others() {
        let set = ContributorSet::from_numbers(0..1_000).unwrap();
        let together = (0..100).filter(|hour| {
            let parts = set.partition(15, WindowStart(WINDOW.0 + hour * 3600));
            parts
                .iter()
                .any(|part| part.contains(0) && part.contains(1))
        });
        // One in 32 by chance.
        assert!(together.count() < 15);
    }

    #[test]
    fn a_salt_that_stands_twice_is_found_wherever_it_stands() {
        let mut salts: Vec<Salt> = (0..100_u64).map(|n| Salt(n.to_be_bytes())).collect();
        assert_eq!(repeated(&salts), None);
        salts[99] = salts[3];
        assert_eq!(repeated(&salts), Some(Salt(3_u64.to_be_bytes())));
        assert_eq!(repeated(&[]), None);
    }

    #[test]
    fn a_salt_is_16_digits() {
        let salt = Salt([0, 1, 2, 3, 4, 5, 6, 255]);
        assert_eq!(salt.to_string(), "00010203040506ff");
        assert_eq!("00010203040506ff".parse(), Ok(salt));
        assert!("00010203040506".parse::<Salt>().is_err());
    }

    proptest! {
        #[test]
        fn a_set_is_the_set_of_its_numbers(
            a in btree_set(0..200_u32, 0..40), b in btree_set(0..200_u32, 0..40),
        ) {
            let set = |numbers: &BTreeSet<u32>| {
                ContributorSet::from_numbers(numbers.iter().rev().copied()).unwrap()
            };
            let (first, second) = (set(&a), set(&b));
            prop_assert_eq!(first.iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert!(first.iter().is_sorted());
            prop_assert_eq!(first.count() as usize, a.len());
            prop_assert!((0..210).all(|number| first.contains(number) == a.contains(&number)));
            prop_assert_eq!(first.intersects(&second), !a.is_disjoint(&b));
            prop_assert_eq!(first.is_subset(&second), a.is_subset(&b));
            prop_assert_eq!(first == second, a == b);
            prop_assert_eq!(ContributorSet::from_bytes(first.as_bytes()), Ok(first.clone()));
            let mut both = first.clone();
            both.merge(&second);
            prop_assert!(first.is_subset(&both) && second.is_subset(&both));
            prop_assert_eq!(&both, &set(&(&a | &b)));
            both.remove(&second);
            prop_assert_eq!(both, set(&(&a - &b)));
        }

        #[test]
        fn a_partition_has_everybody_once(numbers in btree_set(0..5_000_u32, 0..400), min in 0..20_u32) {
            let set = ContributorSet::from_numbers(numbers).unwrap();
            let mut rest = set.count();
            let mut all = ContributorSet::default();
            for part in set.partition(min, WINDOW) {
                prop_assert!(!all.intersects(&part));
                all.merge(&part);
                rest -= part.count();
            }
            prop_assert!(all.is_empty() || (all == set && rest == 0));
        }
    }
}
