//! Files of evaluation keys.
//!
//! ```text
//! magic    8 bytes    "CWSIGNKY"
//! version  2 bytes    1, little-endian
//! refresh keys        1,305 of 16,384 words of 7 bytes, little-endian
//! switching keys      2,048 of 94,032 words of 5 bytes
//! ```
//! 1.1 GB.
#![allow(unsafe_code, reason = "calls across the bridge")]

use std::io::Read as _;
use std::path::Path;

use compare::{DIMENSION, SWITCH_BITS};
use cxx::UniquePtr;

use crate::Error;
use crate::bridge::ffi;
use crate::context::shared;
use crate::files::{EvaluationKeyError, Form, io_error};

pub(super) const FORM: Form = Form {
    magic: b"CWSIGNKY",
    version: 1,
    len: (Form::HEADER_LEN
        + DIMENSION * REFRESH_WORDS * REFRESH_BYTES
        + RING_DIMENSION * SWITCH_WORDS * SWITCH_BYTES) as u64,
};

/// Coefficients of a polynomial of FHEW's own ring.
const RING_DIMENSION: usize = 2048;

/// Two keys of two rows of two polynomials.
const REFRESH_WORDS: usize = 8 * RING_DIMENSION;
const REFRESH_BYTES: usize = 7;

/// Four values of each of 18 digits.
const SWITCH_WORDS: usize = 4 * 18 * (DIMENSION + 1);
const SWITCH_BYTES: usize = 5;

/// Parts of a key, to say how far it has come.
const PARTS: f64 = (DIMENSION + RING_DIMENSION) as f64;

pub(super) fn save(
    key: &ffi::SignKey,
    path: &Path,
    progress: &mut dyn FnMut(f64),
) -> Result<[u8; 32], EvaluationKeyError> {
    FORM.save(path, |write| {
        for part in Part::all() {
            write(&part.read(key)?).map_err(io_error("write", path))?;
            progress(part.share());
        }
        Ok(())
    })
}

pub(super) fn load(
    path: &Path,
    sha256: &[u8; 32],
    progress: &mut dyn FnMut(f64),
) -> Result<UniquePtr<ffi::SignKey>, EvaluationKeyError> {
    let mut file = FORM.open(path, sha256)?;
    let _shared = shared();
    let modulus = ffi::sign_modulus().map_err(Error::thrown("set FHEW up"))?;
    let mut key = ffi::empty_sign_key().map_err(Error::thrown("set FHEW up"))?;
    let mut bytes = Vec::new();
    for part in Part::all() {
        let (words, width, bound) = part.form(modulus);
        bytes.resize(words * width, 0);
        file.read_exact(&mut bytes)
            .map_err(io_error("read", path))?;
        let word = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        let words: Vec<u64> = bytes.chunks_exact(width).map(word).collect();
        if words.iter().any(|word| *word >= bound) {
            let path = path.to_owned();
            return Err(EvaluationKeyError::Format { path });
        }
        part.write(&mut key, &words)?;
        progress(part.share());
    }
    Ok(key)
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
