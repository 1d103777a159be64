//! From the ciphertext of a sum to the totals in it.

pub(crate) mod decrypt;
