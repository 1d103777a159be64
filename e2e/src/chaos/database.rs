//! The database under `--store postgres`: a primary and a synchronous standby that takes its place, again and again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use cluster::Cluster;
use harness::process::free_address;
use harness::sharing::{DATABASE, Store};

/// Commits wait for the standby, so that one that is promoted has them. While there is none, nothing is committed.
const SYNCHRONOUS: &str = "synchronous_standby_names = '*'";

const HELD: &str = "SELECT count(*) FROM leases WHERE owner = ";

const TAKEN: &str = "SELECT coalesce(sum(fence), 0) FROM leases";

/// Two servers on ports that stay. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    servers: Arc<Mutex<Servers>>,
    addresses: [SocketAddr; 2],
}

#[derive(Debug)]
struct Servers {
    primary: Cluster,
    standby: Cluster,
}

impl Database {
    /// Starts both, with an empty database, if that is where the sums are to be.
    pub(crate) async fn of(store: Store) -> Result<Option<Self>> {
        match store {
            Store::File => Ok(None),
            Store::Postgres => Self::start().await.map(Some),
        }
    }

    async fn start() -> Result<Self> {
        let addresses = [free_address()?, free_address()?];
        let servers = tokio::task::spawn_blocking(move || -> Result<Servers> {
            let [first, second] = addresses.map(|address| address.port());
            let primary = Cluster::start_at(first, &[])?;
            primary.sql("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
            let standby = Cluster::follow_at(second, &primary, "standby")?;
            for server in [&primary, &standby] {
                server.set(SYNCHRONOUS)?;
            }
            Ok(Servers { primary, standby })
        });
        Ok(Self {
            servers: Arc::new(Mutex::new(servers.await??)),
            addresses,
        })
    }

    /// Where the servers listen.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        self.addresses
    }

    /// Kills the primary, and starts it again.
    pub(crate) async fn restart(&self) -> Result<()> {
        self.with(|servers| {
            servers.primary.kill()?;
            servers.primary.begin()
        })
        .await
    }

    /// Kills the primary for good: the standby takes its place, and gets a standby of its own where the primary was.
    pub(crate) async fn promote(&self) -> Result<()> {
        self.with(|servers| {
            servers.primary.kill()?;
            servers.standby.promote()?;
            std::mem::swap(&mut servers.primary, &mut servers.standby);
            let port = servers.standby.port();
            servers.standby = Cluster::follow_at(port, &servers.primary, "standby")?;
            Ok(())
        })
        .await
    }

    /// Shards that a process of this id holds.
    pub(crate) async fn held_by(&self, id: &str) -> Result<u64> {
        self.number(format!("{HELD}'{id}'")).await
    }

    /// How often a shard was taken, over all.
    pub(crate) async fn taken(&self) -> Result<u64> {
        self.number(TAKEN.to_owned()).await
    }

    /// Waits for what is under way, after which dropping this ends both servers.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.with(|_| Ok(())).await
    }

    async fn number(&self, text: String) -> Result<u64> {
        let answer = self.with(move |servers| servers.primary.sql(DATABASE, &text));
        answer.await?.parse().context("a number")
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Servers) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let servers = self.servers.clone();
        let worked = tokio::task::spawn_blocking(move || {
            work(&mut servers.lock().unwrap_or_else(PoisonError::into_inner))
        });
        worked.await?
    }
}
