//! Reports and answers as bytes: of each polynomial the residues modulo the first prime in eight bytes each, then those modulo the
//! second, which is a little above 2^40, in six, little-endian. OpenFHE sees none before all were checked.
#![allow(unsafe_code, reason = "calls across the bridge")]

use super::state::State;
use super::{Beyond, DIMENSION, Levelled, LevelledError, Sum};
use crate::Error;
use crate::bridge::ffi;
use crate::context::shared;

/// Bytes of a residue modulo each prime.
const WIDTHS: [usize; 2] = [8, 6];

/// Bytes of a report, and of a sum of reports.
pub const REPORT_BYTES: usize = 2 * DIMENSION * (WIDTHS[0] + WIDTHS[1]);

/// Bytes of a product that is ready to be opened.
pub const PRODUCT_BYTES: usize = 2 * DIMENSION * WIDTHS[0];

/// What was computed on reports, to be sent to whoever has the secret.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How many reports it was computed on.
    pub reports: u32,
    /// Their sum: a slot is an interval.
    pub sum: Vec<u8>,
    /// The sum of their squares.
    pub squares: Vec<u8>,
    /// For each band, in every slot, the sum over all its slots.
    pub bands: Vec<Vec<u8>>,
}

/// How a part of an [`Answer`] was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They were added up.
    Sum,
    /// Their squares were, relinearised and rescaled.
    Squares,
    /// Their sum was weighed, its slots were added up, and it was rescaled.
    Weighed,
}

impl Kind {
    /// What is known of it, if each report is a fresh ciphertext of numbers between −1 and 1.
    fn state(self, reports: u32) -> Result<State, Beyond> {
        let fresh = State::fresh();
        let times = |one: State| (0..reports).try_fold(State::default(), |sum, _| sum.plus(&one));
        match self {
            Self::Sum => times(fresh),
            Self::Squares => times(fresh.squared()?)?.relinearised()?.rescaled(),
            Self::Weighed => times(fresh)?.weighed(1.0)?.slots_summed()?.rescaled(),
        }
    }

    fn primes(self) -> usize {
        match self {
            Self::Sum => 2,
            Self::Squares | Self::Weighed => 1,
        }
    }
}

impl Levelled {
    /// Encrypts [`SLOTS`](super::SLOTS) numbers between −1 and 1 as a report.
    ///
    /// # Errors
    /// Those of [`Levelled::encrypt`].
    pub fn seal(&self, values: &[f64]) -> Result<Vec<u8>, LevelledError> {
        self.write(&self.encrypt(values)?)
    }

    /// A report's ciphertext. Whoever made it may have encrypted larger numbers than it should: then they are wrong, and so is every sum
    /// that it is in.
    ///
    /// # Errors
    /// [`LevelledError::Length`] or [`LevelledError::Residue`].
    pub fn read_report(&self, bytes: &[u8]) -> Result<Sum, LevelledError> {
        self.read(bytes, 2, State::fresh())
    }

    /// What was computed on reports, to be sent to whoever has the secret.
    ///
    /// # Errors
    /// [`Beyond::Order`] if it is a product that was not rescaled.
    pub fn write(&self, sum: &Sum) -> Result<Vec<u8>, LevelledError> {
        sum.state.opens()?;
        let primes = if sum.state.is_rescaled() { 1 } else { 2 };
        let mut words = vec![0; 2 * primes * DIMENSION];
        {
            let _shared = shared();
            // SAFETY: pointer and length are those of the vector, which outlives the call.
            unsafe { ffi::read_levelled(&sum.ciphertext, words.as_mut_ptr(), words.len()) }
                .map_err(Error::thrown("read a ciphertext"))?;
        }
        let polynomials = words
            .chunks(DIMENSION)
            .zip(WIDTHS.iter().take(primes).cycle());
        let bytes = polynomials.flat_map(|(residues, width)| {
            let bytes = residues.iter().map(|word| word.to_le_bytes());
            bytes.flat_map(|word| word.into_iter().take(*width))
        });
        Ok(bytes.collect())
    }

    /// What was computed on this many reports.
    ///
    /// # Errors
    /// [`Beyond`] if so many cannot be, [`LevelledError::Length`] or [`LevelledError::Residue`].
    pub fn read_computed(
        &self,
        bytes: &[u8],
        (kind, reports): (Kind, u32),
    ) -> Result<Sum, LevelledError> {
        self.read(bytes, kind.primes(), kind.state(reports)?)
    }

    fn read(&self, bytes: &[u8], primes: usize, state: State) -> Result<Sum, LevelledError> {
        let widths = &WIDTHS[..primes];
        let expected = 2 * DIMENSION * widths.iter().sum::<usize>();
        let actual = bytes.len();
        if actual != expected {
            return Err(LevelledError::Length { expected, actual });
        }
        let mut words = Vec::with_capacity(2 * primes * DIMENSION);
        let mut rest = bytes;
        for (width, prime) in widths.iter().zip(self.primes).cycle().take(2 * primes) {
            let (residues, after) = rest.split_at(width * DIMENSION);
            rest = after;
            let word = |bytes: &[u8]| {
                let bytes = bytes.iter().rev();
                bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
            };
            words.extend(residues.chunks_exact(*width).map(word));
            let read = &words[words.len() - DIMENSION..];
            if read.iter().any(|word| *word >= prime) {
                return Err(LevelledError::Residue);
            }
        }
        let _shared = shared();
        // SAFETY: pointer and length are those of the vector, which outlives the call.
        let ciphertext = unsafe { ffi::write_levelled(&self.context, words.as_ptr(), words.len()) };
        Ok(Sum {
            ciphertext: ciphertext.map_err(Error::thrown("rebuild a ciphertext"))?,
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenFHE's prime of "40 bits" is near 2^40 and above it: with five bytes, one report in eight hundred lost a bit.
    #[test]
    fn every_residue_fits_its_bytes() {
        let levelled = Levelled::new().unwrap();
        for (prime, width) in levelled.primes.iter().zip(WIDTHS) {
            let bytes = (prime - 1).to_le_bytes();
            assert!(bytes[width..].iter().all(|byte| *byte == 0), "{prime}");
        }
    }
}
