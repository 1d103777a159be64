//! What a search came to.

use wire::{FeederId, GatewayId, KeyEpoch, MeterId, Part, WindowStart};

/// What a search for the meter that spoils a sum came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Searched {
    pub feeder: FeederId,
    pub window_start: WindowStart,
    /// The part that did not open.
    pub part: Part,
    pub epoch: KeyEpoch,
    /// Meters whose report spoils a sum alone, or that signed two reports in the place of one.
    pub culprits: Vec<MeterId>,
    /// Meters among which several spoil a sum together.
    pub together: Vec<MeterId>,
    /// Gateways of several culprits, whose other meters were not looked at.
    pub gateways: Vec<GatewayId>,
    /// Meters of which no report came: one of them may have spoiled the sum.
    pub silent: Vec<MeterId>,
    /// Reports that were searched.
    pub reports: usize,
    /// Reports that did not come, or had no room.
    pub missing: usize,
    /// Sums of which the zero checks were opened.
    pub openings: u32,
    /// Whether there may be more culprits, because as many were found as the refusals of the key epoch allow a search.
    pub is_cut_short: bool,
    /// Whether analytics released another sum than that of the reports it named.
    pub sum_differs: bool,
}
