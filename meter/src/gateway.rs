//! The gateway: the loop that turns readings into settled reports.
//!
//! It waits for the plan and for its meters' enrolment, saying what it waits for. Then, interval by interval as event
//! time passes, it takes a reading of every meter; a full window becomes a batch a meter in the outbox; sealing
//! threads encrypt and sign; the uplink publishes; receipts settle. When the outbox is full it takes no new readings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use service::clock::SharedClock;
use service::config::Settings;
use service::mqtt::{self, Event as Link, Inbox, Publisher, QoS};
use service::plan::{Offer, PlanKeeper};
use service::roster::RosterKeeper;
use service::stop::Stop;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use wire::{Grid, Reason, Receipt, Status, Topic, Topics, UnixSeconds, Unverified, WindowStart};

use crate::MeterError;
use crate::batch::{Batch, Filling};
use crate::fleet::Fleet;
use crate::metrics as meter;
use crate::outbox::{Key, Limits, Outbox, Sealed, Settled};
use crate::seal::{Member, SealError, Sealer};
use crate::source::{Reading, Source, SourceError};
use crate::timeline::Timeline;
use crate::uplink::{self, Departure};

/// Batches one sealing task takes: some milliseconds of work.
const SEAL_CHUNK: usize = 8;
/// How far in the past a simulated fleet that runs faster than the clock starts, unless told.
const SIMULATED_PAST_S: u64 = 7 * 86_400;
/// How often enrolment is asked for again, and what is waited for is said again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What an observer in the same process may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Every meter is enrolled; readings begin at this time.
    Started(UnixSeconds),
    /// A window's readings are in the outbox.
    Window(WindowStart),
    /// The source is at its end: nothing more will be read.
    Ended,
}

/// What a gateway did between its start and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Readings taken: one a meter and interval.
    pub readings: u64,
    /// Readings that were clamped to the declared capacity.
    pub clamped: u64,
    /// Intervals without a reading.
    pub missing: u64,
    /// Reports accepted into the outbox.
    pub reports: u64,
    /// Bytes of the reports sealed, and how many they were.
    pub sealed: (u64, u64),
    /// Reports a receipt called folded.
    pub folded: u64,
    /// Reports a receipt called duplicates: they had been folded before.
    pub duplicates: u64,
    /// Receipts that refused a report, by reason, whether it was lost or sent again.
    pub rejected: BTreeMap<Reason, u64>,
    /// Reports refused for good: their readings are in no sum.
    pub lost: u64,
    /// Reports still without a receipt at the end.
    pub unsettled: u64,
}

/// The source, lent to the task that reads it.
type Source_ = Box<dyn Source>;
type Read = JoinHandle<(Source_, Result<Vec<Reading>, SourceError>)>;

/// One gateway.
pub struct Gateway {
    settings: Arc<Settings>,
    clock: SharedClock,
    observer: Option<mpsc::UnboundedSender<Event>>,
    topics: Topics,
    keeper: PlanKeeper,
    roster: RosterKeeper,
    fleet: Fleet,
    publisher: Publisher,
    inbox: Inbox,
    sealer: Option<Arc<Sealer>>,
    outbox: Outbox,
    sealing: JoinSet<Vec<(Key, Result<Sealed, SealError>)>>,
    seal_threads: usize,
    origin: Instant,
    source: Option<Source_>,
    reading: Option<Read>,
    run: Option<Run>,
    ended: bool,
    last_asked: Option<Instant>,
    alarm: bool,
    summary: Summary,
}

/// A run over event time: where it is, and where it ends.
struct Run {
    timeline: Timeline,
    grid: Grid,
    end: Option<u64>,
    filling: Filling,
}

impl Gateway {
    /// A gateway that has opened its fleet and begun to connect.
    ///
    /// # Errors
    /// [`MeterError`] where the fleet cannot be opened or the settings contradict each other.
    pub fn open(
        settings: &Settings,
        clock: SharedClock,
        stop: &Stop,
        observer: Option<mpsc::UnboundedSender<Event>>,
    ) -> Result<Self, MeterError> {
        let topics = Topics::new(&settings.deployment.root)?;
        let directory = service::files::state_folder(
            &settings.deployment.state_dir,
            settings.meter.gateway.as_ref(),
        )
        .map_err(MeterError::State)?;
        let (fleet, source) = Fleet::open(settings, &directory)?;
        let limits = Limits {
            capacity: settings.meter.outbox_max_reports,
            unreceipted: settings.meter.max_unreceipted,
            retry_min: settings.meter.retry_min,
            retry_max: settings.meter.retry_max,
        };
        if limits.capacity < fleet.members.len() {
            return Err(MeterError::Outbox {
                capacity: limits.capacity,
                meters: fleet.members.len(),
            });
        }
        let subscriptions = [
            topics.plan(),
            topics.roster_filter(),
            topics.receipt(&settings.meter.gateway),
        ];
        let (publisher, inbox) = mqtt::connect(
            &settings.mqtt,
            settings.meter.gateway.as_ref(),
            subscriptions
                .map(|filter| (filter, QoS::AtLeastOnce))
                .to_vec(),
            stop.clone(),
        );
        let keeper = PlanKeeper::open(settings, &directory)?;
        let roster = RosterKeeper::open(settings, &directory, keeper.operator_key())?;
        let automatic = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            seal_threads: match settings.meter.seal_threads {
                0 => automatic,
                threads => threads,
            },
            settings: Arc::new(settings.clone()),
            clock,
            observer,
            topics,
            keeper,
            roster,
            fleet,
            publisher,
            inbox,
            sealer: None,
            outbox: Outbox::new(limits),
            sealing: JoinSet::new(),
            origin: Instant::now(),
            source: Some(source),
            reading: None,
            run: None,
            ended: false,
            last_asked: None,
            alarm: false,
            summary: Summary::default(),
        })
    }

    /// Runs until the source ends and every report is settled, or until `stop` fires.
    ///
    /// # Errors
    /// [`MeterError`] where the readings cannot be read on or the plan cannot be used.
    pub async fn run(mut self, stop: Stop) -> Result<Summary, MeterError> {
        let (departures, uplink) = uplink::spawn(
            &self.settings,
            self.topics.clone(),
            self.fleet.members.clone(),
            self.publisher.clone(),
            stop.clone(),
        )?;
        while !(self.ended && self.outbox.is_empty()) {
            self.start_sealing();
            self.start_reading();
            let due = self.outbox.next_due_ms();
            let (wake, is_due) = (
                self.next_wake(due),
                due.is_some_and(|due| due <= self.now_ms()),
            );
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                Some(sealed) = self.sealing.join_next() => self.enter_sealed(sealed.map_err(MeterError::Task)?)?,
                Some(read) = finished(&mut self.reading) => {
                    self.reading = None;
                    self.enter_readings(read.map_err(MeterError::Task)?)?;
                }
                event = self.inbox.recv() => match event {
                    Some(event) => self.handle(event).await?,
                    None => break,
                },
                permit = departures.reserve(), if is_due => {
                    let Ok(permit) = permit else { break };
                    if let Some((report, again)) = self.outbox.pop_due(self.now_ms()) {
                        permit.send(Departure { report, again });
                    }
                }
                () = sleep_until(wake) => self.ask().await,
            }
            meter::outbox(self.outbox.len());
        }
        self.summary.unsettled = self.outbox.len() as u64;
        if !self.outbox.is_empty() {
            tracing::warn!(
                reports = self.outbox.len(),
                "stopping with reports that have no receipt"
            );
        }
        drop(departures);
        let _ = uplink.await;
        self.publisher.close().await;
        Ok(self.summary)
    }

    /// Milliseconds since the gateway began: the time its outbox counts in.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When there is something to do next if nothing happens.
    fn next_wake(&self, due_ms: Option<u64>) -> Instant {
        let asked = self
            .last_asked
            .map_or_else(Instant::now, |asked| asked + ASK_AGAIN);
        let due = due_ms.map(|due_ms| self.origin + Duration::from_millis(due_ms));
        let due = due.filter(|due| *due > Instant::now());
        let interval = self
            .run
            .as_ref()
            .filter(|_| self.reading.is_none() && !self.ended)
            .map(|run| {
                let ahead_ms = run
                    .timeline
                    .wall_at(run.interval_end())
                    .0
                    .saturating_sub(self.clock.now().0);
                // A full outbox is looked at again by receipts, not by spinning.
                Instant::now()
                    + Duration::from_millis(ahead_ms.max(if self.alarm { 1000 } else { 0 }))
            });
        [Some(asked), due, interval]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(asked)
    }

    async fn handle(&mut self, event: Link) -> Result<(), MeterError> {
        match event {
            Link::Connected => self.last_asked = None,
            Link::Disconnected { .. } => {}
            Link::Message(incoming) => {
                match self.topics.parse(&incoming.topic) {
                    Some(Topic::Plan) => self.take_plan(&incoming.topic, &incoming.payload)?,
                    Some(Topic::Roster { .. }) => {
                        self.take_roster(&incoming.topic, &incoming.payload)
                    }
                    Some(Topic::Receipt { .. }) => {
                        self.take_receipt(&incoming.topic, &incoming.payload)
                    }
                    _ => {}
                }
                self.inbox.ack(&incoming);
            }
        }
        Ok(())
    }

    fn take_plan(&mut self, topic: &str, payload: &bytes::Bytes) -> Result<(), MeterError> {
        match self.keeper.offer(topic, payload) {
            Ok(Offer::New) => self.use_plan(),
            Ok(_) => Ok(()),
            Err(refused) => {
                tracing::warn!(reason = %refused.reason, "refused a plan: {refused}");
                Ok(())
            }
        }
    }

    fn use_plan(&mut self) -> Result<(), MeterError> {
        let Some(held) = self.keeper.current() else {
            return Ok(());
        };
        let sealer = Sealer::new(
            self.settings.deployment.id.clone(),
            self.settings.meter.gateway.clone(),
            self.topics.clone(),
            self.fleet.members.clone(),
            held.plan.clone(),
            &held.limbs,
        )?;
        tracing::info!(version = %held.plan.version, "plan taken");
        self.sealer = Some(Arc::new(sealer));
        // The operator is there now, whatever it missed before.
        self.last_asked = None;
        Ok(())
    }

    fn take_roster(&mut self, topic: &str, payload: &bytes::Bytes) {
        if let Err(refused) = self
            .roster
            .offer(self.keeper.operator_key(), topic, payload)
        {
            tracing::warn!(reason = %refused.reason, "refused a roster page: {refused}");
        }
    }

    fn take_receipt(&mut self, topic: &str, payload: &bytes::Bytes) {
        let receipt = match self.open_receipt(topic, payload) {
            Ok(receipt) => receipt,
            Err(error) => {
                tracing::warn!("refused a receipt: {error}");
                return;
            }
        };
        let (now, now_ms) = (self.clock.now(), self.now_ms());
        for entry in receipt.entries {
            let Some(&index) = self.fleet.index.get(&entry.meter) else {
                continue;
            };
            let (settled, sealed_ms) =
                self.outbox
                    .settle((index, entry.window), entry.digest, entry.status, now_ms);
            let waited =
                sealed_ms.map(|sealed_ms| Duration::from_millis(now_ms.saturating_sub(sealed_ms)));
            meter::receipt(settled, waited);
            match settled {
                Settled::Done(Status::Duplicate) => self.summary.duplicates += 1,
                Settled::Done(_) => self.summary.folded += 1,
                Settled::Retry(reason) | Settled::Reseal(reason) => {
                    *self.summary.rejected.entry(reason).or_default() += 1;
                }
                Settled::Lost(reason) => {
                    *self.summary.rejected.entry(reason).or_default() += 1;
                    self.summary.lost += 1;
                    tracing::error!(
                        meter = %entry.meter, window = entry.window.0, %reason, at = now.0,
                        "a report was refused for good: its readings are in no total"
                    );
                }
                Settled::Unknown => {}
            }
        }
    }

    /// A receipt counts only from the analytics service that adds for the meter's feeder.
    fn open_receipt(&self, topic: &str, payload: &bytes::Bytes) -> Result<Receipt, String> {
        let max_len = self.settings.mqtt.max_packet_bytes;
        let unverified: Unverified<Receipt> =
            wire::decode_shared(payload, max_len).map_err(|error| error.to_string())?;
        let held = self.keeper.current().ok_or("no plan yet")?;
        let claimed = &unverified.claimed().analytics;
        let entry = held
            .plan
            .analytics
            .iter()
            .find(|entry| entry.id == *claimed);
        let key = entry
            .ok_or_else(|| format!("the plan has no analytics service {claimed}"))?
            .key;
        let opened = unverified
            .verify(&self.settings.deployment.id, topic, &key)
            .map_err(|error| error.to_string())?;
        let mut receipt = opened.message;
        receipt.entries.retain(|entry| {
            let member = self
                .fleet
                .index
                .get(&entry.meter)
                .and_then(|&index| self.fleet.members.get(index));
            member
                .and_then(|member| held.plan.analytics_for(&member.feeder))
                .is_some_and(|analytics| analytics.id == receipt.analytics)
        });
        Ok(receipt)
    }

    /// Asks for what is missing and says what is waited for; starts the run once nothing is.
    async fn ask(&mut self) {
        let recently = self
            .last_asked
            .is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        if self.run.is_some() || recently || !self.publisher.is_connected() {
            self.last_asked = self
                .last_asked
                .filter(|_| recently)
                .or_else(|| Some(Instant::now()));
            return;
        }
        self.last_asked = Some(Instant::now());
        if self.sealer.is_none() {
            tracing::info!("waiting for the plan: start `cargo run --release -p operator`");
        }
        let gateway = &self.settings.meter.gateway;
        let pending = self.unenrolled();
        if pending.is_empty() {
            return;
        }
        tracing::info!(
            enrolled = self.fleet.members.len() - pending.len(),
            meters = self.fleet.members.len(),
            "waiting for the operator to enrol the meters"
        );
        let topic = self.topics.enrol(gateway);
        for request in self.fleet.enrol_requests(&self.settings, &topic, &pending) {
            let _ = self.publisher.publish(topic.clone(), request, false).await;
        }
    }

    /// The meters that the roster does not have as they are here.
    fn unenrolled(&self) -> Vec<usize> {
        let gateway = &self.settings.meter.gateway;
        let roster = self.roster.current();
        let enrolled = |member: &Member| {
            let entry = roster
                .as_ref()
                .and_then(|roster| roster.meter(&member.meter));
            entry.is_some_and(|entry| {
                entry.key == member.verifying_key
                    && entry.feeder == member.feeder
                    && entry.gateway == *gateway
            })
        };
        let members = self.fleet.members.iter().enumerate();
        members
            .filter(|(_, member)| !enrolled(member))
            .map(|(index, _)| index)
            .collect()
    }

    fn start_sealing(&mut self) {
        let Some(sealer) = &self.sealer else { return };
        while self.sealing.len() < self.seal_threads {
            let batches = self.outbox.next_to_seal(SEAL_CHUNK);
            if batches.is_empty() {
                return;
            }
            let (sealer, clock) = (sealer.clone(), self.clock.clone());
            self.sealing.spawn_blocking(move || {
                batches
                    .iter()
                    .map(|batch| ((batch.meter, batch.window), sealer.seal(batch, clock.now())))
                    .collect()
            });
        }
    }

    fn enter_sealed(
        &mut self,
        sealed: Vec<(Key, Result<Sealed, SealError>)>,
    ) -> Result<(), MeterError> {
        let now_ms = self.now_ms();
        for (key, sealed) in sealed {
            match sealed {
                Ok(report) => {
                    self.summary.sealed.0 += report.payload.len() as u64;
                    self.summary.sealed.1 += 1;
                    self.outbox.sealed(report, now_ms);
                }
                // The plan that has a place for it may still come.
                Err(error @ (SealError::NoEpoch(_) | SealError::NoFeeder(_))) => {
                    tracing::warn!("{error}: waiting for a plan that does");
                    self.outbox.unsealed(key, now_ms);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Starts reading the next interval if its time has come and the outbox has room for the window it completes.
    fn start_reading(&mut self) {
        if self.reading.is_some() || self.ended {
            return;
        }
        if self.run.is_none() && !self.start_run() {
            return;
        }
        let Some(run) = &self.run else { return };
        if run.timeline.wall_at(run.interval_end()) > self.clock.now() {
            return;
        }
        let room = self.outbox.has_room(self.fleet.members.len());
        if !room && !self.alarm {
            tracing::error!(
                reports = self.outbox.len(),
                "the outbox is full: no new readings are taken until receipts come"
            );
        }
        self.alarm = !room;
        if !room {
            return;
        }
        let (start, interval_s) = (run.interval_start(), run.grid.interval_s());
        let Some(mut source) = self.source.take() else {
            return;
        };
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let mut readings = Vec::new();
            let read = source.read(start, interval_s, &mut readings);
            (source, read.map(|()| readings))
        }));
    }

    /// Begins the run once the plan is here and has every feeder, and every meter is enrolled.
    fn start_run(&mut self) -> bool {
        let Some(sealer) = &self.sealer else {
            return false;
        };
        let grid = sealer.grid();
        let Some((from, until)) = self.source.as_ref().map(|source| source.range()) else {
            return false;
        };
        let now = self.clock.now();
        let meter = &self.settings.meter;
        let simulated_start = || match meter.speed > 1.0 {
            true => UnixSeconds((now.0 / 1000).saturating_sub(SIMULATED_PAST_S)),
            false => UnixSeconds(now.0 / 1000),
        };
        let start = match (meter.start, until) {
            (Some(start), _) => UnixSeconds(start.0.max(from.0)),
            (None, Some(_)) => from,
            (None, None) => simulated_start(),
        };
        // The first whole window: an interval before it has no report to be in.
        let window = WindowStart(start.0.div_ceil(grid.window_s()) * grid.window_s());
        let asked_end = meter.duration.map(|duration| window.0 + duration.as_secs());
        let end = [asked_end, until.map(|until| until.0)]
            .into_iter()
            .flatten()
            .min();
        let known = |feeder| sealer.plan().feeder(feeder, window).is_some();
        if !self.unenrolled().is_empty()
            || !self
                .fleet
                .members
                .iter()
                .all(|member| known(&member.feeder))
        {
            return false;
        }
        if end.is_some_and(|end| window.0 >= end) {
            tracing::warn!(start = start.0, ?end, "there is no whole window to report");
            self.ended = true;
            return false;
        }
        tracing::info!(start = %window, meters = self.fleet.members.len(), speed = meter.speed, "every meter is enrolled; reading");
        self.run = Some(Run {
            timeline: Timeline::new(UnixSeconds(window.0), now, meter.speed),
            grid,
            end,
            filling: Filling::new(grid, window, self.fleet.members.len()),
        });
        self.tell(Event::Started(UnixSeconds(window.0)));
        true
    }

    fn enter_readings(
        &mut self,
        read: (Source_, Result<Vec<Reading>, SourceError>),
    ) -> Result<(), MeterError> {
        self.source = Some(read.0);
        let readings = match read.1 {
            Ok(readings) => readings,
            // Beyond the file's end, within a window it began: there is no reading, and that is what is reported.
            Err(SourceError::OutOfRange { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        run.filling.add(&self.fleet.specs, &readings);
        if !run.filling.is_full() {
            return Ok(());
        }
        let window = run.filling.window();
        let next = WindowStart(window.0 + run.grid.window_s());
        let full = std::mem::replace(
            &mut run.filling,
            Filling::new(run.grid, next, self.fleet.members.len()),
        );
        self.ended = run.end.is_some_and(|end| next.0 >= end);
        for batch in full.finish() {
            self.count(&batch);
            self.outbox.accept(batch);
        }
        self.tell(Event::Window(window));
        if self.ended {
            tracing::info!(waiting = self.outbox.len(), "the source is at its end");
            self.tell(Event::Ended);
        }
        Ok(())
    }

    fn count(&mut self, batch: &Batch) {
        let (clamped, missing) = (u64::from(batch.clamped), u64::from(batch.missing));
        let taken = batch.readings_wh.len() as u64 - missing;
        meter::readings(taken, clamped, missing);
        self.summary.readings += taken;
        self.summary.clamped += clamped;
        self.summary.missing += missing;
        self.summary.reports += 1;
    }

    fn tell(&self, event: Event) {
        if let Some(observer) = &self.observer {
            let _ = observer.send(event);
        }
    }
}

impl Run {
    fn interval_start(&self) -> UnixSeconds {
        let passed = u64::from(self.filling.next_interval()) * u64::from(self.grid.interval_s());
        UnixSeconds(self.filling.window().0 + passed)
    }

    fn interval_end(&self) -> UnixSeconds {
        UnixSeconds(self.interval_start().0 + u64::from(self.grid.interval_s()))
    }
}

/// Waits for the reading under way; never ready while there is none.
async fn finished(
    reading: &mut Option<Read>,
) -> Option<Result<(Source_, Result<Vec<Reading>, SourceError>), tokio::task::JoinError>> {
    match reading {
        Some(task) => Some(task.await),
        None => None,
    }
}
