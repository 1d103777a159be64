//! A year of quarter hours of 370 customers needs memory for what is replayed of it. (The only test of its process, whose greatest
//! memory it looks at.)

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use readings::{MicroWattHours, Reading, ReplayOptions, Source as _, Unit, open_replay};
use wire::UnixSeconds;

const CUSTOMERS: u64 = 370;
const ROWS: u64 = 35_040;
const QUARTER_S: u64 = 900;
/// 1 January 2014.
const START: u64 = 1_388_534_400;
const DAY_S: u64 = 86_400;

/// Wh of a customer in a quarter hour.
fn wh(row: u64, customer: u64) -> u64 {
    (row * 7 + customer * 13) % 997
}

/// Energy in µWh of all customers in `rows`.
fn total_uwh(rows: std::ops::Range<u64>) -> i128 {
    let of_row = |row| (0..CUSTOMERS).map(move |customer| i128::from(wh(row, customer)));
    rows.flat_map(of_row).sum::<i128>() * i128::from(MicroWattHours::PER_WH)
}

/// Some 48 MB.
fn write(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write!(out, "time")?;
    for customer in 0..CUSTOMERS {
        write!(out, ",c{customer}")?;
    }
    for row in 0..ROWS {
        write!(out, "\n{}", START + row * QUARTER_S)?;
        for customer in 0..CUSTOMERS {
            write!(out, ",{}", wh(row, customer))?;
        }
    }
    writeln!(out)?;
    out.flush()
}

/// The most memory that this process has had, in MB.
fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb: u64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
    kb >> 10
}

/// Reads what `keep` says of the file, and how much memory the process has had after that.
fn peak_of(path: &Path, keep: Option<(u64, u64)>, rows: std::ops::Range<u64>) -> u64 {
    let options = ReplayOptions {
        unit: Some(Unit::Wh),
        keep,
        ..ReplayOptions::default()
    };
    let mut replay = open_replay(path, &options).unwrap();
    let peak = peak_mb();
    assert_eq!(replay.account().readings, CUSTOMERS * ROWS);
    assert_eq!(replay.account().total_uwh, total_uwh(0..ROWS));
    let kept = (CUSTOMERS * (rows.end - rows.start), total_uwh(rows.clone()));
    assert_eq!(replay.between(0, u64::MAX), kept);
    // 996 Wh in a quarter hour.
    assert_eq!(replay.meters()[0].capacity_w.0, 3_984);
    let mut readings = Vec::new();
    let last = rows.end - 1;
    let start = UnixSeconds(START + last * QUARTER_S);
    replay.read(start, 900, &mut readings).unwrap();
    for (customer, reading) in (0..).zip(readings) {
        let energy = wh(last, customer) as i64 * MicroWattHours::PER_WH;
        assert_eq!(reading, Reading::Energy(MicroWattHours(energy)));
    }
    peak
}

#[test]
fn a_year_of_many_customers_needs_memory_for_what_is_replayed() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-year-of-quarter-hours.csv");
    write(&path).unwrap();
    let before = peak_mb();
    let keep = (START + 100 * DAY_S, START + 102 * DAY_S);
    let days = peak_of(&path, Some(keep), 100 * 96..102 * 96) - before;
    let year = peak_of(&path, None, 0..ROWS) - before;
    fs::remove_file(&path).unwrap();
    // 13 million readings in the year.
    println!("two days: {days} MB; the year: {year} MB");
    assert!(year <= 56, "the year needed {year} MB");
    assert!(days <= 24, "two days of it needed {days} MB");
}
