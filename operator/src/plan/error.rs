//! Why there is no plan.

use std::path::PathBuf;

use packed::layout::Layout;

use crate::disk::DiskError;
use crate::keys::error::KeyringError;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// The stored plan is damaged or signed by another key.
    #[error(
        "the stored plan {path} cannot be used with this operator's signing key: restore state_dir/operator from a \
         backup, or start a new deployment in another deployment.state_dir",
        path = path.display()
    )]
    Stored {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: wire::WireError,
    },
    /// The configuration and the stored plan disagree.
    #[error(
        "{key} is {configured} in the configuration but {planned} in the plan of this deployment ({path}). Reports are \
         sealed for the plan's value: set {key} = {planned}, or start a new deployment in another deployment.state_dir",
        path = path.display()
    )]
    Contradiction {
        /// The configuration key.
        key: &'static str,
        /// Its configured value.
        configured: String,
        /// Its value in the stored plan.
        planned: String,
        /// The stored plan.
        path: PathBuf,
    },
    /// The configured batch and layout need more slots than a ciphertext has.
    #[error(
        "plan.batch = {batch} with plan.layout = {layout} needs {needed} slots, but profile {profile} has {slots}"
    )]
    Slots {
        /// Intervals per report.
        batch: u16,
        /// Slot layout.
        layout: Layout,
        /// Slots needed.
        needed: usize,
        /// Parameter profile.
        profile: &'static str,
        /// Its slots.
        slots: usize,
    },
    /// The keys of the plan's epochs cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}
