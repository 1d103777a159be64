//! Key files.
//!
//! ```text
//! magic      8 bytes   "CWSECKEY"
//! version    2 bytes   1, little-endian
//! name       1 + n     length and name of the profile
//! secret     8 × L×N   residues of the secret polynomial, little-endian
//! public               packed limbs of the public key
//! checksum   32 bytes  SHA-256 of all before
//! ```
//! The checksum finds accidental damage. The mode of the file and its folder protect it from people.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use packed::Profile;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KeyFileError, SecretKey, VERSION, secret_words};
use crate::{Context, Error, PublicKey};

const MAGIC: &[u8; 8] = b"CWSECKEY";
const CHECKSUM_LEN: usize = 32;

/// No key file of any profile is longer.
const MAX_LEN: u64 = 16 << 20;

pub(super) fn save(key: &SecretKey, path: &Path) -> Result<(), KeyFileError> {
    let bytes = encode(key)?;
    let io = |source| KeyFileError::Io {
        action: "write",
        path: path.to_path_buf(),
        source,
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Created with mode 0600, and removed again if anything below fails.
    let mut file = tempfile::Builder::new()
        .prefix(".key-")
        .tempfile_in(folder)
        .map_err(io)?;
    file.write_all(&bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist_noclobber(path)
        .map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists {
                path: path.to_path_buf(),
            },
            _ => io(e.error),
        })?;
    // A new name in a folder is durable only after a sync of the folder.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io)
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
    let parts = parse(bytes, path)?;
    let profile = context.profile();
    if parts.profile != profile.name {
        return Err(KeyFileError::Profile {
            path: path.to_path_buf(),
            expected: profile.name,
            actual: parts.profile.to_owned(),
        });
    }
    let expected = file_len(profile);
    if bytes.len() != expected {
        return Err(KeyFileError::Length {
            path: path.to_path_buf(),
            expected,
            actual: bytes.len(),
        });
    }
    let (secret, public) = parts.keys.split_at(8 * secret_words(profile));
    let (words, _) = secret.as_chunks::<8>();
    let words = words.iter().copied().map(u64::from_le_bytes);
    let words: Zeroizing<Vec<u64>> = Zeroizing::new(words.collect());
    let in_range = words
        .chunks_exact(profile.ring_dimension)
        .zip(profile.moduli)
        .all(|(limb, modulus)| limb.iter().all(|word| word < modulus));
    if !in_range {
        return Err(damaged("a residue of the secret key is out of range"));
    }
    let public = PublicKey::from_packed(context, public)
        .map_err(|_| damaged("a residue of the public key is out of range"))?;
    let key = SecretKey::from_words(context, public, &words)?;
    if !is_pair(context, &key)? {
        return Err(damaged("its secret and public key do not belong together"));
    }
    Ok(key)
}

fn encode(key: &SecretKey) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let profile = key.profile();
    let name = profile.name.as_bytes();
    // With all its capacity from the start, so that no growth leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(file_len(profile)));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    // Profile names are compiled in and short.
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(name);
    for word in key.words()?.iter() {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(key.public_key().as_packed());
    let checksum = Sha256::digest(bytes.as_slice());
    bytes.extend_from_slice(&checksum);
    Ok(bytes)
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

struct Parts<'a> {
    profile: &'a str,
    keys: &'a [u8],
}

/// Splits a file and checks everything that can be checked without knowing the profile.
fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<Parts<'a>, KeyFileError> {
    let path = path.to_path_buf();
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(KeyFileError::NotAKey { path });
    };
    if magic != MAGIC {
        return Err(KeyFileError::NotAKey { path });
    }
    let cut = KeyFileError::Damaged {
        path: path.clone(),
        problem: "it ends within its header",
    };
    let Some((version, rest)) = rest.split_first_chunk::<2>() else {
        return Err(cut);
    };
    let version = u16::from_le_bytes(*version);
    if version != VERSION {
        return Err(KeyFileError::Version { path, version });
    }
    let Some((name, rest)) = rest
        .split_first()
        .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)))
    else {
        return Err(cut);
    };
    let profile = std::str::from_utf8(name).ok();
    let checked = bytes.split_last_chunk::<CHECKSUM_LEN>();
    if let (Some(profile), Some((content, checksum))) = (profile, checked)
        && Sha256::digest(content).as_slice() == checksum
        && let Some(keys) = rest.len().checked_sub(CHECKSUM_LEN)
    {
        return Ok(Parts {
            profile,
            keys: &rest[..keys],
        });
    }
    // The most common damage is a missing end, so it has a message of its own.
    match profile
        .and_then(|name| Profile::by_name(name).ok())
        .map(file_len)
    {
        Some(expected) if expected != bytes.len() => Err(KeyFileError::Length {
            path,
            expected,
            actual: bytes.len(),
        }),
        _ => Err(KeyFileError::Damaged {
            path,
            problem: "its checksum does not match",
        }),
    }
}

fn file_len(profile: &Profile) -> usize {
    MAGIC.len()
        + 2
        + 1
        + profile.name.len()
        + 8 * secret_words(profile)
        + profile.packed_len()
        + CHECKSUM_LEN
}

/// Whether what the public key encrypts the secret key decrypts.
fn is_pair(context: &Context, key: &SecretKey) -> Result<bool, Error> {
    let probe: Vec<f64> = (0..context.profile().slots())
        .map(|slot| if slot % 3 == 0 { 0.5 } else { -0.25 })
        .collect();
    match key.decrypt(&context.encrypt(key.public_key(), &probe)?) {
        Ok(slots) => Ok(slots
            .iter()
            .zip(&probe)
            .all(|(slot, value)| (slot - value).abs() < 0.01)),
        // Noise where values should be.
        Err(Error::OpenFhe { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
