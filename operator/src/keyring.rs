//! The operator's keys: a CKKS key pair an epoch, and the Ed25519 key that signs plan, roster and receipts.
//!
//! They live in `state_dir/operator`, readable by their owner only, and are made on the first start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use openfhe::Context;
use openfhe::secret::{KeyFileError, SecretKey};
use packed::Profile;
use wire::{EpochPlan, KeyEpoch, SigningKey, VerifyingKey, WindowStart};

/// The epoch a new deployment starts with.
pub const FIRST_EPOCH: KeyEpoch = KeyEpoch(1);

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// OpenFHE could not make a context or a key.
    #[error("cannot prepare the encryption of profile {profile}: {cause}")]
    Context {
        /// The parameter profile.
        profile: &'static str,
        /// What went wrong.
        cause: openfhe::Error,
    },
    /// A key file cannot be read, written, or must not be used as it is.
    #[error("key epoch {epoch}: {cause}")]
    Epoch {
        /// The epoch.
        epoch: KeyEpoch,
        /// What is wrong with its file.
        cause: KeyFileError,
    },
    /// The plan names an epoch whose key is gone.
    #[error(
        "the plan names key epoch {epoch}, but its key {path} is missing: restore it from a backup. Without it no \
         report of that epoch can ever be read; to start over, use another deployment.state_dir",
        path = path.display()
    )]
    Missing {
        /// The epoch.
        epoch: KeyEpoch,
        /// Where the key should be.
        path: PathBuf,
    },
    /// The key on disk is not the one the plan names.
    #[error(
        "the plan names key epoch {epoch} with fingerprint {planned}, but {path} holds {found}: restore the right file",
        path = path.display()
    )]
    Fingerprint {
        /// The epoch.
        epoch: KeyEpoch,
        /// The file.
        path: PathBuf,
        /// In the plan, hexadecimal.
        planned: String,
        /// On disk, hexadecimal.
        found: String,
    },
    /// The signing key cannot be read, written, or must not be used as it is.
    #[error("{0}")]
    Signing(service::files::KeyFileError),
}

/// The keys of one epoch.
pub struct EpochKeys {
    /// Decrypts sums of the epoch.
    pub secret: SecretKey,
    /// The public key as the plan carries it.
    pub public: Vec<u8>,
    /// Fingerprint of the parameters and the public key.
    pub fingerprint: [u8; 32],
}

/// All keys the operator holds. Debug output shows no secret.
pub struct Keyring {
    dir: PathBuf,
    context: Context,
    profile: &'static Profile,
    signing: SigningKey,
    epochs: BTreeMap<KeyEpoch, EpochKeys>,
}

impl Keyring {
    /// Opens the keys in `dir`, making the signing key if there is none. Epoch keys come with [`Keyring::epoch`] or
    /// [`Keyring::require`].
    ///
    /// # Errors
    /// A file cannot be read or written, or others may read it; OpenFHE refuses the profile.
    pub fn open(dir: &Path, profile: &'static Profile) -> Result<Self, KeyringError> {
        let signing = service::files::load_or_create_signing_key(&dir.join("signing.key"))
            .map_err(KeyringError::Signing)?;
        let context = Context::new(profile).map_err(|cause| KeyringError::Context {
            profile: profile.name,
            cause,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            context,
            profile,
            signing,
            epochs: BTreeMap::new(),
        })
    }

    /// The keys of `epoch`, loaded from their file or made now. Making takes about a second.
    ///
    /// # Errors
    /// The file cannot be read or written, others may read it, or it is of another profile or damaged.
    pub fn epoch(&mut self, epoch: KeyEpoch) -> Result<&EpochKeys, KeyringError> {
        let path = self.path(epoch);
        let in_file = |cause| KeyringError::Epoch { epoch, cause };
        let secret = match path.exists() {
            true => SecretKey::load(&self.context, &path).map_err(in_file)?,
            false => {
                let context = |cause| KeyringError::Context {
                    profile: self.profile.name,
                    cause,
                };
                let (secret, _) = openfhe::secret::generate(&self.context).map_err(context)?;
                secret.save(&path).map_err(in_file)?;
                tracing::info!(%epoch, path = %path.display(), profile = self.profile.name, "made a new key pair");
                secret
            }
        };
        let public = secret.public_key();
        let keys = EpochKeys {
            public: public.to_packed(),
            fingerprint: public.fingerprint(),
            secret,
        };
        Ok(self.epochs.entry(epoch).insert_entry(keys).into_mut())
    }

    /// Loads the key of an epoch that a stored plan names.
    ///
    /// # Errors
    /// As [`Keyring::epoch`]; and the file is missing, or holds another key than the plan says.
    pub fn require(&mut self, planned: &EpochPlan) -> Result<(), KeyringError> {
        let (epoch, path) = (planned.epoch, self.path(planned.epoch));
        if !path.exists() {
            return Err(KeyringError::Missing { epoch, path });
        }
        let found = self.epoch(epoch)?.fingerprint;
        if found != planned.fingerprint {
            self.epochs.remove(&epoch);
            let (planned, found) = (hex::encode(planned.fingerprint), hex::encode(found));
            return Err(KeyringError::Fingerprint {
                epoch,
                path,
                planned,
                found,
            });
        }
        Ok(())
    }

    /// The plan's entry for an epoch whose keys are loaded.
    pub fn entry(&self, epoch: KeyEpoch, first_window: WindowStart) -> Option<EpochPlan> {
        let keys = self.epochs.get(&epoch)?;
        let key_len = u32::try_from(keys.public.len()).ok()?;
        Some(EpochPlan {
            epoch,
            fingerprint: keys.fingerprint,
            first_window,
            key_len,
        })
    }

    /// The keys of an epoch, if loaded.
    pub fn get(&self, epoch: KeyEpoch) -> Option<&EpochKeys> {
        self.epochs.get(&epoch)
    }

    /// The parameter profile of all keys.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// The key that signs plan, roster and receipts.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What everybody else pins.
    pub fn verifying(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    /// The first 16 hexadecimal digits of the verifying key.
    pub fn name(&self) -> String {
        self.verifying().to_string().chars().take(16).collect()
    }

    fn path(&self, epoch: KeyEpoch) -> PathBuf {
        self.dir.join(format!("epoch-{epoch}.key"))
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let epochs: Vec<_> = self.epochs.keys().collect();
        f.debug_struct("Keyring")
            .field("dir", &self.dir)
            .field("epochs", &epochs)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openfhe::PublicKey;
    use std::os::unix::fs::PermissionsExt;

    fn open(dir: &Path) -> Keyring {
        Keyring::open(dir, &packed::ADDITIVE).unwrap()
    }

    #[test]
    fn keys_are_made_once_kept_private_and_decrypt() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = open(dir.path());
        let fingerprint = first.epoch(FIRST_EPOCH).unwrap().fingerprint;
        for name in ["signing.key", "epoch-1.key"] {
            let mode = dir
                .path()
                .join(name)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let mut again = open(dir.path());
        again
            .require(&first.entry(FIRST_EPOCH, WindowStart(0)).unwrap())
            .unwrap();
        assert_eq!(again.verifying(), first.verifying());
        let keys = again.get(FIRST_EPOCH).unwrap();
        assert_eq!(keys.fingerprint, fingerprint);
        let public = PublicKey::from_packed(&again.context, &keys.public).unwrap();
        let ciphertext = again.context.encrypt(&public, &[0.25, -0.5]).unwrap();
        let slots = keys.secret.decrypt(&ciphertext).unwrap();
        assert!((slots[0] - 0.25).abs() < 1e-6 && (slots[1] + 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_key_others_can_read_or_of_another_profile_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut keyring = open(dir.path());
        keyring.epoch(FIRST_EPOCH).unwrap();
        let path = dir.path().join("epoch-1.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            open(dir.path()).epoch(FIRST_EPOCH),
            Err(KeyringError::Epoch { .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut wide = Keyring::open(dir.path(), &packed::ADDITIVE_WIDE).unwrap();
        assert!(matches!(
            wide.epoch(FIRST_EPOCH),
            Err(KeyringError::Epoch { .. })
        ));
    }

    #[test]
    fn a_planned_key_that_is_missing_or_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut keyring = open(dir.path());
        keyring.epoch(FIRST_EPOCH).unwrap();
        let planned = keyring.entry(FIRST_EPOCH, WindowStart(0)).unwrap();
        std::fs::remove_file(dir.path().join("epoch-1.key")).unwrap();
        let mut other = open(dir.path());
        assert!(matches!(
            other.require(&planned),
            Err(KeyringError::Missing { .. })
        ));
        other.epoch(FIRST_EPOCH).unwrap();
        assert!(matches!(
            other.require(&planned),
            Err(KeyringError::Fingerprint { .. })
        ));
    }
}
