//! What a holder keeps in its state folder beside its ledger.
//!
//! - `signing.key`, `exchange.key`: its own keys
//! - `part`: `agreement-N-DIGEST.keys`, its part of the mask keys of one agreement's terms
//! - `closed`: `agreement-N-DIGEST.closed`, that it answers under these terms no longer

mod closed;
mod error;
mod part;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use masks::MaskSecret;
use service::Settings;
use service::files::{self, SIGNING_KEY};
use wire::{Agreement, DeploymentId, Digest, HolderId, Message, SigningKey, Terms};

pub(crate) use closed::Closed;
pub use error::KeysError;
pub(crate) use part::Part;

const EXCHANGE_KEY: &str = "exchange.key";

/// How `exchange.key` begins; the number is the version of its format.
const EXCHANGE_HEAD: &[u8] = b"cipherwatt exchange key 1 ";

/// The head, the digits, and what an editor may add. Bytes.
const MAX_EXCHANGE_KEY: u64 = 128;

/// A holder's state folder, and its own keys.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    pub(crate) deployment: DeploymentId,
    pub(crate) id: HolderId,
    pub(crate) signing: SigningKey,
    /// What others encrypt its parts of the mask keys to.
    pub(crate) exchange: MaskSecret,
}

impl Folder {
    /// Opens the folder that [`make`](Self::make) made.
    pub(crate) fn open(settings: &Settings) -> Result<Self, KeysError> {
        check_made(&path_of(settings))?;
        Self::make(settings)
    }

    /// Reads what is in the folder that [`make`](Self::make) made, and leaves it as it is.
    pub(crate) fn look(settings: &Settings) -> Result<Self, KeysError> {
        let path = path_of(settings);
        check_made(&path)?;
        Self::load(settings, path)
    }

    /// Opens the folder, and makes it and the holder's own keys where they are not there.
    pub(crate) fn make(settings: &Settings) -> Result<Self, KeysError> {
        let path = path_of(settings);
        files::private_folder(&path).map_err(KeysError::at(&path))?;
        Self::load(settings, path)
    }

    fn load(settings: &Settings, path: PathBuf) -> Result<Self, KeysError> {
        Ok(Self {
            signing: files::load_or_create_signing_key(&path.join(SIGNING_KEY))?,
            exchange: exchange_key(&path.join(EXCHANGE_KEY))?,
            deployment: settings.deployment.id.clone(),
            id: settings.holder.id.clone(),
            path,
        })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Signs a part of what holders agree on: its COSE_Sign1.
    pub(crate) fn sign<M: Message>(&self, message: &M) -> Bytes {
        let topic = Agreement::TOPIC;
        let (signed, _) = wire::sign(message, None, &self.deployment, topic, &self.signing);
        signed.into()
    }

    /// The parts that this holder has of mask keys, by the digests of the terms. That it has one says nothing of whether all
    /// holders accepted those terms.
    pub(crate) fn parts(&self) -> Result<BTreeMap<Digest, Part>, KeysError> {
        let mut parts = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path).map_err(KeysError::at(&self.path))? {
            let path = entry.map_err(KeysError::at(&self.path))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "keys")
            {
                let part = Part::load(&path, self)?;
                parts.insert(part.terms.digest(), part);
            }
        }
        Ok(parts)
    }

    /// Keeps a part; it is on disk when this returns.
    pub(crate) fn keep(&self, part: &Part) -> Result<(), KeysError> {
        let path = self.file(&part.terms, "keys");
        let text = part.to_text();
        files::write_atomic(&path, &text, files::PRIVATE).map_err(KeysError::at(&path))
    }

    /// Marks terms as closed; the mark is on disk when this returns.
    pub(crate) fn close(&self, terms: &Terms, closed: &Closed) -> Result<(), KeysError> {
        let path = self.file(terms, "closed");
        let text = closed.to_text();
        files::write_atomic(&path, text.as_bytes(), files::PRIVATE).map_err(KeysError::at(&path))
    }

    /// Two terms may have one number: a proposal that came to nothing, and the one after it.
    fn file(&self, terms: &Terms, extension: &str) -> PathBuf {
        let digest = terms.digest().to_string();
        let name = format!(
            "agreement-{}-{}.{extension}",
            terms.generation,
            &digest[..16]
        );
        self.path.join(name)
    }
}

fn check_made(path: &Path) -> Result<(), KeysError> {
    match path.join(SIGNING_KEY).exists() && path.join(EXCHANGE_KEY).exists() {
        true => Ok(()),
        false => Err(KeysError::None {
            path: path.to_owned(),
        }),
    }
}

/// The folder of the holder that the settings name.
pub(crate) fn path_of(settings: &Settings) -> PathBuf {
    let name = format!("{}-{}", crate::NAME, settings.holder.id);
    settings.deployment.state_dir.join(name)
}

fn exchange_key(path: &Path) -> Result<MaskSecret, KeysError> {
    if let Some(content) = files::read_private(path, MAX_EXCHANGE_KEY)? {
        let secret = files::parse_secret(EXCHANGE_HEAD, &content, path)?;
        return Ok(MaskSecret::from_bytes(&secret));
    }
    let secret = generate()?;
    let text = files::secret_text(EXCHANGE_HEAD, &secret.to_bytes());
    files::write_atomic(path, &text, files::PRIVATE).map_err(KeysError::at(path))?;
    Ok(secret)
}

/// A new secret.
pub(crate) fn generate() -> Result<MaskSecret, KeysError> {
    MaskSecret::generate().map_err(|error| KeysError::Randomness(error.to_string()))
}

#[cfg(test)]
mod tests;
