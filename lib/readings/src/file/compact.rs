//! Values in memory, in as few bytes as they need.
//!
//! Values are in blocks of 128, and each is found without those before it: a block has its least value, and of every value, in as many
//! bytes as the largest needs, by how many times a power of ten it is above that. A whole number of watt-hours below 65 kWh so
//! needs two bytes, and a block whose values are all alike none.

use std::ops::Range;

use super::column::{FORGOTTEN, MISSING};

const BLOCK: usize = 128;
/// The greatest power of ten that is tried: 10¹² µWh are a thousand kWh.
const MOST_ZEROS: u8 = 12;

/// Values, of which those of whole blocks are packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Compact {
    blocks: Vec<Block>,
    /// The last values, at most a block of them.
    rest: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    least: i64,
    zeros: u8,
    width: u8,
    /// Whether values are missing: they are 0 then, and the others one more than they would be.
    gaps: bool,
    bytes: Box<[u8]>,
}

impl Compact {
    pub(super) fn len(&self) -> usize {
        self.blocks.len() * BLOCK + self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, value: i64) {
        if self.rest.len() == BLOCK {
            self.blocks.push(Block::of(&self.rest));
            self.rest.clear();
        }
        self.rest.push(value);
    }

    pub(super) fn get(&self, place: usize) -> Option<i64> {
        match self.blocks.get(place / BLOCK) {
            Some(block) => Some(block.get(place % BLOCK)),
            None => self.rest.get(place - self.blocks.len() * BLOCK).copied(),
        }
    }

    /// The places of the block that the last value made whole.
    pub(super) fn just_packed(&self) -> Option<Range<usize>> {
        let end = self.blocks.len() * BLOCK;
        (self.rest.len() == 1 && end > 0).then(|| end - BLOCK..end)
    }

    /// Puts [`FORGOTTEN`] in the place of the values of the last block.
    pub(super) fn forget(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            *block = Block::of(&[FORGOTTEN; BLOCK]);
        }
    }

    /// The values of `places`, as far as there are.
    pub(super) fn within(&self, places: Range<usize>) -> impl Iterator<Item = i64> + '_ {
        (places.start..places.end.min(self.len())).filter_map(|place| self.get(place))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.within(0..self.len())
    }
}

impl FromIterator<i64> for Compact {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut compact = Self::default();
        values.into_iter().for_each(|value| compact.push(value));
        compact.rest.shrink_to_fit();
        compact
    }
}

impl Block {
    fn of(values: &[i64]) -> Self {
        let readings = || values.iter().copied().filter(|value| *value != MISSING);
        let least = readings().min().unwrap_or(0);
        let above = |value: i64| value.wrapping_sub(least).cast_unsigned();
        let mut zeros = MOST_ZEROS;
        for value in readings() {
            while above(value) % 10u64.pow(zeros.into()) != 0 {
                zeros -= 1;
            }
        }
        let gaps = values.contains(&MISSING);
        let code = |value: &i64| match *value {
            MISSING => 0,
            value => above(value) / 10u64.pow(zeros.into()) + u64::from(gaps),
        };
        let largest = values.iter().map(code).max().unwrap_or(0);
        let width = 8 - largest.leading_zeros() as usize / 8;
        let mut bytes = Vec::with_capacity(width * values.len());
        for code in values.iter().map(code) {
            bytes.extend_from_slice(&code.to_le_bytes()[..width]);
        }
        Self {
            least,
            zeros,
            width: width as u8,
            gaps,
            bytes: bytes.into_boxed_slice(),
        }
    }

    fn get(&self, place: usize) -> i64 {
        let width = usize::from(self.width);
        let mut code = [0; 8];
        code[..width].copy_from_slice(&self.bytes[place * width..][..width]);
        match u64::from_le_bytes(code).checked_sub(self.gaps.into()) {
            None => MISSING,
            Some(times) => {
                let above = times * 10u64.pow(self.zeros.into());
                self.least.wrapping_add(above.cast_signed())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Vec<i64>> {
        let value = prop_oneof![
            4 => (-2_000i64..2_000).prop_map(|wh| wh * 1_000_000),
            2 => any::<i64>(),
            1 => Just(MISSING),
            1 => prop::sample::select(vec![0, i64::MAX, i64::MIN + 1, 1, -1]),
        ];
        prop::collection::vec(value, 0..400)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(values in values(), from in 0usize..400, count in 0usize..400) {
            let compact: Compact = values.iter().copied().collect();
            prop_assert_eq!(compact.len(), values.len());
            prop_assert!(compact.iter().eq(values.iter().copied()));
            prop_assert_eq!(compact.get(from), values.get(from).copied());
            let expected = values.iter().copied().skip(from).take(count);
            prop_assert!(compact.within(from..from + count).eq(expected));
        }
    }

    #[test]
    fn a_value_needs_as_few_bytes_as_what_tells_it_from_others() {
        let widths = |values: [i64; 2]| {
            let values = values.iter().cycle().copied().take(BLOCK + 1);
            let compact: Compact = values.collect();
            let block = &compact.blocks[0];
            (block.zeros, block.bytes.len())
        };
        assert_eq!(widths([143_000_000, 25_000_000]), (6, BLOCK));
        assert_eq!(widths([1_433_000_000, -25_000_000]), (6, 2 * BLOCK));
        assert_eq!(widths([31_101_500_000_000, 31_102_500_000_000]), (9, BLOCK));
        assert_eq!(widths([7, 7]), (MOST_ZEROS, 0));
        assert_eq!(widths([MISSING, MISSING]), (MOST_ZEROS, 0));
        assert_eq!(widths([0, MISSING]), (MOST_ZEROS, BLOCK));
        assert_eq!(widths([i64::MAX, i64::MIN + 1]), (0, 8 * BLOCK));
    }

    #[test]
    fn a_block_is_forgotten_as_soon_as_it_is_whole() {
        let mut compact = Compact::default();
        for value in 0..300 {
            compact.push(value);
            let whole = compact.just_packed();
            let expected = (value > 0 && value % 128 == 0).then(|| {
                let end = usize::try_from(value).unwrap();
                end - 128..end
            });
            assert_eq!(whole, expected);
            if value == 128 {
                compact.forget();
            }
        }
        let expected = (0..300).map(|value| if value < 128 { FORGOTTEN } else { value });
        assert!(compact.iter().eq(expected));
    }
}
