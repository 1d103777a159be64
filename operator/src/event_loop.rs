//! The running operator: one loop over what arrives, what became of sums, and what is to be published.
//!
//! The loop itself never waits. Sums are taken by a thread of their own, and messages leave through a task of their own;
//! where one of them falls behind, the loop stops taking in what would add to it and goes on with the rest. Every queue
//! between them has a limit, so that in the end the broker waits.
//!
//! # Layout
//! - `receive`: what comes · `announce`: what became of a sum · `comparisons`: of sums that nobody opens · `publishing`: plan and roster · `egress`: what leaves for the broker · `echo`: whether
//!   the plan comes back from it
//! - `epochs`: a new key epoch, asked for by `operator rotate` · `status_hints`: what the operator waits for · `agreeing`: which mask keys are agreed on ahead

mod agreeing;
mod announce;
mod comparisons;
mod echo;
mod egress;
mod epochs;
mod holders;
mod publishing;
mod receive;
mod say;
mod status_hints;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use service::config::Settings;
use service::mqtt::{self, CLOSE_GRACE, Inbox, Incoming, Publisher};
use service::{SharedClock, Stop};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use wire::{FeederId, PlanVersion, Topics, WindowStart};

use crate::comparison::desk::Desk;
use crate::comparison::ranking::RankInbox;
use crate::enrolment::handler::EnrolmentHandler;
use crate::enrolment::registry::Registry;
use crate::error::OperatorError;
use crate::event::{Event, Observer};
use crate::holders::desk::HolderDesk;
use crate::keys::keyring::Keyring;
use crate::metrics;
use crate::plan::publish::{Item, Schedule};
use crate::release::report::FeederReport;
use crate::release::take_result::{TakeResult, Work};
use crate::release::take_sums::SumTaker;
use crate::release::totals::COMMIT_MAX;
use crate::search::listen::Searches;
use crate::search::suspects::Suspects;
use crate::setup::folder;
use agreeing::Agreeing;
use echo::PlanEcho;
use egress::{Egress, Outgoing};
use epochs::Rotation;
use status_hints::StatusHints;

/// How often approvals are looked for and waiting is mentioned.
const TICK: Duration = Duration::from_secs(1);

/// Sums that may wait to be taken, and results that may wait to be announced. Beyond, the broker waits.
const QUEUE: usize = 2 * COMMIT_MAX;

/// What the loop works with, opened and consistent.
pub(crate) struct Opened {
    pub(crate) topics: Topics,
    pub(crate) registry: Registry,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) searches: Searches,
    pub(crate) comparisons: Desk,
    /// The newest window each feeder has released.
    pub(crate) released: BTreeMap<FeederId, WindowStart>,
    /// The last windows released before this start.
    pub(crate) recent: Vec<FeederReport>,
    /// Held as long as the operator runs.
    pub(crate) lock: File,
}

pub(crate) struct EventLoop {
    topics: Topics,
    enrolment: EnrolmentHandler,
    keyring: Arc<Keyring>,
    rotation: Rotation,
    publisher: Publisher,
    observer: Observer,
    schedule: Schedule,
    /// Documents that are durable and leave as soon as there is room. The registry does not change meanwhile: pages of
    /// different roster versions would be no roster, and no plan leaves before it is durable.
    leaving: VecDeque<Item>,
    published: (PlanVersion, usize),
    echo: PlanEcho,
    hints: StatusHints,
    searches: Searches,
    comparisons: Desk,
    rankings: RankInbox,
    suspects: Suspects,
    holders: HolderDesk,
    agreeing: Agreeing,
    releases: usize,
    feeders: metrics::Feeders,
    /// Windows released before this start, until the observer is told.
    recent: Vec<FeederReport>,
    _lock: File,
}

/// A sum or a bill that waits for its place in the queue, and the message to acknowledge once it has it.
struct WaitingSum {
    work: Work,
    message: Incoming,
}

impl EventLoop {
    pub(crate) fn new(
        settings: &Settings,
        opened: Opened,
        publisher: Publisher,
        observer: Observer,
        clock: SharedClock,
    ) -> Self {
        let Opened {
            topics,
            registry,
            keyring,
            searches,
            comparisons,
            released,
            recent,
            lock,
        } = opened;
        let configured = &settings.operator;
        let enrolment = EnrolmentHandler::new(
            settings,
            topics.clone(),
            registry,
            keyring.clone(),
            observer.clone(),
        );
        Self {
            searches,
            comparisons,
            rankings: RankInbox::new(&folder(settings)),
            suspects: Suspects::default(),
            holders: HolderDesk::new(settings, topics.clone(), keyring.clone()),
            agreeing: Agreeing::default(),
            rotation: Rotation::new(settings, released, clock),
            topics,
            enrolment,
            keyring,
            publisher,
            observer,
            schedule: Schedule::new(configured.republish_every, Instant::now()),
            leaving: VecDeque::new(),
            published: (PlanVersion(0), 0),
            echo: PlanEcho::default(),
            hints: StatusHints::default(),
            releases: 0,
            feeders: metrics::Feeders::new(configured.metrics_max_feeders, configured.export_load),
            recent,
            _lock: lock,
        }
    }

    /// Serves until `stop` fires, then takes and answers what was accepted.
    pub(crate) async fn run(
        mut self,
        taker: SumTaker,
        mut inbox: Inbox,
        stop: Stop,
    ) -> Result<(), OperatorError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let collected = jobs.downgrade();
        self.searches.start(collected.clone(), stop.clone());
        self.comparisons.start();
        let (done, mut results) = mpsc::channel(QUEUE);
        let taking = tokio::task::spawn_blocking(move || taker.run(queue, &collected, &done));
        let egress = Egress::open(self.publisher.clone());
        self.enrolment.count_pending();
        self.enrolment.count_out();
        let recent = std::mem::take(&mut self.recent);
        let min_meters = self.enrolment.registry.plan.plan().min_meters;
        self.observer.tell(Event::Opened { min_meters, recent });
        // The first plan is durable before anybody can ask for it.
        self.save();

        let served = self
            .serve(&mut inbox, &jobs, &mut results, &egress, &stop)
            .await;
        // Once it was told to stop, what else ends is in order.
        let served = if stop.is_stopped() { Ok(()) } else { served };
        drop(jobs);
        let drained = self.drain(results, egress);
        if tokio::time::timeout(CLOSE_GRACE, drained).await.is_err() {
            tracing::warn!(
                "not every receipt could be sent in time; analytics will send those sums again"
            );
        }
        self.save();
        self.publisher.close().await;
        self.comparisons.end().await;
        match taking.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => served,
        }
    }

    /// Acts on whatever comes next, until the stop fires.
    ///
    /// # Errors
    /// A task or thread that this loop works with has ended.
    async fn serve(
        &mut self,
        inbox: &mut Inbox,
        jobs: &mpsc::Sender<Work>,
        results: &mut mpsc::Receiver<TakeResult>,
        egress: &Egress,
        stop: &Stop,
    ) -> Result<(), OperatorError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting: Option<WaitingSum> = None;
        loop {
            let is_publishing = !self.leaving.is_empty();
            tokio::select! {
                () = stop.stopped() => return Ok(()),
                result = egress.next(results) => {
                    metrics::queue(QUEUE - jobs.capacity());
                    egress.send(self.announce(result?)).await?;
                }
                room = egress.room(), if self.enrolment.has_answers() => {
                    room?;
                    egress.send(Outgoing::answers(self.enrolment.take_answers(), false)).await?;
                }
                answer = egress.late(&mut self.searches) => egress.send(answer?).await?,
                answer = egress.compared(&mut self.comparisons) => egress.send(answer?).await?,
                room = egress.room(), if self.holders.has_questions() => {
                    room?;
                    egress.send(Outgoing::answers(self.holders.take_questions(), false)).await?;
                }
                room = egress.room(), if is_publishing => {
                    room?;
                    self.publish_next(egress).await?;
                }
                place = jobs.reserve(), if self.holders.has_ready() || waiting.is_some() => {
                    let place = place.map_err(|_| OperatorError::SumTaker)?;
                    if let Some(job) = self.holders.next_ready() {
                        place.send(Work::Take(job));
                    } else if let Some(sum) = waiting.take() {
                        place.send(sum.work);
                        metrics::queue(QUEUE - jobs.capacity());
                        inbox.ack(&sum.message);
                    }
                }
                event = inbox.recv(), if waiting.is_none() && !is_publishing => match event {
                    Some(mqtt::Event::Connected) => {
                        let extent = self.enrolment.registry.roster.extent();
                        self.schedule.connected(extent, Instant::now());
                    }
                    Some(mqtt::Event::Disconnected { .. }) => {}
                    Some(mqtt::Event::Message(message)) => waiting = self.receive(message, inbox),
                    None => return Err(OperatorError::Connection),
                },
                () = tokio::time::sleep_until(self.schedule.due()), if !is_publishing => self.begin_publishing(),
                made = self.rotation.keys_made(), if !is_publishing => self.begin_epoch(made),
                _ = tick.tick() => self.tick(jobs),
            }
        }
    }

    /// Answers what was accepted before the end, until nothing is left.
    async fn drain(&mut self, mut results: mpsc::Receiver<TakeResult>, egress: Egress) {
        while let Some(result) = results.recv().await {
            // What cannot leave any more is answered when analytics sends the sum again.
            let _ = egress.send(self.announce(result)).await;
        }
        egress.close().await;
    }

    fn tick(&mut self, jobs: &mpsc::Sender<Work>) {
        self.agree_ahead(jobs);
        self.holders.tick(Instant::now());
        self.echo.look(self.publisher.is_connected());
        if !self.leaving.is_empty() {
            if !self.publisher.is_connected() {
                let rest = self.leaving.drain(..).collect();
                self.schedule.postpone(rest, Instant::now());
            }
            return;
        }
        self.enrolment.apply_departures(&mut self.schedule);
        self.enrolment.apply_approved(&mut self.schedule);
        self.say_who_is_awaited();
        self.say_what_is_missing();
        self.rotate();
        self.compare();
    }
}

#[cfg(test)]
mod tests;
