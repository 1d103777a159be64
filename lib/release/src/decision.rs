//! Decisions, and their reasons.

/// Whether an answer may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It may.
    Release,
    /// It may not.
    Withhold(Withheld),
}

impl Decision {
    /// Nothing, or why not.
    ///
    /// # Errors
    /// The reason of [`Decision::Withhold`].
    pub fn released(self) -> Result<(), Withheld> {
        match self {
            Self::Release => Ok(()),
            Self::Withhold(reason) => Err(reason),
        }
    }
}

impl From<Result<(), Withheld>> for Decision {
    fn from(result: Result<(), Withheld>) -> Self {
        result.map_or_else(Self::Withhold, |()| Self::Release)
    }
}

/// Why an answer is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// Its group is too small.
    #[error("it is about {found} meters, the minimum is {least}")]
    TooFew {
        /// Meters in it.
        found: u32,
        /// The minimum.
        least: u32,
    },
    /// Its reports came after the window's sum was released.
    #[error("its reports came late, and {}", match least {
        0 => "late reports are in no sum".to_owned(),
        least => format!("a sum of late reports needs {least} meters"),
    })]
    Late {
        /// The size that a late group needs; 0: none is large enough.
        least: u32,
    },
    /// The answers given give it already.
    #[error("what was opened already says it")]
    Known,
    /// Some of its meters, but not all, are in another answer, or its feeder's meters are in another answer of a feeder.
    #[error("some of its meters are in another sum that was opened")]
    Overlaps,
    /// With what was opened it would single out too few meters.
    #[error("with what was opened it would single out {rest} meters, the minimum is {least}")]
    Difference {
        /// The meters singled out.
        rest: u32,
        /// The minimum.
        least: u32,
    },
    /// Of a total it would leave too few meters that have no bill.
    #[error("of a total it would leave {found} meters that have no bill, the minimum is {least}")]
    FewUnbilled {
        /// The meters without a bill.
        found: u32,
        /// The minimum.
        least: u32,
    },
    /// A tariff band has too few intervals.
    #[error(
        "a tariff band has {found} intervals, the minimum is {least}: give the band's time to another"
    )]
    FewIntervals {
        /// Intervals of the band.
        found: u32,
        /// The minimum.
        least: u32,
    },
    /// A few of its meters can make up most of it.
    #[error("a few large meters can make up most of it")]
    Dominated,
}
