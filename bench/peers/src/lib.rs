//! A peer of `bench --peers` as a process: what it is asked, it does and times.

mod protocol;

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
pub use protocol::{Measured, Opened};
use protocol::{Prepared, Request};
use rustix::time::{ClockId, clock_gettime};

/// A system under measurement.
pub trait Peer: Sized {
    /// Keys and whatever else is made once.
    fn prepare(readings: Vec<Vec<i64>>, reference_wh: u64) -> Result<Self>;

    /// Says what was measured: version, parameters.
    fn describe(&self) -> String;

    /// Client and server for these reports.
    fn round(&mut self, reports: &[usize]) -> Result<Measured>;

    /// Opens the sum of all rounds.
    fn finish(&mut self) -> Result<Opened>;
}

/// Answers requests until the input ends.
pub fn serve<P: Peer>() -> Result<()> {
    let mut peer = None;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Prepare {
                readings,
                reference_wh,
            } => {
                let made = peer.insert(P::prepare(readings.into_owned(), reference_wh)?);
                serde_json::to_value(Prepared {
                    describe: made.describe(),
                    keys_bytes: 0,
                })?
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
