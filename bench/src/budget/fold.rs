//! Folding ciphertexts from memory against copying the same bytes.

use std::hint::black_box;

use anyhow::Result;
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE_SMALL, Accumulator, Kernel};
use rand::{Rng as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use harness::usage::thread_time;

/// Distinct ciphertexts: 118 MB, beyond any cache.
const CIPHERTEXTS: usize = 10_000;
/// Reports in a sum: a feeder's.
const SUMMED: usize = 1_000;
/// Readings in a report.
const BATCH: u16 = 96;
/// Bytes from one to the next: enough between them that reading ahead of one does not bring in another.
const STRIDE: usize = 16_448;

/// Ciphertexts in memory, in an order that is not theirs: reports are not neighbours.
pub(crate) struct Memory {
    bytes: Vec<u8>,
    copy: Vec<u8>,
    order: Vec<usize>,
    coefficients: usize,
}

impl Memory {
    /// Random words are a ciphertext, but for the share of them that is above the modulus: about 2^-36 of them.
    pub(crate) fn new() -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let mut bytes = vec![0; CIPHERTEXTS * STRIDE];
        random.fill_bytes(&mut bytes);
        let mut order: Vec<usize> = (0..CIPHERTEXTS).collect();
        order.shuffle(&mut random);
        Ok(Self {
            copy: vec![0; bytes.len()],
            bytes,
            order,
            coefficients: Shape::new(Layout::Profile, BATCH)?.coefficients(),
        })
    }

    /// Copying over folding, in each round.
    pub(crate) fn ratios(&mut self, kernel: Kernel, rounds: usize) -> Result<Vec<f64>> {
        let mut ratios = Vec::with_capacity(rounds);
        self.copy_all();
        for _ in 0..rounds {
            let began = thread_time();
            self.copy_all();
            let copied = thread_time();
            self.fold_all(kernel)?;
            let folded = thread_time();
            ratios.push((copied - began).as_secs_f64() / (folded - copied).as_secs_f64());
        }
        Ok(ratios)
    }

    fn copy_all(&mut self) {
        let len = self.len();
        let places = self.copy.chunks_exact_mut(STRIDE);
        for (index, to) in self.order.iter().zip(places) {
            to[..len].copy_from_slice(black_box(&self.bytes[index * STRIDE..][..len]));
        }
        black_box(&mut self.copy);
    }

    fn fold_all(&self, kernel: Kernel) -> Result<()> {
        let len = self.len();
        for part in self.order.chunks(SUMMED) {
            let mut sum = Accumulator::with_kernel(&ADDITIVE_SMALL, self.coefficients, kernel)?;
            for index in part {
                sum.add(black_box(&self.bytes[index * STRIDE..][..len]))?;
            }
            black_box(&sum);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        ADDITIVE_SMALL.packed_len(self.coefficients)
    }
}
