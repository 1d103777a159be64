//! The store in PostgreSQL, against servers that are started, killed and promoted here.
//!
//! `cargo test --workspace` leaves these out: `.ci/postgres` installs Debian's package and runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod cost;
mod damage;
mod days;
mod faults;
mod fences;
mod late;
mod line;
mod login;
mod lookups;
mod migrate;
mod rows;
mod sharing;
