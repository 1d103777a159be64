//! `mask-N.key`: the operator's mask key of an epoch, 64 hexadecimal digits after what says what they are.

use std::path::Path;

use masks::MaskSecret;
use service::files::{self, KeyFileError};
use wire::KeyEpoch;

/// How the file begins; the number is the version of its format.
const HEAD: &[u8] = b"cipherwatt mask key 1 ";

/// The head, the digits, and what an editor may add.
const MAX_BYTES: u64 = 128;

/// Why a mask key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MaskFileError {
    /// It cannot be read, or must not be used as it is.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It cannot be written.
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskError),
    /// The operating system gives no randomness to make a key of.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
}

/// The file's name in the operator's folder.
pub(super) fn name(epoch: KeyEpoch) -> String {
    format!("mask-{epoch}.key")
}

/// The key in a file that is there.
pub(super) fn load(path: &Path) -> Result<MaskSecret, MaskFileError> {
    let content = files::read_private(path, MAX_BYTES)?;
    parse(&content.unwrap_or_default(), path)
}

/// The key that `content` of the file at `path` is.
pub(super) fn parse(content: &[u8], path: &Path) -> Result<MaskSecret, MaskFileError> {
    let secret = files::parse_secret(HEAD, content, path)?;
    Ok(MaskSecret::from_bytes(&secret))
}

/// Makes a key and writes it to a file that is not there.
pub(super) fn make(path: &Path) -> Result<MaskSecret, MaskFileError> {
    let secret =
        MaskSecret::generate().map_err(|error| MaskFileError::Randomness(error.to_string()))?;
    let text = files::secret_text(HEAD, &secret.to_bytes());
    crate::disk::replace(path, &text)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_key_survives_its_file_and_anything_else_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name(KeyEpoch(7)));
        let made = make(&path).unwrap();
        assert_eq!(load(&path).unwrap().public(), made.public());
        let whole = std::fs::read(&path).unwrap();
        for content in [
            &b""[..],
            &whole[1..],
            &whole[..whole.len() - 2],
            b"cipherwatt mask key 2 ",
        ] {
            crate::disk::replace(&path, content).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains("mask-7.key"), "{error}");
        }
    }
}
