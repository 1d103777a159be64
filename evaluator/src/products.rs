//! What is computed on levelled reports: their sum, the sum of their squares, and what is in each tariff band, under evaluation keys.

use std::fmt;
use std::path::Path;

use openfhe::levelled::{Answer, Levelled, LevelledError, SLOTS, Sum};
use wire::{DeploymentId, VerifyingKey};

use crate::{EvaluatorError, keys};

/// The keys that products are computed with.
pub struct Products {
    levelled: Levelled,
}

/// The reports of one feeder and window, added up so far.
#[derive(Debug)]
pub struct Reports<'a> {
    levelled: &'a Levelled,
    sum: Sum,
    squares: Sum,
    count: u32,
}

impl Products {
    /// With the keys in the operator's folder `dir`, if it signed some.
    ///
    /// # Errors
    /// A file cannot be read, or is not what the operator signed.
    pub fn load(
        dir: &Path,
        deployment: &DeploymentId,
        operator: &VerifyingKey,
    ) -> Result<Option<Self>, EvaluatorError> {
        let signed = keys::signed(dir, deployment, operator)?;
        let Some(digest) = signed.levelled else {
            return Ok(None);
        };
        let levelled = Levelled::load(&dir.join("levelled.keys"), &digest.0)?;
        Ok(Some(Self { levelled }))
    }

    /// None added up yet.
    ///
    /// # Errors
    /// OpenFHE fails.
    pub fn reports(&self) -> Result<Reports<'_>, LevelledError> {
        Ok(Reports {
            levelled: &self.levelled,
            sum: self.levelled.zero()?,
            squares: self.levelled.zero()?,
            count: 0,
        })
    }

    /// The same keys, to seal with.
    #[must_use]
    pub fn levelled(&self) -> &Levelled {
        &self.levelled
    }
}

impl Reports<'_> {
    /// Adds a report and its square. One that is refused has changed nothing.
    ///
    /// # Errors
    /// It is no report, or one more than the parameters carry.
    pub fn add(&mut self, report: &[u8]) -> Result<(), LevelledError> {
        let report = self.levelled.read_report(report)?;
        // Of the two, this one has less room.
        self.levelled.add_square(&mut self.squares, &report)?;
        self.levelled.add(&mut self.sum, &report)?;
        self.count += 1;
        Ok(())
    }

    /// Completes the sums, and adds up the slots of each band: of those whose weight is 1.
    ///
    /// # Errors
    /// There is no report, or more of them than the parameters carry for bands.
    pub fn compute(mut self, bands: &[[f64; SLOTS]]) -> Result<Answer, LevelledError> {
        let levelled = self.levelled;
        levelled.relinearise(&mut self.squares)?;
        levelled.rescale(&mut self.squares)?;
        let band = |weights: &[f64; SLOTS]| {
            let mut band = levelled.zero()?;
            levelled.add(&mut band, &self.sum)?;
            levelled.weigh(&mut band, weights)?;
            levelled.sum_slots(&mut band)?;
            levelled.rescale(&mut band)?;
            levelled.write(&band)
        };
        Ok(Answer {
            reports: self.count,
            bands: bands.iter().map(band).collect::<Result<_, _>>()?,
            sum: levelled.write(&self.sum)?,
            squares: levelled.write(&self.squares)?,
        })
    }
}

impl fmt::Debug for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Products").finish_non_exhaustive()
    }
}
