//! The gateway: the loop that turns readings into reports, and sees them into totals.
//!
//! It waits for the plan and for its meters' enrolment, saying what it waits for. Then, interval by interval as event
//! time passes, it takes a reading of every meter; a full window becomes a batch a meter in the outbox; sealing
//! threads encrypt and sign; the uplink publishes; a receipt says that a report is in a sum, and later ones that the sum is
//! released. A feeder for which the outbox is full waits.
//! Each step is in the journal before the next one begins, so a gateway that was killed goes on with the same reports.
//!
//! # Layout
//! [`run`](self): the loop · `open`: what it begins with · `start`: which run it is, over which `span` · `reader`: what is read · `live`: what meters send · `behind`: what is read late · `run`: readings to batches · `sealing`: batches to reports · `pause`, `stopped`: when not · `closed`: a connection that ends again and again ·
//! `session`: plan, roster and receipts · `filters`: what brings them · `kept`: reports that are in sums · `audit`: those that holders demand · `enrol`, `answer`, `wait`, `stall`: what is waited for · `summary`: what an
//! observer is told

mod answer;
mod audit;
mod behind;
mod closed;
mod enrol;
mod filters;
mod kept;
mod live;
mod open;
mod pause;
mod reader;
mod run;
mod sealing;
mod session;
mod span;
mod stall;
mod start;
mod stopped;
mod summary;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use service::clock::SharedClock;
use service::config::Settings;
use service::stop::Stop;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::MeterError;
use crate::fleet::{Feeders, Fleet};
use crate::journal::{Durable, Held, Journal, WriteError, Writer};
use crate::kept::{self as keeping, KeptReports};
use crate::live::Fed;
use crate::metrics;
use crate::notices::Notices;
use crate::outbox::Outbox;
use crate::released::ReleasedReports;
use crate::seal::known_answers;
use crate::source::Readings;
use crate::uplink;
use audit::Audits;
use enrol::Waiting;
use live::Live;
use open::{feeders, limits, places};
use reader::{Reader, finished};
use sealing::Sealing;
use session::Session;
use span::LastRun;
use stopped::Stopped;

pub(crate) use enrol::allowed_w;
pub(crate) use filters::subscriptions;
pub(crate) use start::ahead;
pub use summary::{Event, Summary};

/// How often enrolment is asked for again, and what is waited for is said again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long a gateway that has nothing else to do waits for its sums to be released, so that little is left in the journal.
const AWAIT_SETTLEMENTS: Duration = Duration::from_secs(3);

/// How long the journal may take for its last commit once the gateway is to stop.
const CLOSE_JOURNAL: Duration = Duration::from_secs(5);
/// How long the uplink may take for what it holds once the gateway is to stop: all of it is in the journal.
const CLOSE_UPLINK: Duration = Duration::from_secs(3);

pub(crate) struct Gateway {
    settings: Arc<Settings>,
    clock: SharedClock,
    observer: Option<mpsc::UnboundedSender<Event>>,
    session: Session,
    fleet: Fleet,
    outbox: Outbox,
    kept: KeptReports,
    released: ReleasedReports,
    audits: Audits,
    /// Since when everything is done but the release of sums.
    idle_since: Option<Instant>,
    writer: Writer,
    origin: Instant,
    reader: Reader,
    /// What meters send, if the readings are live.
    live: Option<Live>,
    sealing: Sealing,
    stopped: Stopped,
    waiting: Waiting,
    notices: Notices,
    summary: Summary,
}

impl Gateway {
    /// A gateway that has opened its journal and its fleet and begun to connect.
    ///
    /// # Errors
    /// [`MeterError`] where encryption does not work here, journal or fleet cannot be opened, or the settings contradict each other.
    pub(crate) fn open(
        settings: &Settings,
        readings: Readings,
        clock: SharedClock,
        stop: &Stop,
        observer: Option<mpsc::UnboundedSender<Event>>,
    ) -> Result<Self, MeterError> {
        let answers = known_answers().map_err(MeterError::SelfTest)?;
        tracing::info!(answers, kernel = %seal::Kernel::best(), "encryption gives OpenFHE's known answers");
        let directory = service::files::state_folder(
            &settings.deployment.state_dir,
            settings.meter.gateway.as_ref(),
        )
        .map_err(MeterError::State)?;
        let (journal, mut held) = Journal::open(&directory)?;
        let mut readings = readings;
        let fed = readings.fed.take();
        let feeders_of = |fed: &Fed| Feeders::Given(fed.feeders.clone());
        let spread = || Feeders::Spread(settings.meter.feeders);
        let fleet = Fleet::open(
            readings.source.meters(),
            fed.as_ref().map_or_else(spread, feeders_of),
            &directory,
            places(&held),
        )?;
        let outbox = Outbox::new(limits(settings, fleet.meters())?);
        let kept = std::mem::take(&mut held.live);
        let begin = |fed| Live::begin(fed, kept, settings, clock.clone(), stop);
        let live = fed.map(begin).transpose()?;
        let mut gateway = Self {
            settings: Arc::new(settings.clone()),
            clock,
            observer,
            session: Session::open(settings, &directory, stop)?,
            reader: Reader::new(readings, feeders(&fleet)),
            live,
            sealing: Sealing::new(settings.meter.seal_threads),
            stopped: Stopped::open(&directory).map_err(MeterError::State)?,
            waiting: Waiting::default(),
            notices: Notices::begin(&directory),
            fleet,
            outbox,
            kept: KeptReports::new(keeping::Limits::of(settings)),
            released: ReleasedReports::new(settings),
            audits: Audits::default(),
            idle_since: None,
            writer: Writer::new(journal),
            origin: Instant::now(),
            summary: Summary::default(),
        };
        metrics::meters(gateway.fleet.meters());
        gateway.restore(held);
        gateway.look_at_file(&directory);
        gateway.use_plan()?;
        Ok(gateway)
    }

    /// Takes over what an earlier process left.
    fn restore(&mut self, held: Held) {
        let batches = held.batches.len();
        let sealed = held.sealed.len();
        self.send_again(held.sealed);
        for (place, mut batch) in held.batches {
            if let Some(meter) = self.fleet.position(&place.feeder, &place.meter) {
                batch.meter = meter;
                self.outbox.accept(batch);
            }
        }
        for (place, kept) in held.kept {
            if let Some(meter) = self.fleet.position(&place.feeder, &place.meter) {
                self.kept.keep((meter, place.window), place.feeder, kept);
            }
        }
        held.released
            .into_iter()
            .for_each(|released| self.released.keep(released));
        self.summary.resumed = self.outbox.len() as u64;
        if !self.outbox.is_empty() {
            tracing::info!(
                batches,
                sealed,
                "reports of an earlier process wait in the journal"
            );
        }
        self.reader.records = held.records;
        self.reader.last = held.progress.map(|progress| LastRun {
            progress,
            fleet: held.fleet,
            filling: held.filling,
        });
    }

    /// Runs until the source ends and every report is in a sum or lost, or until `stop` fires.
    ///
    /// # Errors
    /// [`MeterError`] where the readings cannot be read on or the plan cannot be used.
    pub(crate) async fn run(mut self, stop: Stop) -> Result<Summary, MeterError> {
        let (departures, uplink) = uplink::spawn(
            &self.settings,
            self.session.topics.clone(),
            &self.fleet,
            self.session.publisher.clone(),
            stop.clone(),
        );
        while !self.is_done() {
            self.read_failed();
            let paused = self.is_paused();
            if !paused {
                self.start_sealing();
            }
            self.start_reading()?;
            self.writer.start();
            let due = self.outbox.next_due_ms();
            let is_due = !paused && due.is_some_and(|due| due <= self.now_ms());
            let has_departures = is_due || self.audits.has_shown();
            let wake = self.next_wake(due);
            let takes_live = self.takes_live();
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                Some(sealed) = self.sealing.tasks.join_next() => self.enter_sealed(sealed.map_err(MeterError::Task)?)?,
                Some(read) = finished(&mut self.reader.reading) => {
                    self.reader.reading = None;
                    self.enter_readings(read.map_err(MeterError::Task)?)?;
                }
                done = self.writer.committed() => {
                    let Durable { ops, read } = done?;
                    self.durable(ops);
                    self.send_again(read.wanted);
                    self.show(read.shown);
                }
                parcel = live::received(&mut self.live), if takes_live => self.take_live(parcel),
                event = self.session.inbox.recv() => match event {
                    Some(event) => self.handle(event).await?,
                    None => break,
                },
                permit = departures.reserve(), if has_departures => {
                    let Ok(permit) = permit else { break };
                    if let Some(departure) = self.next_departure(is_due) {
                        permit.send(departure);
                    }
                }
                () = sleep_until(wake) => self.ask().await,
            }
            self.drop_surplus();
            metrics::outbox(self.outbox.len(), self.outbox.unreceipted());
        }
        drop(departures);
        self.close(uplink).await
    }

    /// Lets what is under way end.
    async fn close(mut self, uplink: JoinHandle<()>) -> Result<Summary, MeterError> {
        let publishing = async {
            let task = uplink.abort_handle();
            if timeout(CLOSE_UPLINK, uplink).await.is_err() {
                task.abort();
            }
        };
        let ((), durable) = tokio::join!(publishing, self.writer.close(CLOSE_JOURNAL));
        self.durable(durable);
        self.summary.unsettled = self.outbox.len() as u64;
        if !self.outbox.is_empty() {
            tracing::warn!(
                reports = self.outbox.len(),
                "stopping with reports that have no receipt"
            );
        }
        self.session.publisher.close().await;
        Ok(self.summary)
    }

    fn tell(&self, event: Event) {
        if let Some(observer) = &self.observer {
            let _ = observer.send(event);
        }
    }
}

impl From<WriteError> for MeterError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Journal(error) => Self::Journal(error),
            WriteError::Task(error) => Self::Task(error),
        }
    }
}
