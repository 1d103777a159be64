//! The bins of consumption that layout `histogram` counts meters in.

use std::ops::RangeInclusive;

/// The most edges: with the bins below the first and above the last one, 16 bins.
pub const MAX_EDGES: usize = 13;

/// Bins below the first edge: export, and no energy at all.
const BELOW: usize = 2;

/// Where the bins of an interval's energy end, in watt-hours. Bin 0 is export, bin 1 is 0 Wh; of the others each reaches from
/// above the end of the one before up to its own edge, and the last one from above the last edge on. Without edges there are
/// no bins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Edges {
    wh: [u64; MAX_EDGES],
    len: u8,
}

/// Numbers that cannot be edges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgesError {
    /// None, or too many.
    #[error("{found} edges of bins; expected 1 to {MAX_EDGES}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// An edge that is no larger than the one before, or than 0.
    #[error("an edge of {wh} Wh after one of {before} Wh: edges of bins must ascend, from 1 Wh on")]
    Order {
        /// The edge before, or 0.
        before: u64,
        /// The edge.
        wh: u64,
    },
}

impl Edges {
    /// The bin of readings below zero.
    pub const EXPORT: usize = 0;

    /// The bin of readings of zero.
    pub const ZERO: usize = 1;

    /// Edges in watt-hours of an interval.
    ///
    /// # Errors
    /// [`EdgesError`].
    pub fn new(wh: &[u64]) -> Result<Self, EdgesError> {
        if wh.is_empty() || wh.len() > MAX_EDGES {
            return Err(EdgesError::Count { found: wh.len() });
        }
        let mut edges = Self::default();
        let mut before = 0;
        for (edge, &wh) in edges.wh.iter_mut().zip(wh) {
            if wh <= before {
                return Err(EdgesError::Order { before, wh });
            }
            (*edge, before) = (wh, wh);
        }
        edges.len = wh.len() as u8;
        Ok(edges)
    }

    /// The edges, in watt-hours of an interval, ascending.
    #[must_use]
    pub fn wh(&self) -> &[u64] {
        &self.wh[..usize::from(self.len)]
    }

    /// How many bins there are; 0 of a layout without bins.
    #[must_use]
    pub const fn bins(&self) -> usize {
        match self.len {
            0 => 0,
            len => BELOW + len as usize + 1,
        }
    }

    /// The bin of a reading, in watt-hours.
    #[must_use]
    pub fn bin(&self, wh: i64) -> usize {
        match u64::try_from(wh) {
            Err(_) => Self::EXPORT,
            Ok(0) => Self::ZERO,
            Ok(wh) => BELOW + self.wh().partition_point(|edge| *edge < wh),
        }
    }

    /// The least and the greatest reading of some bins that follow each other, in whole watt-hours, where no reading is larger in
    /// size than the reference. Of bins that only larger readings would be in, the least is above the greatest.
    ///
    /// # Panics
    /// There is no such bin.
    #[must_use]
    pub fn bracket(&self, bins: RangeInclusive<usize>, reference_wh: u64) -> [i64; 2] {
        let reference = i64::try_from(reference_wh).unwrap_or(i64::MAX);
        let ends = |bin: usize| match bin {
            Self::EXPORT => [-reference, -1],
            Self::ZERO => [0, 0],
            bin => {
                let edges = self.wh();
                let above = bin.checked_sub(BELOW + 1).map_or(0, |below| edges[below]);
                let to = edges.get(bin - BELOW).copied().unwrap_or(reference_wh);
                [above.saturating_add(1), to.min(reference_wh)].map(|wh| wh as i64)
            }
        };
        [ends(*bins.start())[0], ends(*bins.end())[1]]
    }
}
