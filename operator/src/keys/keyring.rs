//! The operator's keys: a CKKS key pair an epoch, and the Ed25519 key that signs plan, roster and receipts.
//!
//! They live in `state_dir/operator`, readable by their owner only. The first are made on the first start, later ones by
//! `operator rotate`; none is ever deleted, because a sum of an old epoch can still come. A person may move any of them
//! to `operator.credentials_dir`, which is only read: a key there takes the place of one of the same name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use openfhe::Context;
use openfhe::secret::SecretKey;
use packed::Profile;
use service::Chain;
use wire::{EpochPlan, KeyEpoch, SigningKey, VerifyingKey, WindowStart};

use super::error::KeyringError;

/// The epoch a new deployment starts with.
pub(crate) const FIRST_EPOCH: KeyEpoch = KeyEpoch(1);

/// The keys of one epoch.
pub(crate) struct EpochKeys {
    /// Decrypts sums of the epoch.
    pub secret: SecretKey,
    /// The public key as the plan carries it.
    pub public: Vec<u8>,
    /// Fingerprint of the parameters and the public key.
    pub fingerprint: [u8; 32],
}

impl EpochKeys {
    /// The plan's entry for these keys.
    pub(crate) fn entry(&self, epoch: KeyEpoch, first_window: WindowStart) -> EpochPlan {
        EpochPlan {
            epoch,
            fingerprint: self.fingerprint,
            first_window,
            // A public key of the largest profile has a few hundred kilobytes.
            key_len: self.public.len() as u32,
        }
    }
}

/// All keys the operator holds. Debug output shows no secret.
pub(crate) struct Keyring {
    dir: PathBuf,
    credentials: Option<PathBuf>,
    context: Context,
    profile: &'static Profile,
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
    /// profile; or the signing key was made here once and is in neither folder.
    pub(crate) fn open(
        dir: &Path,
        credentials: Option<&Path>,
        profile: &'static Profile,
    ) -> Result<Self, KeyringError> {
        if let Some(path) = credentials.filter(|path| !path.is_dir()) {
            let path = path.to_owned();
            return Err(KeyringError::CredentialsFolder { path });
        }
        let signing = signing(dir, credentials)?;
        let context = Context::new(profile).map_err(|cause| KeyringError::Context {
            profile: profile.name,
            cause,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            credentials: credentials.map(Path::to_owned),
            context,
            profile,
            signing,
            epochs: RwLock::default(),
        })
    }

    /// The keys of `epoch`, loaded from their file or made now.
    ///
    /// # Errors
    /// The file cannot be read or written, others may read it, or it is of another profile or damaged.
    pub(crate) fn epoch(&self, epoch: KeyEpoch) -> Result<Arc<EpochKeys>, KeyringError> {
        let path = self.path(epoch);
        let in_file = |cause| KeyringError::Epoch { epoch, cause };
        let secret = match self.credential(epoch)? {
            Some(secret) => secret,
            None if path.exists() => SecretKey::load(&self.context, &path).map_err(in_file)?,
            None => {
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
        let keys = Arc::new(EpochKeys {
            public: public.to_packed(),
            fingerprint: public.fingerprint(),
            secret,
        });
        self.write().insert(epoch, keys.clone());
        Ok(keys)
    }

    /// Loads the key of an epoch that a stored plan names.
    ///
    /// # Errors
    /// As [`Keyring::epoch`]; and the file is missing, or holds another key than the plan says.
    pub(crate) fn require(&self, planned: &EpochPlan) -> Result<(), KeyringError> {
        let epoch = planned.epoch;
        let path = self.path(epoch);
        if !self.has(epoch) {
            return Err(KeyringError::Missing { epoch, path });
        }
        let found = self.epoch(epoch)?.fingerprint;
        if found != planned.fingerprint {
            self.write().remove(&epoch);
            return Err(KeyringError::Fingerprint {
                epoch,
                path,
                planned: hex::encode(planned.fingerprint),
                found: hex::encode(found),
            });
        }
        Ok(())
    }

    /// The plan's entry for an epoch whose keys are loaded.
    pub(crate) fn entry(&self, epoch: KeyEpoch, first_window: WindowStart) -> Option<EpochPlan> {
        Some(self.get(epoch)?.entry(epoch, first_window))
    }

    /// The keys of an epoch, if loaded.
    pub(crate) fn get(&self, epoch: KeyEpoch) -> Option<Arc<EpochKeys>> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        epochs.get(&epoch).cloned()
    }

    /// Loads the keys of the epochs before `first` that have left the plan, for releases that come late. One that cannot
    /// be used is left out with a warning: everything newer works without it.
    pub(crate) fn load_retired(&self, first: KeyEpoch) {
        for epoch in (FIRST_EPOCH.0..first.0).map(KeyEpoch) {
            let path = self.path(epoch);
            if !self.has(epoch) {
                tracing::warn!(%epoch, path = %path.display(), "the key of an old epoch is gone, so late sums of that epoch cannot be decrypted");
            } else if let Err(error) = self.epoch(epoch) {
                tracing::warn!(%epoch, error = %Chain(&error), "the key of an old epoch cannot be used, so late sums of that epoch cannot be decrypted");
            }
        }
    }

    /// The parameter profile of all keys.
    pub(crate) fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// The key that signs plan, roster and receipts.
    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// What everybody else pins.
    pub(crate) fn verifying(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }

    /// The first 16 hexadecimal digits of the verifying key.
    pub(crate) fn name(&self) -> String {
        self.verifying().to_string().chars().take(16).collect()
    }

    /// Keeps keys from being added until it is dropped.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized {
        self.epochs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<KeyEpoch, Arc<EpochKeys>>> {
        self.epochs.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, epoch: KeyEpoch) -> PathBuf {
        self.dir.join(file_name(epoch))
    }

    fn credential_path(&self, epoch: KeyEpoch) -> Option<PathBuf> {
        Some(self.credentials.as_ref()?.join(file_name(epoch)))
    }

    fn has(&self, epoch: KeyEpoch) -> bool {
        let credential = self.credential_path(epoch);
        credential.is_some_and(|path| path.exists()) || self.path(epoch).exists()
    }

    fn credential(&self, epoch: KeyEpoch) -> Result<Option<SecretKey>, KeyringError> {
        let Some(path) = self.credential_path(epoch) else {
            return Ok(None);
        };
        let content = service::files::read_credential(&path, MAX_KEY_BYTES)
            .map_err(|cause| KeyringError::Credential { epoch, cause })?;
        let Some(content) = content else {
            return Ok(None);
        };
        superseded(&self.path(epoch));
        SecretKey::from_content(&self.context, &content, &path)
            .map(Some)
            .map_err(|cause| KeyringError::Epoch { epoch, cause })
    }
}

/// No key file of any profile is longer.
const MAX_KEY_BYTES: u64 = 16 << 20;

fn file_name(epoch: KeyEpoch) -> String {
    format!("epoch-{epoch}.key")
}

fn signing(dir: &Path, credentials: Option<&Path>) -> Result<SigningKey, KeyringError> {
    use service::files;
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

#[cfg(test)]
mod tests {
    use super::*;
    use openfhe::PublicKey;
    use std::os::unix::fs::PermissionsExt;

    fn open(dir: &Path) -> Keyring {
        Keyring::open(dir, None, &packed::ADDITIVE).unwrap()
    }

    #[test]
    fn keys_are_made_once_kept_private_and_decrypt() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path());
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
        let again = open(dir.path());
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
    fn a_second_epoch_is_a_pair_of_its_own_and_retired_ones_are_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = open(dir.path());
        let (old, new) = (
            keyring.epoch(FIRST_EPOCH).unwrap(),
            keyring.epoch(KeyEpoch(2)).unwrap(),
        );
        assert_ne!(old.fingerprint, new.fingerprint);
        let path = dir.path().join("epoch-2.key");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // Asked for again, an epoch is loaded and not made again: a kill between key and plan leaves one pair.
        let again = open(dir.path());
        assert_eq!(
            again.epoch(KeyEpoch(2)).unwrap().fingerprint,
            new.fingerprint
        );
        assert!(again.get(FIRST_EPOCH).is_none());
        again.load_retired(KeyEpoch(2));
        let retired = again.get(FIRST_EPOCH).unwrap();
        assert_eq!(retired.fingerprint, old.fingerprint);
        let public = PublicKey::from_packed(&again.context, &old.public).unwrap();
        let ciphertext = again.context.encrypt(&public, &[0.25]).unwrap();
        assert!((retired.secret.decrypt(&ciphertext).unwrap()[0] - 0.25).abs() < 1e-6);
        let other = new.secret.decrypt(&ciphertext);
        assert!(other.is_err() || other.unwrap()[0].abs() > 1.0);
    }

    #[test]
    fn a_key_others_can_read_or_of_another_profile_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = open(dir.path());
        keyring.epoch(FIRST_EPOCH).unwrap();
        let path = dir.path().join("epoch-1.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            open(dir.path()).epoch(FIRST_EPOCH),
            Err(KeyringError::Epoch { .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let wide = Keyring::open(dir.path(), None, &packed::ADDITIVE_WIDE).unwrap();
        assert!(matches!(
            wide.epoch(FIRST_EPOCH),
            Err(KeyringError::Epoch { .. })
        ));
    }

    #[test]
    fn keys_moved_to_the_credentials_are_used_and_never_made_again() {
        let (dir, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = || Keyring::open(dir.path(), Some(credentials.path()), &packed::ADDITIVE);
        // The first start makes them in the folder of state.
        let made = open().unwrap();
        let fingerprint = made.epoch(FIRST_EPOCH).unwrap().fingerprint;
        let planned = made.entry(FIRST_EPOCH, WindowStart(0)).unwrap();
        for name in ["signing.key", "epoch-1.key"] {
            std::fs::rename(dir.path().join(name), credentials.path().join(name)).unwrap();
        }
        let moved = open().unwrap();
        moved.require(&planned).unwrap();
        assert_eq!(moved.verifying(), made.verifying());
        let keys = moved.get(FIRST_EPOCH).unwrap();
        let public = PublicKey::from_packed(&moved.context, &keys.public).unwrap();
        let ciphertext = moved.context.encrypt(&public, &[0.25]).unwrap();
        assert!((keys.secret.decrypt(&ciphertext).unwrap()[0] - 0.25).abs() < 1e-6);
        assert!(
            !dir.path().join("signing.key").exists() && !dir.path().join("epoch-1.key").exists()
        );
        // A rotation makes its key in the folder of state, and the old one stays where it is.
        moved.epoch(KeyEpoch(2)).unwrap();
        assert!(dir.path().join("epoch-2.key").exists());
        moved.load_retired(KeyEpoch(2));
        assert_eq!(moved.get(FIRST_EPOCH).unwrap().fingerprint, fingerprint);

        // Without the credentials nothing is made in their place.
        assert!(matches!(
            Keyring::open(dir.path(), None, &packed::ADDITIVE),
            Err(KeyringError::SigningMissing { .. })
        ));
        assert!(!dir.path().join("signing.key").exists());
        std::fs::remove_file(credentials.path().join("epoch-1.key")).unwrap();
        assert!(matches!(
            open().unwrap().require(&planned),
            Err(KeyringError::Missing { .. })
        ));
        // One that others can read is refused like any other key.
        let signing = credentials.path().join("signing.key");
        std::fs::set_permissions(&signing, std::fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(open(), Err(KeyringError::Signing(_))));
    }

    #[test]
    fn no_key_is_made_where_the_folder_of_credentials_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("credentials");
        let error = Keyring::open(dir.path(), Some(&missing), &packed::ADDITIVE).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("operator.credentials_dir = /"), "{said}");
        assert!(!dir.path().join("signing.key").exists());
    }

    #[test]
    fn a_planned_key_that_is_missing_or_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = open(dir.path());
        keyring.epoch(FIRST_EPOCH).unwrap();
        let planned = keyring.entry(FIRST_EPOCH, WindowStart(0)).unwrap();
        std::fs::remove_file(dir.path().join("epoch-1.key")).unwrap();
        let other = open(dir.path());
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
