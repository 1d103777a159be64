//! Products on reports without masks: with the parts of the operator and the evaluator that do it and their files
//! of keys. No message carries such a report, so there is none between them here either.

use anyhow::{Context as _, Result, ensure};
use evaluator::Products;
use openfhe::levelled::SLOTS;
use operator::levelled::{Opener, make};
use service::config::Settings;
use tempfile::TempDir;
use wire::{Digest, EvaluationKeys, SigningKey};

/// Operator and evaluator, with the keys that the one made for the other.
#[derive(Debug)]
pub struct Parties {
    /// With the operator's signed keys; [`Products::levelled`] seals with them.
    pub products: Products,
    /// With the operator's secret.
    pub opener: Opener,
    _state: TempDir,
}

impl Parties {
    /// Makes all keys, and reads them as the processes would. Takes a second.
    ///
    /// # Errors
    /// OpenFHE fails, or a file cannot be written.
    pub fn new(settings: &Settings) -> Result<Self> {
        let state = TempDir::new()?;
        let mut settings = settings.clone();
        settings.deployment.state_dir = state.path().to_owned();
        settings.plan.allow_levelled = true;
        let dir = operator::folder(&settings);
        std::fs::create_dir_all(&dir)?;
        let keys = EvaluationKeys {
            // Nothing here compares.
            signs: Digest([0; 32]),
            levelled: Some(make(&dir, &dir, None)?),
            switches: Vec::new(),
        };
        let (operator, deployment) = (SigningKey::generate(), &settings.deployment.id);
        let (signed, _) = wire::seal(&keys, None, deployment, EvaluationKeys::PLACE, &operator);
        std::fs::write(dir.join(operator::comparison::keys::SIGNED), signed)?;
        let products = Products::load(&dir, deployment, &operator.verifying_key())?;
        Ok(Self {
            products: products.context("the signed list has no levelled keys")?,
            opener: Opener::load(&settings)?,
            _state: state,
        })
    }

    /// A report of these readings, as shares of the reference; the slots beyond are zero.
    ///
    /// # Errors
    /// There are more of them than slots, or one is larger than the reference.
    pub fn seal(&self, wh: &[i64], reference_wh: u64) -> Result<Vec<u8>> {
        ensure!(wh.len() <= SLOTS, "{} readings are too many", wh.len());
        let mut slots = [0.0; SLOTS];
        for (slot, wh) in slots.iter_mut().zip(wh) {
            *slot = *wh as f64 / reference_wh as f64;
        }
        Ok(self.products.levelled().seal(&slots)?)
    }
}
