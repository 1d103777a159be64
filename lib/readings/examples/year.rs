//! Writes a year of quarter hours of 370 customers, some 48 MB, reads it, and says how long that took and how much memory:
//! `cargo run -p readings --example year`. With `two-days` it keeps two days of it, as a demo does.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::time::Instant;

use anyhow::{Context as _, Result};
use readings::{ReplayOptions, Source as _, open_replay};

const CUSTOMERS: u64 = 370;
const ROWS: u64 = 35_040;
const QUARTER_S: u64 = 900;
const START: u64 = 1_388_534_400;

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("readings-year-{}.csv", std::process::id()));
    write(&path)?;
    let bytes = fs::metadata(&path)?.len();
    let keep = std::env::args().any(|argument| argument == "two-days");
    let options = ReplayOptions {
        keep: keep.then_some((START, START + 2 * 86_400)),
        ..ReplayOptions::default()
    };
    let began = Instant::now();
    let replay = open_replay(&path, &options);
    let took = began.elapsed();
    fs::remove_file(&path)?;
    let replay = replay?;
    println!(
        "{} MB, {} customers, {} readings, {} of them kept: {:.1} s, at most {} MB of memory",
        bytes >> 20,
        replay.meters().len(),
        replay.account().readings,
        replay.between(0, u64::MAX).0,
        took.as_secs_f64(),
        peak_kb()? >> 10
    );
    Ok(())
}

fn write(path: &std::path::Path) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    write!(out, "time")?;
    for customer in 0..CUSTOMERS {
        write!(out, ",c{customer}")?;
    }
    for row in 0..ROWS {
        write!(out, "\n{}", START + row * QUARTER_S)?;
        for customer in 0..CUSTOMERS {
            write!(out, ",{}", (row * 7 + customer * 13) % 89)?;
        }
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// The most memory that the process has had, in kB.
fn peak_kb() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmHWM in /proc/self/status")?.parse()?)
}
