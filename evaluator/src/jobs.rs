//! The bits of a comparison, on several threads. One comparison at a time, so that memory is that of its sums.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use compare::{Difference, Lwe};
use packed::Lifted;
use tokio::task::spawn_blocking;
use wire::{Comparison, Digest};

use crate::comparer::CompareError;
use crate::{Comparer, EvaluatorError, metrics};

/// How often it is said how far a comparison has come.
const SAY: Duration = Duration::from_secs(30);

/// A comparison with its sums.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) digest: Digest,
    pub(crate) comparison: Comparison,
    /// In the order of the comparison's.
    pub(crate) sums: Vec<Lifted>,
}

/// What the threads share.
struct Shared {
    job: Job,
    comparer: Arc<Comparer>,
    /// The next number, for whichever thread is free.
    next: AtomicUsize,
    bits: Mutex<Vec<Option<Lwe>>>,
    stopped: Arc<AtomicBool>,
    said: Mutex<Instant>,
}

/// Why there are no bits.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Compare(#[from] CompareError),
    #[error("a sum has no coefficient for a number that it is to be compared with")]
    Coefficient,
    /// The process is ending; the comparison is done again at its next start.
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Task(#[from] Box<EvaluatorError>),
}

/// Computes all bits of a comparison.
pub(crate) async fn run(
    job: Job,
    comparer: Arc<Comparer>,
    (threads, stopped): (usize, Arc<AtomicBool>),
) -> Result<(Digest, Vec<Lwe>), JobError> {
    let count = job.comparison.numbers.len();
    let digest = job.digest;
    let shared = Arc::new(Shared {
        job,
        comparer,
        next: AtomicUsize::new(0),
        bits: Mutex::new(vec![None; count]),
        stopped,
        said: Mutex::new(Instant::now()),
    });
    let tasks = (0..threads.clamp(1, count)).map(|_| {
        let shared = shared.clone();
        spawn_blocking(move || shared.work())
    });
    for task in tasks.collect::<Vec<_>>() {
        let done = task.await;
        done.map_err(|error| Box::new(EvaluatorError::Task(error)))??;
    }
    let mut bits = shared.bits.lock().unwrap_or_else(PoisonError::into_inner);
    let bits: Option<Vec<Lwe>> = bits.drain(..).collect();
    bits.map(|bits| (digest, bits)).ok_or(JobError::Stopped)
}

impl Shared {
    fn work(&self) -> Result<(), JobError> {
        let count = self.job.comparison.numbers.len();
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= count || self.stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            let started = Instant::now();
            let bit = self.bit(index)?;
            metrics::bit(started.elapsed());
            let mut bits = self.bits.lock().unwrap_or_else(PoisonError::into_inner);
            bits[index] = Some(bit);
            let done = bits.iter().flatten().count();
            drop(bits);
            self.say(done, count);
        }
    }

    fn bit(&self, index: usize) -> Result<Lwe, JobError> {
        let comparison = &self.job.comparison;
        let intervals = &comparison.intervals;
        let interval = usize::from(intervals[index % intervals.len()]);
        let number = comparison.numbers[index];
        let difference = match pair(comparison.sums.len(), index / intervals.len()) {
            None => Difference::new(&self.job.sums[0], interval, number),
            Some((one, other)) => Difference::new(&self.job.sums[one], interval, number)
                .zip(Difference::new(&self.job.sums[other], interval, 0))
                .map(|(one, other)| one.less(&other)),
        };
        let difference = difference.ok_or(JobError::Coefficient)?;
        let mut question = self.job.digest.0.to_vec();
        question.extend_from_slice(&(index as u64).to_le_bytes());
        let (epoch, multiplier) = (comparison.epoch, comparison.multiplier);
        Ok(self
            .comparer
            .bit(epoch, &difference, multiplier, &question)?)
    }

    fn say(&self, done: usize, count: usize) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= SAY {
            *said = Instant::now();
            tracing::info!(
                window = self.job.comparison.window.0,
                done,
                of = count,
                "comparing"
            );
        }
    }
}

/// The sums of a pair, in the order of a comparison's numbers; none where there is one sum.
fn pair(sums: usize, index: usize) -> Option<(usize, usize)> {
    let mut pairs = (0..sums).flat_map(|one| (one + 1..sums).map(move |other| (one, other)));
    pairs.nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_in_the_order_of_the_numbers() {
        assert_eq!(pair(1, 0), None);
        let pairs: Vec<_> = (0..6).filter_map(|index| pair(4, index)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]);
        assert_eq!(pair(4, 6), None);
    }
}
