//! Encryption under the operator's OpenFHE public key, in plain Rust: what a meter needs of CKKS, and nothing else.
//!
//! A report is `c0 = b·v + e0 + m` and `c1 = a·v + e1` in `Z_q[X]/(X^2048 + 1)`, where `(b, a)` is the public key, `m` the
//! plaintext, `v` has random coefficients −1, 0 and 1, and `e0`, `e1` small random ones. That is what OpenFHE computes,
//! bit for bit: [`self_test`] recomputes answers that OpenFHE gave. `c0` is computed only where the plaintext has
//! coefficients, and both leave as [`packed`] reports.
//!
//! # Security
//! With `N` = 2048, `q` of 50 bits, a ternary secret and errors of variance 10.5, finding a plaintext or the key takes
//! more than 2^128 operations, on a quantum computer too, by the tables that OpenFHE checks its parameters against.
//!
//! - *Randomness.* Every report has its own ChaCha20 key stream, under 32 fresh bytes of the operating system. Nothing is
//!   kept between reports, so `fork` and restored snapshots are harmless, and there is no argument to pass a
//!   generator by: two reports with the same `v` and errors would tell the difference of their plaintexts.
//! - *Samplers.* `v` is uniform but for a factor of 1 ± 2^−43 in the probability of each polynomial. Errors are centred
//!   binomial of 21 − 21 bits, exactly, as in SEAL; OpenFHE's are rounded Gaussian, of variance 10.2.
//! - *Constant time.* No loop over secrets branches or computes an address by them; none divides. This holds for the
//!   source. For compiled code it is checked: `.ci/constant-time` follows secrets through the machine code of the
//!   functions in `checked-loops.txt`, for x86-64 and aarch64, and `examples/timing.rs` compares times. It assumes that
//!   to add, shift or multiply takes the same time for all operands, as Intel and Arm say of such instructions.
//! - *Wiping.* The seed, the cipher's state, random bits and polynomials are wiped, on every path. Not what a compiler
//!   leaves in registers, spills onto the stack, or copies when it moves the cipher's state.
//!
//! It does **not** protect against: somebody who measures power or emissions of the device, or disturbs it into
//! computing wrongly; an operating system whose random numbers can be guessed; or somebody who reads the process's
//! memory while it encrypts. Nobody outside this project has reviewed it.
//!
//! # What to review first
//! 1. `encrypt.rs` and `noise.rs`: what is drawn, how often, and what becomes of it
//! 2. `sample.rs`: 30 lines that decide the distributions
//! 3. `ring.rs`: the bounds on `product`, `product_of_halves` and `reduce`
//! 4. `transform.rs`: that words stay below 2^64; a wrong transform is found by the known answers, an overflow for rare
//!    inputs is not
//! 5. `kernel.rs`: the only `unsafe` code, which chooses instructions
//!
//! # Layout
//! - `encrypt`: [`encrypt`], from a plaintext to a report
//! - `key`: the public key and its tables
//! - `noise`: seed, key stream, and what is drawn from it
//! - `sample`: distributions
//! - `transform`: the number-theoretic transform
//! - `ring`: arithmetic modulo `q`
//! - `kernel`: the loops of these, once for each instruction set
//! - [`known_answers`]: OpenFHE's answers and their file; `self_test`: comparing with them
//! - [`steps`]: the loops by themselves, for measurements
#![deny(unsafe_code)]

mod encrypt;
mod kernel;
mod key;
pub mod known_answers;
mod noise;
mod ring;
mod sample;
mod self_test;
pub mod steps;
#[cfg(test)]
mod tests;
mod transform;

pub use encrypt::{Error, encrypt, encrypt_with};
pub use kernel::{Kernel, KernelUnavailable};
pub use key::PublicKey;
pub use self_test::{SelfTestError, self_test};
