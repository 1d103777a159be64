//! What recipients get of a sum.

use super::line::Line;
use crate::release::ledger::NoiseKey;

/// What the recipients get of one sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Published {
    pub lines: Vec<StoredLine>,
    /// What the feeder may still give away in the period; none without recipients.
    pub left: Option<f64>,
}

/// A line, and how it is stored, to the byte.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredLine {
    pub key: NoiseKey,
    pub line: Line,
    pub(super) json: String,
}
