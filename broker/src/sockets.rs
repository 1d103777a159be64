//! How many clients are connected, as the kernel has it.
//!
//! rumqttd keeps its own counts behind an event that only its own start-up code can send, and that code cannot be
//! stopped again; so what it knows of messages and bytes stays there. Each client counts its own.

use std::net::SocketAddr;
use std::time::Duration;

use metrics::gauge;
use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};
use service::telemetry::register;
use tokio::time::{MissedTickBehavior, interval};

const CONNECTIONS: &str = "cipherwatt_broker_connections";
const EVERY: Duration = Duration::from_secs(5);

/// Counts until it is dropped.
pub(crate) async fn run(address: SocketAddr) {
    register::gauge(
        CONNECTIONS,
        "TCP connections to the broker's port that are established",
    );
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        gauge!(CONNECTIONS).set(connected(address.port()) as f64);
    }
}

fn connected(port: u16) -> usize {
    let ours = |entry: &TcpNetEntry| {
        entry.local_address.port() == port && entry.state == TcpState::Established
    };
    // Without IPv6 there is no second table.
    let tables = [tcp(), tcp6()];
    let entries = tables.into_iter().flatten().flatten();
    entries.filter(ours).count()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_to_the_port_are_counted_and_those_from_it_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connected(port), 0);
        let clients: Vec<_> = (0..3)
            .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
            .collect();
        assert_eq!(connected(port), 3);
        drop(clients);
        assert_eq!(
            connected(port),
            0,
            "a closed connection is no longer established"
        );
    }
}
