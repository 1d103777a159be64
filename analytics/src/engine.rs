//! The engine: reports in, receipts and releases out, one commit in between.
//!
//! It is plain synchronous code without a clock or a socket, so a test drives it step by step. Nothing it produces may
//! leave the process before [`Engine::commit`] returned it.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use bytes::Bytes;
use packed::FoldError;
use service::failpoint;
use service::roster::Roster;
use wire::{
    AnalyticsId, DeploymentId, FeederId, GatewayId, Plan, Reason, Receipt, ReceiptEntry,
    SigningKey, Status, Sum, SumReceipt, SumStatus, Topics,
};

use crate::admit::{Address, Admission};
use crate::metrics as meter;
use crate::store::{ReleaseRow, Store, StoreError, SumKey, Terms};
use crate::windows::{Due, Held, Outcome, Rules, Windows};

/// Who this analytics process is.
#[derive(Debug)]
pub struct Identity {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its name in the plan.
    pub id: AnalyticsId,
    /// Signs receipts and releases.
    pub key: SigningKey,
    /// The topics under the configured root.
    pub topics: Topics,
    /// Most entries in one receipt.
    pub receipt_entries: usize,
}

/// A message that came and has not been looked at.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The topic it came on.
    pub topic: String,
    /// The envelope.
    pub payload: Bytes,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The envelope.
    pub payload: Bytes,
}

/// What an observer in the same process may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// So many reports were added to sums.
    Folded(u64),
    /// So many reports had been added before.
    Duplicate(u64),
    /// A report was refused.
    Rejected(Reason),
    /// A sum was released.
    Released(SumKey),
    /// A sum is due with too few contributors; it is withheld unless more come.
    Held(Held),
    /// The operator settled a release.
    Settled(SumKey),
}

/// What may leave the process after a commit.
#[derive(Debug, Default)]
pub struct Effects {
    /// Receipts and releases.
    pub outgoing: Vec<Outgoing>,
    /// For observers.
    pub events: Vec<Event>,
}

/// One analytics process's state machine.
#[derive(Debug)]
pub struct Engine<S> {
    identity: Identity,
    terms: Terms,
    windows: Windows,
    store: S,
    unsettled: BTreeMap<SumKey, ReleaseRow>,
    answers: HashMap<GatewayId, Vec<ReceiptEntry>>,
    ready: Effects,
}

/// The engine cannot start on what its store holds.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored sums were made under another profile.
    #[error("the store holds a sum that does not fit the plan's profile: {0}")]
    Profile(#[from] FoldError),
    /// The plan's interval and batch make no windows.
    #[error(transparent)]
    Grid(#[from] wire::GridError),
    /// The plan names a profile this build does not know.
    #[error(transparent)]
    Unknown(#[from] packed::UnknownProfile),
}

impl<S: Store> Engine<S> {
    /// An engine under `plan` that goes on where `store` left off.
    ///
    /// # Errors
    /// [`StartError`] if the store is unreadable or belongs to another profile.
    pub fn start(
        identity: Identity,
        plan: &Plan,
        rules: Rules,
        mut store: S,
    ) -> Result<Self, StartError> {
        let terms = Terms {
            profile: packed::Profile::by_name(&plan.profile)?,
            grid: plan.grid()?,
        };
        let mut windows = Windows::new(terms.profile, terms.grid, rules);
        let snapshot = store.load(&terms)?;
        let unsettled = snapshot
            .releases
            .iter()
            .map(|release| (release.key.clone(), release.clone()))
            .collect();
        windows.restore(snapshot)?;
        Ok(Self {
            identity,
            terms,
            windows,
            store,
            unsettled,
            answers: HashMap::new(),
            ready: Effects::default(),
        })
    }

    /// Whether `plan` has the windows and the profile this engine was started with.
    #[must_use]
    pub fn fits(&self, plan: &Plan) -> bool {
        plan.profile == self.terms.profile.name && plan.grid() == Ok(self.terms.grid)
    }

    /// Checks and folds a batch of reports. `active_ms`: milliseconds during which the broker was within reach.
    pub fn take(&mut self, admission: &Admission<'_>, batch: &[Incoming], active_ms: u64) {
        let (mut folded, mut duplicate) = (0, 0);
        for incoming in batch {
            meter::received(incoming.payload.len());
            let started = Instant::now();
            match admission.admit(&incoming.topic, &incoming.payload) {
                Ok(admitted) => {
                    let verified = Instant::now();
                    let digest = admitted.address.digest;
                    let outcome =
                        self.windows
                            .fold(&admitted.report, &admitted.limbs, digest, active_ms);
                    meter::verified(verified - started);
                    meter::folding(verified.elapsed());
                    let status = match outcome {
                        Ok(Outcome::Folded(part)) => {
                            meter::folded(part);
                            folded += 1;
                            Status::Folded
                        }
                        Ok(Outcome::Duplicate) => {
                            meter::duplicate();
                            duplicate += 1;
                            Status::Duplicate
                        }
                        Err(reason) => {
                            meter::rejected(reason, || incoming.topic.clone());
                            self.ready.events.push(Event::Rejected(reason));
                            Status::Rejected(reason)
                        }
                    };
                    self.answer(admitted.address, status);
                }
                Err(refusal) if self.folded_before(admission, refusal.address.as_ref()) => {
                    meter::duplicate();
                    duplicate += 1;
                    if let Some(address) = refusal.address {
                        self.answer(address, Status::Duplicate);
                    }
                }
                Err(refusal) => {
                    meter::rejected(refusal.reason, || refusal.detail);
                    self.ready.events.push(Event::Rejected(refusal.reason));
                    if let Some(address) = refusal.address {
                        self.answer(address, Status::Rejected(refusal.reason));
                    }
                }
            }
        }
        for (count, event) in [
            (folded, Event::Folded(folded)),
            (duplicate, Event::Duplicate(duplicate)),
        ] {
            if count > 0 {
                self.ready.events.push(event);
            }
        }
    }

    /// Whether a refused report is in a sum: it was admitted under an older plan, and its receipt did not arrive. Told the
    /// refusal, its gateway would seal the readings again, and the new ciphertext would be a conflict.
    fn folded_before(&self, admission: &Admission<'_>, address: Option<&Address>) -> bool {
        let Some(address) = address else {
            return false;
        };
        let entry = admission.roster.meter(&address.meter);
        entry.is_some_and(|entry| {
            let (window, meter) = (address.window, &address.meter);
            (self.windows).holds(entry.feeder, window, meter, address.digest)
        })
    }

    fn answer(&mut self, address: Address, status: Status) {
        self.answers
            .entry(address.gateway)
            .or_default()
            .push(ReceiptEntry {
                meter: address.meter,
                window: address.window,
                digest: address.digest,
                status,
            });
    }

    /// Closes what is due and forgets what is past its retention.
    pub fn tick(&mut self, roster: &Roster, active_ms: u64) {
        let enrolled = |feeder: &FeederId| roster.enrolled(feeder);
        let (due, held) = self.windows.due(enrolled, active_ms);
        for due in due {
            let release = self.release(&due, enrolled(&due.row.key.feeder));
            self.unsettled.insert(release.key.clone(), release.clone());
            meter::released(due.contributors);
            self.ready.events.push(Event::Released(release.key.clone()));
            self.windows.released(release);
        }
        for held in held {
            meter::held();
            tracing::warn!(
                feeder = %held.key.feeder, window = held.key.window.0, part = held.key.part.0,
                contributors = held.contributors,
                "held: fewer contributors than plan.min_meters; released only if enough late reports come"
            );
            self.ready.events.push(Event::Held(held));
        }
        for held in self.windows.reclaim() {
            tracing::warn!(
                feeder = %held.key.feeder, window = held.key.window.0, part = held.key.part.0,
                contributors = held.contributors,
                "withheld for good: the retention of the window is over"
            );
            meter::withheld();
        }
        meter::open_windows(self.windows.open());
    }

    fn release(&self, due: &Due, enrolled: u32) -> ReleaseRow {
        let key = due.row.key.clone();
        let sum = Sum {
            analytics: self.identity.id.clone(),
            plan_version: due.row.plan_version,
            epoch: due.row.epoch,
            feeder: key.feeder.clone(),
            window: key.window,
            part: key.part,
            contributors: due.contributors,
            enrolled,
            clamped: due.row.clamped,
            missing: due.row.missing,
            oldest_sealed_at: due.row.sealed_at.0,
            newest_sealed_at: due.row.sealed_at.1,
            contributors_digest: due.contributors_digest,
        };
        let topic = self.identity.topics.sum(&key.feeder);
        let (bytes, digest) = wire::seal(
            &sum,
            Some(&due.limbs),
            &self.identity.deployment,
            &topic,
            &self.identity.key,
        );
        ReleaseRow {
            key,
            digest,
            bytes: bytes.into(),
        }
    }

    /// Enters the operator's receipt, whose signature has been checked.
    pub fn settle(&mut self, receipt: &SumReceipt) {
        let key = SumKey {
            feeder: receipt.feeder.clone(),
            window: receipt.window,
            part: receipt.part,
        };
        if self
            .unsettled
            .get(&key)
            .is_none_or(|release| release.digest != receipt.digest)
        {
            return;
        }
        match receipt.status {
            SumStatus::Taken | SumStatus::Duplicate => {}
            SumStatus::Rejected(reason) if is_transient(reason) => return,
            SumStatus::Rejected(reason) => {
                tracing::error!(feeder = %key.feeder, window = key.window.0, part = key.part.0, %reason, "the operator refused a release");
            }
        }
        self.unsettled.remove(&key);
        if self.windows.settled(&key) {
            self.ready.events.push(Event::Settled(key));
        }
    }

    /// Makes everything since the last commit durable and returns what may now leave the process.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost, the same commit is tried again at the next call.
    pub fn commit(&mut self) -> Result<Effects, StoreError> {
        let transaction = self.windows.transaction();
        let releases = transaction.releases.clone();
        if !transaction.is_empty() {
            failpoint::hit("analytics.before_commit");
            let started = Instant::now();
            self.store.commit(&transaction)?;
            meter::committed(started.elapsed());
            failpoint::hit("analytics.after_commit");
        }
        self.windows.committed();
        let mut effects = std::mem::take(&mut self.ready);
        effects.outgoing.extend(self.receipts());
        effects
            .outgoing
            .extend(releases.into_iter().map(|release| self.outgoing(&release)));
        Ok(effects)
    }

    /// The releases the operator has not settled, to be sent again.
    #[must_use]
    pub fn unsettled(&self) -> Vec<Outgoing> {
        self.unsettled
            .values()
            .map(|release| self.outgoing(release))
            .collect()
    }

    /// Takes the plan's minimum group, which applies to every sum not yet released.
    pub fn set_min_meters(&mut self, min_meters: u32) {
        self.windows.set_min_meters(min_meters);
    }

    fn outgoing(&self, release: &ReleaseRow) -> Outgoing {
        Outgoing {
            topic: self.identity.topics.sum(&release.key.feeder),
            payload: release.bytes.clone(),
        }
    }

    fn receipts(&mut self) -> Vec<Outgoing> {
        let Identity {
            deployment,
            id,
            topics,
            key,
            receipt_entries,
        } = &self.identity;
        let mut outgoing = Vec::new();
        for (gateway, entries) in self.answers.drain() {
            let topic = topics.receipt(&gateway);
            for chunk in entries.chunks((*receipt_entries).max(1)) {
                let receipt = Receipt {
                    analytics: id.clone(),
                    gateway: gateway.clone(),
                    entries: chunk.to_vec(),
                };
                let (payload, _) = wire::seal(&receipt, None, deployment, &topic, key);
                outgoing.push(Outgoing {
                    topic: topic.clone(),
                    payload: payload.into(),
                });
            }
        }
        outgoing
    }
}

/// Reasons for which a release is worth sending again as it is.
fn is_transient(reason: Reason) -> bool {
    use Reason::{NotReady, Overloaded, UnknownAnalytics, UnknownPlan};
    matches!(
        reason,
        NotReady | Overloaded | UnknownAnalytics | UnknownPlan
    )
}
