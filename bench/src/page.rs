//! The live page of a run: everything the operator knows, and beside it the truth, which only a run knows.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use live::{About, Live, Metrics, Rates, Source, Step, Truth, Verdict};
use operator::FeederReport;
use service::Stop;
use service::config::Settings;

use harness::oracle::Truths;
use harness::scenario::Scenario;
use harness::verdict::scale;
use harness::watch::Seen;

/// The metrics of the whole path, all of it in this process.
const METRICS: Metrics = Metrics {
    reading: step(&[meter::metrics::READINGS], None),
    encrypt: step(&[], Some(meter::metrics::ENCRYPT)),
    sign: step(&[], Some(meter::metrics::SIGN)),
    verify: step(&[], Some(analytics::metrics::VERIFY)),
    fold: step(
        &[analytics::metrics::FOLDED],
        Some(analytics::metrics::FOLD),
    ),
    release: step(
        &[analytics::metrics::RELEASED],
        Some(analytics::metrics::RELEASE),
    ),
    sealed_bytes: meter::metrics::SEALED_BYTES,
    duplicates: analytics::metrics::DUPLICATE,
    held: analytics::metrics::HELD,
    rejected: &[
        ("reports", analytics::metrics::REJECTED),
        ("sums", operator::metrics::REJECTED),
        ("enrolments", operator::metrics::REFUSED),
    ],
    ..operator::page::METRICS
};

const fn step(counters: &'static [&'static str], histogram: Option<&'static str>) -> Step {
    Step {
        counters,
        histogram,
    }
}

/// Where the page of a run is.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "page")]
pub(crate) struct Options {
    /// Keep the live page after the run until Ctrl-C, at ADDR or a free port of loopback.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:0", conflicts_with = "no_live")]
    live: Option<SocketAddr>,
    /// No live page.
    #[arg(long)]
    no_live: bool,
}

/// The page of a run, for as long as this lives or its stop fires.
pub(crate) struct Page {
    live: Live,
    min_meters: u32,
    address: SocketAddr,
    kept: bool,
    began: tokio::time::Instant,
    watching: tokio::task::JoinHandle<()>,
}

impl Page {
    /// Starts the page, if there is to be one, and says where it is.
    pub(crate) async fn start(
        options: &Options,
        scenario: &Scenario,
        settings: &Settings,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        if options.no_live {
            return Ok(None);
        }
        let wanted = &settings.operator;
        let live = Live::new(About {
            source: Source::Bench,
            deployment: settings.deployment.id.to_string(),
            input: Some(scenario.input.clone()),
            // The readings are a public file's or simulated, and the truth is here anyhow.
            load: true,
            min_meters: Some(scenario.settings.plan.minimum_group()),
            intervals: wanted.live_intervals,
            max_feeders: wanted.live_max_feeders,
        });
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen = options.live.unwrap_or(any);
        let address = live::serve(live.clone(), listen, wanted.live_remote, stop.clone()).await?;
        eprintln!("live page: http://{address}");
        let watching = tokio::spawn(live::watch(live.clone(), &METRICS, stop.clone()));
        Ok(Some(Self {
            live,
            min_meters: scenario.settings.plan.minimum_group(),
            address,
            kept: options.live.is_some(),
            began: tokio::time::Instant::now(),
            watching,
        }))
    }

    pub(crate) fn show(&self, seen: &Seen, truths: &Truths) {
        match seen {
            Seen::Operator(operator::Event::Released(report)) => {
                self.live.window(window(report, truths, self.min_meters));
            }
            Seen::Operator(event) => operator::page::enter(&self.live, event),
            // The metrics of this process count what else there is.
            Seen::Analytics(_) | Seen::Meter(_) => {}
        }
    }

    /// Shows how the run ended, and waits for Ctrl-C if the page is to be kept.
    pub(crate) async fn end(self, wrong: &[String], stop: &Stop) {
        self.watching.abort();
        self.live.rates(Rates::since(self.began, &METRICS));
        let right = "exact: every decrypted total equals the truth".to_owned();
        let text = wrong.first().cloned().unwrap_or(right);
        self.live.verdict(Verdict {
            correct: wrong.is_empty(),
            text,
        });
        if self.kept {
            let address = self.address;
            eprintln!("the live page stays at http://{address} until Ctrl-C");
            stop.stopped().await;
        } else {
            eprintln!("the live page ends with the run; --live keeps it");
        }
    }
}

/// A window with its truth. The truth is of all meters of a window, so a part of one is shown without.
fn window(report: &FeederReport, truths: &Truths, min_meters: u32) -> live::Window {
    let mut window = operator::page::window(report);
    let key = (report.feeder.clone(), report.window_start);
    let truth = truths.window(&key, scale(report));
    if let (Some(load), Some(truth)) = (&mut window.load, truth)
        && truth.meters == report.meters
    {
        load.truth = Some(Truth {
            energy_wh: truth.shown_wh(min_meters),
        });
    }
    window
}
