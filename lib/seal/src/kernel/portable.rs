//! For any processor: one 128-bit product at a time.

super::compile!(ring::product);
