//! Files that must survive a crash, and keys that others must not read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use wire::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// Permissions of files that only their owner may read.
pub const PRIVATE: u32 = 0o600;

/// Permissions of files that anybody may read.
pub const PUBLIC: u32 = 0o644;

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
    /// The file is not a signing key.
    #[error("the key file {path} is not what this program writes: restore it, or remove it to make new keys", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Replaces a file in one step: after a crash there is the old content or the new, never a mixture.
/// The temporary file is created with permissions `mode` beside the target, which must be in an
/// existing folder. Content and folder entry are on disk when this returns.
///
/// # Errors
/// Those of the operating system; the old content is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut replacement = Replacement::begin(path, mode)?;
    replacement.append(bytes)?;
    replacement.finish()
}

/// The new content of a file, written bit by bit; it takes the file's place in one step, as with [`write_atomic`], or
/// is dropped without a trace.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Replacement {
    /// Begins the new content of `path`, with permissions `mode`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn begin(path: &Path, mode: u32) -> io::Result<Self> {
        let temporary = sibling(path)?;
        let file = create_new(&temporary, mode)?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            file,
        })
    }

    /// Adds to it.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Puts it in the file's place; it is on disk when this returns.
    ///
    /// # Errors
    /// Those of the operating system; the old content is then untouched.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        sync_folder(&self.path)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // Renamed, it is there no more.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Removes what processes that were killed left of replacements of `path`. Only for a file that one process writes.
pub fn remove_unfinished(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let mut prefix = name.to_owned().into_encoded_bytes();
    prefix.push(b'.');
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(&prefix) && name.ends_with(b".tmp") {
            // Space is all that is lost if it stays.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The state folder of one process, `{state_dir}/{process}`, created with permissions 0700.
///
/// # Errors
/// Those of the operating system.
pub fn state_folder(state_dir: &Path, process: &str) -> io::Result<PathBuf> {
    let path = state_dir.join(process);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&path)?;
    Ok(path)
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

/// The signing key in `credential`, as [`load_or_create_signing_key`] wrote it; its verifying key is left where that one
/// would leave it for `path`. `None` if there is no such credential.
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
        write_atomic(&public, text.as_bytes(), PUBLIC).map_err(|source| KeyFileError::Io {
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
            let text = Zeroizing::new(hex::encode(*key.to_bytes()) + "\n");
            create(path, text.as_bytes()).map_err(io)?;
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
    let malformed = |_| KeyFileError::Malformed {
        path: path.to_owned(),
    };
    let mut seed = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(text.trim_ascii_end(), seed.as_mut_slice()).map_err(malformed)?;
    Ok(SigningKey::from_bytes(&seed))
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

/// Writes a file that must not exist yet, in one step; an existing one is left alone.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = sibling(path)?;
    write_new(&temporary, bytes, PRIVATE)?;
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(path),
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = create_new(path, mode)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(path)
}

/// A name beside `path` that no other writer uses.
fn sibling(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut temporary = name.to_owned();
    let unique: u64 = rand::random();
    temporary.push(format!(".{unique:016x}.tmp"));
    Ok(path.with_file_name(temporary))
}

/// Makes the entry of the file `path` in its folder durable.
///
/// # Errors
/// Those of the operating system.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    #[test]
    fn writing_replaces_the_whole_file_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomic(&path, b"a longer first content", PRIVATE).unwrap();
        write_atomic(&path, b"second", PRIVATE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(mode(&path), PRIVATE);
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::create_dir(&path).unwrap();
        assert!(write_atomic(&path, b"new", PRIVATE).is_err());
        assert_eq!(names(folder.path()), ["file"]);
        assert!(write_atomic(&folder.path().join("no/such/folder"), b"", PRIVATE).is_err());
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

    #[test]
    fn state_folders_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = state_folder(&folder.path().join("state"), "gateway-1").unwrap();
        assert_eq!(mode(&path), 0o700);
        state_folder(&folder.path().join("state"), "gateway-1").unwrap();
    }
}
