//! The zero checks of sums of reports that the operator added up itself, for the [search](crate::search) for who spoils one.

use packed::{Accumulator, FoldError};
use wire::{Reason, Salt};

use super::under::Under;

/// Opens the zero checks of such sums, and nothing else of them.
pub(crate) struct ChecksOpener<'a>(pub(super) Under<'a>);

impl ChecksOpener<'_> {
    /// An empty sum.
    pub(crate) fn empty(&self) -> Accumulator {
        let encoding = &self.0.encoding;
        Accumulator::new(encoding.profile, encoding.shape.coefficients())
    }

    /// Whether a report can be in a sum at all.
    ///
    /// # Errors
    /// It is of another length, or a value in it is out of range.
    pub(crate) fn check(&self, report: &[u8]) -> Result<(), FoldError> {
        self.empty().add(report)
    }

    /// Whether the zero checks of the sum of these contributors' reports, of each its number and its salt, hold nothing but
    /// noise. The payload goes while its masks are on it.
    ///
    /// # Errors
    /// It cannot be decrypted, or a contributor is not on the feeder.
    pub(crate) fn pass(
        &mut self,
        sum: &Accumulator,
        contributors: impl Iterator<Item = (u32, Salt)>,
    ) -> Result<bool, Reason> {
        let under = &mut self.0;
        let mut residues = under.decrypt(&sum.to_packed(), sum.contributors())?;
        let payload = ..under.encoding.shape.checks().start;
        residues[payload].fill(0);
        under.masks(contributors)?.subtract_from(&mut residues);
        Ok((under.encoding).checks_pass(&residues, sum.contributors(), under.sigma))
    }
}
