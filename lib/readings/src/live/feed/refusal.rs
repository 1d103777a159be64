//! Why a reading is refused.

use wire::MeterId;

/// Why a reading is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum Refusal {
    #[error("meter {meter} is not in meter.meters_file: add it there, or correct the id")]
    UnknownMeter { meter: MeterId },
    #[error(
        "late: the intervals before {open_from} (seconds since 1970) are closed; send readings within meter.live_grace"
    )]
    Late { open_from: u64 },
    #[error("{ahead_s} s ahead of this machine's clock: set the meter's clock, or this machine's")]
    Ahead { ahead_s: u64 },
    #[error("another value for this instant came before: {earlier_uwh} µWh; the first one counts")]
    Conflict { earlier_uwh: i64 },
    #[error(
        "an interval of {given_s} s is none of the plan's of {plan_s} s, and they are not made of it: send whole ones"
    )]
    Length { given_s: u32, plan_s: u32 },
    #[error("an interval of {length_s} s must start at a multiple of it since 1970 in UTC")]
    OffGrid { length_s: u32 },
    #[error("the meter's other readings are {other}: send one kind")]
    Kind { other: &'static str },
    #[error("too many readings wait for their intervals: send it again later")]
    Full,
}

impl Refusal {
    /// Every reason, as a label.
    pub const REASONS: [&str; 8] = [
        "unknown_meter",
        "late",
        "ahead",
        "conflict",
        "length",
        "off_grid",
        "kind",
        "full",
    ];

    /// A word for it, as a label: one of [`Refusal::REASONS`].
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownMeter { .. } => "unknown_meter",
            Self::Late { .. } => "late",
            Self::Ahead { .. } => "ahead",
            Self::Conflict { .. } => "conflict",
            Self::Length { .. } => "length",
            Self::OffGrid { .. } => "off_grid",
            Self::Kind { .. } => "kind",
            Self::Full => "full",
        }
    }
}
