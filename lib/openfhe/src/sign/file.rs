//! Files of evaluation keys.
//!
//! ```text
//! magic    8 bytes    "CWSIGNKY"
//! version  2 bytes    1, little-endian
//! refresh keys        1,305 of 16,384 words of 7 bytes, little-endian
//! switching keys      2,048 of 94,032 words of 5 bytes
//! ```
//! 1.1 GB. They are no secret; what must not happen is that others than the operator's are used, so whoever reads them knows their hash.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use compare::{DIMENSION, SWITCH_BITS};
use cxx::UniquePtr;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::bridge::ffi;
use crate::context::shared;
use crate::files::put_in_place;

const MAGIC: &[u8; 8] = b"CWSIGNKY";
const VERSION: u16 = 1;
const HEADER_LEN: usize = MAGIC.len() + size_of::<u16>();

/// Coefficients of a polynomial of FHEW's own ring.
const RING_DIMENSION: usize = 2048;

/// Two keys of two rows of two polynomials.
const REFRESH_WORDS: usize = 8 * RING_DIMENSION;
const REFRESH_BYTES: usize = 7;

/// Four values of each of 18 digits.
const SWITCH_WORDS: usize = 4 * 18 * (DIMENSION + 1);
const SWITCH_BYTES: usize = 5;

pub(super) const LEN: u64 = (HEADER_LEN
    + DIMENSION * REFRESH_WORDS * REFRESH_BYTES
    + RING_DIMENSION * SWITCH_WORDS * SWITCH_BYTES) as u64;

/// Parts of a key, to say how far it has come.
const PARTS: f64 = (DIMENSION + RING_DIMENSION) as f64;

/// A file of evaluation keys that cannot be written or must not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum SignKeyError {
    /// Reading or writing failed.
    #[error("cannot {action} the evaluation keys {}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Too short or too long.
    #[error("the evaluation keys {} have {actual} bytes instead of {LEN}: copy the operator's file again", path.display())]
    Length { path: PathBuf, actual: u64 },
    /// Not the operator's.
    #[error("the evaluation keys {} are not those that the operator signed: copy its file again", path.display())]
    Other { path: PathBuf },
    /// Not such a file at all, though the operator signed it.
    #[error("{} is not a file of evaluation keys that this version reads", path.display())]
    Format { path: PathBuf },
    /// OpenFHE failed.
    #[error(transparent)]
    OpenFhe(#[from] Error),
}

pub(super) fn save(
    key: &ffi::SignKey,
    path: &Path,
    progress: &mut dyn FnMut(f64),
) -> Result<[u8; 32], SignKeyError> {
    let io = |source| SignKeyError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let mut hash = Sha256::new();
    let mut failed = None;
    let written = put_in_place(path, |file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut write = |bytes: &[u8]| {
            hash.update(bytes);
            file.write_all(bytes)
        };
        write(MAGIC)?;
        write(&VERSION.to_le_bytes())?;
        for part in Part::all() {
            match part.read(key) {
                Ok(bytes) => write(&bytes)?,
                Err(error) => {
                    failed = Some(error);
                    return Err(io::Error::other("OpenFHE failed"));
                }
            }
            progress(part.share());
        }
        file.flush()
    });
    match failed {
        Some(error) => Err(error.into()),
        None => written.map(|()| hash.finalize().into()).map_err(io),
    }
}

pub(super) fn load(
    path: &Path,
    sha256: &[u8; 32],
    progress: &mut dyn FnMut(f64),
) -> Result<UniquePtr<ffi::SignKey>, SignKeyError> {
    let io = |source| SignKeyError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let path = path.to_owned();
    let mut file = File::open(&path).map_err(io)?;
    let actual = file.metadata().map_err(io)?.len();
    if actual != LEN {
        return Err(SignKeyError::Length { path, actual });
    }
    if sha256_of(&mut file).map_err(io)? != *sha256 {
        return Err(SignKeyError::Other { path });
    }
    io::Seek::rewind(&mut file).map_err(io)?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER_LEN];
    file.read_exact(&mut header).map_err(io)?;
    if header[..MAGIC.len()] != *MAGIC || header[MAGIC.len()..] != VERSION.to_le_bytes() {
        return Err(SignKeyError::Format { path });
    }
    let _shared = shared();
    let modulus = ffi::sign_modulus().map_err(Error::thrown("set FHEW up"))?;
    let mut key = ffi::empty_sign_key().map_err(Error::thrown("set FHEW up"))?;
    let mut bytes = Vec::new();
    for part in Part::all() {
        let (words, width, bound) = part.form(modulus);
        bytes.resize(words * width, 0);
        file.read_exact(&mut bytes).map_err(io)?;
        let word = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        let words: Vec<u64> = bytes.chunks_exact(width).map(word).collect();
        if words.iter().any(|word| *word >= bound) {
            return Err(SignKeyError::Format { path });
        }
        part.write(&mut key, &words)?;
        progress(part.share());
    }
    Ok(key)
}

fn sha256_of(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            len => hash.update(&buffer[..len]),
        }
    }
}

/// A part of a key.
#[derive(Clone, Copy)]
enum Part {
    Refresh(usize),
    Switch(usize),
}

impl Part {
    fn all() -> impl Iterator<Item = Self> {
        let refresh = (0..DIMENSION).map(Self::Refresh);
        refresh.chain((0..RING_DIMENSION).map(Self::Switch))
    }

    /// How many words it has, in how many bytes each, and what all are below.
    fn form(self, modulus: u64) -> (usize, usize, u64) {
        match self {
            Self::Refresh(_) => (REFRESH_WORDS, REFRESH_BYTES, modulus),
            Self::Switch(_) => (SWITCH_WORDS, SWITCH_BYTES, 1 << SWITCH_BITS),
        }
    }

    /// How much of a key is done with it.
    fn share(self) -> f64 {
        let done = match self {
            Self::Refresh(index) => index + 1,
            Self::Switch(index) => DIMENSION + index + 1,
        };
        done as f64 / PARTS
    }

    fn read(self, key: &ffi::SignKey) -> Result<Vec<u8>, Error> {
        let (count, width, _) = self.form(0);
        let mut words = vec![0; count];
        let _shared = shared();
        let (start, len) = (words.as_mut_ptr(), words.len());
        // SAFETY: pointer and length are those of the vector, which outlives the calls.
        let read = unsafe {
            match self {
                Self::Refresh(index) => ffi::read_refresh_key(key, index, start, len),
                Self::Switch(index) => ffi::read_switch_key(key, index, start, len),
            }
        };
        read.map_err(Error::thrown("read an evaluation key"))?;
        let bytes = words
            .iter()
            .flat_map(|word| word.to_le_bytes().into_iter().take(width));
        Ok(bytes.collect())
    }

    fn write(self, key: &mut UniquePtr<ffi::SignKey>, words: &[u64]) -> Result<(), Error> {
        let (start, len) = (words.as_ptr(), words.len());
        // SAFETY: pointer and length are those of the slice, which outlives the calls.
        let written = unsafe {
            match self {
                Self::Refresh(index) => ffi::write_refresh_key(key.pin_mut(), index, start, len),
                Self::Switch(index) => ffi::write_switch_key(key.pin_mut(), index, start, len),
            }
        };
        written.map_err(Error::thrown("rebuild an evaluation key"))
    }
}
