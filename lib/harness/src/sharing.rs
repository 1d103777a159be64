//! Where analytics keeps its sums in a run, and how many processes share them.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use cluster::USER;
use service::config::{Settings, StoreKind};

/// The database of a run.
pub const DATABASE: &str = "run";

/// Shards for each process.
const SHARDS: u16 = 4;

/// Where analytics keeps its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Store {
    /// In a file of its own.
    File,
    /// In PostgreSQL of Debian's package, which the run starts.
    Postgres,
}

impl Store {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Postgres => "postgres",
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Sharing {
    /// Where analytics keeps its sums. Chaos kills and promotes a database too, and stops processes besides killing them.
    #[arg(long, value_enum, default_value_t = Store::File)]
    pub store: Store,
    /// Analytics processes; beyond one they share the feeders as a pool, which needs --store postgres.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub analytics: u8,
}

impl Sharing {
    /// One process with a file of its own.
    pub const ALONE: Self = Self {
        store: Store::File,
        analytics: 1,
    };

    /// # Errors
    /// Several are to share a file.
    pub fn check(self) -> Result<()> {
        ensure!(
            self.analytics == 1 || self.store == Store::Postgres,
            "--analytics {} is a pool, whose processes share a database: add --store postgres",
            self.analytics
        );
        Ok(())
    }

    /// Enters it in the settings, with the servers of the [`DATABASE`], if there are any.
    ///
    /// # Errors
    /// None that depends on what is given.
    pub fn enter(self, settings: &mut Settings, servers: &[SocketAddr]) -> Result<()> {
        let analytics = &mut settings.analytics;
        if !servers.is_empty() {
            let addresses: Vec<String> = servers.iter().map(SocketAddr::to_string).collect();
            analytics.store = StoreKind::Postgres;
            analytics.postgres.address = addresses.join(",");
            DATABASE.clone_into(&mut analytics.postgres.database);
            USER.clone_into(&mut analytics.postgres.user);
        }
        if self.analytics > 1 {
            analytics.pool = Some("pool".parse()?);
            settings.plan.shards = SHARDS * u16::from(self.analytics);
        }
        Ok(())
    }
}
