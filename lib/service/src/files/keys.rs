//! Keys in files: read only where nobody else can read them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use wire::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::{PRIVATE, create, write_atomic};

/// The name of a process's signing key in its folder of state.
pub const SIGNING_KEY: &str = "signing.key";

/// Longest file of a signing key: 64 hex digits and what an editor may add. Bytes.
const MAX_SIGNING_KEY: u64 = 100;

/// A signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("cannot use the key file {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner may read the file.
    #[error(
        "the key file {path} has permissions {mode:03o}: others can read it; run `chmod 600 {path}`, \
         or make a new key if it may have been read",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is of a later version of this program.
    #[error(
        "the key file {path} has format {format}, which a later version of this program writes: run that version, or restore \
         the file from before it ran",
        path = path.display()
    )]
    Later {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// The file is not a signing key.
    #[error("the key file {path} is not what this program writes: restore it, or remove it to make new keys", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Where [`load_or_create_signing_key`] leaves the verifying key: `signing.pub` for `signing.key`.
pub fn verifying_key_path(signing: &Path) -> PathBuf {
    signing.with_extension("pub")
}

/// The signing key in `path`, which is created with a new key if there is none. Its verifying key is
/// left beside it as 64 hex digits, in the file that [`verifying_key_path`] names.
///
/// # Errors
/// A file that others can read, that is not a key, or that cannot be read or written.
pub fn load_or_create_signing_key(path: &Path) -> Result<SigningKey, KeyFileError> {
    let key = load_or_create(path)?;
    leave_verifying_key(path, &key)?;
    Ok(key)
}

/// The signing key in `credential`, in the form that [`load_or_create_signing_key`] writes. Its verifying key is left where
/// that function leaves the one of `path`. `None` if there is no such credential.
///
/// # Errors
/// A credential that others can read, that is not a key, or that cannot be read; those of writing the verifying key.
pub fn load_signing_credential(
    credential: &Path,
    path: &Path,
) -> Result<Option<SigningKey>, KeyFileError> {
    let Some(text) = read_credential(credential, MAX_SIGNING_KEY)? else {
        return Ok(None);
    };
    let key = parse_signing_key(credential, &text)?;
    leave_verifying_key(path, &key)?;
    Ok(Some(key))
}

/// The verifying key that was left for the signing key in `path`; `None` if none was.
///
/// # Errors
/// A file that cannot be read, or that is not a verifying key.
pub fn load_verifying_key(path: &Path) -> Result<Option<VerifyingKey>, KeyFileError> {
    let public = verifying_key_path(path);
    match fs::read_to_string(&public) {
        Ok(text) => text
            .trim_end()
            .parse()
            .map(Some)
            .map_err(|_| KeyFileError::Malformed { path: public }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Io {
            path: public,
            source,
        }),
    }
}

fn leave_verifying_key(path: &Path, key: &SigningKey) -> Result<(), KeyFileError> {
    let public = verifying_key_path(path);
    let text = format!("{}\n", key.verifying_key());
    if fs::read(&public).ok().as_deref() != Some(text.as_bytes()) {
        write_atomic(&public, text.as_bytes(), PRIVATE).map_err(|source| KeyFileError::Io {
            path: public,
            source,
        })?;
    }
    Ok(())
}

fn load_or_create(path: &Path) -> Result<SigningKey, KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    match File::open(path) {
        Ok(file) => load(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate();
            create(path, &secret_text(b"", &key.to_bytes())).map_err(io)?;
            // Another process may have been first; what is in the file counts.
            load(path, File::open(path).map_err(io)?)
        }
        Err(error) => Err(io(error)),
    }
}

fn load(path: &Path, file: File) -> Result<SigningKey, KeyFileError> {
    let text = read_open(path, file, MAX_SIGNING_KEY, Readers::Owner)?;
    parse_signing_key(path, &text)
}

fn parse_signing_key(path: &Path, text: &[u8]) -> Result<SigningKey, KeyFileError> {
    parse_secret(b"", text, path).map(|seed| SigningKey::from_bytes(&seed))
}

/// The 32 secret bytes in `content`, of the file at `path`: 64 hexadecimal digits after `head`, as [`secret_text`] wrote them.
///
/// # Errors
/// [`KeyFileError::Malformed`].
pub fn parse_secret(
    head: &[u8],
    content: &[u8],
    path: &Path,
) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let malformed = || KeyFileError::Malformed {
        path: path.to_owned(),
    };
    let digits = content.strip_prefix(head).ok_or_else(malformed)?;
    let mut secret = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(digits.trim_ascii_end(), secret.as_mut_slice())
        .map_err(|_| malformed())?;
    Ok(secret)
}

/// The content of a file of 32 secret bytes: `head`, which says what they are, 64 hexadecimal digits, and the end of the line.
pub fn secret_text(head: &[u8], secret: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut digits = Zeroizing::new([0_u8; 64]);
    // 32 bytes are 64 digits.
    let _ = hex::encode_to_slice(secret, digits.as_mut_slice());
    // With all its capacity from the start, so that no growth leaves a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(head.len() + digits.len() + 1));
    text.extend_from_slice(head);
    text.extend_from_slice(digits.as_slice());
    text.push(b'\n');
    text
}

/// The content of a file that only its owner may read; `None` if there is no such file.
///
/// # Errors
/// A file that others can read, that is longer than `limit` bytes, or that cannot be read.
pub fn read_private(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
    read_if_there(path, limit, Readers::Owner)
}

/// As [`read_private`], for a file in systemd's folder of credentials. Those belong to root there and are shared with the
/// service's user by an access control list, whose mask shows as read permission of the group.
///
/// # Errors
/// Those of [`read_private`].
pub fn read_credential(
    path: &Path,
    limit: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
    read_if_there(path, limit, Readers::OwnerAndList)
}

/// Who may be able to read a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Owner,
    /// The owner, and whom root has put on the access control list of a file of its own.
    OwnerAndList,
}

fn read_if_there(
    path: &Path,
    limit: u64,
    readers: Readers,
) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFileError> {
    match File::open(path) {
        Ok(file) => read_open(path, file, limit, readers).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

fn read_open(
    path: &Path,
    mut file: File,
    limit: u64,
    readers: Readers,
) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let metadata = file.metadata().map_err(io)?;
    let mode = metadata.mode() & 0o777;
    let listed = readers == Readers::OwnerAndList && metadata.uid() == 0;
    let exposed = mode & if listed { 0o037 } else { 0o077 };
    if exposed != 0 {
        return Err(KeyFileError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    if metadata.len() > limit {
        return Err(KeyFileError::Malformed {
            path: path.to_owned(),
        });
    }
    // Of the final size from the start, so that no copy of a secret is left behind by growing.
    let mut content = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
    (&mut file)
        .take(limit)
        .read_to_end(&mut content)
        .map_err(io)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::PRIVATE;
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_signing_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        let made = load_or_create_signing_key(&path).unwrap();
        let loaded = load_or_create_signing_key(&path).unwrap();
        assert_eq!(made.verifying_key(), loaded.verifying_key());
        assert_eq!(mode(&path), PRIVATE);
        let public = fs::read_to_string(folder.path().join("signing.pub")).unwrap();
        assert_eq!(public.trim_end().parse(), Ok(made.verifying_key()));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        load_or_create_signing_key(&path).unwrap();
        for open in [0o640, 0o604, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let error = load_or_create_signing_key(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Exposed { mode, .. } if mode == open));
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        for content in [
            "",
            "0123",
            &"zz".repeat(32),
            &"00".repeat(33),
            &"a".repeat(1_000),
        ] {
            write_atomic(&path, content.as_bytes(), PRIVATE).unwrap();
            let error = load_or_create_signing_key(&path).unwrap_err();
            assert!(
                matches!(error, KeyFileError::Malformed { .. }),
                "{content}: {error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_credential_is_read_where_it_is_and_leaves_its_public_half() {
        let folder = tempfile::tempdir().unwrap();
        let (credentials, state) = (folder.path().join("c"), folder.path().join("s"));
        fs::create_dir(&credentials).unwrap();
        fs::create_dir(&state).unwrap();
        let (credential, path) = (credentials.join("signing.key"), state.join("signing.key"));
        assert!(
            load_signing_credential(&credential, &path)
                .unwrap()
                .is_none()
        );
        assert_eq!(load_verifying_key(&path).unwrap(), None);
        let made = load_or_create_signing_key(&path).unwrap().verifying_key();
        fs::rename(&path, &credential).unwrap();
        fs::remove_file(verifying_key_path(&path)).unwrap();
        fs::set_permissions(&credential, fs::Permissions::from_mode(0o400)).unwrap();
        let loaded = load_signing_credential(&credential, &path)
            .unwrap()
            .unwrap();
        assert_eq!(loaded.verifying_key(), made);
        assert_eq!(load_verifying_key(&path).unwrap(), Some(made));
        assert!(!path.exists());
        // As systemd shows one that root shares by an access control list: 0440, but only if it is root's.
        fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).unwrap();
        let root = fs::metadata(&credential).unwrap().uid() == 0;
        assert_eq!(load_signing_credential(&credential, &path).is_ok(), root);
        for open in [0o444, 0o460, 0o404] {
            fs::set_permissions(&credential, fs::Permissions::from_mode(open)).unwrap();
            let error = load_signing_credential(&credential, &path).unwrap_err();
            assert!(
                matches!(error, KeyFileError::Exposed { .. }),
                "{open:o}: {error}"
            );
        }
    }
}
