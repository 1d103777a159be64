//! Why the plan cannot be used.

use std::path::PathBuf;

use packed::layout::Layout;

use crate::disk::DiskError;
use crate::keys::error::KeyringError;

/// Why the plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// The stored plan is damaged, signed by another key or of another deployment.
    #[error(
        "the stored plan {path} does not match this operator's signing key and deployment.id: if deployment.id or \
         deployment.state_dir are not those of this operator, pass its --config; otherwise restore state_dir/operator \
         from a backup, or start a new deployment in another deployment.state_dir",
        path = path.display()
    )]
    Stored {
        path: PathBuf,
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
        key: &'static str,
        configured: String,
        planned: String,
        path: PathBuf,
    },
    /// The configured batch and layout need more slots than a ciphertext has.
    #[error(
        "plan.batch = {batch} with plan.layout = {layout} needs {needed} slots, but profile {profile} has {slots}"
    )]
    Slots {
        batch: u16,
        layout: Layout,
        needed: usize,
        profile: &'static str,
        slots: usize,
    },
    /// The keys of the plan's epochs cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}
