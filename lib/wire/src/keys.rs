//! Keys: Ed25519 for signatures, and the public half of X25519 for membership masks, as opaque bytes with checks where they are used.

mod known;
mod mask;

use std::fmt;

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

pub use known::KnownKeys;
pub use mask::MaskKey;

use crate::units::HexError;

/// The text of a public key of 32 bytes: 64 hexadecimal digits, checked where they are parsed.
macro_rules! text_of_key {
    ($name:ident) => {
        crate::units::shown_as_hex!($name);

        impl std::str::FromStr for $name {
            type Err = $crate::KeyError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let key = Self($crate::units::parse_hex(text)?);
                key.check()?;
                Ok(key)
            }
        }
    };
}
use text_of_key;

/// A signing key. Wiped from memory when dropped; `Debug` shows only its public half.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Panics
    /// If the operating system has no random numbers to give; no key could be safe then.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).expect("the operating system gives random numbers");
        Self::from_bytes(&seed)
    }

    /// The key of a 32-byte seed.
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32-byte seed, wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.verifying_key())
    }
}

/// Why bytes or text are not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not 64 hexadecimal digits.
    #[error(transparent)]
    Hex(#[from] HexError),
    /// The bytes are not a point of the curve, or one of small order, for which anybody can make
    /// signatures over any message.
    #[error("{key} is not a usable Ed25519 key")]
    Unusable {
        /// The bytes in hexadecimal.
        key: String,
    },
    /// The bytes are an X25519 key of small order, with which every secret key gives the same shared secret.
    #[error("{key} is not a usable X25519 key: it is zero or of small order")]
    WeakMask {
        /// The bytes in hexadecimal.
        key: String,
    },
}

/// A verifying key: 32 bytes, shown as 64 hexadecimal digits.
///
/// It stays compressed, because a roster holds a million of them. The bytes are checked where
/// a key comes from outside ([`VerifyingKey::check`], `FromStr`, enrolment requests) and again
/// at every verification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// A key of these bytes, unchecked. If they are not a key, no signature verifies.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that this is a point of the curve and not of small order. About 5 µs.
    ///
    /// # Errors
    /// [`KeyError::Unusable`].
    pub fn check(&self) -> Result<(), KeyError> {
        match ed25519_dalek::VerifyingKey::from_bytes(&self.0) {
            Ok(key) if !key.is_weak() => Ok(()),
            _ => Err(KeyError::Unusable {
                key: self.to_string(),
            }),
        }
    }

    /// Whether `signature` is this key's over `bytes`.
    ///
    /// Strict (`verify_strict`): keys and nonces of small order are refused, so that no key
    /// exists whose one signature fits many messages, and the answer does not depend on which
    /// of the RFC 8032 verification equations an implementation picked.
    pub(crate) fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&self.0) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.verify_strict(bytes, &signature).is_ok()
    }
}

/// Bytes, a signature over them, and the key it should be by.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) signature: &'a [u8; 64],
    pub(crate) key: &'a VerifyingKey,
}

text_of_key!(VerifyingKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_1_of_rfc_8032() {
        let seed: [u8; 32] =
            hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
                .unwrap()
                .try_into()
                .unwrap();
        let key = SigningKey::from_bytes(&seed);
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.verifying_key().to_string(), public);
        assert_eq!(public.parse(), Ok(key.verifying_key()));
        let signature = key.sign(b"");
        assert!(hex::encode(signature).starts_with("e5564300c360ac729086e2cc806e828a"));
        assert!(key.verifying_key().verifies(b"", &signature));
        assert!(!key.verifying_key().verifies(b"x", &signature));
    }

    #[test]
    fn debug_hides_the_seed() {
        let key = SigningKey::generate();
        let shown = format!("{key:?}");
        assert!(!shown.contains(&hex::encode(*key.to_bytes())), "{shown}");
        assert!(shown.contains(&key.verifying_key().to_string()));
    }

    #[test]
    fn a_key_of_small_order_is_refused_and_verifies_nothing() {
        // The neutral element: R = identity, s = 0 satisfies the plain equation for any message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let key = VerifyingKey::from_bytes(identity);
        assert!(matches!(key.check(), Err(KeyError::Unusable { .. })));
        assert!(hex::encode(identity).parse::<VerifyingKey>().is_err());
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(!key.verifies(b"anything", &forged));
        let signed = Signed {
            bytes: b"anything",
            signature: &forged,
            key: &key,
        };
        assert!(!KnownKeys::new(1).all_verify(&[signed]));
    }

    #[test]
    fn two_generated_keys_differ() {
        let (a, b) = (SigningKey::generate(), SigningKey::generate());
        assert_ne!(a.verifying_key(), b.verifying_key());
        assert_eq!(
            SigningKey::from_bytes(&a.to_bytes()).verifying_key(),
            a.verifying_key()
        );
    }
}
