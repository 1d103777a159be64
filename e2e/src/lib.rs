//! The real processes, together, under faults: the tests are in `tests/`.
//!
//! # Layout
//! * [`chaos`]: processes of their own that are killed while they work, and four ledgers compared; `tests/chaos.rs` in small, `tests/pool.rs` over
//!   PostgreSQL
//! * `tests/attack.rs`: dishonest parties against real processes, in small
//! * `tests/by_hand.rs`: the four processes as a newcomer starts them, in any order
//! * `tests/handover.rs`: a feeder goes from one analytics service to another under load
//! * `tests/areas.rs`: small feeders under a substation, in exact totals
//! * `tests/comparison.rs`: feeders that nobody opens, and an evaluator
//! * `tests/epoch.rs`: a new key epoch in mid-stream · `tests/hostile`: a meter that spoils every sum it is in, and one that leaves ·
//!   [`clocked`]: what the two share
//! * `tests/observe.rs`: metrics and logs while the services work
//! * `tests/command_line.rs`: help, completions, manual pages, `doctor`, colour and progress of every binary
//! * `tests/errors.rs`: every cause of an error is printed, and printed once
//! * `tests/dependencies.rs`: which crate may reach which
//! * `tests/documents.rs`: links and commands in the documents
//! * `tests/structure.rs`: no circles between modules, no long files and functions
//! * [`binaries`]: where they are · [`processes`]: starting them, and what they say
//! * [`structure`]: what `tests/structure.rs` looks at, and a table of it (`src/bin/structure.rs`)

pub mod chaos;
pub mod clocked;
pub mod processes;
pub mod structure;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Every binary.
pub const NAMES: [&str; 7] = [
    "broker",
    "operator",
    "analytics",
    "meter",
    "evaluator",
    "holder",
    "bench",
];

/// The folder of the real binaries, which are built first. For tests.
///
/// # Panics
/// Where they do not build.
#[must_use]
pub fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        // What `cargo test --workspace` has built already, so that nothing is built twice.
        build.args(["build", "--workspace", "--bins", "--tests", "--locked"]);
        // With what cargo tells this test, a build script that looks at it is run again, and all that needs its crate is built again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        assert!(
            build.status().expect("cargo runs").success(),
            "the binaries do not build"
        );
        let test = std::env::current_exe().expect("a path");
        test.ancestors()
            .nth(2)
            .expect("the folder of the profile")
            .to_owned()
    })
}
