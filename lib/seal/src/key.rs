//! The operator's public key.

use std::fmt;
use std::sync::Arc;

use packed::{PUBLIC_KEY_WORDS, PackError, RING};

use crate::kernel::{Kernel, Loops};
use crate::ring::{N, Q, multiply, power, reduce};
use crate::transform::Factors;

/// The operator's public key `(b, a)`, transformed for sealing. Clones share it.
#[derive(Clone)]
pub struct PublicKey(Arc<Tables>);

struct Tables {
    fingerprint: [u8; 32],
    b: Factors,
    a: Factors,
}

impl PublicKey {
    /// From the form a plan carries: the coefficients of `b`, then of `a`, packed to 50 bits each; 25,600 bytes.
    ///
    /// Any residues in range make a key. Compare the [fingerprint](Self::fingerprint) to see whether it is the right
    /// one.
    ///
    /// # Errors
    /// Another length, or a number that is not below the modulus.
    pub fn from_packed(packed: &[u8]) -> Result<Self, PackError> {
        let words = packed::unpack(&RING, PUBLIC_KEY_WORDS, packed)?;
        let (polynomials, _) = words.as_chunks();
        Ok(Self(Arc::new(Tables {
            fingerprint: packed::key_fingerprint(packed),
            b: values(&polynomials[0]),
            a: values(&polynomials[1]),
        })))
    }

    /// [`packed::key_fingerprint`] of the key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }

    /// The values of `b`, divided by `N`.
    pub(crate) fn b(&self) -> &Factors {
        &self.0.b
    }

    /// The values of `a`, divided by `N`.
    pub(crate) fn a(&self) -> &Factors {
        &self.0.a
    }
}

/// A polynomial's values, divided by the `N` that the inverse transform leaves in.
fn values(coefficients: &[u64; N]) -> Factors {
    let loops = Loops::of(Kernel::best()).expect("the best kernel is available");
    let mut values = [0; N];
    loops.forward(&mut coefficients.clone(), &mut values);
    let scale = power(N as u64, Q - 2);
    Factors::new(values.map(|value| multiply(reduce(value), scale)))
}

/// Names the key by the first bytes of its fingerprint.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in &self.0.fingerprint[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}
