//! The loops that touch secrets, one by one: for `examples/timing.rs`, which measures them. Nothing else needs this.

use crate::PublicKey;

pub use crate::kernel::Loops;
pub use crate::ring::Polynomial;
pub use crate::sample::Block;
pub use crate::transform::Factors;

/// What the values of `v` are multiplied by for `c1`.
#[must_use]
pub fn factors(key: &PublicKey) -> &Factors {
    key.a()
}
