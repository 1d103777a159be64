//! Comparisons of sums that nobody opens: what the evaluator asks for, what the operator gives it, and the encrypted bits.

use bytes::Bytes;

use super::{Limbs, Message};
use crate::cbor::{Reader, Writer};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::FeederId;
use crate::units::{Digest, KeyEpoch, Part};

/// The most sums that are compared with each other.
pub const MAX_COMPARED: usize = 8;

/// The most bits of one comparison.
pub const MAX_BITS: usize = 65_535;

/// Bytes of an encrypted bit: 1,306 words of two bytes.
pub const BIT_LEN: usize = 2 * 1_306;

const NUMBER_LEN: usize = size_of::<u64>();

/// The evaluator has a sum that is not to be opened, and asks to compare it: it shows the operator what analytics signed, and of the
/// ciphertext what the counts of readings and the zero checks are opened from. Its limbs are those of the sum, with zeros in `c0` for
/// every other coefficient, so no reading can be decrypted of them. Signed by the evaluator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The feeder, which the sum must name too.
    pub feeder: FeederId,
    /// The COSE_Sign1 of the sum.
    pub sum: Bytes,
}

/// A sum that is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComparedSum {
    /// The feeder.
    pub feeder: FeederId,
    /// The sum's part.
    pub part: Part,
    /// SHA-256 of its limbs.
    pub digest: Digest,
}

/// What the operator gives the evaluator: of one sum, what to compare each interval with; of several, what to take off each
/// difference. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The key epoch of the sums.
    pub epoch: KeyEpoch,
    /// The start of their window.
    pub window: WindowStart,
    /// The sums, at least one. Of two or more, each pair is compared: the first with the second, with the third and on, the
    /// second with the third and on.
    pub sums: Vec<ComparedSum>,
    /// The intervals of the window that are compared, strictly ascending.
    pub intervals: Vec<u16>,
    /// What differences are multiplied by before they are rounded, at least 1.
    pub multiplier: u64,
    /// One for each of the intervals, pair after pair, at most [`MAX_BITS`]: a residue, with the masks' sum in it.
    pub numbers: Vec<u64>,
}

/// The encrypted bits of a comparison. Signed by the evaluator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    /// SHA-256 of the comparison's signed array.
    pub comparison: Digest,
    /// One for each of its numbers, [`BIT_LEN`] bytes each: an encrypted 1 where the difference is negative.
    pub bits: Bytes,
}

impl Comparison {
    /// How many pairs there are, or one for a single sum.
    pub fn pairs(&self) -> usize {
        let sums = self.sums.len();
        (sums * sums.saturating_sub(1) / 2).max(1)
    }
}

impl Message for Question {
    const CONTENT_TYPE: &'static str = "cipherwatt/question";
    const LIMBS: Limbs = Limbs::Required;
    const FIELDS: usize = 2;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.feeder.as_str());
        writer.bytes(&self.sum);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            feeder: reader.id("question.feeder")?,
            sum: Bytes::copy_from_slice(reader.bytes("question.sum")?),
        })
    }
}

impl Message for Comparison {
    const CONTENT_TYPE: &'static str = "cipherwatt/comparison";
    const FIELDS: usize = 6;

    fn write(&self, writer: &mut Writer) {
        writer.uint(self.epoch.0);
        writer.uint(self.window.0);
        writer.list(&self.sums, |writer, sum| {
            writer.array(3);
            writer.text(sum.feeder.as_str());
            writer.uint(sum.part.0);
            writer.bytes(&sum.digest.0);
        });
        writer.list(&self.intervals, |writer, interval| writer.uint(*interval));
        writer.uint(self.multiplier);
        let numbers: Vec<u8> = self
            .numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect();
        writer.bytes(&numbers);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let epoch = KeyEpoch(reader.u32("comparison.epoch")?);
        let window = reader.window("comparison.window")?;
        let sums = reader.list(MAX_COMPARED, "comparison.sums", |reader| {
            reader.array_of(3, "comparison.sum")?;
            Ok(ComparedSum {
                feeder: reader.id("comparison.feeder")?,
                part: Part(reader.u16("comparison.part")?),
                digest: Digest(reader.bytes_of("comparison.digest")?),
            })
        })?;
        let intervals = reader.list(MAX_BITS, "comparison.intervals", |reader| {
            reader.u16("comparison.interval")
        })?;
        let multiplier = reader.u64_in(1, u64::MAX, "comparison.multiplier")?;
        let (numbers, rest) = reader
            .bytes("comparison.numbers")?
            .as_chunks::<NUMBER_LEN>();
        if !rest.is_empty() {
            return Err(WireError::WrongLength {
                field: "comparison.numbers",
                expected: NUMBER_LEN * (numbers.len() + 1),
                found: NUMBER_LEN * numbers.len() + rest.len(),
            });
        }
        Ok(Self {
            epoch,
            window,
            sums,
            intervals,
            multiplier,
            numbers: numbers
                .iter()
                .map(|bytes| u64::from_be_bytes(*bytes))
                .collect(),
        })
    }

    /// Each sum and each interval once, and a number for every pair and interval.
    fn check(&self) -> Result<(), WireError> {
        let empty = |field| Err(WireError::Empty { field });
        if self.sums.is_empty() {
            return empty("comparison.sums");
        }
        if self.intervals.is_empty() {
            return empty("comparison.intervals");
        }
        let (expected, found) = (self.pairs() * self.intervals.len(), self.numbers.len());
        let expected = expected.min(MAX_BITS);
        if found != expected {
            return Err(WireError::WrongLength {
                field: "comparison.numbers",
                expected: NUMBER_LEN * expected,
                found: NUMBER_LEN * found,
            });
        }
        crate::cbor::ascending(&self.intervals, "comparison.intervals", |a, b| a < b)?;
        crate::cbor::ascending(&self.sums, "comparison.sums", |a, b| a.feeder < b.feeder)
    }
}

impl Message for Bits {
    const CONTENT_TYPE: &'static str = "cipherwatt/bits";
    const FIELDS: usize = 2;

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.comparison.0);
        writer.bytes(&self.bits);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            comparison: Digest(reader.bytes_of("bits.comparison")?),
            bits: Bytes::copy_from_slice(reader.bytes("bits.bits")?),
        })
    }

    fn check(&self) -> Result<(), WireError> {
        let found = self.bits.len();
        match found.is_multiple_of(BIT_LEN) && found > 0 {
            true => Ok(()),
            false => Err(WireError::WrongLength {
                field: "bits.bits",
                expected: found.next_multiple_of(BIT_LEN).max(BIT_LEN),
                found,
            }),
        }
    }
}
