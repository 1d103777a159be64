//! Files that must survive a crash, and keys that others must not read.

mod folders;
mod keys;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub(crate) use folders::make_private;
pub use folders::{give_to_owner_of_folder, make_folder, private_folder, state_folder};
pub use keys::{
    KeyFileError, SIGNING_KEY, load_or_create_signing_key, load_signing_credential,
    load_verifying_key, parse_secret, read_credential, read_private, secret_text,
    verifying_key_path,
};

/// Permissions of files that only their owner may read.
pub const PRIVATE: u32 = 0o600;

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
pub(crate) struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Replacement {
    /// Begins the new content of `path`, with permissions `mode`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn begin(path: &Path, mode: u32) -> io::Result<Self> {
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
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Puts it in the file's place; it is on disk when this returns.
    ///
    /// # Errors
    /// Those of the operating system; the old content is then untouched.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        sync_folder(&self.path)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // Once it is renamed there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Removes the temporary files that killed processes left beside `path`. Only for a file that one process writes.
pub(crate) fn remove_unfinished(path: &Path) {
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

/// Writes a file that must not exist yet, with permissions `mode`.
///
/// # Errors
/// Those of the operating system, among them that it exists.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = create_new(path, mode)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path)?;
    give_to_owner_of_folder(path)?;
    Ok(file)
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

/// Makes the directory entry of the file `path` durable.
///
/// # Errors
/// Those of the operating system.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

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
}
