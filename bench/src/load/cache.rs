//! What a load run can use again: keys, ciphertexts and signed reports, on disk under the hash of all that decides them.
//!
//! The secret key of the operator and the keys of the meters are in it or follow from the seed, so whoever has the
//! folder can read and forge everything in the run. It is a benchmark's and nothing else's, and its name says so.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use service::files::{PRIVATE, write_atomic};
use wire::Digest;

/// A change of what the files hold changes this, and so the folder's name.
const FORMAT: u32 = 1;

/// Length of the SHA-256 behind each file's content.
pub(crate) const TRAILER: usize = 32;

/// A folder of files, each followed by its SHA-256.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The folder for these inputs, under `parent`.
    pub(crate) fn open(parent: &Path, inputs: &impl Serialize) -> Result<Self> {
        let text = serde_json::to_string(&(FORMAT, inputs))?;
        let name = Digest::of(text.as_bytes()).to_string();
        let folder = parent.join(format!(
            "bench-only-load-{}",
            name.get(..16).unwrap_or(&name)
        ));
        let make = || -> std::io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(
                folder.join("README"),
                format!(
                    "Keys, ciphertexts and signed reports of `bench load`, of no worth to anybody else: never use these \
                     keys. May be removed at any time.\n{text}\n"
                ),
            )
        };
        make().with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Where the file of this name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file's content; `None` if there is none, or it is damaged.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name);
        let mut bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let whole = bytes
            .len()
            .checked_sub(TRAILER)
            .filter(|&len| Digest::of(&bytes[..len]).0 == bytes[len..]);
        let Some(len) = whole else {
            tracing::warn!(path = %path.display(), "a damaged file of the cache is made anew");
            return Ok(None);
        };
        bytes.truncate(len);
        Ok(Some(bytes))
    }

    /// Removes everything: what is made next does not fit the rest.
    pub(crate) fn clear(&self) -> Result<()> {
        let clear = || {
            for entry in std::fs::read_dir(&self.folder)? {
                std::fs::remove_file(entry?.path())?;
            }
            Ok::<_, std::io::Error>(())
        };
        clear().with_context(|| format!("cannot clear {}", self.folder.display()))
    }

    /// Puts a file in place in one step.
    pub(crate) fn write(&self, name: &str, mut content: Vec<u8>) -> Result<()> {
        let digest = Digest::of(&content);
        content.extend_from_slice(&digest.0);
        let path = self.path(name);
        write_atomic(&path, &content, PRIVATE)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_and_a_damaged_one_does_not() {
        let parent = tempfile::tempdir().unwrap();
        let cache = Cache::open(parent.path(), &("seed", 1)).unwrap();
        assert_eq!(cache.read("pool").unwrap(), None);
        cache.write("pool", vec![1, 2, 3]).unwrap();
        let again = Cache::open(parent.path(), &("seed", 1)).unwrap();
        assert_eq!(again.read("pool").unwrap(), Some(vec![1, 2, 3]));
        let other = Cache::open(parent.path(), &("seed", 2)).unwrap();
        assert_eq!(other.read("pool").unwrap(), None);
        let mut bytes = std::fs::read(cache.path("pool")).unwrap();
        for damage in 0..bytes.len() {
            bytes[damage] ^= 1;
            std::fs::write(cache.path("pool"), &bytes).unwrap();
            assert_eq!(cache.read("pool").unwrap(), None, "byte {damage}");
            bytes[damage] ^= 1;
        }
        std::fs::write(cache.path("pool"), [0; TRAILER - 1]).unwrap();
        assert_eq!(cache.read("pool").unwrap(), None);
        cache.write("pool", vec![4]).unwrap();
        cache.clear().unwrap();
        assert_eq!(cache.read("pool").unwrap(), None);
    }
}
