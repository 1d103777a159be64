//! Verifying many reports at once: on every core, and signatures together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use wire::{Awaiting, KnownKeys};

use crate::admit::{Admission, Admitted, Incoming, Refusal};

/// Reports whose signatures are verified together. More are hardly cheaper, and one bad signature costs all of them a
/// verification of their own.
pub(crate) const TOGETHER: usize = 128;

/// What became of each report, in their order.
pub type Verdicts = Vec<Result<Admitted, Refusal>>;

/// Checks reports, and keeps what it needs for those of the same meters.
#[derive(Debug)]
pub struct Verifier {
    threads: usize,
    known: KnownKeys,
}

impl Verifier {
    /// One that uses up to `threads` threads, 0: one for each processor; and keeps the keys of up to so many meters.
    #[must_use]
    pub fn new(threads: usize, known_keys: usize) -> Self {
        Self {
            threads,
            known: KnownKeys::new(known_keys),
        }
    }

    /// Checks reports.
    #[must_use]
    pub fn verify(&self, admission: &Admission<'_>, batch: &[Incoming]) -> Verdicts {
        let chunks: Vec<&[Incoming]> = batch.chunks(TOGETHER).collect();
        let threads = match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(chunk) = chunks.get(index) else {
                    return done;
                };
                done.push((index, verify_together(admission, chunk, &self.known)));
            }
        };
        let mut done = thread::scope(|scope| {
            let others = threads.min(chunks.len()).saturating_sub(1);
            let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for other in others {
                match other.join() {
                    Ok(more) => done.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        done.sort_unstable_by_key(|(index, _)| *index);
        done.into_iter()
            .flat_map(|(_, verdicts)| verdicts)
            .collect()
    }
}

/// Checks reports with one verification of all their signatures.
fn verify_together(admission: &Admission<'_>, batch: &[Incoming], known: &KnownKeys) -> Verdicts {
    let mut entries = Vec::with_capacity(batch.len());
    let mut awaiting = Vec::with_capacity(batch.len());
    for incoming in batch {
        let examined = admission.examine(&incoming.topic, &incoming.payload);
        entries.push(examined.map(|candidate| {
            awaiting.push(Awaiting {
                unverified: candidate.unverified,
                topic: &incoming.topic,
                key: candidate.entry.key,
            });
            candidate.entry
        }));
    }
    let mut opened = wire::verify_all(awaiting, admission.deployment, known).into_iter();
    let verdicts = entries.into_iter().map(|entry| {
        let entry = entry?;
        match opened.next() {
            Some(opened) => admission.judge(entry, opened),
            None => unreachable!("every report that was examined has been opened or refused"),
        }
    });
    verdicts.collect()
}
