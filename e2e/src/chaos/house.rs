//! Meters that talk: simulated readings, each a line to the live gateway's socket, sent again until it is answered.
//!
//! The live gateway goes by an [`EventClock`]. An interval has passed once its lines are answered, and not before: a gateway that
//! waits for its plan or its enrolment reads nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::oracle::Truths;
use harness::process::free_address;
use readings::{FleetOptions, Reading, Simulated, Source as _};
use serde::Serialize;
use serde_json::Value;
use service::clock::{Clock as _, SystemClock};
use service::config::{Settings, SourceKind};
use service::stop::Stop;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};
use wire::{FeederId, Grid, UnixMillis, UnixSeconds, WindowStart};

use super::WINDOWS_PER_S;
use super::event_clock::EventClock;
use super::observer::Observer;

/// Meters of the live gateway, all on a feeder of their own: enough for a release.
const METERS: u32 = 20;
const FEEDER: &str = "live-1";
const GATEWAY: &str = "gateway-live";
/// Windows for which an interval takes lines after its end, or after a start of the gateway: four seconds at least.
const GRACE: u32 = 8;
/// Windows that its meters may be ahead of those of the other gateway.
const LEAD: u64 = 2;
/// Windows of reports for which there is room: the intervals of the grace, and those of some starts in a row.
const ROOM: usize = 48;
/// Between two looks at the clock, and two attempts to connect.
const LOOK: Duration = Duration::from_millis(10);

/// What was sent, and what became of it.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Sent {
    /// Lines that were taken.
    pub(crate) taken: u64,
    /// Lines that had been taken before a kill and were sent again, because no answer had come.
    pub(crate) repeated: u64,
    /// Connections that ended before every line was answered.
    pub(crate) cut: u64,
    /// Answers to lines that were refused.
    #[serde(skip)]
    pub(crate) refused: Vec<String>,
    /// Lines on their way.
    #[serde(skip)]
    pub(crate) unanswered: usize,
    #[serde(skip)]
    pub(crate) last_answer: Option<Instant>,
    #[serde(skip)]
    pub(crate) is_over: bool,
}

/// The live gateway, its meters and its clock.
#[derive(Debug, Clone)]
pub(crate) struct House {
    /// The settings of the gateway.
    pub(crate) settings: Settings,
    /// The file that holds them.
    pub(crate) config: PathBuf,
    /// The file of its clock.
    pub(crate) clock: PathBuf,
    socket: PathBuf,
    fleet: FleetOptions,
    from: WindowStart,
    windows: u32,
    grid: Grid,
    sent: Arc<Mutex<Sent>>,
}

impl House {
    /// Sets it up beside the deployment of `settings`, with its files in `folder`: `windows` windows from `from` on.
    pub(crate) fn set(
        settings: &Settings,
        folder: &Path,
        grid: Grid,
        (from, windows): (WindowStart, u32),
    ) -> Result<Self> {
        let mut own = settings.clone();
        let (socket, meters) = (folder.join("lines"), folder.join("meters.csv"));
        let grace = Duration::from_secs(grid.longest_window_s()) * GRACE;
        own.meter = service::config::Meter {
            gateway: GATEWAY.parse()?,
            metrics_listen: Some(free_address()?),
            source: SourceKind::Lines,
            meters_file: Some(meters.clone()),
            lines: format!("unix:{}", socket.display()),
            live_grace: grace,
            // The first interval is sent before the clock begins.
            live_ahead: Duration::from_secs(grid.longest_window_s()),
            outbox_max_reports: ROOM * METERS as usize,
            retry_min: settings.meter.retry_min,
            retry_max: settings.meter.retry_max,
            min_meters_floor: settings.meter.min_meters_floor,
            ..Settings::defaults().meter
        };
        let fleet = FleetOptions {
            meters: METERS,
            seed: settings.meter.seed,
            id_prefix: format!("{GATEWAY}-meter"),
            ..FleetOptions::default()
        };
        let mut csv = "id,feeder,capacity_w\n".to_owned();
        for spec in Simulated::new(&fleet)?.meters() {
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "{},{FEEDER},{}", spec.id, spec.capacity_w.0);
        }
        std::fs::write(&meters, csv)?;
        let house = Self {
            settings: own,
            config: folder.join("live.toml"),
            clock: folder.join("clock"),
            socket,
            fleet,
            from,
            windows,
            grid,
            sent: Arc::default(),
        };
        std::fs::write(&house.config, toml::to_string(&house.settings)?)?;
        // Just before the first window, so that this is the one the gateway begins with.
        EventClock::set(&house.clock, UnixMillis((from.0 - 1) * 1_000))?;
        Ok(house)
    }

    /// Adds the truth of its feeder.
    pub(crate) fn add_truth(&self, truths: &mut Truths) -> Result<()> {
        let feeder: FeederId = FEEDER.parse()?;
        let mut source = Simulated::new(&self.fleet)?;
        let mut window = self.from;
        for _ in 0..self.windows {
            let mut of_meters = vec![Vec::new(); METERS as usize];
            for number in 0..self.grid.batch() {
                let start = self.grid.interval_start(window, number);
                for (meter, uwh) in of_meters.iter_mut().zip(self.read(&mut source, start)?) {
                    meter.push(Some(uwh));
                }
            }
            for readings in of_meters {
                truths.add((feeder.clone(), window), &readings, i64::MAX);
            }
            window = self.grid.next_window(window);
        }
        Ok(())
    }

    /// Every meter's energy in an interval, in µWh.
    fn read(&self, source: &mut Simulated, start: UnixSeconds) -> Result<Vec<i64>> {
        let mut readings = Vec::new();
        source.read(start, self.grid.interval_s(), &mut readings)?;
        let energy = |reading: &Reading| match reading {
            Reading::Energy(energy) => Some(energy.0),
            Reading::Missing => None,
        };
        let all: Option<Vec<i64>> = readings.iter().map(energy).collect();
        all.context("a simulated meter has every reading")
    }

    pub(crate) fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends every reading, interval after interval and no faster than the other gateway's meters report, and then lets event time
    /// pass, until `stop` fires.
    pub(crate) fn begin(&self, observer: Observer, stop: Stop) {
        let house = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.stopped() => {}
                Err(error) = house.send_all(&observer) => {
                    house.sent().refused.push(format!("no more lines are sent: {error:#}"));
                    house.sent().is_over = true;
                }
            }
        });
    }

    /// Does not end but with an error.
    async fn send_all(&self, observer: &Observer) -> Result<()> {
        let mut source = Simulated::new(&self.fleet)?;
        let ids: Vec<_> = source.meters().iter().map(|spec| spec.id.clone()).collect();
        let mut connection = None;
        let pause = Duration::from_secs_f64(1.0 / WINDOWS_PER_S / f64::from(self.grid.batch()));
        let end = self.from.0 + u64::from(self.windows) * self.grid.longest_window_s();
        let mut start = self.from.0;
        loop {
            let next = start + u64::from(self.grid.interval_s());
            if start < end {
                while self.is_ahead_of(observer, start) {
                    sleep(LOOK).await;
                }
                let energies = self.read(&mut source, UnixSeconds(start))?;
                let lines = ids.iter().zip(energies).map(|(id, uwh)| {
                    let energy_wh = decimal(uwh);
                    format!("{{\"meter\":\"{id}\",\"time\":{start},\"energy_wh\":{energy_wh}}}\n")
                });
                let lines: Vec<String> = lines.collect();
                self.send(&mut connection, &lines).await;
            }
            self.sent().is_over = next >= end;
            // What is in the future is not taken.
            if next * 1_000 < SystemClock.now().0 {
                EventClock::set(&self.clock, UnixMillis(next * 1_000))?;
                start = next;
            }
            sleep(pause).await;
        }
    }

    /// Whether the other gateway's meters have not come so far yet.
    fn is_ahead_of(&self, observer: &Observer, start: u64) -> bool {
        let newest = observer.seen().newest;
        start >= newest.map_or(self.from.0, |newest| newest.0) + LEAD * self.grid.longest_window_s()
    }

    /// Sends lines, all of them again until each has an answer.
    async fn send(&self, connection: &mut Option<BufReader<UnixStream>>, lines: &[String]) {
        loop {
            if connection.is_none() {
                *connection = UnixStream::connect(&self.socket)
                    .await
                    .ok()
                    .map(BufReader::new);
            }
            if let Some(stream) = connection {
                self.sent().unanswered = lines.len();
                if self.answered(stream, lines).await.is_some() {
                    return;
                }
                let mut sent = self.sent();
                sent.unanswered = 0;
                sent.cut += 1;
            }
            *connection = None;
            sleep(LOOK).await;
        }
    }

    /// `None` if the connection ends before.
    async fn answered(&self, stream: &mut BufReader<UnixStream>, lines: &[String]) -> Option<()> {
        stream.write_all(lines.concat().as_bytes()).await.ok()?;
        for line in lines {
            let mut answer = String::new();
            if stream.read_line(&mut answer).await.ok()? == 0 || !answer.ends_with('\n') {
                return None;
            }
            let parsed: Value = serde_json::from_str(&answer).unwrap_or_default();
            let mut sent = self.sent();
            match parsed["result"].as_str() {
                Some("taken") => sent.taken += 1,
                Some("repeated") => sent.repeated += 1,
                _ => sent
                    .refused
                    .push(format!("{} {}", line.trim(), answer.trim())),
            }
            sent.unanswered -= 1;
            sent.last_answer = Some(Instant::now());
        }
        Some(())
    }
}

/// Millionths as a number with all its decimals.
fn decimal(millionths: i64) -> String {
    let (whole, rest) = (
        millionths.unsigned_abs() / 1_000_000,
        millionths.unsigned_abs() % 1_000_000,
    );
    let sign = if millionths < 0 { "-" } else { "" };
    format!("{sign}{whole}.{rest:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_are_lines_with_all_their_decimals() {
        assert_eq!(decimal(1_500_001), "1.500001");
        assert_eq!(decimal(-20), "-0.000020");
        assert_eq!(decimal(0), "0.000000");
    }
}
