//! What a search came to.

use wire::GatewayId;

/// What a search came to, by meters' numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Meters whose report spoils a sum alone, and meters that signed two reports under one salt, or one that no sum can have.
    pub(crate) culprits: Vec<u32>,
    /// Meters of groups that spoil a sum together, though none of their halves does.
    pub(crate) together: Vec<u32>,
    /// Gateways of several culprits, whose other meters were not looked at.
    pub(crate) gateways: Vec<GatewayId>,
    /// Answers that say no about some reports: what counts against the refusals of the key epoch.
    pub(crate) refusals: u32,
    /// Sums of which the zero checks were opened.
    pub(crate) openings: u32,
    /// Whether there may be more culprits, because as many were found as a search may.
    pub(crate) is_cut_short: bool,
    /// Every report has come and is the one that analytics counted, and their sum is not what it released.
    pub(crate) sum_differs: bool,
}
