//! The services and the generator at work: started once, and offered step after step.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use harness::oracle::Truths;
use harness::output::progress_bar;
use harness::runtimes::Runtimes;
use harness::sharing::Sharing;
use harness::verdict::judge;
use harness::watch::{Seen, Watch};
use operator::Event;
use service::config::Settings;
use service::stop::Stop;
use tempfile::TempDir;
use wire::Topics;

use super::database::{Database, Taken};
use super::fleet::{Fleet, PublicKeys};
use super::gateway::{Gateways, read};
use super::reports::Reports;
use super::seal::Sealer;
use super::services::Services;
use super::settings::settings;
use super::step::Step;
use super::step_summary::StepSummary;
use super::{Options, deployment};
use harness::usage::{Threads, Usage};

/// Longest wait for the enrolment of all meters.
const ENROLMENT: Duration = Duration::from_secs(300);
/// Time after a step in which everything must settle, beyond three times its own.
const DRAIN: Duration = Duration::from_secs(60);
/// How often threads and progress are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The rate of the first cell, which shows that analytics has the roster.
const WARM_UP: f64 = 1_000.0;

/// Services and generator, each on threads of its own name.
pub(crate) struct World {
    services: Services,
    settings: Settings,
    fleet: Arc<Fleet>,
    reports: Arc<RwLock<Reports>>,
    gateways: Gateways,
    next_cell: u64,
    pub(crate) enrolled: Duration,
    /// From the stop of operator and analytics after all steps to the first reports that are settled and opened.
    pub(crate) restarted: Option<Duration>,
    _state: TempDir,
    database: Option<Database>,
    /// Dropped last: all else works on their threads.
    _runtimes: Runtimes,
}

impl World {
    pub(crate) async fn start(
        base: &Settings,
        options: &Options,
        sharing: Sharing,
        stop: &Stop,
    ) -> Result<Self> {
        let meters = options.meters();
        let feeders = options.feeders(meters);
        eprintln!(
            "preparing {meters} meters: keys, ciphertexts and signatures are made before they are due"
        );
        let fleet = Fleet::new(meters, feeders, options.gateways, options.seed)?;
        let fleet = Arc::new(fleet);
        let state = tempfile::Builder::new().prefix("cipherwatt-").tempdir()?;
        let runtimes = Runtimes::start(&["operator", "analytics", "generator"])?;
        let mut settings = settings(base, &fleet);
        let database = Database::start(sharing, &mut settings)?;
        let kind = (sharing, options.processes);
        let mut services = Services::start(&settings, state.path(), &runtimes, kind).await?;
        let settings = services.settings().clone();
        let held = match deployment::plan(&settings, &fleet, stop).await {
            Ok(held) => held,
            // The service that failed says more than that one did.
            Err(error) => return Err(services.stop().await.err().unwrap_or(error)),
        };
        let topics = Topics::new(&settings.deployment.root)?;
        let make = || {
            let keys = fleet.public_keys()?;
            let fleet = fleet.clone();
            let sealer = Sealer::new(
                fleet.clone(),
                &held,
                topics.clone(),
                (options.pool, options.seed),
            )?;
            let reports = Reports::new(fleet, sealer, held.clone(), topics.clone(), state.path())?;
            anyhow::Ok((keys, Arc::new(RwLock::new(reports))))
        };
        let (keys, reports) = tokio::task::block_in_place(make)?;
        let began = Instant::now();
        let gateways = Gateways::connect(&settings, &reports, &runtimes.of("generator"));
        let mut world = Self {
            services,
            settings,
            fleet,
            reports,
            gateways,
            next_cell: 0,
            enrolled: Duration::ZERO,
            restarted: None,
            _state: state,
            database,
            _runtimes: runtimes,
        };
        match world.prepare(&topics, keys, began, stop).await {
            Ok(()) => Ok(world),
            // The service that failed says more than that one did.
            Err(error) => Err(world.stop().await.err().unwrap_or(error)),
        }
    }

    async fn prepare(
        &mut self,
        topics: &Topics,
        keys: Vec<PublicKeys>,
        began: Instant,
        stop: &Stop,
    ) -> Result<()> {
        let enrolled = tokio::time::timeout(ENROLMENT, self.enrol(topics, keys, stop)).await;
        enrolled.context("the operator did not enrol the meters in time")??;
        self.enrolled = began.elapsed();
        // Analytics has the roster once it takes reports.
        self.warm_up("the first reports", stop).await
    }

    /// Has the reports of a cell taken.
    async fn warm_up(&mut self, which: &str, stop: &Stop) -> Result<()> {
        let step = self.make(WARM_UP, Duration::from_millis(1))?;
        let warm = self.offer(&step, ENROLMENT, stop).await?;
        if let Some(wrong) = warm.wrong.first() {
            bail!("{which}: {wrong}");
        }
        Ok(())
    }

    /// Has every gateway ask for its meters until the operator has published them all.
    async fn enrol(&mut self, topics: &Topics, keys: Vec<PublicKeys>, stop: &Stop) -> Result<()> {
        let meters = self.fleet.meters() as usize;
        self.until(stop, |event| matches!(event, Event::PlanPublished { .. }))
            .await?;
        let fleet = self.fleet.clone();
        let topics = topics.clone();
        let deployment = self.settings.deployment.id.clone();
        let publishers = self.gateways.publishers.clone();
        let asking = tokio::spawn(async move {
            for (gateway, publisher) in (0..).zip(publishers) {
                let requests = fleet.requests(&deployment, &topics, gateway, &keys)?;
                for (topic, request) in requests {
                    publisher.publish(topic, request, false).await?;
                }
            }
            anyhow::Ok(())
        });
        self.until(
            stop,
            |event| matches!(event, Event::Enrolled { meters: known } if *known == meters),
        )
        .await?;
        asking.await?
    }

    async fn until(&mut self, stop: &Stop, wanted: impl Fn(&Event) -> bool) -> Result<()> {
        loop {
            match self.services.next(stop).await? {
                Seen::Operator(event) if wanted(&event) => return Ok(()),
                Seen::Operator(Event::EnrolmentRefused { id, reason }) => {
                    bail!("{id} was not enrolled: {reason}")
                }
                _ => {}
            }
        }
    }

    /// Starts operator and analytics again, where they have processes of their own, until they have taken the reports of a cell.
    pub(crate) async fn restart(&mut self, stop: &Stop) -> Result<()> {
        let began = Instant::now();
        if self.services.restart().await? {
            self.warm_up("after the restart", stop).await?;
            self.restarted = Some(began.elapsed());
        }
        Ok(())
    }

    /// Offers reports at `rate` for `duration` and judges what the services made of them.
    pub(crate) async fn step(
        &mut self,
        rate: f64,
        duration: Duration,
        stop: &Stop,
    ) -> Result<StepSummary> {
        let step = self.make(rate, duration)?;
        let limit = step.duration() * 4 + DRAIN;
        self.offer(&step, limit, stop).await
    }

    /// A step over the next cells, with its reports prepared.
    fn make(&mut self, rate: f64, duration: Duration) -> Result<Arc<Step>> {
        let step = Arc::new(Step::new(&self.fleet, rate, duration, self.next_cell));
        self.next_cell = step.cells().end;
        let a_feeder = u64::from(self.fleet.a_feeder);
        let rows = step.cells().start * a_feeder..step.cells().end * a_feeder;
        let prepare = || {
            let mut reports = self.reports.write().unwrap_or_else(PoisonError::into_inner);
            reports.prepare(rows)
        };
        tokio::task::block_in_place(prepare)?;
        Ok(step)
    }

    async fn offer(
        &mut self,
        step: &Arc<Step>,
        limit: Duration,
        stop: &Stop,
    ) -> Result<StepSummary> {
        let truths = self.truths(step);
        self.services.forget();
        let mut watch = Watch::new(self.settings.plan.minimum_group());
        let bar =
            progress_bar(step.reports(), "reports").with_message(format!("at {:.0}/s", step.rate));
        let mut threads = Threads::now();
        let before = (Usage::now(), self.database()?, self.services.in_use());
        self.gateways.begin(step);
        let mut look = tokio::time::interval(LOOK);
        let ended = tokio::time::timeout(limit, async {
            loop {
                tokio::select! {
                    seen = self.services.next(stop) => watch.record(&seen?),
                    _ = look.tick() => {
                        threads.look();
                        bar.set_position(step.settled());
                        if step.settled() == step.reports() && watch.progress(&truths) == truths.len() {
                            return anyhow::Ok(());
                        }
                    }
                }
            }
        })
        .await;
        bar.finish_and_clear();
        if let Ok(ended) = ended {
            ended?;
        }
        let used = Usage::now().since(&before.0);
        let spent = threads.spent();
        let database = self.database()?.since(&before.1);
        let (resent, refused) = self.gateways.counts();
        let verdict = judge(&watch, &truths);
        let summary = StepSummary::new(&self.fleet, step, refused, verdict);
        let summary = summary.took(&used, &database, &spent);
        let summary = summary.processes(&before.2, &self.services.in_use(), spent.wall);
        Ok(StepSummary { resent, ..summary })
    }

    fn database(&self) -> Result<Taken> {
        self.database
            .as_ref()
            .map_or(Ok(Taken::default()), Database::taken)
    }

    fn truths(&self, step: &Step) -> Truths {
        let reports = read(&self.reports);
        let a_feeder = u64::from(self.fleet.a_feeder);
        let mut truths = Truths::default();
        for cell in step.cells() {
            let (feeder, window) = self.fleet.cell(cell);
            let key = (self.fleet.feeder(feeder).clone(), window);
            for row in cell * a_feeder..(cell + 1) * a_feeder {
                let uwh = reports.reading_wh(row) * 1_000_000;
                truths.add(key.clone(), &[Some(uwh)], i64::MAX);
            }
        }
        truths
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        self.gateways.stop().await;
        self.services.stop().await
    }
}
