//! What contributors take in a store's file, and how soon a process starts on it, also after it was killed.
//!
//! `cargo bench -p analytics --bench contributors -- [--feeders 1000] [--meters 1000] [--windows 2] [--feeders-a-commit 1000]
//! [--meters-a-commit 2048]`, the meters being those of each feeder. Every meter reports every window; then the sums of the window are
//! settled, 50 a commit. Another process does that, which is killed at the end. The file is in the folder for temporary files, and
//! `--cold` drops it from the memory of the kernel before it is opened.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use analytics::store::{
    ContributorRow, FileStore, Inspection, Limbs, Scope, Stage, Store, StoreFormat, SumKey, SumRow,
    Transaction,
};
use clap::Parser;
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, Accumulator};
use wire::{
    DeploymentId, Digest, FeederId, Grid, KeyEpoch, MeterId, Part, PlanVersion, Salt, UnixMillis,
    WindowStart,
};

const START: u64 = 1_699_992_000;
const HOUR: u64 = 3_600;
const SETTLED_A_COMMIT: u64 = 50;

#[derive(Debug, Clone, Parser)]
struct Options {
    /// Feeders.
    #[arg(long, default_value_t = 1_000)]
    feeders: u64,
    /// Meters on each feeder.
    #[arg(long, default_value_t = 1_000)]
    meters: u64,
    /// Windows, one after the other.
    #[arg(long, default_value_t = 2)]
    windows: u64,
    /// Feeders whose sums change in a commit.
    #[arg(long, default_value_t = 1_000)]
    feeders_a_commit: u64,
    /// Reports in a commit.
    #[arg(long, default_value_t = 2_048)]
    meters_a_commit: u64,
    /// Settle the sums in the commit that has their contributors, whatever the number of those: the file is the same, much sooner.
    #[arg(long)]
    at_once: bool,
    /// Read the file from the disk, as after a start of the machine.
    #[arg(long)]
    cold: bool,
    /// Fill this file, and say how far it has come.
    #[arg(long, hide = true)]
    fill: Option<PathBuf>,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    if let Some(path) = &options.fill {
        return fill(&options, path);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sums.redb");
    fill_and_kill(&path);
    show_size(&path);
    show_start("killed", &options, &path);
    show_start("stopped", &options, &path);
    let began = Instant::now();
    let seen = Inspection::of(&path, false).expect("a store");
    println!(
        "every page verified in {:.2} s",
        began.elapsed().as_secs_f64()
    );
    let kept = (options.feeders * options.meters * options.windows) as f64;
    for line in &seen.tables {
        let a_contributor = line.bytes as f64 / kept;
        println!(
            "{:14}{:>12} rows{:>15} bytes, {a_contributor:8.3} a contributor",
            line.table, line.rows, line.bytes
        );
    }
    let names = ["members", "pieces", "seats", "sums"];
    let of = seen
        .tables
        .iter()
        .filter(|line| names.contains(&line.table.as_str()));
    let bytes: u64 = of.map(|line| line.bytes).sum();
    println!(
        "kept of {kept} contributors: {:.2} bytes each",
        bytes as f64 / kept
    );
}

/// Lets another process fill the file, and kills it once it has.
fn fill_and_kill(path: &Path) {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--fill")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("another process");
    let out = BufReader::new(child.stdout.take().expect("its output"));
    let mut answers = child.stdin.take().expect("its input");
    for line in out.lines() {
        let line = line.expect("a line");
        if line == "full" {
            break;
        }
        println!("{line}");
        if line.contains("none settled") {
            show_size(path);
        }
        answers.write_all(b"\n").expect("an answer");
    }
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
}

fn show_size(path: &Path) {
    let length = path.metadata().expect("a file").len();
    println!("file: {:.1} MB", length as f64 / 1e6);
}

fn show_start(after: &str, options: &Options, path: &Path) {
    if options.cold {
        let file = std::fs::File::open(path).expect("a file");
        file.sync_all().expect("a sync");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice");
    }
    let began = Instant::now();
    let mut store = FileStore::open(path, &deployment()).expect("a store");
    let opened = began.elapsed();
    let mut sums = 0;
    store
        .load(&format(), Scope::All, &mut |_| sums += 1)
        .expect("rows");
    println!(
        "started after it was {after}: open in {:.3} s, {sums} sums read after {:.3} s",
        opened.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
}

fn deployment() -> DeploymentId {
    "dev".parse().expect("an id")
}

fn format() -> StoreFormat {
    StoreFormat {
        shape: Shape::new(Layout::Profile, 1).expect("one interval"),
        grid: Grid::new(HOUR as u32, 1).expect("an hour"),
    }
}

fn fill(options: &Options, path: &Path) {
    let mut store = FileStore::open(path, &deployment()).expect("a store");
    store
        .load(&format(), Scope::All, &mut drop)
        .expect("an empty store");
    for window in 0..options.windows {
        let is_shown = window == 0 || window + 1 == options.windows;
        if options.at_once {
            settle(options, &mut store, window);
            continue;
        }
        let folding = fold(options, &mut store, window);
        if is_shown {
            let window = window + 1;
            say(&format!(
                "window {window}, none settled: {folding:?} a commit"
            ));
        }
        let settling = settle(options, &mut store, window);
        if is_shown {
            let window = window + 1;
            say(&format!("window {window}, settled: {settling:?} a commit"));
        }
    }
    println!("full");
    // Until it is killed.
    loop {
        std::thread::park();
    }
}

/// Says it, and waits until that was heard.
fn say(what: &str) {
    println!("{what}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("an answer");
}

/// Every meter reports a window; returns what a commit takes, in the middle.
fn fold(options: &Options, store: &mut FileStore, window: u64) -> Duration {
    let sum = Accumulator::new(&ADDITIVE, format().shape.coefficients());
    let mut times = Vec::new();
    for first in (0..options.feeders).step_by(options.feeders_a_commit as usize) {
        let feeders = (options.feeders - first).min(options.feeders_a_commit);
        let reports = feeders * options.meters;
        for from in (0..reports).step_by(options.meters_a_commit as usize) {
            let to = reports.min(from + options.meters_a_commit);
            let mut transaction = Transaction::default();
            for feeder in 0..feeders.min(to - from) {
                let feeder = (from + feeder) % feeders;
                // Meter m of it is number m · feeders + feeder of them all.
                let counted = |to: u64| (to + feeders - 1 - feeder) / feeders;
                let meters = counted(from)..counted(to);
                let row = row(first + feeder, window, meters.end, Stage::Open);
                let rows = meters.map(|meter| contributor(&row.key, meter));
                transaction.contributors.extend(rows);
                transaction.sums.push((row, Limbs::Changed(&sum)));
            }
            times.push(committed(store, &transaction));
        }
    }
    middle(times)
}

/// The sums of a window are settled.
fn settle(options: &Options, store: &mut FileStore, window: u64) -> Duration {
    let feeders: Vec<u64> = (0..options.feeders).collect();
    let commits = feeders.chunks(SETTLED_A_COMMIT as usize).map(|feeders| {
        let rows = feeders.iter().map(|feeder| {
            let row = row(*feeder, window, options.meters, Stage::Settled);
            (row, Limbs::Gone)
        });
        let mut transaction = Transaction {
            sums: rows.collect(),
            ..Transaction::default()
        };
        for (row, _) in transaction.sums.iter().filter(|_| options.at_once) {
            let meters = 0..options.meters;
            let rows = meters.map(|meter| contributor(&row.key, meter));
            transaction.contributors.extend(rows);
        }
        committed(store, &transaction)
    });
    middle(commits.collect())
}

fn committed(store: &mut FileStore, transaction: &Transaction<'_>) -> Duration {
    let began = Instant::now();
    store.commit(transaction).expect("a commit");
    began.elapsed()
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(feeder: u64, window: u64, contributors: u64, stage: Stage) -> SumRow {
    let feeder: FeederId = format!("feeder-{feeder:04}").parse().expect("an id");
    SumRow {
        key: SumKey {
            feeder,
            window: WindowStart(START + window * HOUR),
            part: Part(0),
        },
        epoch: KeyEpoch(1),
        plan_version: PlanVersion(1),
        profile: &ADDITIVE,
        contributors: contributors as u32,
        sealed_at: (UnixMillis(START * 1_000), UnixMillis(START * 1_000)),
        stage,
        replaces: None,
    }
}

fn contributor(key: &SumKey, meter: u64) -> ContributorRow {
    let id = format!("{}-meter-{meter:05}", key.feeder);
    let digest = Digest::of(format!("{id} {}", key.window.0).as_bytes());
    let salt = digest.0.first_chunk().copied().unwrap_or_default();
    ContributorRow {
        key: key.clone(),
        meter: id.parse::<MeterId>().expect("an id"),
        number: meter as u32,
        salt: Salt(salt),
        digest,
    }
}
