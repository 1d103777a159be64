//! What `bench --peers` says to a peer: a line of JSON for each request, a line for each answer.
//!
//! A peer gets all readings first and sets up its keys, untimed. Then come rounds; in each it does the client's and the
//! server's work for the reports named, and answers with the processor time of every stage. At the end it opens the
//! sum of everything it has added. `bench/peers/peers.py` says the same in Python, `bench/src/peers/process.rs` is the
//! other side.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Make the keys.
    Prepare {
        /// Readings of each report, in watt-hours.
        readings: Vec<Vec<i64>>,
        /// A power of two that no reading exceeds, in watt-hours.
        reference_wh: u64,
    },
    /// Do the work for these reports, and add them to the sum.
    Round {
        /// Indices into the readings.
        reports: Vec<usize>,
    },
    /// Open the sum.
    Finish,
}

/// A round's work.
#[derive(Debug, Default, Serialize)]
pub struct Measured {
    /// How many reports' worth of work it was.
    pub reports: f64,
    /// Processor time of each stage on the client, in seconds.
    pub client: BTreeMap<String, f64>,
    /// The same on the server.
    pub server: BTreeMap<String, f64>,
    /// Bytes that left the clients.
    pub bytes: usize,
}

/// The opened sum.
#[derive(Debug, Serialize)]
pub struct Opened {
    /// Sum of each interval, in watt-hours.
    pub totals_wh: Vec<f64>,
    /// The reports in it, as often as they were added.
    pub included: Vec<usize>,
}

/// A system under measurement.
pub trait Peer: Sized {
    /// Keys and whatever else is made once.
    ///
    /// # Errors
    /// Where the system refuses.
    fn prepare(readings: Vec<Vec<i64>>, reference_wh: u64) -> Result<Self>;

    /// Says what was measured: version, parameters.
    fn describe(&self) -> String;

    /// Client and server for these reports.
    ///
    /// # Errors
    /// Where the system refuses.
    fn round(&mut self, reports: &[usize]) -> Result<Measured>;

    /// Opens the sum of all rounds.
    ///
    /// # Errors
    /// Where the system refuses.
    fn finish(&mut self) -> Result<Opened>;
}

/// Answers requests until the input ends.
///
/// # Errors
/// Where the input is no request or the peer fails.
pub fn serve<P: Peer>() -> Result<()> {
    let mut peer = None;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Prepare {
                readings,
                reference_wh,
            } => {
                let made = peer.insert(P::prepare(readings, reference_wh)?);
                serde_json::json!({ "describe": made.describe() })
            }
            Request::Round { reports } => serde_json::to_value(get(&mut peer)?.round(&reports)?)?,
            Request::Finish => serde_json::to_value(get(&mut peer)?.finish()?)?,
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn get<P>(peer: &mut Option<P>) -> Result<&mut P> {
    peer.as_mut().context("\"prepare\" comes first")
}

/// Adds the processor time of `work` to `stage`, in seconds. All threads of the process count.
pub fn time<T>(stages: &mut BTreeMap<String, f64>, stage: &str, work: impl FnOnce() -> T) -> T {
    let before = used();
    let done = work();
    *stages.entry(stage.to_owned()).or_default() += (used() - before).as_secs_f64();
    done
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
