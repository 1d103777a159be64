//! Batches to the sealing threads, and sealed reports back.

use service::telemetry::{ReportId, Sparing};

use super::Gateway;
use crate::MeterError;
use crate::journal::{Op, Place};
use crate::outbox::{Key, Sealed};
use crate::seal::SealError;
use crate::trace;

/// Batches one sealing task takes: some milliseconds of work.
const SEAL_CHUNK: usize = 8;

impl Gateway {
    pub(super) fn start_sealing(&mut self) {
        let Some(sealer) = &self.sealer else { return };
        while self.sealing.len() < self.seal_threads {
            let batches = self.outbox.next_to_seal(SEAL_CHUNK);
            if batches.is_empty() {
                return;
            }
            let (sealer, clock) = (sealer.clone(), self.clock.clone());
            self.sealing.spawn_blocking(move || {
                batches
                    .iter()
                    .map(|batch| ((batch.meter, batch.window), sealer.seal(batch, clock.now())))
                    .collect()
            });
        }
    }

    pub(super) fn enter_sealed(
        &mut self,
        sealed: Vec<(Key, Result<Sealed, SealError>)>,
    ) -> Result<(), MeterError> {
        let now_ms = self.now_ms();
        for (key, sealed) in sealed {
            match sealed {
                // It is due once the journal has it.
                Ok(report) => {
                    self.summary.sealed.0 += report.payload.len() as u64;
                    self.summary.sealed.1 += 1;
                    let member = &self.fleet.members[report.meter];
                    tracing::debug!(
                        trace_id = %trace::of(&self.settings, &member.feeder, report.window),
                        report = %ReportId(&report.digest), meter = %member.meter, bytes = report.payload.len(),
                        "sealed"
                    );
                    let place = Place {
                        window: report.window,
                        feeder: member.feeder.clone(),
                        meter: member.meter.clone(),
                    };
                    if let Some(batch) = self.outbox.batch(key) {
                        self.writer.push(Op::Sealed(place, batch.clone(), report));
                    }
                }
                // The plan that has a place for it may still come.
                Err(
                    error @ (SealError::NoEpoch(_)
                    | SealError::NoFeeder(_)
                    | SealError::OtherGrid(_)),
                ) => {
                    static LINES: Sparing = Sparing::new();
                    if let Some(line) = LINES.line() {
                        tracing::warn!(
                            count = line.count,
                            unlogged = line.unlogged,
                            "{error}: waiting for a plan that does"
                        );
                    }
                    self.outbox.unsealed(key, now_ms);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
