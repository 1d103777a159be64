//! Reading and replacing the operator's small files, with errors that name them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}", path = path.display())]
pub struct DiskError {
    /// `read`, `write`, `create`, …
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

/// A file of JSON cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JsonFileError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// It is damaged.
    #[error("{path} is damaged, restore it from a backup", path = path.display())]
    Damaged {
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
}

impl DiskError {
    /// For `map_err`.
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

/// The whole of a file of at most `max` bytes.
///
/// # Errors
/// It cannot be read, or is longer.
pub(crate) fn read(path: &Path, max: usize) -> Result<Vec<u8>, DiskError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(DiskError::at("read", path))?;
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(DiskError::at("read", path))?;
    if bytes.len() > max {
        let long = format!("it has more than {max} bytes");
        let long = io::Error::new(io::ErrorKind::FileTooLarge, long);
        return Err(DiskError::at("read", path)(long));
    }
    Ok(bytes)
}

/// Replaces a file (mode 0600) in one step, creating its folder if there is none.
///
/// # Errors
/// It cannot be written; the old content is then untouched.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    service::files::write_atomic(path, bytes, service::files::PRIVATE)
        .map_err(DiskError::at("write", path))
}

/// What `parse` makes of a file of at most `max` bytes; `None` if there is none.
///
/// # Errors
/// It cannot be read, or is damaged.
pub(crate) fn read_json<T>(
    path: &Path,
    max: usize,
    parse: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>,
) -> Result<Option<T>, JsonFileError> {
    if !path.exists() {
        return Ok(None);
    }
    let parsed = parse(&read(path, max)?).map_err(damaged(path))?;
    Ok(Some(parsed))
}

/// Replaces a file by this value, in one step.
///
/// # Errors
/// It cannot be written; the old content is then untouched.
pub(crate) fn replace_json(path: &Path, value: &impl Serialize) -> Result<(), JsonFileError> {
    let json = serde_json::to_vec(value).map_err(damaged(path))?;
    Ok(replace(path, &json)?)
}

fn damaged(path: &Path) -> impl FnOnce(serde_json::Error) -> JsonFileError {
    let path = path.to_owned();
    move |cause| JsonFileError::Damaged { path, cause }
}

/// Creates a folder that only its owner can enter, and those above it, unless they exist.
///
/// # Errors
/// It cannot be created.
pub(crate) fn create_folder(path: &Path) -> Result<(), DiskError> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    service::files::make_folder(path).map_err(DiskError::at("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_read_back_within_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        replace(&path, b"first").unwrap();
        replace(&path, b"other").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"other");
        let error = read(&path, 4).unwrap_err();
        assert!(error.to_string().ends_with("a/b"), "{error}");
        let cause = error.source.to_string();
        assert_eq!(cause, "it has more than 4 bytes");
    }
}
