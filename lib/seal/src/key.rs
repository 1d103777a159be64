//! The operator's public key.

use std::fmt;
use std::sync::Arc;

use packed::{PUBLIC_KEY_BYTES, PUBLIC_KEY_WORDS, PackError, RING};

use crate::kernel::{Kernel, Loops};
use crate::ring::{Factors, GROUPS, N, Polynomial, Q, multiply, power, reduce};

/// The operator's public key `(b, a)`, transformed for sealing. Clones share it.
#[derive(Clone)]
pub struct PublicKey(Arc<Tables>);

struct Tables {
    fingerprint: [u8; 32],
    b: [Factors; GROUPS],
    a: [Factors; GROUPS],
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
        debug_assert_eq!(packed.len(), PUBLIC_KEY_BYTES);
        let (b, a) = words.split_at(N);
        Ok(Self(Arc::new(Tables {
            fingerprint: packed::key_fingerprint(packed),
            b: values(b),
            a: values(a),
        })))
    }

    /// [`packed::key_fingerprint`] of the key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }

    /// The values of `b`, divided by `N`.
    pub(crate) fn b(&self) -> &[Factors; GROUPS] {
        &self.0.b
    }

    /// The values of `a`, divided by `N`.
    pub(crate) fn a(&self) -> &[Factors; GROUPS] {
        &self.0.a
    }
}

/// A polynomial's values, divided by the `N` that the inverse transform leaves in.
fn values(coefficients: &[u64]) -> [Factors; GROUPS] {
    let loops = Loops::of(Kernel::best()).expect("the best kernel is available");
    let mut polynomial = Polynomial::from_words(coefficients);
    let mut values = Polynomial::zero();
    loops.forward(&mut polynomial, &mut values);
    let scale = power(N as u64, Q - 2);
    values
        .0
        .map(|group| Factors::new(group.map(|value| multiply(reduce(value), scale))))
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
