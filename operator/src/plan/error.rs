//! Why the plan or the roster cannot be used.

use std::path::PathBuf;

use packed::layout::ShapeError;
use wire::{FeederId, MeterId, WindowStart};

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
    /// What `min_meters` was for earlier windows cannot be read.
    #[error(
        "the minimum group of earlier windows is not known: restore state_dir/operator from a backup"
    )]
    MinMeters(#[from] service::trust::KeepError),
    /// The tariff cannot be one: never of settings that were loaded.
    #[error("plan.tariffs cannot be used: {problem}")]
    BadTariff { problem: String },
    /// The tariff of windows that have begun is another.
    #[error(
        "plan.tariffs, or plan.billing_period, differs from the stored plan {path} for days that have begun: leave what has begun as \
         it was, and add a tariff from a later day",
        path = path.display()
    )]
    Tariff { path: PathBuf },
    /// An agreement of holders that is in the plan is not in the configuration.
    #[error(
        "holders.agreements lacks the newest agreement of the stored plan: reports are sealed under it, so name its file again, after \
         those before it"
    )]
    AgreementGone,
    /// An agreement is of windows that have begun.
    #[error(
        "holders.agreements names an agreement from {} on, and that window has begun: its holders make one with a later \
         `holder propose --from`", from.0
    )]
    AgreementBegun { from: WindowStart },
    /// An agreement begins within a window.
    #[error(
        "holders.agreements names an agreement from {} on, and no window begins then: the next one begins at {}, for \
         `holder propose --from`", from.0, next.0
    )]
    AgreementMisaligned {
        from: WindowStart,
        next: WindowStart,
    },
    /// The files of agreements cannot be used.
    #[error(transparent)]
    Agreements(#[from] crate::holders::agreements::AgreementsError),
    /// Interval and batch make no windows.
    #[error(transparent)]
    Grid(#[from] wire::GridError),
    /// No report holds the configured batch.
    #[error("plan.batch, plan.layout and plan.histogram_edges do not fit a report")]
    Shape(#[from] ShapeError),
    /// A plan of an earlier format was set aside and is damaged by now.
    #[error(
        "{path} is not the plan of format 1 that was set aside there: restore it from a backup. Where it ends, the new plan \
         goes on with version and key epoch",
        path = path.display()
    )]
    SetAside { path: PathBuf },
    /// The stored plan has no key epoch: never one of this operator.
    #[error("the stored plan {path} has no key epoch: restore state_dir/operator from a backup", path = path.display())]
    NoEpoch { path: PathBuf },
    /// The keys of the plan's epochs cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

/// Why the roster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// A page cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// A stored page is damaged or signed by another key.
    #[error(
        "the stored roster page {path} does not match this operator's signing key and deployment.id: restore \
         state_dir/operator from a backup",
        path = path.display()
    )]
    Stored {
        path: PathBuf,
        #[source]
        cause: wire::WireError,
    },
    /// A stored page is gone.
    #[error("the roster has {pages} pages, but {path} is missing: restore it from a backup", path = path.display())]
    Missing {
        path: PathBuf,
        /// Pages the stored roster says it has.
        pages: u16,
    },
    /// Two meters of a feeder have one number.
    #[error(
        "{path} gives {meter} a number that another meter of {feeder} has: restore state_dir/operator from a backup",
        path = path.display()
    )]
    NumberTwice {
        path: PathBuf,
        meter: MeterId,
        feeder: FeederId,
    },
}
