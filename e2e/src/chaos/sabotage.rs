//! What a run can be broken by.

use clap::ValueEnum;
use serde::Serialize;

use super::serve::Role;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sabotage {
    /// Analytics does not recognise a report it has folded.
    Dedup,
    /// The gateway's journal forgets the reports that have no receipt.
    Journal,
    /// A process of the pool writes to shards that another has taken over.
    Fence,
}

impl Sabotage {
    /// Its name, as the processes know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dedup => "dedup",
            Self::Journal => "journal",
            Self::Fence => "fence",
        }
    }

    /// Who is broken.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Dedup | Self::Fence => Role::Analytics,
            Self::Journal => Role::Meter,
        }
    }
}
