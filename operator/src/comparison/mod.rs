//! Comparisons of sums that nobody opens: what the operator gives the evaluator for them, once, and the bits that come back.
//!
//! The sum of a feeder with a rating goes from analytics to the evaluator, and the operator never has it. It sees what analytics
//! signed of it: who is in it, and the ciphertext's hash; and of the ciphertext what the counts of readings and the zero checks are
//! opened from. It holds that against the rules of release as it would a sum that it is to open, makes durable that these contributors
//! are compared, and gives the evaluator, for each interval in which enough of them had a reading, the sum of their masks with the
//! threshold in it. What comes back is an encrypted bit for each of them.
//!
//! # Layout
//! * `Comparer`: on its thread · `question`: may a sum be compared, and with what · `ranking`: several with each other
//! * `ledger`: what is compared, on disk · `result`: what was found, for people
//! * `desk`: the way there from the event loop · [`keys`]: `operator evaluation-keys`

pub(crate) mod desk;
pub mod keys;
pub(crate) mod ledger;
pub(crate) mod question;
pub mod ranking;
pub(crate) mod result;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openfhe::secret::SignSecret;
use packed::RING;
use service::config::Settings;
use service::{Chain, SharedClock};
use wire::{Bits, Comparison, DeploymentId, SigningKey, Topic, Topics, VerifyingKey};

use crate::error::OperatorError;
use crate::keys::keyring::Keyring;
use crate::metrics;
use crate::open::Opener;
use crate::release::budget::Budget;
use crate::release::totals::Totals;
use crate::setup::folder;
use ledger::ComparisonLedger;
pub use ledger::ComparisonLedgerError;
use result::{Found, Result};
use service::trust::Members;

/// Work for the thread that compares.
#[derive(Debug)]
pub(crate) enum Work {
    /// A message of the evaluator's on [`Topic::Question`].
    Question(Box<question::Asked>),
    /// A message of the evaluator's on [`Topic::Bits`].
    Bits(Bytes),
    /// `operator ask max` or `min`.
    Rank(Box<ranking::Asked>),
    /// Asks the evaluator again for what it has not answered.
    Again,
}

/// The only one to write the ledger of comparisons.
pub(crate) struct Comparer {
    keyring: Arc<Keyring>,
    opener: Opener,
    ledger: ComparisonLedger,
    found: Totals,
    secret: Option<SignSecret>,
    evaluator: Option<VerifyingKey>,
    deployment: DeploymentId,
    topics: Topics,
    release: release::Rules,
    future_tolerance: Duration,
    /// Of sums that were to be compared; as many again may fail to open that were to be opened.
    budget: Budget,
    clock: SharedClock,
}

/// What is compared, and how.
struct Prepared {
    comparison: Comparison,
    /// What will be known of it once the bits are here.
    result: Result,
}

impl Comparer {
    pub(crate) fn open(
        settings: &Settings,
        keyring: Arc<Keyring>,
        topics: Topics,
        clock: SharedClock,
    ) -> std::result::Result<Self, OperatorError> {
        let dir = folder(settings);
        let secret = keys::secret(&dir)?;
        let is_asked = !settings.plan.over_rating.is_empty();
        let evaluator = settings.operator.evaluator_key;
        if is_asked && (secret.is_none() || evaluator.is_none()) {
            tracing::warn!(
                "sums of feeders in plan.over_rating are not compared yet: run `operator evaluation-keys`, start the evaluator \
                 with them, and set operator.evaluator_key to the key that it says"
            );
        }
        Ok(Self {
            opener: Opener::new(keyring.clone(), settings.deployment.id.clone()),
            ledger: ComparisonLedger::open(&dir, &settings.deployment.id)?,
            found: Totals::open(&result::path(&settings.operator.totals_file))?,
            keyring,
            secret,
            evaluator,
            deployment: settings.deployment.id.clone(),
            topics,
            release: settings.release.rules(settings.plan.minimum_group()),
            future_tolerance: settings.analytics.future_tolerance,
            budget: Budget::new(settings.operator.max_refusals),
            clock,
        })
    }

    /// Messages to publish: topics and bytes.
    fn work(
        &mut self,
        work: Work,
    ) -> std::result::Result<Vec<(String, Bytes)>, ComparisonLedgerError> {
        match work {
            Work::Question(asked) => self.question(&asked),
            Work::Bits(payload) => self.bits(&payload).map(|()| Vec::new()),
            Work::Rank(asked) => self.rank(&asked),
            Work::Again => {
                let topic = self.topics.of(&Topic::Comparison);
                let waiting = self.ledger.unanswered()?.into_iter();
                Ok(waiting.map(|sealed| (topic.clone(), sealed)).collect())
            }
        }
    }

    /// Seals a comparison, and makes durable that it is asked for.
    fn give(
        &mut self,
        prepared: Prepared,
        kind: ledger::Kind,
    ) -> std::result::Result<(String, Bytes), ComparisonLedgerError> {
        let topic = self.topics.of(&Topic::Comparison);
        let key = self.keyring.signing();
        let (sealed, digest) =
            wire::seal(&prepared.comparison, None, &self.deployment, &topic, key);
        let sealed = Bytes::from(sealed);
        let result = Result {
            comparison: digest,
            ..prepared.result
        };
        self.ledger
            .spend(kind, &prepared.comparison, (digest, &sealed), &result)?;
        metrics::compared();
        Ok((topic, sealed))
    }

    /// Takes the bits of a comparison: decrypts them, and writes down what they say.
    fn bits(&mut self, payload: &Bytes) -> std::result::Result<(), ComparisonLedgerError> {
        let (Some(key), Some(secret)) = (&self.evaluator, &self.secret) else {
            return Ok(());
        };
        let topic = self.topics.of(&Topic::Bits);
        let opened = wire::decode_shared::<Bits>(payload, payload.len())
            .and_then(|unverified| unverified.verify(&self.deployment, &topic, key));
        let bits = match opened {
            Ok(opened) => opened.message,
            Err(error) => {
                metrics::comparison_rejected(error.reason());
                tracing::warn!(error = %Chain(&error), "bits that are not the evaluator's");
                return Ok(());
            }
        };
        // What nobody asked for, or what has been answered.
        let Some((comparison, result)) = self.ledger.unanswered_one(&bits.comparison)? else {
            return Ok(());
        };
        let words = bits.bits.chunks_exact(wire::BIT_LEN);
        let words = words.map(|bytes| compare::Lwe::from_bytes(bytes, 2, compare::BIT_BITS));
        let negative: Option<Vec<bool>> = words.map(|bit| Some(secret.open(&bit?))).collect();
        let negative = negative.filter(|bits| bits.len() == comparison.numbers.len());
        let Some(negative) = negative else {
            metrics::comparison_rejected(wire::Reason::WrongLength);
            tracing::warn!(
                "the evaluator's bits are not as many as were asked for, or no ciphertexts"
            );
            return Ok(());
        };
        let result = Result {
            found: Some(Found::of(&comparison, &negative)),
            ..result
        };
        // As totals: written first, so that a kill in between leaves a line twice, which readers take once.
        let line = serde_json::to_string(&result).unwrap_or_default();
        self.found.append(&[line])?;
        self.ledger.answered(&bits.comparison)?;
        metrics::answered();
        tracing::info!(
            window = result.window_start.0,
            kind = result.kind.as_str(),
            "comparison written"
        );
        Ok(())
    }

    fn signing(&self) -> &SigningKey {
        self.keyring.signing()
    }
}

/// The most that contributors can have consumed or exported in an interval, in quanta.
fn largest(
    members: &Members,
    set: &wire::ContributorSet,
    (interval_s, quantum_wh): (u32, u64),
) -> u64 {
    let watts = set.iter().filter_map(|number| members.get(number));
    let watts = watts.map(|member| member.capacity.watts().0);
    let wh = watts.map(|watts| (watts * u64::from(interval_s)).div_ceil(3_600));
    wh.sum::<u64>().div_ceil(quantum_wh)
}

/// `left + right`, or `left − right`, modulo q.
fn plus(left: u64, right: u64) -> u64 {
    (left + right) % RING.modulus
}

fn minus(left: u64, right: u64) -> u64 {
    (left + RING.modulus - right) % RING.modulus
}

#[cfg(test)]
mod tests;
