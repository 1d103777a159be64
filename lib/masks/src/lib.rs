//! Membership masks: a sum of encrypted reports opens only for the exact set of reports it is said to be of.
//!
//! A meter adds a pad, uniform modulo the ciphertext's modulus, to every coefficient of the plaintext it encrypts. Who
//! releases totals knows each meter's pads, and subtracts the pads of the *named* contributors from the decrypted sum.
//! For any other combination (one report, a report twice, one left out, another window, a copy) what remains is uniform
//! noise. Additive pads are those of Castelluccia, Mykletun and Tsudik (2005), here inside the ciphertext; that they
//! are bound to a label is Barbosa, Catalano and Fiore (2017).
//!
//! A pad must never cover two plaintexts, so that every seal takes a fresh salt ([`Label::salt`]).
//!
//! # Layout
//! - `secret`: X25519 secrets ([`MaskSecret`])
//! - `pad`: the key that a meter and a verifier agree on ([`PadKey`]), and its pads
//! - `keys`: those keys of many meters ([`PadKeys`]) · `sum`: the pads of many meters ([`PadSum`])
//!
//! # Derivation (version 1)
//! `‖` joins bytes; integers are little-endian.
//! ```text
//! shared  = X25519(own secret, their public key), refused if it is zero
//! pad key = HKDF-SHA256(salt: none, input: shared,
//!             info: "cipherwatt mask 1" ‖ u64 length of deployment ‖ deployment
//!                   ‖ u64 length of meter ‖ meter ‖ u32 epoch ‖ meter_key ‖ verifier_key)
//! stream  = ChaCha20(key: HKDF-Expand(pad key, "pad 1" ‖ setting ‖ u64 window ‖ salt), nonce: 0)
//! words   = of each 8 bytes of the stream the low bits, as many as the modulus has;
//!           those that are not below the modulus are passed over
//! ```
//! A holder of a stream's secret draws its noise from another key: [`MaskSecret::noise_key`].
//!
//! The versions stand in the inputs: another derivation, such as one that adds a post-quantum exchange, shares no key
//! with this one.

mod keys;
mod pad;
mod secret;
mod sum;

pub use keys::{PadGroup, PadKeys};
pub use pad::{Label, PadKey, Parties, WeakKey};
pub use secret::MaskSecret;
pub use sum::PadSum;
