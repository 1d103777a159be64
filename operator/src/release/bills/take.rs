//! Taking bills, in the order of sums: verify, judge, decrypt, spend, look, make durable, and only then answer.

use std::collections::BTreeSet;

use bytes::Bytes;
use service::{Chain, failpoint};
use wire::{Bill, BillReceipt, Digest, KeyEpoch, Opened, Reason, SumStatus, WindowStart};

use super::report::{BandEnergy, BillReport, BillStage};
use super::result::{BillResult, BillVerdict};
use super::rules::{Decision, Grounds, again};
use crate::metrics;
use crate::open::NotOpened;
use crate::open::bill::UnmaskedBill;
use crate::release::budget::Counted;
use crate::release::ledger::{BillRow, LedgerError};
use crate::release::take_result::Job;
use crate::release::take_sums::SumTaker;
use crate::setup::latest;

impl SumTaker {
    /// Takes a bill.
    pub(crate) fn take_bill(&mut self, job: &Job) -> BillResult {
        self.plan = Some(job.plan.clone());
        let opened = match self.verified_bill(job) {
            Ok(opened) => opened,
            Err(reason) => {
                return BillResult {
                    verdict: BillVerdict::Rejected(reason),
                    message: None,
                };
            }
        };
        let verdict = self.verdict_of(&opened, job).unwrap_or_else(|error| {
            metrics::commit_failed();
            tracing::error!(error = %Chain(&error), "no bill is taken until bills and ledger can be written");
            BillVerdict::Deferred
        });
        let status = match &verdict {
            BillVerdict::Released(_) => Some(SumStatus::Taken),
            BillVerdict::Duplicate => Some(SumStatus::Duplicate),
            BillVerdict::Rejected(reason) => Some(SumStatus::Rejected(*reason)),
            BillVerdict::Deferred => None,
        };
        let message = status.map(|status| self.bill_receipt(&opened, status));
        BillResult { verdict, message }
    }

    fn bill_receipt(&self, opened: &Opened<Bill>, status: SumStatus) -> (String, Bytes) {
        let bill = &opened.message;
        self.signer().bill_receipt(&BillReceipt {
            feeder: bill.feeder.clone(),
            meter: bill.meter.clone(),
            period: bill.period,
            digest: opened.digest,
            status,
        })
    }

    /// A bill that can be trusted to come from the feeder's analytics service. No other gets an answer.
    fn verified_bill(&self, job: &Job) -> Result<Opened<Bill>, Reason> {
        let (deployment, topics) = (&self.settings.deployment, &self.settings.topics);
        let unverified = wire::decode_shared::<Bill>(&job.payload, job.payload.len())
            .map_err(|error| error.reason())?;
        let claimed = unverified.claimed();
        if claimed.feeder != job.feeder {
            return Err(Reason::WrongTopic);
        }
        let key = job.plan.key_for(&job.feeder, &claimed.analytics);
        let key = *key.ok_or(Reason::UnknownAnalytics)?;
        let topic = topics.bill(job.plan.shard(&job.feeder), &job.feeder);
        let opened = unverified.verify(deployment, &topic, &key);
        let mut opened = opened.map_err(|error| error.reason())?;
        if let Some(owner) = job.plan.owner(&job.feeder) {
            opened.message.analytics = owner.clone();
        }
        Ok(opened)
    }

    fn verdict_of(&mut self, opened: &Opened<Bill>, job: &Job) -> Result<BillVerdict, LedgerError> {
        let bill = &opened.message;
        let (Some(tariff), Ok(grid)) = (&job.plan.tariff, job.plan.grid()) else {
            return Ok(BillVerdict::Rejected(Reason::WrongBands));
        };
        let grounds = Grounds {
            plan: &job.plan,
            grid,
            tariff,
            members: &job.members,
            latest_end: latest(&self.clock, self.settings.future_tolerance),
        };
        let bands = match self.judge_bill(opened, &grounds, job)? {
            Decision::Open(bands) => bands,
            Decision::Duplicate => return Ok(BillVerdict::Duplicate),
            Decision::Reject(reason) => return Ok(BillVerdict::Rejected(reason)),
        };
        let intervals = grounds.intervals(bill, &bands);
        let capacity_wh = match grounds.member(bill) {
            Ok(member) => grounds.capacity_wh(member),
            Err(reason) => return Ok(BillVerdict::Rejected(reason)),
        };
        let unmasked = (self.opener).unmask_bill(opened, bands, (&job.plan, &job.members));
        let unmasked = match unmasked {
            Ok(unmasked) if unmasked.fits(capacity_wh) => unmasked,
            Ok(_) => return Ok(BillVerdict::Rejected(Reason::BeyondProfile)),
            Err(reason) => return Ok(BillVerdict::Rejected(reason)),
        };
        let energies = self.spend_and_look(opened, &unmasked, capacity_wh)?;
        let report = energies.map(|energies| {
            let bands = tariff.bands.iter().zip(intervals).zip(energies);
            let bands = bands.map(|((band, intervals), energy_wh)| BandEnergy {
                band: band.clone(),
                intervals,
                energy_wh,
            });
            let bands = bands.filter(|band| band.intervals > 0).collect();
            BillReport::new(bill, opened.digest, grounds.period(bill), bands, self.by())
        });
        let epochs = epochs(bill);
        let row = row(bill, opened.digest);
        self.ledger
            .settle_bill(&row, report.as_ref().ok(), &epochs)?;
        failpoint::hit("operator.after_bill");
        Ok(match report {
            Ok(report) => BillVerdict::Released(Box::new(report)),
            Err(NotOpened) => BillVerdict::Rejected(Reason::NotOpened),
        })
    }

    fn judge_bill(
        &mut self,
        opened: &Opened<Bill>,
        grounds: &Grounds<'_>,
        job: &Job,
    ) -> Result<Decision, LedgerError> {
        let bill = &opened.message;
        let known = self.ledger.bill(&bill.feeder, bill.period, bill.number)?;
        if let Some(decision) = known
            .as_ref()
            .and_then(|known| again(known, &opened.digest))
        {
            return Ok(decision);
        }
        let newest = self.rules(grounds.plan);
        let bands = match grounds.check(bill, &newest) {
            Ok(bands) => bands,
            Err(reason) => return Ok(Decision::Reject(reason)),
        };
        let checked = self.beside_totals(bill, job, known.is_some())?;
        if let Err(reason) = checked {
            return Ok(Decision::Reject(reason));
        }
        match self.may_refuse(bill, grounds)? {
            true => Ok(Decision::Open(bands)),
            false => Ok(Decision::Reject(Reason::KeySpent)),
        }
    }

    /// Whether the bill may still fail under each of its keys.
    fn may_refuse(&mut self, bill: &Bill, grounds: &Grounds<'_>) -> Result<bool, LedgerError> {
        let mut settings = grounds.plan.feeders.iter();
        let is_alone = settings.all(|setting| setting.feeder == bill.feeder);
        for epoch in epochs(bill) {
            let counted = Counted {
                all: self.ledger.refusals(epoch)?,
                feeder: self.ledger.refusals_of(epoch, &bill.feeder)?,
            };
            if !self.budget.allows_one(epoch, counted, is_alone) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn spend_and_look(
        &mut self,
        opened: &Opened<Bill>,
        unmasked: &UnmaskedBill,
        capacity_wh: u64,
    ) -> Result<Result<Vec<i64>, NotOpened>, LedgerError> {
        let bill = &opened.message;
        let windows: Vec<WindowStart> = bill.windows().collect();
        let row = row(bill, opened.digest);
        let spent = self.ledger.spend_bill(&row, &windows)?;
        failpoint::hit("operator.after_bill_spent");
        Ok(unmasked.energy_wh(&spent, capacity_wh))
    }
}

fn row(bill: &Bill, digest: Digest) -> BillRow {
    BillRow {
        feeder: bill.feeder.clone(),
        period: bill.period,
        number: bill.number,
        stage: BillStage::Spent,
        digest,
    }
}

fn epochs(bill: &Bill) -> BTreeSet<KeyEpoch> {
    bill.groups.iter().map(|group| group.epoch).collect()
}
