//! What a commit of the file store costs: 100 reports over 100 feeders, 256 over 256, 256 over 8, and 2,048
//! over 1,000.
//!
//! The file is in the folder of temporary files (`TMPDIR`), so that is the disk that is measured.

use std::time::Instant;

use analytics::store::{FileStore, Store, StoreFormat};
use analytics::windows::{Contribution, FoldResult, Rules, Windows};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use packed::ADDITIVE;
use wire::{Digest, Grid, KeyEpoch, PlanVersion, Report, Sequence, UnixMillis, WindowStart};

fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(50);
    for (reports, feeders) in [(100, 100), (256, 256), (256, 8), (2048, 1000)] {
        group.throughput(Throughput::Elements(reports));
        group.bench_function(
            format!("{reports} reports over {feeders} feeders"),
            |bencher| {
                let folder = tempfile::tempdir().expect("a folder");
                let deployment = "bench".parse().expect("an id");
                let mut store = FileStore::open(&folder.path().join("sums.redb"), &deployment)
                    .expect("a store");
                let grid = Grid::new(3600, 1).expect("a grid");
                let format = StoreFormat {
                    profile: &ADDITIVE,
                    grid,
                };
                store.load(&format, &mut drop).expect("an empty store");
                let rules = Rules {
                    min_meters: 15,
                    grace_s: 3600,
                    idle_limit_ms: 30_000,
                    retention_s: 7 * 86_400,
                    max_open: 4096,
                    max_feeders: 1024,
                    max_hot: 1024,
                    fingerprint_bits: 32,
                };
                let mut windows = Windows::new(&ADDITIVE, grid, rules);
                let limbs = packed::pack(&ADDITIVE, &vec![3; ADDITIVE.words()]).expect("limbs");
                let mut meter = 0_u64;
                bencher.iter_custom(|iterations| {
                    let mut took = std::time::Duration::ZERO;
                    for _ in 0..iterations {
                        for _ in 0..reports {
                            meter += 1;
                            // A sum takes so many meters, then the next window.
                            let window = meter / (feeders * 1_000);
                            let report = report(meter, meter % feeders, window);
                            fold(&mut windows, &mut store, &report, &limbs);
                        }
                        let started = Instant::now();
                        store.commit(&windows.transaction()).expect("a commit");
                        took += started.elapsed();
                        windows.committed();
                    }
                    took
                });
            },
        );
    }
    group.finish();
}

fn report(meter: u64, feeder: u64, window: u64) -> Report {
    Report {
        plan_version: PlanVersion(1),
        epoch: KeyEpoch(1),
        feeder: format!("feeder-{feeder}").parse().expect("an id"),
        meter: format!("meter-{meter:07}").parse().expect("an id"),
        gateway: "gateway-1".parse().expect("an id"),
        window: WindowStart(1_699_999_200 + window * 3600),
        sequence: Sequence(1),
        sealed_at: UnixMillis(0),
        clamped: 0,
        missing: 0,
    }
}

fn fold(windows: &mut Windows, store: &mut FileStore, report: &Report, limbs: &[u8]) {
    let contribution = Contribution {
        report,
        limbs,
        digest: Digest::of(report.meter.as_str().as_bytes()),
    };
    let result = windows.fold(&contribution, 0, store);
    assert!(matches!(result, Ok(FoldResult::Folded(_))), "{result:?}");
}

criterion_group!(benches, commits);
criterion_main!(benches);
