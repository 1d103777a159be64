//! Tests of more than one module.

mod transform;
