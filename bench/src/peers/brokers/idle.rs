//! What a connection costs that says nothing.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::usage::Usage;
use tokio::time::{sleep, timeout};

use crate::mqtt::connect;

/// Longest wait for a CONNACK.
const PATIENCE: Duration = Duration::from_secs(10);
/// Until memory has settled.
const REST: Duration = Duration::from_millis(500);

/// Opens so many connections to a broker that has done nothing yet, and returns the memory that each takes, in KiB.
pub(super) async fn kib_per_connection(process: u32, port: u16, connections: usize) -> Result<f64> {
    let address = (Ipv4Addr::LOCALHOST, port);
    let resident = || Usage::of(process).peak_bytes.context("the broker's memory");
    let before = resident()?;
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let connected = timeout(PATIENCE, connect(address, &format!("idle-{number:06}"))).await;
        open.push(connected.context("no answer to a CONNECT")??);
    }
    sleep(REST).await;
    let after = resident()?;
    drop(open);
    Ok(after.saturating_sub(before) as f64 / 1024.0 / connections as f64)
}
