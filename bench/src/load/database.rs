//! The database of a load, and what it takes.

use anyhow::{Context as _, Result};
use cluster::Cluster;
use harness::sharing::{DATABASE, Sharing, Store};
use harness::usage::Usage;
use service::config::Settings;

/// A server with one database.
#[derive(Debug)]
pub(super) struct Database(Cluster);

/// What it has taken so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) usage: Usage,
    /// Bytes of its write-ahead log.
    pub(super) wal_bytes: f64,
}

impl Database {
    /// Starts what `sharing` asks for, if anything, and enters it in the settings.
    pub(super) fn start(sharing: Sharing, settings: &mut Settings) -> Result<Option<Self>> {
        let cluster = match sharing.store {
            Store::File => None,
            Store::Postgres => Some(Cluster::start(&[])?),
        };
        let mut servers = Vec::new();
        if let Some(cluster) = &cluster {
            cluster.sql("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
            servers.push(([127, 0, 0, 1], cluster.port()).into());
        }
        sharing.enter(settings, &servers)?;
        Ok(cluster.map(Self))
    }

    pub(super) fn taken(&self) -> Result<Taken> {
        let wal = "SELECT pg_current_wal_insert_lsn() - '0/0'";
        let wal = self.0.sql(DATABASE, wal)?;
        Ok(Taken {
            usage: Usage::of_server(&self.0.processes()?),
            wal_bytes: wal.parse().context("the database's log has no length")?,
        })
    }
}

impl Taken {
    /// What was taken since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            usage: self.usage.since(&before.usage),
            wal_bytes: self.wal_bytes - before.wal_bytes,
        }
    }
}
