//! The public half of a mask key.

use super::{KeyError, text_of_key};

/// A public X25519 key that membership masks are agreed with: 32 bytes, shown as 64 hexadecimal digits. The crate `masks`
/// computes with it.
///
/// The bytes are checked wherever a message is read and text is parsed ([`MaskKey::check`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaskKey(pub [u8; 32]);

impl MaskKey {
    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that it is not of small order.
    ///
    /// # Errors
    /// [`KeyError::WeakMask`].
    pub fn check(&self) -> Result<(), KeyError> {
        let mut bytes = self.0;
        // X25519 ignores the highest bit (RFC 7748 §5).
        bytes[31] &= 0x7f;
        match SMALL_ORDER.contains(&bytes) {
            true => Err(KeyError::WeakMask {
                key: self.to_string(),
            }),
            false => Ok(()),
        }
    }
}

/// Every u-coordinate of small order: 0, 1, two of order 8, and p − 1, p and p + 1, where p = 2²⁵⁵ − 19
/// (<https://cr.yp.to/ecdh.html>, "How do I validate Curve25519 public keys?").
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    number(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    number(0xec, 0xff, 0x7f),
    number(0xed, 0xff, 0x7f),
    number(0xee, 0xff, 0x7f),
];

/// A number of 32 bytes, least significant first, that has the same byte everywhere between its ends.
const fn number(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

text_of_key!(MaskKey);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    /// X25519 of a secret and `public`, zero if `public` is of small order.
    fn agree(public: [u8; 32]) -> [u8; 32] {
        let any = SigningKey::from_bytes(&[7; 32]).verifying_key();
        let any = ed25519_dalek::VerifyingKey::from_bytes(any.as_bytes()).unwrap();
        let mut point = any.to_montgomery();
        point.0 = public;
        point.mul_clamped([9; 32]).0
    }

    #[test]
    fn keys_that_agree_on_zero_with_everybody_are_refused() {
        for mut bytes in SMALL_ORDER {
            for highest_bit in [0, 0x80] {
                bytes[31] |= highest_bit;
                assert_eq!(agree(bytes), [0; 32], "{}", MaskKey(bytes));
                let error = MaskKey(bytes).check().unwrap_err();
                assert!(matches!(error, KeyError::WeakMask { .. }));
                assert!(MaskKey(bytes).to_string().parse::<MaskKey>().is_err());
            }
        }
    }

    #[test]
    fn every_other_key_is_taken() {
        for byte in 2..=u8::MAX {
            let mut bytes = [0; 32];
            bytes[0] = byte;
            for key in [MaskKey([byte; 32]), MaskKey(bytes)] {
                assert_ne!(agree(key.0), [0; 32], "{key}");
                assert_eq!(key.check(), Ok(()));
                assert_eq!(key.to_string().parse(), Ok(key));
            }
        }
    }
}
