//! What is taken: sums of analytics', comparisons and receipts of the operator's, the plan.

use bytes::Bytes;
use packed::RING;
use service::mqtt::Incoming;
use service::trust::Offer;
use service::warn_limited;
use wire::{
    Comparison, FeederId, Reason, Sum, SumReceipt, SumStatus, Topic, Unverified, WindowStart,
};

use super::Evaluator;
use super::sums::lifted;
use crate::store::Kept;
use crate::{EvaluatorError, metrics};

/// Messages to publish: topics and bytes.
type Answers = Vec<(String, Bytes)>;

impl Evaluator {
    pub(super) fn take(&mut self, message: &Incoming) -> Result<Answers, EvaluatorError> {
        let taken = match self.topics.parse(&message.topic) {
            Some(Topic::Plan | Topic::Renewal) => {
                self.take_plan(message);
                Ok(Vec::new())
            }
            Some(Topic::ClosedSum { feeder, .. }) => self.take_sum(&feeder, message)?,
            Some(Topic::Comparison) => self.take_comparison(message)?,
            Some(Topic::SumReceipt { .. }) => self.take_receipt(message)?,
            _ => Err(Reason::WrongTopic),
        };
        Ok(taken.unwrap_or_else(|reason| {
            metrics::rejected(reason);
            warn_limited!(reason = reason; "refused a message on {}: {reason}", message.topic);
            Vec::new()
        }))
    }

    pub(super) fn take_plan(&mut self, message: &Incoming) {
        match self.plan.offer(&message.topic, &message.payload) {
            Ok(Offer::New) => {
                if let Some(held) = self.plan.current() {
                    tracing::info!(version = %held.plan.version, "plan taken");
                }
            }
            Ok(_) => {}
            Err(refused) => {
                warn_limited!(reason = refused.reason; "refused a plan or its renewal: {refused}");
            }
        }
    }

    /// Keeps a sum of a feeder with a rating, and asks about it. Analytics sends it until the operator answers.
    fn take_sum(
        &mut self,
        feeder: &FeederId,
        message: &Incoming,
    ) -> Result<Result<Answers, Reason>, EvaluatorError> {
        let sum = match self.verified(feeder, message) {
            Ok(sum) => sum,
            Err(reason) => return Ok(Err(reason)),
        };
        let place = (sum.message.window, feeder, sum.message.part);
        let most = self.settings.evaluator.max_sums as u64;
        let kept = self
            .store
            .keep(place, (&sum.digest, &message.payload), most)?;
        match kept {
            Kept::New => {
                metrics::sum();
                self.forget(sum.message.window)?;
            }
            Kept::Known => {}
            Kept::Other => return Ok(Err(Reason::Conflict)),
            Kept::Full => return Ok(Err(Reason::Overloaded)),
        }
        let question = self.question(&message.payload);
        let topic = self.topics.of(&Topic::Question);
        Ok(Ok(question
            .map(|question| (topic, question))
            .into_iter()
            .collect()))
    }

    fn verified(&self, feeder: &FeederId, message: &Incoming) -> Result<wire::Opened<Sum>, Reason> {
        let held = self.plan.current().ok_or(Reason::NotReady)?;
        let unverified = self.decode::<Sum>(message)?;
        let claimed = unverified.claimed();
        if claimed.feeder != *feeder {
            return Err(Reason::WrongTopic);
        }
        let setting = held.plan.feeder(feeder, claimed.window);
        let setting = setting.ok_or(Reason::UnknownFeeder)?;
        // Others are opened, and are not this process's to have.
        setting.rating_wh.ok_or(Reason::WrongTopic)?;
        let key = held.plan.key_for(feeder, &claimed.analytics);
        let key = *key.ok_or(Reason::UnknownAnalytics)?;
        let opened = unverified
            .verify(&self.settings.deployment.id, &message.topic, &key)
            .map_err(|error| error.reason())?;
        match lifted(&held, &message.payload) {
            Some(_) => Ok(opened),
            None => Err(Reason::WrongLength),
        }
    }

    /// Keeps what the operator says to compare, or answers again.
    fn take_comparison(
        &mut self,
        message: &Incoming,
    ) -> Result<Result<Answers, Reason>, EvaluatorError> {
        let opened = match self.of_operator::<Comparison>(message) {
            Ok(opened) => opened,
            Err(reason) => return Ok(Err(reason)),
        };
        let comparison = &opened.message;
        if comparison.numbers.len() > self.settings.evaluator.max_bits {
            return Ok(Err(Reason::Overloaded));
        }
        if comparison
            .numbers
            .iter()
            .any(|number| *number >= RING.modulus)
        {
            return Ok(Err(Reason::LimbOutOfRange));
        }
        for sum in &comparison.sums {
            if self.store.sum(comparison.window, sum)?.is_none() {
                return Ok(Err(Reason::NotReady));
            }
        }
        let digest = &opened.digest;
        match self.store.ask(comparison, (digest, &message.payload))? {
            Kept::New => Ok(Ok(Vec::new())),
            Kept::Known => {
                let answer = self.store.answer(comparison.window, digest)?;
                let topic = self.topics.of(&Topic::Bits);
                Ok(Ok(answer
                    .map(|answer| (topic, answer))
                    .into_iter()
                    .collect()))
            }
            // A second question about a sum would be another threshold.
            Kept::Other | Kept::Full => Ok(Err(Reason::AlreadyOpened)),
        }
    }

    /// Drops a sum that the operator refused.
    fn take_receipt(
        &mut self,
        message: &Incoming,
    ) -> Result<Result<Answers, Reason>, EvaluatorError> {
        let receipt = match self.of_operator::<SumReceipt>(message) {
            Ok(opened) => opened.message,
            Err(reason) => return Ok(Err(reason)),
        };
        if let SumStatus::Rejected(reason) = receipt.status {
            let place = (receipt.window, &receipt.feeder, receipt.part);
            if self.store.drop_sum(place, &receipt.digest)? {
                tracing::warn!(feeder = %receipt.feeder, window = receipt.window.0, %reason, "the operator refuses to have a sum compared");
            }
        }
        Ok(Ok(Vec::new()))
    }

    fn of_operator<M: wire::Message>(&self, message: &Incoming) -> Result<wire::Opened<M>, Reason> {
        let operator = self.plan.operator_key().ok_or(Reason::NotReady)?;
        let unverified = self.decode::<M>(message)?;
        unverified
            .verify(&self.settings.deployment.id, &message.topic, &operator)
            .map_err(|error| error.reason())
    }

    fn decode<M: wire::Message>(&self, message: &Incoming) -> Result<Unverified<M>, Reason> {
        let limit = self.settings.mqtt.max_packet_bytes;
        wire::decode_shared(&message.payload, limit).map_err(|error| error.reason())
    }

    /// Forgets windows that are long before the newest.
    fn forget(&mut self, newest: WindowStart) -> Result<(), EvaluatorError> {
        let keep = self.settings.evaluator.keep.as_secs();
        self.store
            .forget(WindowStart(newest.0.saturating_sub(keep)))
    }
}
