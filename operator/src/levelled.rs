//! Products on ciphertexts that carry no masks: their keys, and opening what was computed with them.
//!
//! With `plan.allow_levelled`, `operator evaluation-keys` makes them too: the secret `levelled.key`, which stays here, and for whoever
//! seals and computes `levelled.keys`, 11.7 MB, whose hash is in the signed list. Without it there are none, nothing can be sealed for
//! them, and nothing is opened. They are of no key epoch.

use std::path::Path;

use anyhow::{Context as _, ensure};
use openfhe::levelled::{Answer, Kind, Levelled, LevelledError, SLOTS};
use openfhe::secret::{KeyFileError, LevelledSecret, generate_levelled};
use service::config::{Plan, Settings};
use wire::Digest;

use crate::disk::{self, DiskError};
use crate::setup::folder;

const SECRET: &str = "levelled.key";

/// The name of the keys for others, which the evaluator knows too.
pub const KEYS: &str = "levelled.keys";

/// The secret, and what may be opened with it.
#[derive(Debug)]
pub struct Opener {
    context: Levelled,
    secret: LevelledSecret,
    /// Contributors of what is opened, at least.
    least: u32,
}

/// What an answer is, in Wh, with its noise: see [`Noise`].
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Contributors.
    pub meters: u32,
    /// Of each slot the sum.
    pub sum_wh: Vec<f64>,
    /// Of each slot the sum of squares, in Wh².
    pub squares_wh2: Vec<f64>,
    /// The energy of each band.
    pub bands_wh: Vec<f64>,
    /// How far these are from the truth.
    pub noise: Noise,
}

/// Standard deviations, at most: of a slot's sum in Wh, of its sum of squares in Wh², of a band in Wh.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "as above")]
pub struct Noise {
    pub sum_wh: f64,
    pub squares_wh2: f64,
    pub band_wh: f64,
}

/// Why an answer is not opened.
#[derive(Debug, thiserror::Error)]
pub enum LevelledRefusal {
    /// It is off.
    #[error(
        "plan.allow_levelled is false: nothing without masks is opened. Read what that would cost in docs/trust.md before setting it"
    )]
    Off,
    /// A small group.
    #[error(
        "{meters} contributors are fewer than {least}, the larger of plan.min_meters and plan.detail_min_meters"
    )]
    TooFew {
        /// Contributors.
        meters: u32,
        /// What they must be.
        least: u32,
    },
    /// The secret.
    #[error(transparent)]
    Secret(#[from] KeyFileError),
    /// It is no answer, or one on more reports than the parameters carry.
    #[error(transparent)]
    Answer(#[from] LevelledError),
}

/// Makes what is missing of the keys in the operator's folder `dir`, those for others in `out`, and returns the hash of these.
///
/// # Errors
/// A file cannot be read or written, is not the one that was `signed`, or is gone; OpenFHE fails.
pub fn make(dir: &Path, out: &Path, signed: Option<Digest>) -> anyhow::Result<Digest> {
    let (secret, keys) = (dir.join(SECRET), out.join(KEYS));
    if secret.exists() {
        let mend = || {
            format!(
                "{} does not hold the levelled keys of {}: move the latter elsewhere to make both again, and give the evaluator the new ones",
                keys.display(),
                secret.display()
            )
        };
        let bytes = disk::read(&keys, Levelled::FILE_LEN as usize).with_context(mend)?;
        let digest = Digest::of(&bytes);
        ensure!(bytes.len() as u64 == Levelled::FILE_LEN, mend());
        ensure!(signed.is_none_or(|signed| signed == digest), mend());
        return Ok(digest);
    }
    if keys.exists() {
        // Of a secret that is gone, or was never written.
        std::fs::remove_file(&keys).map_err(DiskError::at("remove", &keys))?;
    }
    let made = generate_levelled(&Levelled::new()?)?;
    let digest = made.save_keys(&keys)?;
    // Last: with it the keys are complete.
    made.save(&secret)?;
    Ok(Digest(digest))
}

impl Opener {
    /// With the secret in the operator's folder.
    ///
    /// # Errors
    /// [`LevelledRefusal::Off`], or the secret cannot be read.
    pub fn load(settings: &Settings) -> Result<Self, LevelledRefusal> {
        let Plan {
            allow_levelled,
            min_meters,
            detail_min_meters,
            ..
        } = settings.plan;
        if !allow_levelled {
            return Err(LevelledRefusal::Off);
        }
        let context = Levelled::new()?;
        Ok(Self {
            secret: LevelledSecret::load(&context, &folder(settings).join(SECRET))?,
            context,
            least: min_meters.max(detail_min_meters),
        })
    }

    /// Opens what was computed on reports of readings as shares of `reference_wh`.
    ///
    /// Who is in it is what the evaluator says: without masks, nothing here shows whether that is true.
    ///
    /// # Errors
    /// One variant of [`LevelledRefusal`] for each way in which it must not be opened.
    pub fn open(&self, answer: &Answer, reference_wh: u64) -> Result<Opened, LevelledRefusal> {
        let (meters, least) = (answer.reports, self.least);
        if meters < least {
            return Err(LevelledRefusal::TooFew { meters, least });
        }
        let reference = reference_wh as f64;
        let open = |bytes: &[u8], kind, unit: f64| -> Result<_, LevelledError> {
            let sum = self.context.read_computed(bytes, (kind, meters))?;
            let mut values = self.secret.open(&self.context, &sum)?;
            values.iter_mut().for_each(|value| *value *= unit);
            Ok((values, sum.noise() * unit))
        };
        let (sum_wh, of_sum) = open(&answer.sum, Kind::Sum, reference)?;
        let (squares_wh2, of_squares) = open(&answer.squares, Kind::Squares, reference.powi(2))?;
        let (mut bands_wh, mut of_band) = (Vec::new(), 0.0_f64);
        for band in &answer.bands {
            let (slots, noise) = open(band, Kind::Weighed, reference)?;
            // Every slot has the sum; their mean has no more noise than one.
            bands_wh.push(slots.iter().sum::<f64>() / SLOTS as f64);
            of_band = of_band.max(noise);
        }
        Ok(Opened {
            meters,
            sum_wh,
            squares_wh2,
            bands_wh,
            noise: Noise {
                sum_wh: of_sum,
                squares_wh2: of_squares,
                band_wh: of_band,
            },
        })
    }
}

impl Opened {
    /// The variance across the contributors in a slot, in Wh².
    #[must_use]
    pub fn variance_wh2(&self, slot: usize) -> f64 {
        let mean = |of: &[f64]| of[slot] / f64::from(self.meters);
        mean(&self.squares_wh2) - mean(&self.sum_wh).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path) -> Settings {
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = folder.to_owned();
        settings.plan.allow_levelled = true;
        (settings.plan.min_meters, settings.plan.detail_min_meters) = (2, 4);
        settings
    }

    #[test]
    fn levelled_answers_are_opened_only_where_that_is_allowed_and_of_a_group() {
        let state = tempfile::tempdir().unwrap();
        let mut settings = settings(state.path());
        let dir = folder(&settings);
        std::fs::create_dir_all(&dir).unwrap();
        let digest = make(&dir, &dir, None).unwrap();
        assert_eq!(make(&dir, &dir, Some(digest)).unwrap(), digest, "made once");
        let server = Levelled::load(&dir.join(KEYS), &digest.0).unwrap();
        let answer = |reports: u32| {
            let (mut sum, mut squares) = (server.zero().unwrap(), server.zero().unwrap());
            for report in 0..reports {
                let values = [f64::from(report) / 100.0; SLOTS];
                let report = server.read_report(&server.seal(&values).unwrap()).unwrap();
                server.add(&mut sum, &report).unwrap();
                server.add_square(&mut squares, &report).unwrap();
            }
            server.relinearise(&mut squares).unwrap();
            server.rescale(&mut squares).unwrap();
            let [sum, squares] = [&sum, &squares].map(|sum| server.write(sum).unwrap());
            Answer {
                reports,
                sum,
                squares,
                bands: Vec::new(),
            }
        };
        let opener = Opener::load(&settings).unwrap();
        let few = opener.open(&answer(3), 1_000).unwrap_err();
        assert!(
            matches!(
                few,
                LevelledRefusal::TooFew {
                    meters: 3,
                    least: 4
                }
            ),
            "{few}"
        );
        let opened = opener.open(&answer(4), 1_000).unwrap();
        assert!((opened.sum_wh[5] - 60.0).abs() < 1e-3, "{opened:?}");
        // Of 0, 10, 20 and 30.
        assert!((opened.variance_wh2(5) - 125.0).abs() < 1.0, "{opened:?}");
        settings.plan.allow_levelled = false;
        let off = Opener::load(&settings).unwrap_err();
        assert!(matches!(off, LevelledRefusal::Off), "{off}");
    }

    #[test]
    fn levelled_keys_that_are_gone_or_others_are_not_made_again_beside_their_secret() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        make(dir, dir, None).unwrap();
        let other = make(dir, dir, Some(Digest([7; 32]))).unwrap_err();
        assert!(other.to_string().contains("elsewhere"), "{other:#}");
        std::fs::remove_file(dir.join(KEYS)).unwrap();
        let gone = make(dir, dir, None).unwrap_err();
        assert!(gone.to_string().contains("elsewhere"), "{gone:#}");
    }
}
