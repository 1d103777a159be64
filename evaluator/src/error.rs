//! Why the evaluator does not run.

use std::io;
use std::path::PathBuf;

use service::files::KeyFileError;
use service::store::Fault;
use service::trust::KeepError;

/// Why the evaluator does not run.
#[derive(Debug, thiserror::Error)]
pub enum EvaluatorError {
    /// Topics cannot be made of the root.
    #[error("deployment.root")]
    Root(#[from] wire::RootError),
    /// The folder of state.
    #[error("cannot use the folder of state")]
    State(#[source] io::Error),
    /// The signing key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The plan, or the operator's key.
    #[error(transparent)]
    Plan(#[from] KeepError),
    /// A file of evaluation keys cannot be read.
    #[error("cannot read {}: copy the folder that `operator evaluation-keys` made, and set evaluator.keys_dir to it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of evaluation keys is not the operator's.
    #[error("{} is not what the operator signed: copy the folder that `operator evaluation-keys` made again", path.display())]
    NotSigned {
        /// The file.
        path: PathBuf,
    },
    /// The operator's list of keys is not one.
    #[error("{} is not the operator's signed list of evaluation keys", path.display())]
    Signed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: wire::WireError,
    },
    /// The keys of products.
    #[error(transparent)]
    Levelled(#[from] openfhe::levelled::LevelledError),
    /// The operator's key is not known, so that nothing of it can be verified.
    #[error("the operator's key is not known: set deployment.operator_key to it")]
    NoOperator,
    /// Keys that it computes with.
    #[error(transparent)]
    Evaluation(#[from] openfhe::EvaluationKeyError),
    /// The store is of another version.
    #[error("the store {} is of format {found:?}, and this version has {expected}: use the version that made it, or set it aside, and sums that wait in it are not compared", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// The store cannot be used.
    #[error("the store {} cannot be used", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Fault,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no random numbers")]
    Random(#[source] getrandom::Error),
    /// A task of its own ended.
    #[error("a task of the evaluator's ended unexpectedly")]
    Task(#[source] tokio::task::JoinError),
}
