//! rumqttd without anything in front of it, as its own documentation starts it: `rumqttd PORT`, on loopback.

use std::thread;

use anyhow::{Context as _, Result};
use rumqttd::protocol::v4::V4;
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};

/// The limits that our broker gives its router: 16 segments of 16 MiB for each filter.
fn limits() -> RouterConfig {
    RouterConfig {
        max_connections: 10_000,
        max_outgoing_packet_count: 200,
        max_segment_size: 16_777_216,
        max_segment_count: 16,
        ..RouterConfig::default()
    }
}

fn main() -> Result<()> {
    let port: u16 = std::env::args().nth(1).context("a port")?.parse()?;
    let settings = ServerSettings {
        name: "mqtt".to_owned(),
        listen: ([127, 0, 0, 1], port).into(),
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 1 << 20,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    let router = Router::new(0, limits()).spawn();
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(Server::new(settings, router, V4).start(LinkType::Remote));
    ended.map_err(|error| anyhow::anyhow!("{error}"))?;
    // Its router lives in a thread of its own.
    thread::park();
    Ok(())
}
