//! The life of a sum.

use wire::Part;

/// What a sum replaces: some of the contributors of a part that the operator could not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaces {
    /// The part that did not open.
    pub part: Part,
    /// The least and the greatest [rank](wire::ContributorSet::rank) of the meters of that part that this sum is over.
    pub ranks: (u64, u64),
    /// How many meters these are.
    pub meters: u32,
}

/// Where a sum is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Takes reports.
    Open,
    /// Due, but with too few contributors to be released; still takes reports.
    Held,
    /// Its release exists and awaits the operator's receipt.
    Released,
    /// It was added to the rest of an area, whose release awaits the operator's receipt under the name of another feeder.
    Pooled,
    /// The operator took its release.
    Settled,
    /// It is in no total and never will be: the operator refused its release for good, or too few reports came.
    Refused,
    /// The operator could not open it: other parts of the window replace it. Its contributors are those whose reports have
    /// not come again.
    Divided,
    /// An earlier version of this program made it, and who is in it is no longer known: its window takes no reports.
    Closed,
}

impl Stage {
    /// Whether the store may forget all of a sum's contributors but who they are and the short digests of their reports: nobody is
    /// sent the rest any more. The commit that brings a sum to such a stage says so by the stage in its row.
    #[must_use]
    pub fn keeps_members(self) -> bool {
        self == Self::Settled
    }
}

/// Bytes at the start of a report's digest that are remembered once its sum [remembers only membership](Stage::keeps_members): they
/// tell a report that comes again from another one of the same meter.
pub const SHORT_DIGEST: usize = 8;

/// These bytes.
pub(super) type Short = [u8; SHORT_DIGEST];

pub(super) fn short(digest: &[u8; 32]) -> Short {
    let mut short = [0; SHORT_DIGEST];
    short.copy_from_slice(&digest[..SHORT_DIGEST]);
    short
}
