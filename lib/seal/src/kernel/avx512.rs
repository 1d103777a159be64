//! 512-bit vectors.

super::compile!(ring::product_of_halves, #[target_feature(enable = "avx512f,avx512dq,avx512vpopcntdq")]);
