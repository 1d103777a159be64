//! What an attack got.

use wire::Total;

/// What an attack got, and what it met with.
#[derive(Debug)]
pub(super) struct Gain {
    /// What it got; `None`: nothing.
    pub(super) got: Option<String>,
    /// What became of it, in the words of whoever answered.
    pub(super) met: String,
}

impl Gain {
    /// Something, if it `is` what was wanted.
    pub(super) fn of(is: bool, got: impl Into<String>, met: impl Into<String>) -> Self {
        Self {
            got: is.then(|| got.into()),
            met: met.into(),
        }
    }

    /// The readings of a home, if what was computed are the true ones.
    pub(super) fn readings(
        computed: Option<&[i64]>,
        truth: &[i64],
        of: impl std::fmt::Display,
        met: impl Into<String>,
    ) -> Self {
        let got = format!("{} readings of {of}, to the Wh: {truth:?}", truth.len());
        Self::of(computed == Some(truth), got, met)
    }
}

/// The energies of a total in Wh, if all are shown.
pub(super) fn energies(total: Option<&Total>) -> Option<Vec<i64>> {
    total?.energy_wh.iter().copied().collect()
}
