//! Consents: those of other holders, and this one's own.

use std::collections::BTreeSet;

use bytes::Bytes;
use service::failpoint;
use wire::{Ask, Consent, Detached, Reason, Terms, Topic};

use super::asked::Asked;
use super::{Answers, Outgoing};
use crate::ledger::{Charge, Consented, Entered};
use crate::{HolderError, audit, judge, metrics};

impl Answers {
    /// Whether as many holders as it takes consented to this sum, with the meters that this holder knows.
    pub(super) fn check_consents(&self, ask: &Ask, asked: &Asked) -> Result<(), Reason> {
        let terms = &self.parts[&asked.terms].terms;
        let consents = ask.consents.iter();
        let holders: BTreeSet<usize> = consents
            .filter_map(|signed| self.consented(signed, asked, terms))
            .collect();
        match holders.len() >= usize::from(terms.consents) {
            true => Ok(()),
            false => Err(Reason::NotConsented),
        }
    }

    /// The holder that a signed consent is of, if it is to this sum.
    fn consented(&self, signed: &Bytes, asked: &Asked, terms: &Terms) -> Option<usize> {
        let signed = Detached::<Consent>::decode(signed).ok()?;
        let place = terms.place(&signed.claimed().holder)?;
        let holder = &terms.holders[place];
        let topic = self.topics.of(&Topic::Consent {
            holder: holder.id.clone(),
        });
        let verified = signed.verify(&self.deployment, &topic, &holder.key);
        let expected = Consent {
            holder: holder.id.clone(),
            ..asked.consent(&self.id)
        };
        (verified.ok()?.0 == expected).then_some(place)
    }

    /// Consents to a sum, if this holder has not yet, and may. It is durable then.
    pub(super) fn consent(
        &mut self,
        ask: &Ask,
        asked: &Asked,
    ) -> Result<Result<Outgoing, Reason>, HolderError> {
        let sum = &asked.sum;
        let before = sum.shares();
        let before = before.map(|share| match failpoint::sabotaged("consents_once") {
            true => Ok(Vec::new()),
            false => self.ledger.window(share.feeder, sum.window),
        });
        let before: Vec<_> = before.collect::<Result<_, _>>()?;
        let is_known =
            |shares: &Vec<Consented>| shares.iter().any(|share| share.content == asked.content);
        if !before.iter().all(is_known) {
            let held = self.held.clone();
            let Some(held) = held else {
                return Ok(Err(Reason::NotReady));
            };
            if let Err(reason) = judge::judge(sum, &before, &self.grounds(&held.plan, sum)?) {
                return Ok(Err(reason));
            }
            let charge = match self.charge(asked)? {
                Ok(charge) => charge,
                Err(reason) => return Ok(Err(reason)),
            };
            self.enter(ask, asked, charge)?;
        } else if let Err(reason) = self.check_ciphertext(ask, asked)? {
            return Ok(Err(reason));
        }
        let topic = self.topics.of(&Topic::Consent {
            holder: self.id.clone(),
        });
        Ok(Ok(self.signed(&asked.consent(&self.id), topic)))
    }

    /// Makes a consent durable, and whether its sum is audited: who knows of the audit knows it when the sum is signed already.
    fn enter(
        &mut self,
        ask: &Ask,
        asked: &Asked,
        charge: Option<Charge>,
    ) -> Result<(), HolderError> {
        let is_audited = audit::is_drawn(self.audit_share);
        let entered = Entered {
            window: asked.sum.window,
            shares: asked.shares().collect(),
            signed: &ask.sum,
            ciphertext: asked.ciphertext,
            is_audited,
            charge,
        };
        self.ledger.consent(&entered, self.keep)?;
        metrics::consented();
        self.count_left(asked)?;
        if is_audited {
            self.to_audit.push(asked.key());
        }
        Ok(())
    }
}
