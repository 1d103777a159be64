//! The real processes, together, under faults: the tests are in `tests/`.
//!
//! # Layout
//! * `tests/by_hand.rs`: the four processes as a newcomer starts them, in any order
//! * `tests/epoch.rs`: a new key epoch in mid-stream
//! * `tests/dependencies.rs`: which crate may reach which
