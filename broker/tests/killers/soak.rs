//! Clients that come and go, and what the process has afterwards.
//!
//! `CIPHERWATT_SOAK=600 cargo test -p broker --test killers soak` takes ten minutes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::process::Process;
use crate::wire::{Client, DISCONNECT, publish, serves};

const SECONDS: u64 = 6;
const CLIENTS: usize = 24;

/// What the allocator may keep beside what is in use. Bytes.
const SLACK: u64 = 24 << 20;

/// One life: sometimes with a session that is kept, sometimes taken over, sometimes without taking leave.
async fn live(address: SocketAddr, number: usize, round: usize) {
    let kept = number.is_multiple_of(3);
    // A new id in every round for most: what is kept of them must not add up.
    let id = match number % 4 {
        0 => format!("soak-{}", number / 4 % 3),
        _ => format!("soak-{number}-{round}"),
    };
    let Ok(mut client) = Client::connect(address, &id, !kept || !number.is_multiple_of(4)).await
    else {
        return;
    };
    let topic = format!("soak/{}", round % 50);
    let _ = client.subscribe("soak/+", u8::from(kept)).await;
    for _ in 0..20 {
        let _ = client.send(&publish(&topic, Some(1), &[7; 2_000])).await;
    }
    for _ in 0..30 {
        match client.packet().await {
            Ok((0x32 | 0x3a, body)) => {
                let id = &body[2 + usize::from(body[1])..][..2];
                let _ = client.send(&[0x40, 2, id[0], id[1]]).await;
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
    if round.is_multiple_of(2) {
        let _ = client.send(&DISCONNECT).await;
    }
}

async fn churn(address: SocketAddr, until: Instant) {
    let lives = (0..CLIENTS).map(|number| {
        tokio::spawn(async move {
            let mut round = 0;
            while Instant::now() < until {
                live(address, number, round).await;
                round += 1;
            }
        })
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_come_and_go_leave_nothing_behind() {
    let seconds = std::env::var("CIPHERWATT_SOAK");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().unwrap());
    let part = Duration::from_secs(seconds) / 3;
    let broker = Process::start(None, &[]);
    // The logs are full after a third.
    churn(broker.address, Instant::now() + part).await;
    sleep(Duration::from_millis(200)).await;
    let before = broker.resident();
    churn(broker.address, Instant::now() + 2 * part).await;
    sleep(Duration::from_millis(200)).await;
    let grown = broker.resident().saturating_sub(before);
    assert!(grown < SLACK, "{grown} bytes more");
    assert!(serves(broker.address).await);
}
