//! Ciphertexts that OpenFHE computed from chosen `v`, `e0`, `e1` and `m`, and the file that holds them.
//!
//! # File (version 1)
//! Integers are little-endian; residues are packed as [`packed::pack`] does, 50 bits each.
//! ```text
//! "cipherwatt known answers 1\n"
//! u32 number of answers
//! public key: 25,600 bytes
//! for each answer:
//!   u32 n, coefficients of the plaintext, a multiple of eight
//!   v: 2,048 bytes, each −1, 0 or 1     e0: n bytes, signed     e1: 2,048 bytes, signed
//!   m: n residues    c0: its first n residues    c1: 2,048 residues
//! ```

use packed::{PUBLIC_KEY_BYTES, PackError, RING};
use thiserror::Error;

use crate::PublicKey;
use crate::encrypt::Work;
use crate::kernel::{Kernel, KernelUnavailable, Loops};
use crate::ring::{N, Q};

/// The answers of OpenFHE 1.4.2, compiled in.
pub const OPENFHE: &[u8] = include_bytes!("../known-answers-openfhe-1.4.2.bin");

const MAGIC: &[u8] = b"cipherwatt known answers 1\n";

/// What an encryption is computed from, each lowest coefficient first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// All coefficients of `v`.
    pub v: Vec<i8>,
    /// The first coefficients of `e0`, as many as the plaintext's.
    pub e0: Vec<i8>,
    /// All coefficients of `e1`.
    pub e1: Vec<i8>,
    /// The first coefficients of the plaintext, a multiple of eight; the others are zero.
    pub m: Vec<u64>,
}

/// A ciphertext before anything is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The first coefficients of `b·v + e0 + m`, as many as the plaintext's.
    pub c0: Vec<u64>,
    /// All coefficients of `a·v + e1`.
    pub c1: Vec<u64>,
}

/// A key, and what encryptions under it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAnswers {
    /// The public key, packed.
    pub key: Vec<u8>,
    /// Inputs, and what OpenFHE computed from them.
    pub answers: Vec<(Input, Output)>,
}

/// Why a file of known answers cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// It does not begin as one of this version.
    #[error("not known answers of version 1")]
    Magic,
    /// It ends early.
    #[error("the file ends early")]
    Short,
    /// Something follows the last answer.
    #[error("{0} bytes follow the last answer")]
    TooLong(usize),
    /// A plaintext has a number of coefficients that cannot be encrypted.
    #[error("answer {answer} has {coefficients} coefficients, not a multiple of 8 from 8 to {N}")]
    Coefficients {
        /// Counted from 0.
        answer: usize,
        /// How many it says it has.
        coefficients: usize,
    },
    /// Numbers out of range.
    #[error("reading packed residues")]
    Packed(#[from] PackError),
}

impl KnownAnswers {
    /// The file's bytes.
    ///
    /// # Errors
    /// A residue is out of range.
    ///
    /// # Panics
    /// If there are 2^32 answers.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PackError> {
        let count = u32::try_from(self.answers.len()).expect("answers that fit in memory");
        let mut bytes = [MAGIC, &count.to_le_bytes(), &self.key].concat();
        for (input, output) in &self.answers {
            bytes.extend((input.m.len() as u32).to_le_bytes());
            for small in [&input.v, &input.e0, &input.e1] {
                bytes.extend(small.iter().map(|number| number.cast_unsigned()));
            }
            for residues in [&input.m, &output.c0, &output.c1] {
                bytes.extend(packed::pack(&RING, residues)?);
            }
        }
        Ok(bytes)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is not one, or damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut rest = Rest(bytes.strip_prefix(MAGIC).ok_or(FormatError::Magic)?);
        let count = rest.number()?;
        let key = rest.bytes(PUBLIC_KEY_BYTES)?.to_vec();
        let answers = (0..count)
            .map(|answer| rest.answer(answer))
            .collect::<Result<_, _>>()?;
        match rest.0.len() {
            0 => Ok(Self { key, answers }),
            more => Err(FormatError::TooLong(more)),
        }
    }
}

/// What of a file is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(FormatError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<usize, FormatError> {
        let (number, rest) = self.0.split_first_chunk().ok_or(FormatError::Short)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*number) as usize)
    }

    fn small(&mut self, count: usize) -> Result<Vec<i8>, FormatError> {
        let bytes = self.bytes(count)?;
        Ok(bytes.iter().map(|byte| byte.cast_signed()).collect())
    }

    fn residues(&mut self, count: usize) -> Result<Vec<u64>, FormatError> {
        let packed = self.bytes(RING.packed_len(count))?;
        Ok(packed::unpack(&RING, count, packed)?)
    }

    fn answer(&mut self, answer: usize) -> Result<(Input, Output), FormatError> {
        let coefficients = self.number()?;
        if coefficients == 0 || coefficients > N || !coefficients.is_multiple_of(8) {
            return Err(FormatError::Coefficients {
                answer,
                coefficients,
            });
        }
        let input = Input {
            v: self.small(N)?,
            e0: self.small(coefficients)?,
            e1: self.small(N)?,
            m: self.residues(coefficients)?,
        };
        let output = Output {
            c0: self.residues(coefficients)?,
            c1: self.residues(N)?,
        };
        Ok((input, output))
    }
}

/// The ciphertext of chosen input. It protects nothing: whoever knows `v` or the errors can decrypt it.
///
/// # Errors
/// The processor does not have the kernel.
///
/// # Panics
/// If `v` or `e1` does not have 2,048 coefficients, or `e0` not as many as `m`.
pub fn compute(
    kernel: Kernel,
    key: &PublicKey,
    input: &Input,
) -> Result<Output, KernelUnavailable> {
    assert!(input.v.len() == N && input.e1.len() == N && input.e0.len() == input.m.len());
    let loops = Loops::of(kernel)?;
    let residue = |&number: &i8| (i64::from(number) + Q as i64) as u64;
    let residues = |small: &[i8]| -> Vec<u64> { small.iter().map(residue).collect() };
    let mut work = Work::new(loops);
    work.polynomial.0.copy_from_slice(&residues(&input.v));
    work.transform();
    work.multiply_a(key);
    loops.add(&residues(&input.e1), &mut work.polynomial.0);
    work.multiply_b(key);
    let c0 = &mut work.values.0[..input.m.len()];
    loops.add(&residues(&input.e0), c0);
    loops.add(&input.m, c0);
    Ok(Output {
        c0: c0.to_vec(),
        c1: work.polynomial.0.to_vec(),
    })
}
