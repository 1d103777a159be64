//! Secrets of the key agreement.

use std::fmt;

use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

/// An X25519 secret of a meter, or of a verifier for one key epoch; wiped when dropped.
pub struct MaskSecret(StaticSecret);

impl MaskSecret {
    /// A new secret from the operating system's randomness.
    ///
    /// # Errors
    /// The operating system gives no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice())?;
        Ok(Self::from_bytes(&bytes))
    }

    /// The secret that [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    /// The secret, to be kept in a file.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    pub(crate) fn shared_with(&self, their: &[u8; 32]) -> SharedSecret {
        self.0.diffie_hellman(&PublicKey::from(*their))
    }
}

impl fmt::Debug for MaskSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "MaskSecret(public {})",
            hex::encode(self.public())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        hex::decode_to_slice(hex, &mut bytes).expect("64 hexadecimal digits");
        bytes
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn the_key_agreement_is_that_of_rfc_7748() {
        let alice = MaskSecret::from_bytes(&bytes(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = MaskSecret::from_bytes(&bytes(
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        ));
        assert_eq!(
            hex::encode(alice.public()),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
        );
        assert_eq!(
            hex::encode(bob.public()),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
        );
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
        assert_eq!(
            hex::encode(alice.shared_with(&bob.public()).as_bytes()),
            shared
        );
        assert_eq!(
            hex::encode(bob.shared_with(&alice.public()).as_bytes()),
            shared
        );
    }

    #[test]
    fn secrets_are_wiped_when_they_are_dropped() {
        fn wiped<T: zeroize::ZeroizeOnDrop>() {}
        wiped::<StaticSecret>();
        wiped::<SharedSecret>();
        wiped::<crate::pad::Stream>();
        wiped::<sha2::Sha256>();
    }

    #[test]
    fn a_secret_survives_its_bytes_and_shows_only_its_public_half() {
        let secret = MaskSecret::generate().expect("randomness");
        let again = MaskSecret::from_bytes(&secret.to_bytes());
        assert_eq!(again.public(), secret.public());
        assert_ne!(
            MaskSecret::generate().expect("randomness").public(),
            secret.public()
        );
        let shown = format!("{secret:?}");
        assert!(shown.contains(&hex::encode(secret.public())));
        assert!(!shown.contains(&hex::encode(*secret.to_bytes())));
    }
}
