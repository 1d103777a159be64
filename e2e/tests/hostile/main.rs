//! One meter whose gateway the test plays, among honest ones: it spoils sums, or leaves.
//!
//! All processes but the clock are real, in this process and over TCP.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod leaving;
mod scene;
mod spoils;

use std::time::Duration;

use harness::rogue::RogueGateway;
use harness::stack::{Next, Stack};
use harness::watch::Seen;
use service::{Settings, Stop};
use wire::{MeterId, UnixMillis};

/// What the design promises.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until the fleet is about to read.
async fn started(stack: &mut Stack, stop: &Stop) {
    loop {
        let next = tokio::time::timeout(LIMIT, stack.next(stop)).await;
        if let Next::Seen(Seen::Meter(meter::Event::Started(_))) = next.unwrap().unwrap() {
            return;
        }
    }
}

/// A gateway with one meter, enrolled on the fleet's feeder.
async fn rogue(settings: &Settings, sealed_at: UnixMillis) -> RogueGateway {
    let meters = (meter::feeder_of(0, 1), 1);
    let rogue = RogueGateway::enrol(settings, "rogue", meters, sealed_at);
    rogue.await.unwrap()
}

/// Waits until the published roster has a meter or not, and analytics has taken that roster.
async fn roster_has(settings: &Settings, rogue: &RogueGateway, meter: &MeterId, is_in: bool) {
    let has = rogue
        .outsider
        .until("the roster", |seen| seen.roster.contains(meter) == is_in);
    has.await.unwrap();
    let cache = settings
        .deployment
        .state_dir
        .join("analytics-1/roster.pages");
    let id = meter.as_str().as_bytes();
    let has = || {
        let pages = std::fs::read(&cache).unwrap_or_default();
        pages.windows(id.len()).any(|bytes| bytes == id)
    };
    let waits = async {
        while has() != is_in {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The cache is written just before the roster is used.
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    tokio::time::timeout(LIMIT, waits)
        .await
        .expect("analytics has not taken the roster");
}
