//! What a report of the additive profile (27,136 bytes of limbs) costs on its way:
//! `cargo bench -p wire --bench report`.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a bench may fail

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wire::{
    DeploymentId, Digest, KeyEpoch, PlanVersion, Report, Sequence, SigningKey, Topics, UnixMillis,
    WindowStart,
};

const LIMBS: usize = 27_136;
const MAX: usize = 1 << 16;

fn report(criterion: &mut Criterion) {
    let deployment = DeploymentId::try_from("bench").unwrap();
    let topics = Topics::new("cipherwatt/v1").unwrap();
    let key = SigningKey::from_bytes(&[1; 32]);
    let public = key.verifying_key();
    let limbs: Vec<u8> = (0..LIMBS).map(|i| i as u8).collect();
    let report = Report {
        plan_version: PlanVersion(3),
        epoch: KeyEpoch(1),
        feeder: "feeder-12".parse().unwrap(),
        meter: "meter-123456".parse().unwrap(),
        gateway: "gateway-7".parse().unwrap(),
        window: WindowStart(1_749_945_600),
        sequence: Sequence(1234),
        sealed_at: UnixMillis(1_750_032_001_234),
        clamped: 0,
        missing: 0,
    };
    let topic = topics.report(&report.feeder, &report.meter);
    let (sealed, _) = wire::seal(&report, Some(&limbs), &deployment, &topic, &key);
    let shared = Bytes::from(sealed.clone());

    let mut group = criterion.benchmark_group("report");
    group.throughput(Throughput::Bytes(sealed.len() as u64));
    group.bench_function("decode", |b| {
        b.iter(|| wire::decode::<Report>(black_box(&sealed), MAX).unwrap());
    });
    group.bench_function("decode_shared", |b| {
        b.iter(|| wire::decode_shared::<Report>(black_box(&shared), MAX).unwrap());
    });
    group.bench_function("decode_shared_and_verify", |b| {
        b.iter(|| {
            let unverified = wire::decode_shared::<Report>(black_box(&shared), MAX).unwrap();
            unverified.verify(&deployment, &topic, &public).unwrap()
        });
    });
    group.bench_function("seal", |b| {
        b.iter(|| wire::seal(black_box(&report), Some(&limbs), &deployment, &topic, &key));
    });
    group.bench_function("sha256_of_limbs", |b| {
        b.iter(|| Digest::of(black_box(&limbs)));
    });
    group.bench_function("parse_topic", |b| {
        b.iter(|| topics.parse(black_box(&topic)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, report);
criterion_main!(benches);
