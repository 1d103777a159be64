//! Secrets of the key agreement.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
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

    /// Whether other bits that are not just clamped ones give the same public key, and so the same masks: for s just above 2^254, 8ℓ − s
    /// does, with ℓ the order of the group. Their noise would differ. None is drawn by chance, only made.
    pub fn has_twin(&self) -> bool {
        let bytes = self.to_bytes();
        (bytes[31] & 0x7f) | 0x40 == 0x40 && bytes[16..31].iter().all(|byte| *byte == 0)
    }

    /// A key that all have who have this secret, and no meter: for the noise of one sum, under one agreement. `content` names everything
    /// that the sum and its noise depend on.
    pub fn noise_key(&self, agreement: &[u8; 32], content: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        // As the key agreement takes it: other bits give no other public key, so a dealer could have changed them.
        let mut secret = self.to_bytes();
        secret[0] &= 0xf8;
        secret[31] = (secret[31] & 0x7f) | 0x40;
        let mut key = Zeroizing::new([0; 32]);
        let info: [&[u8]; 3] = [b"cipherwatt noise 1", agreement, content];
        Hkdf::<Sha256>::new(None, secret.as_slice())
            .expand_multi_info(&info, key.as_mut_slice())
            .expect("HKDF gives 32 bytes");
        key
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

    /// Whoever deals one of these to one holder and the other to another lets them differ in noise and in nothing else.
    #[test]
    fn a_secret_that_has_a_twin_is_known() {
        let twins = [
            "0800000000000000000000000000000000000000000000000000000000000040",
            "609faee7d21893c0b2e6bc17f5cef7a600000000000000000000000000000040",
        ]
        .map(|hex| MaskSecret::from_bytes(&bytes(hex)));
        assert_eq!(twins[0].public(), twins[1].public());
        assert!(twins.iter().all(MaskSecret::has_twin));
        assert!(!MaskSecret::generate().unwrap().has_twin());
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
        wiped::<Sha256>();
    }

    #[test]
    fn noise_has_a_key_for_each_agreement_and_sum_that_bits_without_meaning_do_not_change() {
        let of = |first: u8, agreement, content| {
            let mut secret = [9; 32];
            secret[0] = first;
            let secret = MaskSecret::from_bytes(&secret);
            *secret.noise_key(&[agreement; 32], &[content; 32])
        };
        assert_eq!(of(8, 1, 2), of(15, 1, 2));
        for other in [of(16, 1, 2), of(8, 2, 2), of(8, 1, 1)] {
            assert_ne!(of(8, 1, 2), other);
        }
        let golden = "23af0bca8039c75f8092fc410c93ef3963b30dcc019f7ca9bf8190312f8ffc37";
        assert_eq!(hex::encode(of(8, 1, 2)), golden);
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
