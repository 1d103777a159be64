//! What is in which table, and what becomes of what is to be kept there.

use redb::TableDefinition;

pub(super) const FILE: &str = "comparisons.redb";

pub(super) const FORMAT: &str = "1";

/// Bytes of the file that are kept in memory.
pub(super) const CACHE: usize = 16 << 20;

/// What the file says of itself: its `format`.
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");

/// Start of the window, feeder, part: the digest of the sum's limbs, and its message.
pub(super) const SUMS: TableDefinition<SumKey, SumRow> = TableDefinition::new("sums");
pub(super) type SumKey = (u64, &'static str, u16);
pub(super) type SumRow = (&'static [u8; 32], &'static [u8]);

/// Those of them that are not compared with a rating yet.
pub(super) const UNASKED: TableDefinition<SumKey, ()> = TableDefinition::new("unasked");

/// The same and whether it is with other sums: the comparison it is in.
pub(super) const COMPARED: TableDefinition<(u64, &str, u16, bool), &[u8; 32]> =
    TableDefinition::new("compared");

/// By digest, with its window: the operator's message, and the answer's; empty while there is none.
pub(super) const COMPARISONS: TableDefinition<ComparisonKey, ComparisonRow> =
    TableDefinition::new("comparisons");
pub(super) type ComparisonKey = (u64, &'static [u8; 32]);
pub(super) type ComparisonRow = (&'static [u8], &'static [u8]);

/// Those of them that wait for an answer.
pub(super) const WAITING: TableDefinition<ComparisonKey, ()> = TableDefinition::new("waiting");

/// What became of a sum or a comparison that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    New,
    Known,
    /// There is another one in its place.
    Other,
    /// There is no room.
    Full,
}
