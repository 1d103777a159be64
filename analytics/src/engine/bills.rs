//! Bills: what the reports of billed meters come to by tariff band, and what the operator is sent of that.
//!
//! A report of a billed meter is added to the sum of its window and, in the same commit, to its group of the meter's bill; once,
//! whether that sum opens or not. Once all windows of a billing period are over and none of its sums awaits anything, the bills of
//! the period are sent, and again until the operator has answered for good. Then they go.
//!
//! Nothing of a bill is in memory but what the next commit makes durable: at most 15 kB a report. `send`: what the operator is sent.

mod send;

use std::collections::BTreeMap;

use wire::{BillReceipt, FeederId, MAX_BILL_GROUPS, MeterId, Report, SumStatus, WindowStart};

use super::{Engine, Outgoing};
use crate::admit::Billed;
use crate::metrics;
use crate::store::{BillGroup, BillKey, BillOf, Store, StoreError};

/// Groups looked at in a step: those of a few meters, or of one that has the most.
const GROUPS_A_STEP: usize = 2 * MAX_BILL_GROUPS;

/// No id comes before it.
const FIRST_METER: &str = "-";

/// What is kept of bills in memory.
#[derive(Debug, Default)]
pub(super) struct Bills {
    /// Groups that changed since the last commit, with their record; without one it goes.
    changed: BTreeMap<BillKey, Option<Vec<u8>>>,
    /// The billing periods of which there are groups.
    periods: BTreeMap<(FeederId, WindowStart), Sending>,
    /// What is sent after the next commit, with the feeder each is of.
    pub(super) ready: Vec<(FeederId, Outgoing)>,
}

/// How far a period's bills have been sent.
#[derive(Debug, Clone, Default)]
struct Sending {
    /// The group that is next; none: the first.
    from: Option<BillKey>,
    /// When they are sent, again, in milliseconds of reach.
    due_ms: u64,
}

/// A report's group before the report is added.
pub(super) struct Opened {
    key: BillKey,
    group: BillGroup,
}

impl Bills {
    /// Takes up periods that a store has groups of.
    pub(super) fn enter(&mut self, periods: impl IntoIterator<Item = (FeederId, WindowStart)>) {
        let periods = periods.into_iter();
        self.periods
            .extend(periods.map(|period| (period, Sending::default())));
    }

    /// What the next commit makes durable.
    pub(super) fn changes(&self) -> Vec<(BillKey, Option<Vec<u8>>)> {
        let changed = self.changed.iter();
        let changed = changed.map(|(key, record)| (key.clone(), record.clone()));
        changed.collect()
    }

    pub(super) fn committed(&mut self) {
        self.changed.clear();
    }

    /// Forgets all of these feeders.
    pub(super) fn let_go(&mut self, is_gone: &dyn Fn(&FeederId) -> bool) {
        self.changed.retain(|key, _| !is_gone(&key.feeder));
        self.periods.retain(|(feeder, _), _| !is_gone(feeder));
        self.ready.retain(|(feeder, _)| !is_gone(feeder));
    }

    fn record(&self, key: &BillKey, store: &mut dyn Store) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changed.get(key) {
            Some(record) => Ok(record.clone()),
            None => store.bill(key),
        }
    }
}

/// The first key that a group of a feeder's period can have.
fn first_of(feeder: &FeederId, period: WindowStart) -> Option<BillKey> {
    let of = BillOf {
        feeder: feeder.clone(),
        period,
        meter: MeterId::try_from(FIRST_METER).ok()?,
    };
    Some(of.first())
}

impl<S: Store> Engine<S> {
    /// The group of a bill that a report goes into.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub(super) fn open_bill(
        &mut self,
        report: &Report,
        number: u32,
        billed: Billed,
    ) -> Result<Opened, StoreError> {
        let Billed {
            period,
            bands,
            profile,
        } = billed;
        let key = BillKey {
            feeder: report.feeder.clone(),
            period,
            meter: report.meter.clone(),
            epoch: report.epoch,
            plan_version: report.plan_version,
            bands: BillKey::named(&bands),
        };
        let coefficients = self.format.shape.coefficients();
        let group = match self.bills.record(&key, &mut self.store)? {
            Some(record) => BillGroup::read(&key, coefficients, &record)?,
            None => BillGroup::new(number, bands, (profile, coefficients)),
        };
        Ok(Opened { key, group })
    }

    /// Adds a report that was folded to its group, unless it is there already: a report of a sum that did not open is folded again.
    pub(super) fn add_to_bill(&mut self, opened: Opened, report: &Report, limbs: &[u8]) {
        let Opened { key, mut group } = opened;
        let payload = self.format.shape.checks().start;
        match group.add((report.window, report.salt), limbs, payload) {
            Ok(true) => {
                metrics::bills::added();
                let period = (key.feeder.clone(), key.period);
                self.bills.periods.entry(period).or_default();
                let record = group.record(&key);
                self.bills.changed.insert(key, Some(record));
            }
            Ok(false) => {}
            // It has just been added to the sum of its window, which holds fewer.
            Err(error) => tracing::error!(
                meter = %key.meter, window = report.window.0, %error, "a report that is in a sum is in no bill"
            ),
        }
    }

    /// Records the operator's answer to a bill, whose signature has been checked.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; the bill is sent, and answered, again.
    pub fn bill_answered(&mut self, receipt: &BillReceipt) -> Result<(), StoreError> {
        // Every process of a pool hears every receipt.
        if !self.holds(self.shard(&receipt.feeder)) {
            return Ok(());
        }
        let of = BillOf {
            feeder: receipt.feeder.clone(),
            period: receipt.period,
            meter: receipt.meter.clone(),
        };
        if let SumStatus::Rejected(reason) = receipt.status
            && !reason.is_final()
        {
            return Ok(());
        }
        let mut keys = self.store.bills(Some(&of.first()), GROUPS_A_STEP)?;
        keys.retain(|key| key.of() == of);
        if keys.is_empty() {
            return Ok(());
        }
        match receipt.status {
            SumStatus::Rejected(reason) => {
                metrics::bills::refused(reason);
                tracing::warn!(
                    meter = %of.meter, feeder = %of.feeder, period = of.period.0, %reason,
                    "the operator refused a bill for good"
                );
            }
            _ => metrics::bills::settled(),
        }
        self.drop_bill(&keys);
        Ok(())
    }

    pub(super) fn drop_bill(&mut self, keys: &[BillKey]) {
        let gone = keys.iter().map(|key| (key.clone(), None));
        self.bills.changed.extend(gone);
    }
}
