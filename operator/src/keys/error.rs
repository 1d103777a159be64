//! Why the keys cannot be used.

use std::path::PathBuf;

use openfhe::secret::KeyFileError;
use wire::KeyEpoch;

use super::mask_file::MaskFileError;
use crate::disk::JsonFileError;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// OpenFHE could not make a context or a key.
    #[error("cannot prepare the encryption")]
    Context(#[source] openfhe::Error),
    /// A key file cannot be read, written, or must not be used as it is.
    #[error("the key of epoch {epoch} cannot be used")]
    Epoch {
        epoch: KeyEpoch,
        #[source]
        cause: KeyFileError,
    },
    /// A mask key cannot be read, written, or must not be used as it is.
    #[error("the mask key of epoch {epoch} cannot be used")]
    Mask {
        epoch: KeyEpoch,
        #[source]
        cause: MaskFileError,
    },
    /// The plan names an epoch of which a key is gone.
    #[error(
        "the plan names key epoch {epoch}, but its key {path} is missing: restore it from a backup. Without it no \
         report of that epoch can ever be read; to start over, use another deployment.state_dir",
        path = path.display()
    )]
    Missing { epoch: KeyEpoch, path: PathBuf },
    /// A key on disk is not the one the plan names.
    #[error(
        "the plan names key epoch {epoch} with the public key {planned}, but {path} holds that of {found}: restore the \
         right file",
        path = path.display()
    )]
    Differs {
        epoch: KeyEpoch,
        path: PathBuf,
        /// The mask key, or the fingerprint of the other one, in the plan, hexadecimal.
        planned: String,
        /// On disk, hexadecimal.
        found: String,
    },
    /// A key of a retired epoch is not the one that was used.
    #[error(
        "epoch {epoch} is retired, and its key had {known}, but {path} holds that of {found}: restore the right file. Until then \
         late sums of that epoch cannot be decrypted",
        path = path.display()
    )]
    OtherRetired {
        epoch: KeyEpoch,
        path: PathBuf,
        /// The mask key, or the fingerprint of the other one, as it was recorded, hexadecimal.
        known: String,
        /// On disk, hexadecimal.
        found: String,
    },
    /// The record of the fingerprints cannot be used.
    #[error("the fingerprints of the epochs cannot be used")]
    KnownEpochs(#[from] JsonFileError),
    /// The signing key cannot be read, written, or must not be used as it is.
    #[error(transparent)]
    Signing(service::files::KeyFileError),
    /// The signing key is gone, and its verifying key is not.
    #[error(
        "the signing key {path} is missing, and not in operator.credentials_dir either, but its public half is here: \
         restore it. With another key no gateway and no analytics service would trust this operator",
        path = path.display()
    )]
    SigningMissing { path: PathBuf },
    /// There is no folder of credentials. New keys in their place would be ones that nobody trusts.
    #[error(
        "operator.credentials_dir = {path} is not a folder, so no key was read or made: correct it, or set it to \"\" to \
         keep all keys in the state folder",
        path = path.display()
    )]
    CredentialsFolder { path: PathBuf },
    /// A credential cannot be read, or must not be used as it is.
    #[error("the key of epoch {epoch} cannot be used")]
    Credential {
        epoch: KeyEpoch,
        #[source]
        cause: service::files::KeyFileError,
    },
}
