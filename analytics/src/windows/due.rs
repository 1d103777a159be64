//! Sums that are due.

use wire::{AreaId, Part};

use super::Members;
use crate::store::{SumKey, SumRow};

/// A sum that is due and has enough contributors.
#[derive(Debug)]
pub(crate) struct Due {
    /// Feeder, window and part.
    pub(crate) row: SumRow,
    /// The packed sum.
    pub(crate) limbs: Vec<u8>,
    /// The part of which it is a piece, as the operator knows it.
    pub(crate) replaces: Option<Part>,
    /// Who is in it, of its own feeder.
    pub(crate) members: Members,
    /// The area that it is the rest of, and the sums of other feeders that are added to it.
    pub(crate) rest: Option<(AreaId, Vec<(SumRow, Members)>)>,
}

impl Due {
    /// The sums that are added to it.
    pub(crate) fn pooled(&self) -> impl Iterator<Item = &(SumRow, Members)> {
        self.rest.iter().flat_map(|(_, others)| others)
    }
}

/// A sum that is due but has too few contributors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Feeder, window and part.
    pub key: SumKey,
    /// Number of contributors.
    pub contributors: u32,
}
