//! What the operator is sent of bills.

use packed::bill::{Scale, rest};
use packed::layout::Encoding;
use wire::{Bill, BillGroup as Part, FeederId, Message as _, Tariff, WindowStart};

use super::{GROUPS_A_STEP, first_of};
use crate::engine::{Engine, Outgoing};
use crate::metrics;
use crate::store::{BillGroup, BillKey, BillOf, Store, StoreError};

impl<S: Store> Engine<S> {
    /// Sends the bills that are due, a few at a call. Returns whether more may be due.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub(in crate::engine) fn send_bills(&mut self, active_ms: u64) -> Result<bool, StoreError> {
        let Some(assigned) = self.assigned.clone() else {
            return Ok(false);
        };
        let Some(tariff) = &assigned.plan().tariff else {
            return Ok(false);
        };
        let periods = self.bills.periods.iter();
        let due = periods.filter(|(_, sending)| sending.due_ms <= active_ms);
        let due: Vec<_> = due.map(|(period, _)| period.clone()).collect();
        for (feeder, period) in due {
            let (_, end) = tariff.period_of(&self.format.grid, period);
            let was_away = self.windows.is_away(&feeder);
            let is_over = self.owns(&feeder)
                && (self.windows).is_over(&feeder, period..end, &mut self.store)?;
            if is_over {
                self.send_some(&feeder, period, tariff, active_ms)?;
                return Ok(true);
            }
            // A feeder at rest is read back for this, so not at every look.
            if was_away && let Some(sending) = self.bills.periods.get_mut(&(feeder, period)) {
                sending.due_ms = active_ms + self.identity.first_wait_ms;
            }
        }
        Ok(false)
    }

    fn send_some(
        &mut self,
        feeder: &FeederId,
        period: WindowStart,
        tariff: &Tariff,
        active_ms: u64,
    ) -> Result<(), StoreError> {
        let of_period = (feeder.clone(), period);
        let sending = self.bills.periods.get(&of_period).cloned();
        let from = sending.and_then(|sending| sending.from);
        let is_first = from.is_none();
        let from = from.or_else(|| first_of(feeder, period));
        let mut keys = self.store.bills(from.as_ref(), GROUPS_A_STEP)?;
        let is_page = keys.len() == GROUPS_A_STEP;
        keys.retain(|key| (&key.feeder, key.period) == (feeder, period));
        let mut bills: Vec<(BillOf, Vec<BillKey>)> = Vec::new();
        let is_last = !is_page || keys.len() < GROUPS_A_STEP;
        for key in keys {
            let of = key.of();
            match bills.last_mut() {
                Some((last, groups)) if *last == of => groups.push(key),
                _ => bills.push((of, vec![key])),
            }
        }
        // Of the last on a full page not all groups may be there.
        let next = if is_last { None } else { bills.pop() };
        if bills.is_empty() && is_first {
            self.bills.periods.remove(&of_period);
            return Ok(());
        }
        for (of, keys) in &bills {
            self.send_bill(of, keys, tariff)?;
        }
        let wait_ms = self.identity.first_wait_ms;
        let sending = self.bills.periods.entry(of_period).or_default();
        (sending.from, sending.due_ms) = match next {
            Some((of, _)) => (Some(of.first()), active_ms),
            None => (None, active_ms + wait_ms),
        };
        Ok(())
    }

    fn send_bill(
        &mut self,
        of: &BillOf,
        keys: &[BillKey],
        tariff: &Tariff,
    ) -> Result<(), StoreError> {
        let coefficients = self.format.shape.coefficients();
        let mut groups = Vec::with_capacity(keys.len());
        for key in keys {
            // What the operator has answered is gone already, if not from the store.
            let Some(record) = self.bills.record(key, &mut self.store)? else {
                return Ok(());
            };
            groups.push((key.clone(), BillGroup::read(key, coefficients, &record)?));
        }
        let mut intervals = vec![0_u32; tariff.bands.len()];
        for (_, group) in &groups {
            for band in &group.bands {
                if let Some(count) = intervals.get_mut(usize::from(*band)) {
                    *count += group.windows.len() as u32;
                }
            }
        }
        if let Err(withheld) = self.windows.bill_bands(&intervals) {
            tracing::warn!(
                meter = %of.meter, feeder = %of.feeder, period = of.period.0, "a bill is withheld: {withheld}"
            );
            metrics::bills::withheld();
            self.drop_bill(keys);
            return Ok(());
        }
        match self.bill(of, &groups, tariff) {
            Some(outgoing) => {
                metrics::bills::sent();
                self.bills.ready.push((of.feeder.clone(), outgoing));
            }
            None => tracing::error!(
                meter = %of.meter, feeder = %of.feeder, period = of.period.0,
                "a bill cannot be sent: the plan does not have the setting of its reports any more, or they have too many"
            ),
        }
        Ok(())
    }

    /// The message of a bill. It says nothing of what its groups carry but one number a band.
    fn bill(
        &self,
        of: &BillOf,
        groups: &[(BillKey, BillGroup)],
        tariff: &Tariff,
    ) -> Option<Outgoing> {
        let shape = &self.format.shape;
        let assigned = self.assigned.as_ref()?;
        let encoding = |key: &BillKey| -> Option<Encoding> {
            let settings = assigned.plan().feeders.iter();
            let mut settings = settings.filter(|setting| setting.feeder == key.feeder);
            let setting = settings.find(|setting| setting.since == key.plan_version)?;
            Some(assigned.held.encoding(setting))
        };
        let encodings = groups.iter().map(|(key, _)| encoding(key));
        let encodings = encodings.collect::<Option<Vec<_>>>()?;
        let scale = Scale::of(&encodings)?;
        let mut bands = vec![0_u64; tariff.bands.len()];
        let mut limbs = Vec::new();
        for ((_, group), encoding) in groups.iter().zip(&encodings) {
            for (band, carried) in bands.iter_mut().zip(&group.carried) {
                let sum = u128::from(*band) + u128::from(scale.sent(encoding, *carried));
                *band = (sum % u128::from(packed::RING.modulus)) as u64;
            }
            limbs.extend_from_slice(rest(shape, &group.sum.to_packed()));
        }
        let bill = Bill {
            analytics: self.identity.id.clone(),
            feeder: of.feeder.clone(),
            meter: of.meter.clone(),
            number: groups.first()?.1.number,
            period: of.period,
            groups: groups.iter().map(|(key, group)| part(key, group)).collect(),
            bands,
        };
        bill.check().ok()?;
        let topic = self
            .identity
            .topics
            .bill(assigned.plan().shard(&of.feeder), &of.feeder);
        let Self { identity, .. } = self;
        let (payload, _) = wire::seal(
            &bill,
            Some(&limbs),
            &identity.deployment,
            &topic,
            &identity.key,
        );
        Some(Outgoing {
            topic,
            payload: payload.into(),
        })
    }
}

fn part(key: &BillKey, group: &BillGroup) -> Part {
    Part {
        epoch: key.epoch,
        plan_version: key.plan_version,
        windows: group.windows.iter().map(|(window, _)| *window).collect(),
        salts: group.windows.iter().map(|(_, salt)| *salt).collect(),
    }
}
