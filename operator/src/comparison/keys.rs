//! `operator evaluation-keys`: the secret that encrypted bits are under, and the keys that the evaluator computes them with.
//!
//! The secret stays in the operator's folder, as `comparison.key`. The folder `evaluation` beside it is for the evaluator: `sign.keys`,
//! 1.1 GB, made once; `switch-{epoch}.key`, 72 kB, one for each key epoch; with `plan.allow_levelled` those of [`crate::levelled`]; and
//! `keys.signed`, in which the operator signs the hash of each.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use openfhe::secret::{KeyFileError, SignSecret, generate_sign};
use service::config::Settings;
use service::files::private_folder;
use wire::{Digest, EvaluationKeys, KeyEpoch};

use crate::disk::{self, DiskError};
use crate::error::OperatorError;
use crate::keys::keyring::{FIRST_EPOCH, Keyring};
use crate::levelled;
use crate::plan::book::PlanBook;
use crate::setup::folder;

const SECRET: &str = "comparison.key";

/// The folder for the evaluator.
const FOLDER: &str = "evaluation";

/// Names in it, which the evaluator knows too.
pub const SIGNS: &str = "sign.keys";
/// The signed list of hashes.
pub const SIGNED: &str = "keys.signed";

const MAX_SIGNED: usize = 1 << 20;

/// The secret, if it was made.
pub(super) fn secret(dir: &Path) -> Result<Option<SignSecret>, OperatorError> {
    let path = dir.join(SECRET);
    match path.exists() {
        true => SignSecret::load(&path)
            .map(Some)
            .map_err(OperatorError::Comparison),
        false => Ok(None),
    }
}

/// Makes what is missing of the keys: those of new epochs, or all.
///
/// # Errors
/// A file cannot be read or written, or is not what it should be; OpenFHE fails.
pub fn make(settings: &Settings) -> anyhow::Result<()> {
    let dir = folder(settings);
    let credentials = settings.operator.credentials_dir.as_deref();
    private_folder(&dir)?;
    let keyring = Keyring::open(&dir, credentials)?;
    if !PlanBook::is_stored(&dir) {
        // Of a deployment that is yet to begin: the operator uses it then.
        keyring.epoch(FIRST_EPOCH)?;
    }
    let out = dir.join(FOLDER);
    disk::create_folder(&out)?;
    let signed_file = out.join(SIGNED);
    let deployment = &settings.deployment.id;
    let (secret, signs, levelled) = match secret(&dir)? {
        Some(secret) => {
            let bytes = disk::read(&signed_file, MAX_SIGNED).with_context(|| {
                format!(
                    "the evaluation keys of {} are gone: move {} elsewhere to make both again, and give the evaluator the new ones",
                    dir.join(SECRET).display(),
                    dir.join(SECRET).display()
                )
            })?;
            let unverified = wire::decode::<EvaluationKeys>(&bytes, MAX_SIGNED)?;
            let opened =
                unverified.verify(deployment, EvaluationKeys::PLACE, &keyring.verifying())?;
            (secret, opened.message.signs, opened.message.levelled)
        }
        None => {
            let (secret, signs) = generate(&dir, &out)?;
            (secret, signs, None)
        }
    };
    let levelled = match settings.plan.allow_levelled {
        true => Some(levelled::make(&dir, &out, levelled)?),
        false => None,
    };
    let switches = switches(&secret, &keyring, &out)?;
    let keys = EvaluationKeys {
        signs,
        levelled,
        switches,
    };
    let (sealed, _) = wire::seal(
        &keys,
        None,
        deployment,
        EvaluationKeys::PLACE,
        keyring.signing(),
    );
    disk::replace(&signed_file, &sealed)?;
    println!(
        "evaluation keys of {} key epochs are in {}: copy the folder to the evaluator's machine, as `evaluator.keys_dir`. \
         They decrypt nothing. After `operator rotate`, run this again and copy what is new",
        keys.switches.len(),
        out.display()
    );
    Ok(())
}

/// Makes the switching keys of new epochs; the hashes of all.
fn switches(
    secret: &SignSecret,
    keyring: &Keyring,
    out: &Path,
) -> anyhow::Result<Vec<(KeyEpoch, Digest)>> {
    let mut switches = Vec::new();
    for epoch in (FIRST_EPOCH.0..).map(KeyEpoch) {
        if keyring.missing(epoch).is_some() {
            break;
        }
        let path = out.join(switch_file(epoch));
        if !path.exists() {
            let key = secret.switch_key(&keyring.epoch(epoch)?.secret)?;
            disk::replace(&path, &key.to_bytes())?;
        }
        let bytes = disk::read(&path, MAX_SIGNED)?;
        switches.push((epoch, Digest::of(&bytes)));
    }
    Ok(switches)
}

/// The name of an epoch's switching key.
pub fn switch_file(epoch: KeyEpoch) -> String {
    format!("switch-{epoch}.key")
}

fn generate(dir: &Path, out: &Path) -> anyhow::Result<(SignSecret, Digest)> {
    eprintln!(
        "making evaluation keys: a quarter to one minute, 1.7 GB of memory and 1.1 GB of disk"
    );
    let (secret, keys) = generate_sign()?;
    let path: PathBuf = out.join(SIGNS);
    if path.exists() {
        // Of a secret that is gone.
        std::fs::remove_file(&path).map_err(DiskError::at("remove", &path))?;
    }
    let is_seen = std::io::stderr().is_terminal();
    let mut shown = 0;
    let sha256 = keys.save(&path, &mut |share| {
        let done = (share * 100.0) as u32;
        if is_seen && done > shown {
            shown = done;
            eprint!("\rwriting {}: {done} %", path.display());
            let _ = std::io::stderr().flush();
        }
    })?;
    if is_seen {
        eprintln!();
    }
    // Last: with it the keys are complete.
    secret
        .save(&dir.join(SECRET))
        .map_err(|error: KeyFileError| OperatorError::Comparison(error))?;
    Ok((secret, Digest(sha256)))
}
