//! Key files.
//!
//! ```text
//! magic      8 bytes        "CWSECKEY"
//! version    2 bytes        2, little-endian
//! secret     2,048 bytes    the coefficients of the secret: 0, 1, or 255 for −1
//! public     25,600 bytes   the packed public key
//! checksum   32 bytes       SHA-256 of all before
//! ```
//! The checksum finds accidental damage. The mode of the file and its folder protect it from people.
//! Version 1 named a profile and had keys of a 53-bit modulus.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use packed::RING;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{CHECKSUM_LEN, FILE_LEN, HEADER_LEN, KeyFileError, MAGIC, SecretKey, VERSION};
use crate::files::put_in_place;
use crate::{Context, Error, PublicKey};

const MINUS_ONE: u8 = u8::MAX;

/// A file of nothing but a secret with coefficients −1, 0 and 1: after a magic and a version, before a checksum.
pub(super) struct Ternary {
    magic: &'static [u8; 8],
    version: u16,
    coefficients: usize,
    wrong: &'static str,
}

pub(super) const SIGN: Ternary = Ternary {
    magic: b"CWSIGSEC",
    version: 1,
    coefficients: compare::DIMENSION,
    wrong: "it is not a secret of comparisons of this version",
};

pub(super) const LEVELLED: Ternary = Ternary {
    magic: b"CWLVLSEC",
    version: 1,
    coefficients: crate::levelled::DIMENSION,
    wrong: "it is not a secret of levelled ciphertexts of this version",
};

/// Where reading a file ends, so that a wrong one does not fill the memory. None of either version is longer.
const MAX_LEN: u64 = 16 << 20;

pub(super) fn save(key: &SecretKey, path: &Path) -> Result<(), KeyFileError> {
    write(&encode(key), path)
}

fn write(bytes: &[u8], path: &Path) -> Result<(), KeyFileError> {
    let written = put_in_place(path, |file| file.write_all(bytes));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists {
            path: path.to_path_buf(),
        },
        _ => KeyFileError::Io {
            action: "write",
            path: path.to_path_buf(),
            source,
        },
    })
}

impl Ternary {
    fn header(&self) -> Vec<u8> {
        [self.magic.as_slice(), &self.version.to_le_bytes()].concat()
    }

    fn len(&self) -> usize {
        HEADER_LEN + self.coefficients + CHECKSUM_LEN
    }

    pub(super) fn save(&self, coefficients: &[i8], path: &Path) -> Result<(), KeyFileError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.len()));
        bytes.extend_from_slice(&self.header());
        bytes.extend(coefficients.iter().map(|c| c.cast_unsigned()));
        let checksum = Sha256::digest(bytes.as_slice());
        bytes.extend_from_slice(&checksum);
        write(&bytes, path)
    }

    pub(super) fn load(&self, path: &Path) -> Result<Zeroizing<Vec<i8>>, KeyFileError> {
        let bytes = read(path)?;
        let damaged = |problem| KeyFileError::Damaged {
            path: path.to_path_buf(),
            problem,
        };
        if bytes.len() != self.len() || !bytes.starts_with(&self.header()) {
            return Err(damaged(self.wrong));
        }
        let (content, checksum) = bytes.split_at(self.len() - CHECKSUM_LEN);
        if Sha256::digest(content).as_slice() != checksum {
            return Err(damaged("its checksum does not match"));
        }
        let secret = &content[HEADER_LEN..];
        if secret.iter().any(|byte| ![MINUS_ONE, 0, 1].contains(byte)) {
            return Err(damaged("a coefficient of the secret is not -1, 0 or 1"));
        }
        let coefficients = secret.iter().map(|byte| byte.cast_signed()).collect();
        Ok(Zeroizing::new(coefficients))
    }
}

pub(super) fn load(context: &Context, path: &Path) -> Result<SecretKey, KeyFileError> {
    decode(context, &read(path)?, path)
}

pub(super) fn decode(
    context: &Context,
    bytes: &[u8],
    path: &Path,
) -> Result<SecretKey, KeyFileError> {
    let damaged = |problem| KeyFileError::Damaged {
        path: path.to_path_buf(),
        problem,
    };
    let (secret, public) = parse(bytes, path)?.split_at(RING.dimension);
    if secret.iter().any(|byte| ![MINUS_ONE, 0, 1].contains(byte)) {
        return Err(damaged("a coefficient of the secret key is not -1, 0 or 1"));
    }
    let coefficients = secret.iter().map(|&byte| byte.cast_signed()).collect();
    let public = PublicKey::from_packed(context, public)
        .map_err(|_| damaged("a residue of the public key is out of range"))?;
    match SecretKey::from_parts(context, public, Zeroizing::new(coefficients)) {
        Err(Error::NotAPair) => Err(damaged("its secret and public key do not belong together")),
        key => Ok(key?),
    }
}

fn encode(key: &SecretKey) -> Zeroizing<Vec<u8>> {
    // With all its capacity from the start, so that no growth leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_LEN));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend(key.coefficients.iter().map(|c| c.cast_unsigned()));
    bytes.extend_from_slice(key.public.as_packed());
    let checksum = Sha256::digest(bytes.as_slice());
    bytes.extend_from_slice(&checksum);
    bytes
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let io = |source| KeyFileError::Io {
        action: "read",
        path: path.to_path_buf(),
        source,
    };
    // Checked before it is opened, because opening a pipe would wait for a writer.
    let not_a_file = || KeyFileError::NotAFile {
        path: path.to_path_buf(),
    };
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(not_a_file());
    }
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(not_a_file());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Readable {
            path: path.to_path_buf(),
            mode,
        });
    }
    let capacity = usize::try_from(metadata.len().min(MAX_LEN)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(MAX_LEN).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Checks everything around the keys, and returns them.
fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<&'a [u8], KeyFileError> {
    let path = path.to_path_buf();
    let Some((MAGIC, rest)) = bytes.split_first_chunk() else {
        return Err(KeyFileError::NotAKey { path });
    };
    let Some((version, _)) = rest.split_first_chunk() else {
        return Err(KeyFileError::NotAKey { path });
    };
    match u16::from_le_bytes(*version) {
        VERSION => {}
        1 => return Err(KeyFileError::Earlier { path }),
        version => return Err(KeyFileError::Version { path, version }),
    }
    // A missing end is the most common damage, so it has a message of its own.
    if bytes.len() != FILE_LEN {
        let actual = bytes.len();
        return Err(KeyFileError::Length { path, actual });
    }
    let (content, checksum) = bytes.split_at(FILE_LEN - CHECKSUM_LEN);
    if Sha256::digest(content).as_slice() != checksum {
        return Err(KeyFileError::Damaged {
            path,
            problem: "its checksum does not match",
        });
    }
    Ok(&content[HEADER_LEN..])
}
