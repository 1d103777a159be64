//! What happened to a run besides kills, and how soon a pool made up for it.

use std::time::Duration;

use anyhow::Result;
use harness::latency::{Durations, Latencies};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::database::Database;
use super::proxy::FaultCounts;

/// Between two looks at the leases.
const LOOK: Duration = Duration::from_millis(100);

/// Faults that happened.
#[derive(Debug, Default)]
pub(crate) struct Disturbed {
    pub(crate) stops: usize,
    pub(crate) database_restarts: usize,
    pub(crate) database_promotions: usize,
    /// From the stop of a process of the pool until others had all its shards.
    pub(crate) takeovers: Vec<Duration>,
}

/// The same as the summary has it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Faults {
    /// Processes stopped for a while.
    pub(crate) stops: usize,
    pub(crate) database_restarts: usize,
    /// Standbys promoted.
    pub(crate) database_promotions: usize,
    /// How often a process took a shard.
    pub(crate) shards_taken: u64,
    /// Processes of the pool that stood still while they had shards.
    pub(crate) takeovers: usize,
    /// From the stop of such a process until others had all its shards.
    pub(crate) takeover_ms: Latencies,
    /// Faults of the network between analytics and the database.
    pub(crate) database_network_faults: FaultCounts,
}

impl Faults {
    pub(crate) async fn of(
        disturbed: &Disturbed,
        database: &Database,
        network: FaultCounts,
    ) -> Result<Self> {
        let takeovers: Durations = disturbed.takeovers.iter().copied().collect();
        Ok(Self {
            stops: disturbed.stops,
            database_restarts: disturbed.database_restarts,
            database_promotions: disturbed.database_promotions,
            shards_taken: database.taken().await?,
            takeovers: disturbed.takeovers.len(),
            takeover_ms: takeovers.latencies(),
            database_network_faults: network,
        })
    }
}

impl Faults {
    pub(crate) fn text(&self) -> String {
        let FaultCounts {
            cuts,
            delays,
            stalls,
            deaf,
        } = self.database_network_faults;
        let mut text = format!(
            "processes stopped: {}; restarts of the database: {}, promotions: {}; its network: {cuts} cuts, {delays} delays, {stalls} stalls, \
             {deaf} times deaf\nshards taken: {}\n",
            self.stops, self.database_restarts, self.database_promotions, self.shards_taken,
        );
        if self.takeovers > 0 {
            text += &format!(
                "takeovers: {}; from the stop of a process until others had its shards: {:.0} ms, at most {:.0}\n",
                self.takeovers, self.takeover_ms.p50, self.takeover_ms.max
            );
        }
        text
    }
}

/// Waits while a process of the pool stands still; returns how long it took until others had all its shards, if it had any: as long as
/// it stood still, if they never had.
pub(super) async fn takeover(
    database: &Database,
    id: String,
    pause: Duration,
) -> Result<Option<Duration>> {
    let stopped = Instant::now();
    let mut held = database.held_by(&id).await?;
    if held == 0 {
        return Ok(None);
    }
    while held > 0 && stopped.elapsed() < pause {
        sleep(LOOK).await;
        held = database.held_by(&id).await?;
    }
    Ok(Some(stopped.elapsed()))
}
