//! What a simulated reading costs: 1,000 meters, one interval, by its length.
//! `cargo bench -p meter --bench simulate`

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use meter::source::{FleetOptions, Mix, Simulated, Source};
use wire::UnixSeconds;

const METERS: u32 = 1_000;

fn simulate(c: &mut Criterion) {
    let mut group = c.benchmark_group("simulate");
    for (name, mix) in [("households", Mix::HOUSEHOLDS), ("suburb", Mix::SUBURB)] {
        let mut fleet = Simulated::new(&FleetOptions {
            meters: METERS,
            mix,
            ..FleetOptions::default()
        })
        .expect("the options are valid");
        for interval_s in [60, 900, 3_600] {
            let mut out = Vec::new();
            // From midnight, so that the work of a new day is in it as often as it is in use.
            let mut start = 1_736_899_200;
            group.throughput(Throughput::Elements(u64::from(METERS)));
            group.bench_function(format!("{name}/{interval_s}s"), |b| {
                b.iter(|| {
                    let read = fleet.read(UnixSeconds(start), interval_s, &mut out);
                    start += u64::from(interval_s);
                    black_box(read).expect("the interval divides a day");
                    black_box(out.len())
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, simulate);
criterion_main!(benches);
