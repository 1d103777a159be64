//! The operator's answers to requests to join: why meters are not enrolled, said here once for each reason.

use std::collections::BTreeSet;

use service::trust::advice;
use service::warn_limited;
use wire::{EnrolAnswer, Reason};

use super::Gateway;
use crate::metrics;
use crate::notices::Notice;

/// What was said of the operator's answers.
#[derive(Default)]
pub(super) struct Answered {
    waits: bool,
    reasons: BTreeSet<Reason>,
}

impl Answered {
    /// What of an answer was not said before: whether it waits for a person, and the places of refusals.
    fn news(&mut self, answer: &EnrolAnswer) -> (bool, Vec<usize>) {
        let waited = std::mem::replace(&mut self.waits, answer.waits);
        let waits = answer.waits && !waited;
        let refused = answer.refused.iter().enumerate();
        let is_new = refused.filter(|(_, refusal)| self.reasons.insert(refusal.reason));
        (waits, is_new.map(|(place, _)| place).collect())
    }
}

impl Gateway {
    pub(super) fn take_answer(&mut self, topic: &str, payload: &bytes::Bytes) {
        match self.open_answer(topic, payload) {
            Ok(answer) => self.say(&answer),
            Err(error) => {
                warn_limited!("refused an answer to a request to join: {error}");
            }
        }
    }

    fn say(&mut self, answer: &EnrolAnswer) {
        let own = self.fleet.gateway_key();
        if answer.gateway_key != own {
            let said = format!(
                "another gateway, with key {}, asks to join by the id of this one, whose key is {own}: change meter.gateway of one \
                 of them",
                answer.gateway_key
            );
            warn_limited!("{said}");
            self.notices.say(Notice::Identity, Some(said));
            return;
        }
        for refusal in &answer.refused {
            metrics::not_enrolled(refusal.reason, refusal.meters);
        }
        self.notices.say(Notice::Enrolment, notice(answer));
        let (waits, refused) = self.waiting.answered.news(answer);
        if waits {
            tracing::info!(key = %own, "the operator has the request: a person approves it with `operator pending` and `operator approve`");
        }
        for refusal in refused.into_iter().map(|place| &answer.refused[place]) {
            tracing::warn!(
                reason = %refusal.reason, meters = refusal.meters, first = %refusal.first,
                "the operator does not enrol meters of this gateway: {}",
                advice(refusal.reason)
            );
        }
    }

    fn open_answer(&self, topic: &str, payload: &bytes::Bytes) -> Result<EnrolAnswer, String> {
        let said = |error: wire::WireError| service::Chain(&error).to_string();
        let key = self.session.keeper.operator_key();
        let key = key.ok_or("the operator's key is not known yet")?;
        let unverified = wire::decode::<EnrolAnswer>(payload, payload.len()).map_err(said)?;
        let opened = unverified.verify(&self.settings.deployment.id, topic, &key);
        Ok(opened.map_err(said)?.message)
    }
}

/// What an answer says of meters that are not enrolled.
fn notice(answer: &EnrolAnswer) -> Option<String> {
    let mut said = Vec::new();
    if answer.waits {
        let key = answer.gateway_key;
        said.push(format!(
            "the request of key {key} waits for a person, who approves it with `operator pending` and `operator approve`"
        ));
    }
    let refused = answer.refused.iter().map(|refusal| {
        let (meters, first, reason) = (refusal.meters, &refusal.first, refusal.reason);
        format!(
            "{meters} meters, of which {first} is the first, are refused ({reason}): {}",
            advice(reason)
        )
    });
    said.extend(refused);
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use wire::{Refusal, UnixMillis};

    use super::*;

    #[test]
    fn each_reason_is_said_once() {
        let refusal = |reason| Refusal {
            reason,
            meters: 1,
            first: "works".parse().unwrap(),
        };
        let answer = |waits, refused: &[Reason]| EnrolAnswer {
            gateway: "gateway-1".parse().unwrap(),
            gateway_key: wire::SigningKey::from_bytes(&[7; 32]).verifying_key(),
            issued_at: UnixMillis(1),
            waits,
            refused: refused.iter().copied().map(refusal).collect(),
        };
        let mut answered = Answered::default();
        assert_eq!(answered.news(&answer(true, &[])), (true, vec![]));
        assert_eq!(answered.news(&answer(true, &[])), (false, vec![]));
        let two = [Reason::BatchFull, Reason::WrongKey];
        assert_eq!(answered.news(&answer(false, &two[..1])), (false, vec![0]));
        assert_eq!(answered.news(&answer(false, &two)), (false, vec![1]));
        assert_eq!(answered.news(&answer(true, &[])), (true, vec![]));

        assert_eq!(notice(&answer(false, &[])), None);
        let said = notice(&answer(false, &two)).unwrap();
        assert!(
            said.contains("works is the first") && said.contains("operator rekey"),
            "{said}"
        );
        assert!(
            notice(&answer(true, &[]))
                .unwrap()
                .contains("operator approve")
        );
    }
}
