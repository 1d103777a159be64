//! Why a plan or a roster page was refused, and why a process cannot keep any.

use std::io;
use std::path::PathBuf;

use wire::{Reason, WireError};

use crate::Chain;

/// A plan or roster page that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// Why, as a metric label.
    pub reason: Reason,
    /// Why, for people.
    pub detail: String,
}

impl Refused {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    /// A bad signature is called the wrong key: the trusted operator did not make it.
    pub(crate) fn of(error: &WireError, what: &str, advice: &str) -> Self {
        match error {
            WireError::BadSignature => Self::new(
                Reason::WrongKey,
                format!("{what} is not signed by the operator trusted here{advice}"),
            ),
            other => Self::new(other.reason(), format!("{what}: {}", Chain(other))),
        }
    }
}

/// A process cannot keep its plan or roster.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The state folder cannot be used.
    #[error("cannot use the state file {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pinned key of the operator cannot be read.
    #[error(
        "{path} is not the key of an operator, 64 hex digits: remove it only if you know why it changed",
        path = path.display()
    )]
    Pin {
        /// The file.
        path: PathBuf,
    },
    /// The operator's key is neither configured nor may be trusted on first use.
    #[error(
        "deployment.operator_key is empty, and first use is trusted only in development with \
         mqtt.address on loopback (it is {address}): set it to the key that the operator prints at \
         its start"
    )]
    KeyNeeded {
        /// The broker's address.
        address: String,
    },
    /// `deployment.root` is not a root of topics.
    #[error("deployment.root cannot be used")]
    Root(#[from] wire::RootError),
}
