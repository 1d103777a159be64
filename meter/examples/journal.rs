//! What the journal costs a report: processor time, wall time and bytes, by how many reports share a commit.
//! `cargo run --release -p meter --example journal [FOLDER]`, the folder on the disk to measure.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use meter::journal::{Batch, FILE, Journal, Op, Place, Progress, Sealed, Spans};
use wire::{Digest, FeederId, MeterId, WindowStart};

const METERS: usize = 1_000;
const READINGS: u16 = 96;
const WINDOWS: u64 = 4;
/// Bytes of a sealed report.
const REPORT: usize = 27_319;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    println!("reports a commit   cpu us/report   wall us/report   commits/s   file MB   open ms");
    for group in [1, 8, 32, 128] {
        let folder = Path::new(&folder).join(format!("journal-{group}"));
        std::fs::create_dir_all(&folder)?;
        measure(&folder, group)?;
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn measure(folder: &Path, group: usize) -> Result<(), Failure> {
    let (mut journal, _) = Journal::open(folder)?;
    let places = places()?;
    let (cpu, wall) = (cpu_us()?, Instant::now());
    let mut commits = 0;
    for window in 0..WINDOWS {
        let batches = batches(&places, window);
        journal.commit(&[window_op(window, &batches)])?;
        for chunk in batches.chunks(group) {
            let mut ops: Vec<Op> = Vec::with_capacity(2 * group);
            for (place, batch) in chunk {
                ops.push(Op::Sealed(place.clone(), batch.clone(), sealed(batch)));
            }
            // Receipts of the commit before come along with this one; those of the last window stay.
            if window + 1 < WINDOWS {
                journal.commit(&ops)?;
                ops = chunk
                    .iter()
                    .map(|(place, _)| Op::Settled(place.clone()))
                    .collect();
                // Lazy in a gateway: charged here as if every group needed its own.
                journal.commit(&ops)?;
                commits += 1;
            } else {
                journal.commit(&ops)?;
            }
            commits += 1;
        }
    }
    let reports = (WINDOWS as usize * METERS) as f64;
    let (cpu, wall) = (cpu_us()? - cpu, wall.elapsed());
    drop(journal);
    let opening = Instant::now();
    let (_, held) = Journal::open(folder)?;
    assert_eq!(held.sealed.len(), METERS);
    println!(
        "{group:>16}   {:>13.1}   {:>14.1}   {:>9.0}   {:>7.1}   {:>7.1}",
        cpu / reports,
        wall.as_secs_f64() * 1e6 / reports,
        f64::from(commits) / wall.as_secs_f64(),
        std::fs::metadata(folder.join(FILE))?.len() as f64 / 1e6,
        opening.elapsed().as_secs_f64() * 1e3,
    );
    Ok(())
}

fn places() -> Result<Vec<(FeederId, MeterId)>, Failure> {
    (0..METERS)
        .map(|meter| {
            let feeder = format!("feeder-{}", meter % 10).parse()?;
            Ok((feeder, format!("gateway-1-meter-{meter:06}").parse()?))
        })
        .collect()
}

fn batches(places: &[(FeederId, MeterId)], window: u64) -> Vec<(Place, Batch)> {
    let batch = |(meter, (feeder, id)): (usize, &(FeederId, MeterId))| {
        let window = WindowStart(window * 86_400);
        let place = Place {
            window,
            feeder: feeder.clone(),
            meter: id.clone(),
        };
        let readings_wh = (0..i64::from(READINGS))
            .map(|k| 50 + (k * 37 + meter as i64) % 900)
            .collect();
        let batch = Batch {
            meter,
            window,
            readings_wh,
            clamped: 0,
            missing: 0,
        };
        (place, batch)
    };
    places.iter().enumerate().map(batch).collect()
}

fn window_op(window: u64, batches: &[(Place, Batch)]) -> Op {
    let mut spans = Spans::default();
    spans.insert(0, (window + 1) * 86_400);
    Op::Window {
        progress: Progress {
            run: 1,
            settings: String::new(),
            interval_s: 900,
            batch: READINGS,
            from: 0,
            end: None,
            window: (window + 1) * 86_400,
            interval: 0,
            live: false,
            behind: std::collections::BTreeMap::new(),
            missed: Spans::default(),
        },
        batches: batches.to_vec(),
        reported: batches
            .iter()
            .map(|(place, _)| (place.meter.clone(), spans.clone()))
            .collect(),
    }
}

fn sealed(batch: &Batch) -> Sealed {
    Sealed {
        meter: batch.meter,
        window: batch.window,
        digest: Digest([batch.meter as u8; 32]),
        payload: Bytes::from(vec![batch.meter as u8; REPORT]),
    }
}

/// Processor time of this thread, which does all the work, in microseconds.
fn cpu_us() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = stat.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e3)
}
