//! Sessions with wrong bytes in them.
//!
//! `CIPHERWATT_MUTATIONS=400000 cargo test -p broker --test killers mutations` takes longer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::brokers::Guarded;
use crate::wire::{Client, DISCONNECT, connect, framed, publish, subscribe, text};

const SESSIONS: u64 = 4_000;
const AT_ONCE: u64 = 16;

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// A session as a client would have it, and then not quite.
fn session(number: u64) -> Vec<u8> {
    let mut random = Random(number);
    let id = format!("mutant-{}", random.below(50));
    let flags = [0, 2, 6][random.below(3)];
    let will = [text("m/will"), text("w")].concat();
    let mut packets = vec![connect(&id, flags, if flags == 6 { &will } else { b"" })];
    for _ in 0..random.below(12) {
        packets.push(match random.below(8) {
            0 => subscribe("m/+", 1),
            1 => subscribe("m/#", 0),
            2 => publish("m/x", Some(3), &[1; 300]),
            3 => publish("m/y", None, b"y"),
            4 => framed(0xa2, &[b"\x00\x02", &text("m/+")]),
            5 => vec![0x40, 2, 0, 1],
            6 => vec![0xc0, 0],
            _ => framed(0x33, &[&text("m/kept"), b"\x00\x04r"]),
        });
    }
    packets.push(DISCONNECT.to_vec());
    let mut bytes = packets.concat();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, random.next() as u8),
        }
    }
    bytes
}

async fn play(address: SocketAddr, number: u64) {
    let Ok(mut client) = Client::silent(address).await else {
        return;
    };
    let _ = client.send(&session(number)).await;
    let mut answers = [0; 4_096];
    let _ = timeout(Duration::from_millis(5), client.stream.read(&mut answers)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_mutated_sessions_disturb_nobody() {
    let sessions = std::env::var("CIPHERWATT_MUTATIONS");
    let sessions = sessions.map_or(SESSIONS, |text| text.parse().unwrap());
    let guarded = Guarded::start(|_| ()).await;
    let players = (0..AT_ONCE).map(|first| {
        let address = guarded.address;
        tokio::spawn(async move {
            let mut number = first;
            while number < sessions {
                play(address, number).await;
                number += AT_ONCE;
            }
        })
    });
    for player in players.collect::<Vec<_>>() {
        player.await.unwrap();
    }
    guarded.survives().await;
}
