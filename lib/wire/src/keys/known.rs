//! Keys that were used before, as a verification needs them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::{Signed, VerifyingKey};

/// Verifying keys that were checked and decompressed before, which is a third of the work of verifying a signature together with
/// others. Each key has one place, of 0.2 kB once it is taken, and the last to need it has it.
pub struct KnownKeys(Mutex<Vec<Option<Box<ed25519_dalek::VerifyingKey>>>>);

impl KnownKeys {
    /// None yet, and room for so many; 0: none is kept.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Mutex::new(vec![None; places]))
    }

    /// Whether all signatures are valid. If not, it does not tell which is wrong. Half the work of verifying them one by
    /// one.
    ///
    /// Keys of small order are refused here too. What [`VerifyingKey::verifies`] refuses and this may accept are
    /// signatures with a component of small order, which only the holder of the key can make.
    pub(crate) fn all_verify(&self, signed: &[Signed<'_>]) -> bool {
        let keys: Option<Vec<_>> = signed.iter().map(|signed| self.key(signed.key)).collect();
        let Some(keys) = keys else {
            return false;
        };
        let bytes: Vec<&[u8]> = signed.iter().map(|signed| signed.bytes).collect();
        let signatures: Vec<_> = signed
            .iter()
            .map(|signed| ed25519_dalek::Signature::from_bytes(signed.signature))
            .collect();
        ed25519_dalek::verify_batch(&bytes, &signatures, &keys).is_ok()
    }

    /// The key of these bytes, if they are one and it is not of small order.
    fn key(&self, key: &VerifyingKey) -> Option<ed25519_dalek::VerifyingKey> {
        let known = self.with_place(key, |place| {
            let known = place.as_deref()?;
            (known.as_bytes() == key.as_bytes()).then_some(*known)
        });
        if known.flatten().is_some() {
            return known.flatten();
        }
        let made = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).ok()?;
        if made.is_weak() {
            return None;
        }
        self.with_place(key, |place| match place {
            Some(place) => **place = made,
            None => *place = Some(Box::new(made)),
        });
        Some(made)
    }

    fn with_place<T>(
        &self,
        key: &VerifyingKey,
        with: impl FnOnce(&mut Option<Box<ed25519_dalek::VerifyingKey>>) -> T,
    ) -> Option<T> {
        let number = u64::from_le_bytes(*key.as_bytes().first_chunk()?);
        // No code panics while it holds the lock.
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = number.checked_rem(places.len() as u64)?;
        places.get_mut(place as usize).map(with)
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    #[test]
    fn signatures_are_verified_together_and_one_that_is_wrong_is_noticed() {
        for count in [0, 1, 2, 64, 200] {
            let keys: Vec<_> = (0..count).map(|_| SigningKey::generate()).collect();
            let public: Vec<_> = keys.iter().map(SigningKey::verifying_key).collect();
            let bytes: Vec<_> = (0..count).map(|index| format!("message {index}")).collect();
            let mut signatures: Vec<_> = keys
                .iter()
                .zip(&bytes)
                .map(|(key, bytes)| key.sign(bytes.as_bytes()))
                .collect();
            // Fewer places than keys, so that they take each other's.
            let known = KnownKeys::new(50);
            let all = |signatures: &[[u8; 64]]| {
                let signed: Vec<_> = (0..count)
                    .map(|index| Signed {
                        bytes: bytes[index].as_bytes(),
                        signature: &signatures[index],
                        key: &public[index],
                    })
                    .collect();
                known.all_verify(&signed)
            };
            assert!(all(&signatures), "{count}");
            for wrong in 0..count.min(3) {
                for byte in [0, 31, 32, 63] {
                    signatures[wrong][byte] ^= 1;
                    assert!(!all(&signatures), "{count}: byte {byte} of {wrong}");
                    signatures[wrong][byte] ^= 1;
                }
            }
            if count > 1 {
                signatures.swap(0, 1);
                assert!(!all(&signatures), "{count}");
            }
        }
    }

    #[test]
    fn a_key_is_kept_until_another_takes_its_place_and_never_taken_for_that() {
        let keys: Vec<_> = (0..20)
            .map(|seed| SigningKey::from_bytes(&[seed; 32]).verifying_key())
            .collect();
        for places in [0, 1, 3, 100] {
            let known = KnownKeys::new(places);
            for key in keys.iter().chain(&keys) {
                let made = known.key(key).unwrap();
                assert_eq!(made.as_bytes(), key.as_bytes());
                let kept = known.with_place(key, |place| place.as_deref().copied());
                assert_eq!(kept, (places > 0).then_some(Some(made)));
            }
        }
    }
}
