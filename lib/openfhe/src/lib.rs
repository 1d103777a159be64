//! The bridge to OpenFHE 1.4.2: keys and decryption for the operator, and the reference that the crate `seal` is compared
//! with.
//!
//! It covers only what Cipherwatt uses. Plaintexts, ciphertexts and keys leave and enter as the plain
//! coefficients of polynomials over [`packed::RING`], each checked to be a residue, so bytes from the
//! network never reach OpenFHE's own deserialiser. What the coefficients mean, and how they are packed,
//! is the crate [`packed`]'s matter: OpenFHE's slots and its encoding are not used. Meters encrypt with the crate `seal`,
//! which needs no C++; [`Context::encrypt`] is for a meter that is built with OpenFHE instead, and for comparisons. The build script
//! obtains OpenFHE itself; its environment variables are in `build/mod.rs`.
//!
//! # Threads
//! One process-wide lock keeps the creation of the context and of keys apart from everything else;
//! encryption and decryption run side by side. OpenMP inside OpenFHE is off: parallelise over reports.
//! Do not `fork()` a process that has used this crate: both sides would encrypt with the same
//! randomness. (Starting another program is safe.)
//!
//! # What is wiped from memory
//! A `secret::SecretKey` is overwritten when it is dropped, and so are the buffers it passes through
//! in this crate and its bridge. OpenFHE's own temporaries during key generation and decryption are
//! freed without being overwritten.
//!
//! # Layout
//! - [`Context`]: OpenFHE set up for the ring, once a process.
//! - `encrypt`: OpenFHE's encryption, from the coefficients of a plaintext to those of a ciphertext.
//! - [`PublicKey`]: to and from packed bytes; its fingerprint.
//! - `secret`: key generation, decryption, key files. For the operator alone: with the feature `secret`.
//! - [`SignKeys`]: signs of encrypted differences. For the evaluator, which has no secret. `files`: files of keys.
//! - [`levelled`]: CKKS with one multiplication, its depth and noise tracked; it carries no masks.
//! - [`mod@reference`]: OpenFHE's own arithmetic and objects, to compare with.
//! - `self_test`: whether OpenFHE works here.
//! - [`Error`]: what can go wrong.
//! - `bridge`: the generated bridge; `cpp/`: the C++ under it; `build/`: how both are built.

mod bridge;
mod context;
mod encrypt;
mod error;
mod files;
pub mod levelled;
mod public_key;
pub mod reference;
#[cfg(feature = "secret")]
pub mod secret;
#[cfg(feature = "secret")]
mod self_test;
mod sign;

pub use context::Context;
pub use encrypt::{Fresh, Steps};
pub use error::Error;
pub use files::EvaluationKeyError;
pub use public_key::PublicKey;
#[cfg(feature = "secret")]
pub use self_test::self_test;
pub use sign::{FLOOD, SignKeys};
