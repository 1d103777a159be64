//! What holders say: verified, and taken by the sum that it is about.

use std::sync::Arc;

use bytes::Bytes;
use wire::{
    AnswerBody, Consent, Digest, Group, HolderAnswer, HolderId, Reason, Step, Terms, Topic,
};

use super::HolderDesk;
use crate::metrics;

/// The longest answer of a holder that is read, in bytes.
const MAX_ANSWER: usize = 32 << 10;

impl HolderDesk {
    pub(super) fn answer(
        &mut self,
        holder: &HolderId,
        payload: &Bytes,
    ) -> Result<Option<Digest>, Reason> {
        let unverified = wire::decode_shared::<HolderAnswer>(payload, MAX_ANSWER)
            .map_err(|error| error.reason())?;
        let claimed = unverified.claimed();
        let (subject, named) = (claimed.subject, claimed.holder.clone());
        let Some((place, terms)) = self.holder_of(&subject, holder, &named)? else {
            return Ok(None);
        };
        let topic = self.topics.of(&Topic::HolderAnswer {
            holder: holder.clone(),
        });
        let key = &terms.holders[place].key;
        let answer = unverified.verify(&self.deployment, &topic, key);
        let answer = answer.map_err(|error| error.reason())?.message;
        self.away.remove(holder);
        let Some((gathering, _)) = self.waiting.get_mut(&subject) else {
            return Ok(None);
        };
        match answer.body {
            AnswerBody::Masks { streams, words } => {
                let group = Group {
                    holder: place as u8,
                    streams,
                };
                // A late answer to an earlier step is no mistake.
                if answer.step == gathering.step()
                    && !gathering.masks(answer.step, (group, &words), payload)
                {
                    return Err(Reason::WrongLength);
                }
            }
            AnswerBody::Refused(reason) => {
                metrics::holder_refused(reason);
                service::warn_limited!(
                    reason = reason;
                    holder = %holder, feeder = %gathering.job.feeder, step = answer.step.as_str(),
                    "a holder refuses to answer for a sum"
                );
                if answer.step == gathering.step() && reason.is_final() {
                    gathering.refuse(place, reason);
                    if gathering.is_refused() {
                        // Unless that is final: analytics sends it again, and it is asked about again, since a holder may have learnt
                        // more by then.
                        self.ready.extend(gathering.job_refused());
                        self.waiting.remove(&subject);
                        metrics::holders_waiting(self.waiting.len());
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(subject))
    }

    pub(super) fn consent(
        &mut self,
        holder: &HolderId,
        payload: &Bytes,
    ) -> Result<Option<Digest>, Reason> {
        let unverified =
            wire::decode_shared::<Consent>(payload, MAX_ANSWER).map_err(|error| error.reason())?;
        let claimed = unverified.claimed();
        let (subject, named) = (claimed.subject, claimed.holder.clone());
        let Some((place, terms)) = self.holder_of(&subject, holder, &named)? else {
            return Ok(None);
        };
        let topic = self.topics.of(&Topic::Consent {
            holder: holder.clone(),
        });
        let signed = unverified.signed_part();
        let key = &terms.holders[place].key;
        let consent = unverified.verify(&self.deployment, &topic, key);
        let consent = consent.map_err(|error| error.reason())?.message;
        self.away.remove(holder);
        let Some((gathering, _)) = self.waiting.get_mut(&subject) else {
            return Ok(None);
        };
        if gathering.step() != Step::Checks && !gathering.consent(place, consent, signed) {
            return Err(Reason::Conflict);
        }
        if gathering.members_differ() {
            service::warn_limited!(
                reason = Reason::BadSet;
                holder = %holder, feeder = %gathering.job.feeder,
                "holders have different meters under the numbers of a sum: one of them has another roster"
            );
        }
        Ok(Some(subject))
    }

    /// The place of whoever answers, in the terms of the sum that it answers for; `None` if nobody waits for that.
    fn holder_of(
        &self,
        subject: &Digest,
        holder: &HolderId,
        named: &HolderId,
    ) -> Result<Option<(usize, Arc<Terms>)>, Reason> {
        if holder != named {
            return Err(Reason::WrongTopic);
        }
        let waiting = self.waiting.get(subject).map(|(gathering, _)| gathering);
        // An answer that comes when the sum has left shows that the holder is there.
        let terms = waiting.map(|gathering| &gathering.terms);
        let Some(terms) = terms.or(self.last_terms.as_ref()) else {
            return Ok(None);
        };
        match terms.place(holder) {
            Some(place) => Ok(Some((place, terms.clone()))),
            None if waiting.is_none() => Ok(None),
            None => Err(Reason::UnknownHolder),
        }
    }
}
