//! Random bits from a key: whoever has the key gets the same.

use std::fmt;

use chacha20::cipher::{KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use dashu::integer::UBig;
use zeroize::Zeroizing;

/// ChaCha20 with a key and the nonce 0, from the first byte on.
pub struct Bits {
    stream: ChaChaCore<R20, Ietf>,
    block: Zeroizing<[u8; 64]>,
    /// How many bytes of the block are used.
    used: usize,
}

impl Bits {
    /// Those of a key that nothing else uses.
    pub fn from_key(key: &[u8; 32]) -> Self {
        let block = Zeroizing::new([0; 64]);
        Self {
            stream: ChaChaCore::new(key.into(), &[0; 12].into()),
            used: block.len(),
            block,
        }
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `bound`, each as likely as the others. `bound` is above 0.
    pub(crate) fn below(&mut self, bound: &UBig) -> UBig {
        let most = bound - UBig::ONE;
        let bits = dashu::base::BitTest::bit_len(&most);
        loop {
            let mut bytes: Vec<u8> = (0..bits.div_ceil(8)).map(|_| self.byte()).collect();
            if let Some(last) = bytes.last_mut() {
                *last &= 0xff >> (bits.next_multiple_of(8) - bits);
            }
            let drawn = UBig::from_le_bytes(&bytes);
            if drawn <= most {
                return drawn;
            }
        }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.stream.write_keystream_block((&mut *self.block).into());
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bits(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first block of RFC 8439 is of another nonce; this one is of the test vectors of draft-nir-cfrg-chacha20-poly1305.
    #[test]
    fn they_are_those_of_chacha20() {
        let mut bits = Bits::from_key(&[0; 32]);
        let first: Vec<u8> = (0..4).map(|_| bits.byte()).collect();
        assert_eq!(first, [0x76, 0xb8, 0xe0, 0xad]);
        let mut bits = Bits::from_key(&[0; 32]);
        let later = (0..65).map(|_| bits.byte()).last();
        assert_eq!(later, Some(0x9f), "of the second block");
    }

    #[test]
    fn numbers_below_a_bound_are_all_as_likely() {
        let mut bits = Bits::from_key(&[5; 32]);
        let mut counts = [0_u32; 5];
        for _ in 0..50_000 {
            let drawn = bits.below(&UBig::from(5_u8));
            counts[usize::try_from(drawn).unwrap()] += 1;
        }
        // Six standard deviations.
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 540),
            "{counts:?}"
        );
        assert_eq!(bits.below(&UBig::ONE), UBig::ZERO);
    }
}
