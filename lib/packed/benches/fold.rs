//! Pack, unpack and fold against copying the same bytes.
//!
//! `cargo bench -p packed --bench fold` prints a throughput for each, and at the end the ratio of
//! every kernel to a copy, from rounds that alternate between them: on a shared machine only
//! figures of the same seconds compare.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use packed::{ADDITIVE, Accumulator, Kernel};

/// Distinct ciphertexts: 271 MB, beyond any cache.
const CIPHERTEXTS: usize = 10_000;

/// Bytes from one ciphertext to the next: enough between them that reading ahead of one does not
/// bring in another.
const STRIDE: usize = 32_832;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    packing(&mut criterion);
    let bytes = ciphertexts();
    let mut copy = vec![0; bytes.len()];
    fold(&mut criterion, &bytes, &mut copy);
    criterion.final_summary();
    ratios(&bytes, &mut copy);
}

fn packing(criterion: &mut Criterion) {
    let words: Vec<u64> = Numbers(1)
        .map(|n| n % ADDITIVE.moduli[0])
        .take(4096)
        .collect();
    let bytes = packed::pack(&ADDITIVE, &words).unwrap();
    let mut out = vec![0; bytes.len()];
    let mut group = criterion.benchmark_group("one ciphertext");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("pack", |b| {
        b.iter(|| packed::pack_into(&ADDITIVE, black_box(&words), &mut out));
    });
    group.bench_function("unpack", |b| {
        b.iter(|| packed::unpack(&ADDITIVE, black_box(&bytes)));
    });
    group.bench_function("sum to packed", |b| {
        let sum = Accumulator::from_packed(&ADDITIVE, &bytes, 1).unwrap();
        b.iter(|| black_box(&sum).to_packed());
    });
    for kernel in Kernel::available() {
        group.bench_function(format!("fold from cache, {kernel}"), |b| {
            let mut sum = Accumulator::with_kernel(&ADDITIVE, kernel).unwrap();
            b.iter(|| {
                if sum.contributors() == ADDITIVE.max_contributors() {
                    sum = Accumulator::with_kernel(&ADDITIVE, kernel).unwrap();
                }
                sum.add(black_box(&bytes)).unwrap();
            });
        });
    }
    group.finish();
}

fn fold(criterion: &mut Criterion, bytes: &[u8], copy: &mut [u8]) {
    let mut group = criterion.benchmark_group("10,000 ciphertexts from RAM");
    group.throughput(Throughput::Bytes(
        (CIPHERTEXTS * ADDITIVE.packed_len()) as u64,
    ));
    group.bench_function("memcpy", |b| b.iter(|| copy_all(bytes, copy)));
    group.bench_function("memcpy to one buffer", |b| {
        b.iter(|| copy_to_one(bytes, copy))
    });
    for kernel in Kernel::available() {
        group.bench_function(format!("fold, {kernel}"), |b| {
            b.iter(|| fold_all(bytes, kernel))
        });
    }
    group.finish();
}

fn ratios(bytes: &[u8], copy: &mut [u8]) {
    const ROUNDS: usize = 21;
    let kernels: Vec<Kernel> = Kernel::available().collect();
    let mut times = vec![Vec::new(); 2 + kernels.len()];
    for _ in 0..ROUNDS {
        times[0].push(time(|| copy_all(bytes, copy)));
        times[1].push(time(|| copy_to_one(bytes, copy)));
        for (times, &kernel) in times[2..].iter_mut().zip(&kernels) {
            times.push(time(|| fold_all(bytes, kernel)));
        }
    }
    let medians: Vec<f64> = times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        })
        .collect();
    let per_second = |seconds: f64| CIPHERTEXTS as f64 / seconds;
    println!("ciphertexts/s, one thread, median of {ROUNDS} alternating rounds");
    println!("memcpy                {:>9.0}", per_second(medians[0]));
    println!("memcpy to one buffer  {:>9.0}", per_second(medians[1]));
    for (&seconds, kernel) in medians[2..].iter().zip(&kernels) {
        println!(
            "fold, {:<15} {:>9.0}  {:.2} x memcpy, {:.2} x memcpy to one buffer",
            kernel.to_string(),
            per_second(seconds),
            medians[0] / seconds,
            medians[1] / seconds,
        );
    }
}

/// Reads and writes RAM.
fn copy_all(bytes: &[u8], copy: &mut [u8]) {
    for (from, to) in each(bytes).zip(copy.chunks_exact_mut(STRIDE)) {
        to[..from.len()].copy_from_slice(black_box(from));
    }
    black_box(copy);
}

/// Only reads RAM, as the fold does.
fn copy_to_one(bytes: &[u8], copy: &mut [u8]) {
    let to = &mut copy[..ADDITIVE.packed_len()];
    for from in each(bytes) {
        to.copy_from_slice(black_box(from));
        black_box(&mut *to);
    }
}

fn fold_all(bytes: &[u8], kernel: Kernel) {
    let mut sum = Accumulator::with_kernel(&ADDITIVE, kernel).unwrap();
    for ciphertext in each(bytes) {
        sum.add(black_box(ciphertext)).unwrap();
    }
    black_box(&sum);
}

/// Every ciphertext, in a random order: reports are not neighbours in memory.
fn each(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    static ORDER: LazyLock<Vec<usize>> = LazyLock::new(|| {
        let mut order: Vec<_> = (0..CIPHERTEXTS).zip(Numbers(3)).collect();
        order.sort_by_key(|&(_, number)| number);
        order.into_iter().map(|(index, _)| index).collect()
    });
    let len = ADDITIVE.packed_len();
    ORDER
        .iter()
        .map(move |index| &bytes[index * STRIDE..][..len])
}

fn time(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// Random bytes are a ciphertext unless one of 4,096 words hits the 2^-36 above the modulus.
fn ciphertexts() -> Vec<u8> {
    let len = CIPHERTEXTS * STRIDE;
    let mut bytes = Vec::with_capacity(len);
    for number in Numbers(2).take(len / 8) {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// SplitMix64.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    }
}
