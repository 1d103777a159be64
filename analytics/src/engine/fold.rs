//! Reports into sums, and what their gateways are told.

use std::time::Instant;

use wire::{Digest, Part, Reason, Status};

use super::{Engine, Event};
use crate::admit::{Admitted, Refusal, Signed};
use crate::metrics;
use crate::store::{Store, StoreError};
use crate::trace;
use crate::verify::Verdicts;
use crate::windows::{Contribution, FoldResult};

impl<S: Store> Engine<S> {
    /// Folds what was found to be a report, and answers the rest. `active_ms`: milliseconds during which the broker was
    /// within reach.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read. The report at which that was noticed, and those after it, are not
    /// folded and not answered, so that their gateways send them again.
    pub fn fold(&mut self, verdicts: Verdicts, active_ms: u64) -> Result<(), StoreError> {
        let started = Instant::now();
        let mut folded = 0;
        let mut duplicate = 0;
        let reports = verdicts.len();
        let mut folding = Ok(());
        for verdict in verdicts {
            let status = match verdict.and_then(|admitted| self.still_owned(admitted)) {
                Ok(admitted) => self.fold_one(admitted, active_ms),
                Err(refusal) => self.refuse(refusal, active_ms),
            };
            match status {
                Ok(Some(Status::Folded)) => folded += 1,
                Ok(Some(Status::Duplicate)) => duplicate += 1,
                Ok(_) => {}
                Err(error) => {
                    folding = Err(error);
                    break;
                }
            }
        }
        metrics::folding(started.elapsed(), reports);
        for (count, event) in [
            (folded, Event::Folded(folded)),
            (duplicate, Event::Duplicate(duplicate)),
        ] {
            if count > 0 {
                self.ready.events.push(event);
            }
        }
        folding
    }

    /// A report was admitted under the plan of then. If its feeder has been handed over since, a sum opened for it here
    /// could never be released, and its readings would be counted by the new owner, too.
    fn still_owned(&self, admitted: Admitted) -> Result<Admitted, Refusal> {
        let feeder = &admitted.report.feeder;
        let assigned = self.assigned.as_ref();
        let owned = match self.holds(self.shard(feeder)) {
            true => assigned.map_or(Ok(()), |assigned| assigned.check_owner(feeder)),
            false => Err(format!(
                "another process of the pool adds for feeder {feeder}"
            )),
        };
        match owned {
            Ok(()) => Ok(admitted),
            Err(detail) => Err(Refusal::silent(Reason::UnknownAnalytics, detail)),
        }
    }

    /// Folds a report and answers it; returns the answer.
    fn fold_one(
        &mut self,
        admitted: Admitted,
        active_ms: u64,
    ) -> Result<Option<Status>, StoreError> {
        let Admitted {
            report,
            limbs,
            address,
            number,
            profile,
            max_meters,
            billed,
        } = admitted;
        let contribution = Contribution {
            report: &report,
            limbs: &limbs,
            digest: address.digest,
            number,
            profile,
            max_meters,
        };
        let bill = match billed {
            Some(billed) => Some(self.open_bill(&report, number, billed)?),
            None => None,
        };
        let windows = &mut self.windows;
        let (status, part) = match windows.fold(&contribution, active_ms, &mut self.store)? {
            FoldResult::Folded(part) => {
                if let Some(bill) = bill {
                    self.add_to_bill(bill, &report, &limbs);
                }
                metrics::folded(part);
                let shard = self.shard(&report.feeder);
                self.ready.sealed_at.push((shard, report.sealed_at));
                let deployment = &self.identity.deployment;
                let folded = trace::folded(deployment, &report, &address.digest, part);
                self.ready.folded.extend(folded);
                (Status::Folded, part)
            }
            FoldResult::Duplicate(part) => {
                trace::duplicate(&self.identity.deployment, &report, &address.digest);
                self.duplicate(&address, part)?;
                (Status::Duplicate, part)
            }
            FoldResult::Refused(reason) => {
                metrics::rejected(reason, || format!("a report of meter {}", report.meter));
                self.ready.events.push(Event::Rejected(reason));
                (Status::Rejected(reason), Part(0))
            }
        };
        self.answer(address, status, part);
        Ok(Some(status))
    }

    /// Answers a report that may not be folded, if it is to be answered; returns the answer.
    ///
    /// It may be in a sum all the same: it was admitted under an older plan, and its receipt did not arrive. Told the
    /// refusal, its gateway would seal the readings again, and the new ciphertext would be a conflict.
    ///
    /// And it may be asked for again, for the part that replaces the one it is in: that part is under the plan of then too.
    fn refuse(&mut self, refusal: Refusal, active_ms: u64) -> Result<Option<Status>, StoreError> {
        let Refusal {
            reason,
            detail,
            address,
            signed,
        } = refusal;
        // Of a shard that is another's nothing is looked up, and nobody is answered.
        let address = address.filter(|address| self.holds(self.shard(&address.feeder)));
        if let Some(address) = &address {
            let window = address.window;
            let meter = &address.meter;
            let digest = address.digest;
            let windows = &self.windows;
            let store = &mut self.store;
            if let Some(part) = windows.holds(&address.feeder, window, meter, digest, store)? {
                if let Some(signed) = &signed
                    && let Some(part) = self.fold_wanted(signed, digest, part, active_ms)?
                {
                    self.answer(address.clone(), Status::Folded, part);
                    return Ok(Some(Status::Folded));
                }
                self.duplicate(address, part)?;
                self.answer(address.clone(), Status::Duplicate, part);
                return Ok(Some(Status::Duplicate));
            }
        }
        metrics::rejected(reason, || detail.into());
        self.ready.events.push(Event::Rejected(reason));
        Ok(address.map(|address| {
            let status = Status::Rejected(reason);
            self.answer(address, status, Part(0));
            status
        }))
    }

    /// Folds a report that is in `part` into the one that replaces it, if there is one that takes it; returns that.
    fn fold_wanted(
        &mut self,
        signed: &Signed,
        digest: Digest,
        part: Part,
        active_ms: u64,
    ) -> Result<Option<Part>, StoreError> {
        let Signed {
            report,
            limbs,
            number,
        } = signed;
        let windows = &mut self.windows;
        let store = &mut self.store;
        match windows.fold_wanted(
            (report, *number),
            (&**limbs, digest),
            part,
            active_ms,
            store,
        )? {
            FoldResult::Folded(part) => {
                metrics::folded(part);
                Ok(Some(part))
            }
            FoldResult::Duplicate(_) | FoldResult::Refused(_) => Ok(None),
        }
    }
}
