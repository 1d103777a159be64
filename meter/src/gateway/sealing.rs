//! Batches to the sealing threads, and sealed reports back.

use std::sync::Arc;

use service::telemetry::{ReportId, Trace};
use service::warn_limited;
use tokio::task::JoinSet;

use super::Gateway;
use super::pause::Pause;
use crate::MeterError;
use crate::batch::Batch;
use crate::journal::{Op, Place};
use crate::metrics;
use crate::outbox::{Key, Sealed};
use crate::seal::{SealError, Sealer};

/// Batches one sealing task takes: some milliseconds of work.
const SEAL_CHUNK: usize = 8;

/// What a sealing task comes back with.
pub(super) type Sealings = Vec<(Key, Result<Sealed, SealError>)>;

/// The threads that seal, and what they seal with.
pub(super) struct Sealing {
    /// None before the first plan.
    pub(super) sealer: Option<Arc<Sealer>>,
    pub(super) tasks: JoinSet<Sealings>,
    /// Why nothing is sealed, as it was last said.
    pub(super) pause: Option<Pause>,
    threads: usize,
}

impl Sealing {
    /// On so many threads; 0: one for each processor.
    pub(super) fn new(threads: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            sealer: None,
            tasks: JoinSet::new(),
            pause: None,
            threads: if threads == 0 { processors } else { threads },
        }
    }
}

impl Gateway {
    pub(super) fn start_sealing(&mut self) {
        let Some(sealer) = self.sealing.sealer.clone() else {
            return;
        };
        // What is being read takes up the room that is left.
        while self.sealing.tasks.len() < self.sealing.threads && !self.kept.is_reading() {
            let mut batches = self.outbox.next_to_seal(SEAL_CHUNK);
            if batches.is_empty() {
                return;
            }
            batches.iter_mut().for_each(|batch| self.enter_again(batch));
            let sealer = sealer.clone();
            let clock = self.clock.clone();
            self.sealing.tasks.spawn_blocking(move || {
                batches
                    .iter()
                    .map(|batch| ((batch.meter, batch.window), sealer.seal(batch, clock.now())))
                    .collect()
            });
        }
    }

    /// A batch that was entered in finer quanta than the plan in force has enters again before it is sealed.
    fn enter_again(&mut self, batch: &mut Batch) {
        let place = self.place((batch.meter, batch.window));
        let scale = self.scale(&place.feeder, place.window);
        let records = &mut self.reader.records;
        let record = records.entry(place.meter.clone()).or_default();
        if !record.enter_again(batch, scale) {
            return;
        }
        metrics::entered_again();
        warn_limited!(
            "a report has readings in smaller steps than the {} Wh that feeder {} has under the plan in force: they are \
             rounded again",
            scale.quantum_wh,
            place.feeder
        );
        self.outbox.change(batch);
        let record = record.clone();
        self.writer
            .push(Op::EnteredAgain(place, batch.clone(), record));
    }

    pub(super) fn enter_sealed(&mut self, sealed: Sealings) -> Result<(), MeterError> {
        let now_ms = self.now_ms();
        for (key, sealed) in sealed {
            match sealed {
                // It is due once the journal has it.
                Ok(report) => {
                    self.summary.sealed.0 += report.payload.len() as u64;
                    self.summary.sealed.1 += 1;
                    let member = &self.fleet.members[report.meter];
                    tracing::debug!(
                        trace_id = %Trace { deployment: &self.settings.deployment.id, feeder: &member.feeder, window: report.window },
                        report = %ReportId(&report.digest), meter = %member.meter, bytes = report.payload.len(),
                        "sealed"
                    );
                    let place = self.place(key);
                    if let Some(batch) = self.outbox.batch(key) {
                        self.writer.push(Op::Sealed(place, batch.clone(), report));
                    }
                }
                // The plan that has a place for it may still come.
                Err(
                    error @ (SealError::NoEpoch(_)
                    | SealError::NoFeeder(_)
                    | SealError::NoHolders(_)
                    | SealError::OtherGrid(_)),
                ) => {
                    warn_limited!("{error}: waiting for a plan that does");
                    self.outbox.unsealed(key, now_ms);
                }
                // No plan will: a feeder's reference is fixed, and the minimum of a window that was. The others go on.
                Err(error @ (SealError::AboveReference { .. } | SealError::BelowFloor { .. })) => {
                    warn_limited!(
                        "a report is left out, and its readings are in no total: {error}"
                    );
                    metrics::left_out();
                    self.summary.lost += 1;
                    self.outbox.give_up(key);
                    self.writer.push(Op::Settled(self.place(key)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Where the journal has a report.
    pub(super) fn place(&self, (meter, window): Key) -> Place {
        let member = &self.fleet.members[meter];
        Place {
            window,
            feeder: member.feeder.clone(),
            meter: member.meter.clone(),
        }
    }
}
