//! The signed truth that every other process holds against what it receives: the plan (time, scale, key epochs, analytics
//! services) and the roster (meters).

pub(crate) mod book;
mod earlier;
pub(crate) mod error;
pub(crate) mod feeder_setting;
mod min_meters;
pub(crate) mod publish;
pub(crate) mod reference;
pub(crate) mod roster;
pub(crate) mod settings;
pub(crate) mod stored;
pub(crate) mod term;

use std::path::{Path, PathBuf};

/// The largest stored plan that is read.
const MAX_PLAN_BYTES: usize = 64 * 1024 * 1024;

/// Where the plan is stored in the operator's folder.
fn path(dir: &Path) -> PathBuf {
    dir.join("plan.bin")
}
