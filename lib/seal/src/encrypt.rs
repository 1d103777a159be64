//! Encrypting a plaintext into a report.

use packed::{PackError, Profile};
use thiserror::Error;

use crate::PublicKey;
use crate::kernel::{Kernel, KernelUnavailable, Loops};
use crate::noise::Noise;
use crate::ring::{N, Polynomial, Q};

/// Why nothing was encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a number of coefficients that can be encrypted.
    #[error("{actual} coefficients were given, not a multiple of 8 from 8 to {N}")]
    Coefficients {
        /// Coefficients given.
        actual: usize,
    },
    /// A coefficient is not a residue.
    #[error("coefficient {index} is not below the modulus {Q}")]
    Residue {
        /// Its index. The value is a reading, and stays out of messages.
        index: usize,
    },
    /// The residues could not be packed.
    #[error("packing the report")]
    Packed(#[source] PackError),
    /// No seed.
    #[error("the operating system gave no random numbers")]
    Random(#[source] getrandom::Error),
    /// The kernel asked for cannot run here.
    #[error(transparent)]
    KernelUnavailable(#[from] KernelUnavailable),
}

/// Encrypts a plaintext with these first coefficients (encoded and masked; the others are zero), leaves out the low
/// bits that `profile` leaves out, and appends the packed report to `report`. Takes 60 KB of stack.
///
/// # Errors
/// No coefficients, too many, or not a multiple of eight; one that is not a residue; no random numbers. `report` is
/// then as it was.
pub fn encrypt(
    key: &PublicKey,
    profile: &Profile,
    plaintext: &[u64],
    report: &mut Vec<u8>,
) -> Result<(), Error> {
    encrypt_with(Kernel::best(), key, profile, plaintext, report)
}

/// As [`encrypt`], with the loops of `kernel`, for comparisons.
///
/// # Errors
/// Those of [`encrypt`], and [`Error::KernelUnavailable`].
pub fn encrypt_with(
    kernel: Kernel,
    key: &PublicKey,
    profile: &Profile,
    plaintext: &[u64],
    report: &mut Vec<u8>,
) -> Result<(), Error> {
    let loops = Loops::of(kernel)?;
    check(plaintext)?;
    let mut noise = Noise::fresh().map_err(Error::Random)?;
    let mut work = Work::new(loops);
    work.encrypt(key, &mut noise, plaintext);
    let start = report.len();
    packed::report::pack(
        profile,
        &work.values.0[..plaintext.len()],
        &work.polynomial.0,
        report,
    )
    .inspect_err(|_| report.truncate(start))
    .map_err(Error::Packed)
}

fn check(plaintext: &[u64]) -> Result<(), Error> {
    let actual = plaintext.len();
    if actual == 0 || actual > N || !actual.is_multiple_of(8) {
        return Err(Error::Coefficients { actual });
    }
    // Without a branch on each: a plaintext may be a reading that no mask covers.
    let above = |&word: &u64| word >= Q;
    if plaintext.iter().fold(false, |any, word| any | above(word)) {
        let index = plaintext.iter().position(above).unwrap_or_default();
        return Err(Error::Residue { index });
    }
    Ok(())
}

/// Three polynomials that everything is computed in, each wiped when dropped.
pub(crate) struct Work {
    loops: Loops,
    /// `v`, then `c1`.
    pub(crate) polynomial: Polynomial,
    /// The values of `v`, then `c0`.
    pub(crate) values: Polynomial,
    products: Polynomial,
}

impl Work {
    pub(crate) fn new(loops: Loops) -> Self {
        Self {
            loops,
            polynomial: Polynomial::zero(),
            values: Polynomial::zero(),
            products: Polynomial::zero(),
        }
    }

    /// `c1` into `polynomial`, and `c0` into the first of `values`, as many as the plaintext's.
    pub(crate) fn encrypt(&mut self, key: &PublicKey, noise: &mut Noise, plaintext: &[u64]) {
        noise.ternary(self.loops, &mut self.polynomial.0);
        self.transform();
        self.multiply_a(key);
        noise.add_errors(self.loops, &mut self.polynomial.0);
        self.multiply_b(key);
        let c0 = &mut self.values.0[..plaintext.len()];
        noise.add_errors(self.loops, c0);
        self.loops.add(plaintext, c0);
    }

    /// The values of `v`, which is in `polynomial`.
    pub(crate) fn transform(&mut self) {
        self.loops
            .forward(&mut self.polynomial.0, &mut self.values.0);
    }

    /// `a·v` into `polynomial`, not reduced.
    pub(crate) fn multiply_a(&mut self, key: &PublicKey) {
        self.loops
            .multiply(key.a(), &self.values.0, &mut self.products.0);
        self.loops
            .inverse(&mut self.products.0, &mut self.polynomial.0);
    }

    /// `b·v` into `values`, not reduced.
    pub(crate) fn multiply_b(&mut self, key: &PublicKey) {
        self.loops
            .multiply(key.b(), &self.values.0, &mut self.products.0);
        self.loops.inverse(&mut self.products.0, &mut self.values.0);
    }
}
