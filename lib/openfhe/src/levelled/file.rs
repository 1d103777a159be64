//! The file of the keys that reports are encrypted and computed with.
//!
//! ```text
//! magic    8 bytes    "CWLVLKEY"
//! version  2 bytes    1, little-endian
//! public key          16,384 words of 8 bytes, little-endian
//! relinearisation key 180,224 words
//! rotation keys       7 of as many
//! ```
//! 11.7 MB.

use std::io::Read as _;
use std::path::Path;

use super::{KEY_PARTS, KEY_WORDS, Levelled, LevelledError};
use crate::files::{Form, io_error};
#[cfg(feature = "secret")]
use crate::{Error, EvaluationKeyError};

pub(super) const FORM: Form = Form {
    magic: b"CWLVLKEY",
    version: 1,
    len: (Form::HEADER_LEN + 8 * (KEY_WORDS[0] + (KEY_PARTS - 1) * KEY_WORDS[1])) as u64,
};

/// Writes the parts that `part` gives, and returns the SHA-256 of the file.
#[cfg(feature = "secret")]
pub(crate) fn save(
    path: &Path,
    part: impl Fn(usize) -> Result<Vec<u64>, Error>,
) -> Result<[u8; 32], EvaluationKeyError> {
    FORM.save(path, |write| {
        for index in 0..KEY_PARTS {
            let words = part(index)?;
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            write(&bytes).map_err(io_error("write", path))?;
        }
        Ok(())
    })
}

impl Levelled {
    /// Bytes of a file of keys.
    pub const FILE_LEN: u64 = FORM.len;

    /// With the keys in a file with this SHA-256. Its length and its hash are checked before OpenFHE gets anything of it, and each word
    /// is.
    ///
    /// # Errors
    /// It is another file, or cannot be read.
    pub fn load(path: &Path, sha256: &[u8; 32]) -> Result<Self, LevelledError> {
        let mut file = FORM.open(path, sha256)?;
        let mut levelled = Self::new()?;
        for part in 0..KEY_PARTS {
            let mut bytes = vec![0; 8 * KEY_WORDS[usize::from(part > 0)]];
            file.read_exact(&mut bytes)
                .map_err(io_error("read", path))?;
            let (words, _) = bytes.as_chunks();
            let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            levelled.set_key(part, &words)?;
        }
        Ok(levelled)
    }
}
