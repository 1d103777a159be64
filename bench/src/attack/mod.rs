//! `bench attack`: every attack on the promise, carried out against real processes by parties that have no more than theirs.
//!
//! Each is played twice at the same time, on deployments of their own: once without just the safeguard that stops it, where it
//! must succeed, and once with all of them, where it must get nothing. An attack that fails without its safeguard would prove
//! nothing about it.
//!
//! # Layout
//! * `catalogue`: the attacks · `summary`: what came of them
//! * `stage`: a deployment, without a safeguard or with all · `gain`: what an attack got · `coalition`: who asks holders
//! * one file for each kind of attack; who carries it out is [`harness::rogue`]

mod catalogue;
mod closings;
mod coalition;
mod crowd;
mod gain;
mod holders;
mod joining;
mod keys;
mod late;
mod members;
mod overlap;
mod plan;
mod refusals;
mod spoilt;
mod stage;
mod streams;
mod summary;
mod totals;
mod web;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use harness::Interrupted;
use harness::output::{progress_bar, write_json};
use service::Settings;
use service::stop::Stop;
use tokio::time::timeout;

use catalogue::{ATTACKS, Attack};
use gain::Gain;
use stage::Ground;
use summary::Row;
pub(crate) use summary::Summary;

/// No attack takes half as long. One that waits for what does not come says so.
const LIMIT: Duration = Duration::from_secs(120);

/// What the command line asks for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Only these attacks, such as --only late-household; the table of a whole run has their names.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// A few attacks of different kinds, within a minute.
    #[arg(long)]
    short: bool,
}

impl Options {
    fn chosen(&self) -> Result<Vec<&'static Attack>> {
        let known = |name: &String| ATTACKS.iter().any(|attack| attack.name == *name);
        if let Some(unknown) = self.only.iter().find(|name| !known(name)) {
            let names = ATTACKS.map(|attack| attack.name).join(", ");
            bail!("--only {unknown}: there is no such attack; there are {names}");
        }
        let is_chosen = |attack: &&Attack| match self.only.is_empty() {
            true => attack.is_short || !self.short,
            false => self.only.iter().any(|name| name == attack.name),
        };
        Ok(ATTACKS.iter().filter(is_chosen).collect())
    }
}

/// Carries the attacks out, one after the other, with the logs of all processes in `results`.
///
/// # Errors
/// There is no such attack, or the run is interrupted. An attack that does not come to its end is in the summary.
pub(crate) async fn run(
    base: &Settings,
    options: &Options,
    results: &Path,
    stop: Stop,
) -> Result<Summary> {
    let chosen = options.chosen()?;
    let began = Instant::now();
    let bar = progress_bar(chosen.len() as u64, "attacks");
    let mut rows = Vec::new();
    for attack in chosen {
        bar.set_message(attack.name);
        let played = tokio::select! {
            () = stop.stopped() => return Err(Interrupted.into()),
            played = play(base, attack, results) => played,
        };
        rows.push(played.unwrap_or_else(|error| Row::failed(attack, &error)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let summary = Summary::new(rows, began.elapsed().as_secs_f64(), results);
    write_json(results, "summary.json", &summary)?;
    Ok(summary)
}

/// Both halves of an attack.
async fn play(base: &Settings, attack: &Attack, results: &Path) -> Result<Row> {
    let began = Instant::now();
    let half = |without: Option<&'static str>| {
        let folder = if without.is_some() { "without" } else { "with" };
        let logs = results.join("logs").join(attack.name).join(folder);
        let base = base.clone();
        let played = (attack.play)(Ground {
            base,
            without,
            logs,
        });
        async move {
            let played = timeout(LIMIT, played).await;
            let played: Result<Gain> = played.unwrap_or_else(|_| bail!("it has no end"));
            played.with_context(|| match without {
                Some(safeguard) => format!("without the safeguard `{safeguard}`"),
                None => "with every safeguard".to_owned(),
            })
        }
    };
    let (without, with) = tokio::try_join!(half(Some(attack.safeguard)), half(None))?;
    Ok(Row::new(attack, without, with, began.elapsed()))
}
