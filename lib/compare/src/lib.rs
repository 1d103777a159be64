//! One bit of an encrypted sum: from the sum's ciphertext to the small one whose sign OpenFHE computes.
//!
//! A coefficient of a sum is encrypted under the ring's secret `s`: its phase is `c0[j] + (c1·s)[j]`, modulo `q`. What is asked is
//! whether it is at least some number, a threshold with the sum of the masks in it. The way there, all of it public:
//! 1. *Extraction.* `(c1·s)[j]` is an inner product of `s` with coefficients of `c1`, some of them negated: an LWE ciphertext of
//!    2,048 words. The number comes off `c0[j]`, and everything is multiplied so that the largest difference possible just fits.
//! 2. *Key switching*, modulo 2^35: to a ciphertext of 1,305 words under another secret `z`, with a key that encrypts `s` under `z`.
//! 3. *Rounding* to 2^16. What that adds is nearly all of the noise: it is what keeps differences near zero from being told apart
//!    ([`Scale::margin`]).
//!
//! The sign of the result is for OpenFHE's FHEW (crate `openfhe`). Dimension, modulus and error are those of its parameters at 128 bits
//! of security; digits of five bits are the choice here. Nothing in this crate decrypts.
//!
//! # Layout
//! - `ciphertext`: [`Lwe`] · `extract`: [`Difference`], of a coefficient and a number or of two coefficients
//! - `switch`: [`SwitchKey`] · `scale`: [`Scale`], how much to multiply by, and what cannot be told apart then

mod ciphertext;
mod extract;
mod scale;
mod switch;

pub use ciphertext::Lwe;
pub use extract::Difference;
pub use scale::Scale;
pub use switch::{SwitchKey, SwitchKeyError};

/// Words of a small ciphertext, without its last.
pub const DIMENSION: usize = 1305;

/// The modulus of key switching is 2 to this.
pub const SWITCH_BITS: u32 = 35;

/// The modulus of the ciphertexts whose sign is asked is 2 to this: the least for which OpenFHE needs three bootstrappings, where each
/// four bits more are two more.
pub const SIGN_BITS: u32 = 16;

/// The modulus of an encrypted bit is 2 to this.
pub const BIT_BITS: u32 = 12;
