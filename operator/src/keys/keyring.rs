//! The operator's keys: for each epoch an RLWE pair and a mask key, and the Ed25519 key that signs plan, roster and receipts.
//!
//! They live in `state_dir/operator`, readable by their owner only. The first are made on the first start, later ones by
//! `operator rotate`, both keys of an epoch together; none is ever deleted, because a sum of an old epoch can still come. A
//! person may move any of them to `operator.credentials_dir`, which is only read: a key there takes the place of one of the
//! same name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use masks::MaskSecret;
use openfhe::Context;
use openfhe::secret::SecretKey;
use packed::noise::KeyNorms;
use service::files;
use wire::{EpochPlan, KeyEpoch, MaskKey, SigningKey, VerifyingKey, WindowStart};
use zeroize::Zeroizing;

use super::error::KeyringError;
use super::known;
use super::mask_file;

/// The epoch a new deployment starts with.
pub(crate) const FIRST_EPOCH: KeyEpoch = KeyEpoch(1);

/// The keys of one epoch.
pub(crate) struct EpochKeys {
    /// Decrypts sums of the epoch.
    pub secret: SecretKey,
    /// The public key as the plan carries it.
    pub public: Vec<u8>,
    /// Fingerprint of the ring and the public key.
    pub fingerprint: [u8; 32],
    /// Takes the masks off sums of the epoch.
    pub mask: MaskSecret,
}

impl EpochKeys {
    /// The plan's entry for these keys.
    pub(crate) fn entry(&self, epoch: KeyEpoch, first_window: WindowStart) -> EpochPlan {
        EpochPlan {
            epoch,
            fingerprint: self.fingerprint,
            mask_key: MaskKey(self.mask.public()),
            first_window,
            // A public key has 25,600 bytes.
            key_len: self.public.len() as u32,
        }
    }

    /// How long the key's polynomials are, which the noise of every sum depends on.
    pub(crate) fn norms(&self) -> KeyNorms {
        self.secret.norms()
    }
}

/// All keys the operator holds. Debug output shows no secret.
pub(crate) struct Keyring {
    dir: PathBuf,
    credentials: Option<PathBuf>,
    context: Context,
    signing: SigningKey,
    /// Grows while the thread that takes sums reads: a rotation needs no restart.
    epochs: RwLock<BTreeMap<KeyEpoch, Arc<EpochKeys>>>,
}

impl Keyring {
    /// Opens the keys in `dir`, making the signing key if there is none. Epoch keys come with [`Keyring::epoch`] or
    /// [`Keyring::require`]. Keys in `credentials` are used where they are, and new ones are made in `dir`.
    ///
    /// # Errors
    /// A file cannot be read or written, or others may read it; `credentials` is not a folder; OpenFHE refuses the
    /// ring; or the signing key was made here once and is in neither folder.
    pub(crate) fn open(dir: &Path, credentials: Option<&Path>) -> Result<Self, KeyringError> {
        if let Some(path) = credentials.filter(|path| !path.is_dir()) {
            let path = path.to_owned();
            return Err(KeyringError::CredentialsFolder { path });
        }
        let signing = signing(dir, credentials)?;
        let context = Context::new().map_err(KeyringError::Context)?;
        Ok(Self {
            dir: dir.to_owned(),
            credentials: credentials.map(Path::to_owned),
            context,
            signing,
            epochs: RwLock::default(),
        })
    }

    /// The keys of `epoch`, loaded from their files or made now.
    ///
    /// # Errors
    /// A file cannot be read or written, others may read it, or it is of an earlier version or damaged.
    pub(crate) fn epoch(&self, epoch: KeyEpoch) -> Result<Arc<EpochKeys>, KeyringError> {
        let is_new = self.missing(epoch).is_some();
        let keys = Arc::new(self.load(epoch)?);
        if is_new {
            known::record(&self.dir, &keys.entry(epoch, WindowStart(0)))?;
        }
        self.write().insert(epoch, keys.clone());
        Ok(keys)
    }

    fn load(&self, epoch: KeyEpoch) -> Result<EpochKeys, KeyringError> {
        let mask = self.mask(epoch)?;
        let secret = self.secret(epoch)?;
        let public = secret.public_key();
        Ok(EpochKeys {
            public: public.as_packed().to_vec(),
            fingerprint: public.fingerprint(),
            secret,
            mask,
        })
    }

    fn secret(&self, epoch: KeyEpoch) -> Result<SecretKey, KeyringError> {
        let path = self.dir.join(rlwe_file(epoch));
        let in_file = |cause| KeyringError::Epoch { epoch, cause };
        if let Some(Credential { content, path }) = self.credential(epoch, &rlwe_file(epoch))? {
            return SecretKey::from_content(&self.context, &content, &path).map_err(in_file);
        }
        if path.exists() {
            return SecretKey::load(&self.context, &path).map_err(in_file);
        }
        let made = openfhe::secret::generate(&self.context);
        let (secret, _) = made.map_err(KeyringError::Context)?;
        secret.save(&path).map_err(in_file)?;
        tracing::info!(%epoch, path = %path.display(), "made a new key pair");
        Ok(secret)
    }

    fn mask(&self, epoch: KeyEpoch) -> Result<MaskSecret, KeyringError> {
        let path = self.dir.join(mask_file::name(epoch));
        let in_file = |cause| KeyringError::Mask { epoch, cause };
        if let Some(Credential { content, path }) =
            self.credential(epoch, &mask_file::name(epoch))?
        {
            return mask_file::parse(&content, &path).map_err(in_file);
        }
        if path.exists() {
            return mask_file::load(&path).map_err(in_file);
        }
        let mask = mask_file::make(&path).map_err(in_file)?;
        tracing::info!(%epoch, path = %path.display(), "made a new mask key");
        Ok(mask)
    }

    /// Loads the keys of an epoch that a stored plan names.
    ///
    /// # Errors
    /// As [`Keyring::epoch`]; and a file is missing, or holds another key than the plan says.
    pub(crate) fn require(&self, planned: &EpochPlan) -> Result<(), KeyringError> {
        let epoch = planned.epoch;
        if let Some(path) = self.missing(epoch) {
            return Err(KeyringError::Missing { epoch, path });
        }
        let found = self.epoch(epoch)?.entry(epoch, planned.first_window);
        let differs = |path, planned: &[u8; 32], found: &[u8; 32]| KeyringError::Differs {
            epoch,
            path: self.dir.join(path),
            planned: hex::encode(planned),
            found: hex::encode(found),
        };
        let error = if found.fingerprint != planned.fingerprint {
            differs(rlwe_file(epoch), &planned.fingerprint, &found.fingerprint)
        } else if found.mask_key != planned.mask_key {
            let keys = (planned.mask_key.as_bytes(), found.mask_key.as_bytes());
            differs(mask_file::name(epoch), keys.0, keys.1)
        } else {
            return Ok(known::record(&self.dir, planned)?);
        };
        self.write().remove(&epoch);
        Err(error)
    }

    /// The keys of an epoch, if loaded.
    pub(crate) fn get(&self, epoch: KeyEpoch) -> Option<Arc<EpochKeys>> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        epochs.get(&epoch).cloned()
    }

    /// The key that signs plan, roster and receipts.
    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What everybody else pins.
    pub(crate) fn verifying(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    /// What totals say of who decrypted them.
    pub(crate) fn name(&self) -> String {
        name_of(&self.verifying())
    }

    /// Keeps keys from being added until it is dropped.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized {
        self.epochs.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What encrypts under these keys.
    #[cfg(test)]
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<KeyEpoch, Arc<EpochKeys>>> {
        self.epochs.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a key of the epoch should be, if one is in neither folder.
    pub(crate) fn missing(&self, epoch: KeyEpoch) -> Option<PathBuf> {
        let is_there = |name: &String| {
            let credential = self.credentials.as_ref();
            credential.is_some_and(|folder| folder.join(name).exists())
                || self.dir.join(name).exists()
        };
        let mut names = [rlwe_file(epoch), mask_file::name(epoch)].into_iter();
        let name = names.find(|name| !is_there(name))?;
        Some(self.dir.join(name))
    }

    /// The credential of this name; `None` if there is none.
    fn credential(&self, epoch: KeyEpoch, name: &str) -> Result<Option<Credential>, KeyringError> {
        let Some(folder) = &self.credentials else {
            return Ok(None);
        };
        let path = folder.join(name);
        let content = files::read_credential(&path, MAX_KEY_BYTES)
            .map_err(|cause| KeyringError::Credential { epoch, cause })?;
        if content.is_some() {
            superseded(&self.dir.join(name));
        }
        Ok(content.map(|content| Credential { content, path }))
    }
}

/// A key that is only read.
struct Credential {
    content: Zeroizing<Vec<u8>>,
    path: PathBuf,
}

/// No key file is longer.
pub(crate) const MAX_KEY_BYTES: u64 = 1 << 20;

fn rlwe_file(epoch: KeyEpoch) -> String {
    format!("epoch-{epoch}.key")
}

fn signing(dir: &Path, credentials: Option<&Path>) -> Result<SigningKey, KeyringError> {
    let path = dir.join("signing.key");
    if let Some(credentials) = credentials {
        let found = files::load_signing_credential(&credentials.join("signing.key"), &path);
        if let Some(key) = found.map_err(KeyringError::Signing)? {
            superseded(&path);
            return Ok(key);
        }
    }
    // A new key in its place would be one that nobody trusts.
    if !path.exists() && files::verifying_key_path(&path).exists() {
        return Err(KeyringError::SigningMissing { path });
    }
    files::load_or_create_signing_key(&path).map_err(KeyringError::Signing)
}

fn superseded(path: &Path) {
    if path.exists() {
        tracing::warn!(path = %path.display(), "not used: operator.credentials_dir has this key too; remove one of them");
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        let epochs: Vec<_> = epochs.keys().collect();
        f.debug_struct("Keyring")
            .field("dir", &self.dir)
            .field("epochs", &epochs)
            .finish_non_exhaustive()
    }
}

mod retired;
/// The first 16 hexadecimal digits of an operator's verifying key.
pub(crate) fn name_of(key: &VerifyingKey) -> String {
    key.to_string().chars().take(16).collect()
}

#[cfg(test)]
mod tests;
