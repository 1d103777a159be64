//! The evaluator over MQTT: sums and comparisons in, questions and bits out.
//!
//! `messages`: what is taken · `sums`: what is kept

mod messages;
mod sums;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use compare::Lwe;
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Publisher, QoS};
use service::trust::{PlanKeeper, PlanWait};
use service::{Chain, Stop};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, timeout_at};
use wire::{Bits, Comparison, Digest, SigningKey, Topic, Topics, VerifyingKey, WindowStart};

use crate::jobs::{self, Job, JobError};
use crate::store::Store;
use crate::{Comparer, EvaluatorError, NAME, keys, metrics};
use sums::{digest, lifted, shown};

/// How often questions are asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// A comparison that is computed.
type Computing = JoinHandle<Result<(Digest, Vec<Lwe>), JobError>>;

/// Runs the evaluator until `stop` fires. What is computed then is computed again at the next start.
///
/// # Errors
/// A file or a key cannot be used.
pub async fn run(settings: &Settings, stop: Stop) -> Result<(), EvaluatorError> {
    metrics::register();
    let mut evaluator = Evaluator::open(settings, &stop)?;
    let Some(operator) = evaluator.wait_for_plan(&stop).await else {
        evaluator.publisher.close().await;
        return Ok(());
    };
    let comparer = evaluator.load_keys(operator).await?;
    let served = evaluator.serve(&Arc::new(comparer), &stop).await;
    evaluator.stopped.store(true, Ordering::Relaxed);
    evaluator.publisher.close().await;
    served
}

struct Evaluator {
    settings: Settings,
    folder: PathBuf,
    topics: Topics,
    key: SigningKey,
    plan: PlanKeeper,
    publisher: Publisher,
    inbox: Inbox,
    store: Store,
    /// Tells the threads to end.
    stopped: Arc<AtomicBool>,
    /// The comparison that is computed, and its window.
    computing: Option<(WindowStart, Computing)>,
}

impl Evaluator {
    fn open(settings: &Settings, stop: &Stop) -> Result<Self, EvaluatorError> {
        let topics = Topics::new(&settings.deployment.root)?;
        let folder = service::files::state_folder(&settings.deployment.state_dir, NAME);
        let folder = folder.map_err(EvaluatorError::State)?;
        let key = service::files::load_or_create_signing_key(&folder.join("signing.key"))?;
        tracing::info!(evaluator_key = %key.verifying_key(), "set operator.evaluator_key to this");
        let store = Store::open(&folder)?;
        let filters = [
            topics.plan(),
            topics.renewal(),
            topics.closed_sum_filter(),
            topics.sum_receipt_filter(),
            topics.of(&Topic::Comparison),
        ];
        let filters = filters.into_iter().map(|filter| (filter, QoS::AtLeastOnce));
        let id = mqtt::Client::Evaluator.id(&settings.deployment);
        let (publisher, inbox) =
            mqtt::connect(&settings.mqtt, &id, filters.collect(), stop.clone());
        Ok(Self {
            plan: PlanKeeper::open(settings, &folder)?,
            settings: settings.clone(),
            folder,
            topics,
            key,
            publisher,
            inbox,
            store,
            stopped: Arc::default(),
            computing: None,
        })
    }

    /// The operator's key, once there is a plan; none if the process is to end.
    async fn wait_for_plan(&mut self, stop: &Stop) -> Option<VerifyingKey> {
        let mut wait = PlanWait::default();
        loop {
            if let (Some(_), Some(operator)) = (self.plan.current(), self.plan.operator_key()) {
                return Some(operator);
            }
            let until = Instant::now() + AGAIN;
            tokio::select! {
                () = stop.stopped() => return None,
                event = timeout_at(until, self.inbox.recv()) => match event {
                    Ok(None) => return None,
                    // What else comes is not acknowledged by an answer, so it comes again.
                    Ok(Some(Event::Message(message))) => {
                        self.inbox.ack(&message);
                        self.take_plan(&message);
                    }
                    Ok(Some(_)) => {}
                    Err(_) if self.publisher.is_connected() => wait.say(&self.settings.deployment),
                    Err(_) => {}
                },
            }
        }
    }

    async fn load_keys(&self, operator: VerifyingKey) -> Result<Comparer, EvaluatorError> {
        let dir = self.settings.evaluator.keys_dir.clone();
        let (folder, deployment) = (self.folder.clone(), self.settings.deployment.id.clone());
        let load = move || keys::load(&dir, &folder, (&deployment, &operator));
        spawn_blocking(load).await.map_err(EvaluatorError::Task)?
    }

    async fn serve(&mut self, comparer: &Arc<Comparer>, stop: &Stop) -> Result<(), EvaluatorError> {
        let mut again = tokio::time::interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tracing::info!("evaluation keys are ready");
        loop {
            self.compute_next(comparer)?;
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                event = self.inbox.recv() => match event {
                    Some(Event::Message(message)) => {
                        self.inbox.ack(&message);
                        for (topic, bytes) in self.take(&message)? {
                            self.publish(topic, bytes).await;
                        }
                    }
                    Some(Event::Connected | Event::Disconnected { .. }) => {}
                    None => return Ok(()),
                },
                (window, done) = computed(&mut self.computing) => {
                    self.computing = None;
                    self.done(window, done).await?;
                }
                _ = again.tick() => self.ask_again().await?,
            }
        }
    }

    /// Begins with the next comparison, unless one is under way.
    fn compute_next(&mut self, comparer: &Arc<Comparer>) -> Result<(), EvaluatorError> {
        if self.computing.is_some() {
            return Ok(());
        }
        let waiting = self.store.unanswered()?;
        metrics::waiting(waiting.len());
        for message in waiting {
            let Some(job) = self.job(&message, comparer)? else {
                continue;
            };
            let window = job.comparison.window;
            let threads = match self.settings.evaluator.threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                threads => threads,
            };
            let work = jobs::run(job, comparer.clone(), (threads, self.stopped.clone()));
            self.computing = Some((window, tokio::spawn(work)));
            break;
        }
        Ok(())
    }

    /// A kept comparison with its sums; none if a key or a sum is not here.
    fn job(&self, message: &Bytes, comparer: &Comparer) -> Result<Option<Job>, EvaluatorError> {
        let (Ok(unverified), Some(held)) = (
            wire::decode_shared::<Comparison>(message, message.len()),
            self.plan.current(),
        ) else {
            return Ok(None);
        };
        // Verified before it was kept.
        let comparison = unverified.claimed().clone();
        if !comparer.has(comparison.epoch) {
            tracing::warn!(epoch = %comparison.epoch, "there is no switching key of this epoch: run `operator evaluation-keys`, copy what is new, and start the evaluator again");
            return Ok(None);
        }
        let mut sums = Vec::new();
        for sum in &comparison.sums {
            let message = self.store.sum(comparison.window, sum)?;
            match message.and_then(|message| lifted(&held, &message)) {
                Some(sum) => sums.push(sum),
                None => return Ok(None),
            }
        }
        Ok(Some(Job {
            digest: digest(&comparison),
            comparison,
            sums,
        }))
    }

    /// Signs bits, writes them down and lets them out.
    async fn done(
        &mut self,
        window: WindowStart,
        done: Result<(Digest, Vec<Lwe>), JobError>,
    ) -> Result<(), EvaluatorError> {
        let (comparison, bits) = match done {
            Ok(done) => done,
            Err(JobError::Stopped) => return Ok(()),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "a comparison failed; it is tried again");
                tokio::time::sleep(AGAIN).await;
                return Ok(());
            }
        };
        let bits: Vec<u8> = bits.iter().flat_map(|bit| bit.to_bytes(2)).collect();
        let message = Bits {
            comparison,
            bits: bits.into(),
        };
        let topic = self.topics.of(&Topic::Bits);
        let (sealed, _) = wire::seal(
            &message,
            None,
            &self.settings.deployment.id,
            &topic,
            &self.key,
        );
        self.store.answered(window, &comparison, &sealed)?;
        metrics::answered();
        tracing::info!(window = window.0, "comparison answered");
        self.publish(topic, sealed.into()).await;
        Ok(())
    }

    /// Asks about every sum that the operator has not said anything of.
    async fn ask_again(&mut self) -> Result<(), EvaluatorError> {
        metrics::kept(self.store.sums()?);
        for message in self.store.unasked()? {
            if let Some(question) = self.question(&message) {
                self.publish(self.topics.of(&Topic::Question), question)
                    .await;
            }
        }
        Ok(())
    }

    /// What shows the operator a sum that is kept: nothing that a reading could be decrypted from.
    fn question(&self, message: &Bytes) -> Option<Bytes> {
        let held = self.plan.current()?;
        let (question, shown) = shown(&held, message)?;
        let topic = self.topics.of(&Topic::Question);
        let deployment = &self.settings.deployment.id;
        let (sealed, _) = wire::seal(&question, Some(&shown), deployment, &topic, &self.key);
        Some(sealed.into())
    }

    async fn publish(&self, topic: String, bytes: Bytes) {
        if let Err(error) = self.publisher.publish(topic, bytes, false).await {
            // It is asked, or answered, again.
            tracing::warn!(error = %Chain(&error), "cannot publish");
        }
    }
}

/// The comparison that is computed, once it is done. Cancel safe.
async fn computed(
    computing: &mut Option<(WindowStart, Computing)>,
) -> (WindowStart, Result<(Digest, Vec<Lwe>), JobError>) {
    match computing {
        None => std::future::pending().await,
        Some((window, work)) => {
            let done = match work.await {
                Ok(done) => done,
                Err(error) => Err(JobError::Task(Box::new(EvaluatorError::Task(error)))),
            };
            (*window, done)
        }
    }
}
