//! 256-bit vectors.

super::compile!(ring::product_of_halves, #[target_feature(enable = "avx2")]);
