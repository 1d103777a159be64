//! Starting the operator: everything is opened and checked before anything is published.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use service::config::Settings;
use service::files::{PRIVATE, private_folder};
use service::mqtt::{self, QoS};
use service::{SharedClock, Stop};
use tokio::sync::mpsc;
use wire::{Topic, Topics};

use crate::comparison::desk::Desk;
use crate::disk::{self, DiskError};
use crate::enrolment::gateways::Gateways;
use crate::enrolment::leaving::Departures;
use crate::enrolment::physical::PhysicalMeters;
use crate::enrolment::registry::{Limits, Registry};
use crate::error::OperatorError;
use crate::event::{Event, Observer};
use crate::event_loop::{EventLoop, Opened};
use crate::holders::agreements;
use crate::keys::keyring::Keyring;
use crate::metrics;
use crate::plan::book::PlanBook;
use crate::plan::error::PlanError;
use crate::plan::roster::RosterBook;
use crate::plan::settings::PlanSettings;
use crate::plan::term::Term;
use crate::publish::recipients::Recipients;
use crate::release::ledger::{Ledger, Place};
use crate::release::take_sums::{SumTaker, TakeSettings};
use crate::release::totals;
use crate::search::book::SearchBook;
use crate::search::listen::Searches;
use crate::setup::{enrols_automatically, folder, latest};

/// Runs the operator until `stop` fires and what it took is answered.
///
/// State is kept in `deployment.state_dir/operator`, and totals are appended to `operator.totals_file`. What happens is told
/// to `observer`. Without a broker the operator waits for one.
///
/// # Errors
/// A file, folder or key cannot be used, or contradicts the configuration.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use operator::Event;
/// use service::{Settings, Stop, SystemClock};
///
/// let settings = Settings::defaults();
/// let (observer, mut events) = tokio::sync::mpsc::unbounded_channel();
/// tokio::spawn(async move {
///     while let Some(event) = events.recv().await {
///         if let Event::Released(total) = event {
///             println!("{} {}: {} Wh", total.feeder, total.window_start, total.total_wh());
///         }
///     }
/// });
/// operator::run(&settings, SystemClock::shared(), Stop::from_signals()?, Some(observer)).await?;
/// # Ok(())
/// # }
/// ```
pub async fn run(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<(), OperatorError> {
    metrics::register(settings.operator.export_load);
    if !settings.publish.recipients.is_empty() {
        metrics::budget(settings.publish.budget_epsilon);
    }
    let owned = settings.clone();
    let time = clock.clone();
    // OpenFHE and the disk take their time, and no thread that serves the network waits for them.
    let opening = tokio::task::spawn_blocking(move || open(&owned, time));
    let (opened, taker) = match opening.await {
        Ok(opened) => opened?,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => return Ok(()),
    };
    let topics = &opened.topics;
    let subscriptions = [
        topics.plan(),
        topics.enrol_filter(),
        topics.analytics_enrol_filter(),
        topics.sum_filter(),
        topics.of(&Topic::Question),
        topics.of(&Topic::Bits),
        topics.bill_filter(),
    ];
    let of_holders = topics.holder_filters();
    let subscriptions = subscriptions
        .into_iter()
        .chain(of_holders)
        .map(|filter| (filter, QoS::AtLeastOnce))
        .collect();
    let client_id = mqtt::Client::Operator.id(&settings.deployment);
    let (publisher, inbox) = mqtt::connect(&settings.mqtt, &client_id, subscriptions, stop.clone());
    let event_loop = EventLoop::new(settings, opened, publisher, Observer(observer), clock);
    event_loop.run(taker, inbox, stop).await
}

/// Opens everything, and drafts what is not there yet.
pub(crate) fn open(
    settings: &Settings,
    clock: SharedClock,
) -> Result<(Opened, SumTaker), OperatorError> {
    let topics =
        Topics::new(&settings.deployment.root).map_err(|error| OperatorError::Setting {
            key: "deployment.root",
            problem: error.to_string(),
        })?;
    let (dir, lock) = own_folder(settings)?;
    let keyring = Arc::new(open_keys(settings, &dir)?);
    // Asked before the plan is drafted: once a plan was published, a missing ledger is a loss and not a first start.
    let was_published = PlanBook::is_stored(&dir);
    let registry = open_registry(settings, &dir, &topics, &keyring, clock.clone())?;
    let totals_file = &settings.operator.totals_file;
    folders_of([totals_file, &settings.operator.bills_file])?;
    let place = Place {
        dir: &dir,
        totals: totals_file,
        deployment: &settings.deployment.id,
        operator: &keyring.name(),
    };
    let mut ledger = Ledger::open(&place, was_published)?;
    ledger.open_bills(&settings.operator.bills_file, &keyring.name())?;
    let released = ledger.newest()?;
    tracing::info!(
        operator_key = %keyring.verifying(),
        enrolment = if enrols_automatically(settings) { "automatic" } else { "by approval" },
        plan = %registry.plan.plan().version,
        feeders = registry.plan.plan().feeders.len(),
        meters = registry.roster.len(),
        opened_sums = ledger.len(),
        "keys, plan and roster are ready"
    );
    let take_settings = TakeSettings {
        deployment: settings.deployment.id.clone(),
        topics: topics.clone(),
        max_refusals: settings.operator.max_refusals,
        future_tolerance: settings.analytics.future_tolerance,
        publish_totals: settings.operator.publish_totals,
        day_min_meters: settings.publish.household_day_min_meters,
        release: settings.release.rules(settings.plan.minimum_group()),
    };
    let book = SearchBook::default();
    let searches = Searches::new(settings, topics.clone(), book.clone());
    let comparisons = Desk::open(settings, &keyring, &topics, &clock)?;
    let taker = SumTaker::new(keyring.clone(), ledger, take_settings, clock, book);
    let taker = taker.publishing(Recipients::new(settings)?, totals_file)?;
    let opened = Opened {
        topics,
        registry,
        recent: totals::recent(totals_file, &keyring.name())?,
        keyring,
        searches,
        comparisons,
        released,
        lock,
    };
    Ok((opened, taker))
}

/// Makes the folders of files that may be anywhere.
fn folders_of(files: [&Path; 2]) -> Result<(), DiskError> {
    let folders = files.into_iter().filter_map(Path::parent);
    folders.into_iter().try_for_each(disk::create_folder)
}

/// The keys, unless the configuration names another operator.
fn open_keys(settings: &Settings, dir: &Path) -> Result<Keyring, OperatorError> {
    let credentials = settings.operator.credentials_dir.as_deref();
    let keyring = Keyring::open(dir, credentials)?;
    let actual = keyring.verifying();
    match settings.deployment.operator_key {
        Some(configured) if configured != actual => Err(OperatorError::OtherKey {
            configured,
            actual,
            path: dir.to_owned(),
        }),
        _ => Ok(keyring),
    }
}

/// Plan, roster and the gateways' keys.
fn open_registry(
    settings: &Settings,
    dir: &Path,
    topics: &Topics,
    keyring: &Keyring,
    clock: SharedClock,
) -> Result<Registry, OperatorError> {
    let grid = settings.plan.grid().map_err(PlanError::from)?;
    let plan_settings = PlanSettings {
        shards: settings.plan.shards,
        deployment: settings.deployment.id.clone(),
        interval_s: settings.plan.interval_s(),
        batch: grid.batch(),
        time_zone: grid.zone(),
        layout: settings.plan.layout,
        histogram_edges_wh: settings.plan.histogram_edges_wh(),
        ratings_wh: settings.plan.ratings_wh(),
        tariff: (settings.plan.tariff()).map_err(|problem| PlanError::BadTariff { problem })?,
        profile: settings.plan.profile,
        areas: settings.plan.areas_of_feeders(),
        min_meters: settings.plan.minimum_group(),
        term: Term(settings.operator.plan_valid_for),
        latest: latest(&clock, settings.analytics.future_tolerance),
        holders: agreements::read(&settings.holders.agreements, &settings.deployment.id)
            .map_err(PlanError::from)?,
    };
    let limits = Limits {
        interval_s: plan_settings.interval_s,
        headroom: settings.operator.reference_headroom,
        feeder_meters: settings.operator.feeder_meters_max,
        future_tolerance: settings.analytics.future_tolerance,
        meter_prefix: settings.operator.meter_prefix && !enrols_automatically(settings),
    };
    let deployment = settings.deployment.id.clone();
    let mut registry = Registry {
        plan: PlanBook::open(dir, topics.plan(), &plan_settings, keyring)?,
        roster: RosterBook::open(dir, deployment, topics.clone(), &keyring.verifying())?,
        gateways: Gateways::open(dir)?,
        departures: Departures::open(dir)?,
        physical: PhysicalMeters::open(dir)?,
        limits,
        clock,
    };
    registry.recall_departures();
    registry.adopt_areas();
    Ok(registry)
}

/// The operator's folder, which no other operator has.
fn own_folder(settings: &Settings) -> Result<(PathBuf, File), OperatorError> {
    let dir = folder(settings);
    private_folder(&dir).map_err(DiskError::at("create", &dir))?;
    let lock = lock(&dir)?;
    Ok((dir, lock))
}

/// Two operators over one folder would use one plan version twice.
fn lock(dir: &Path) -> Result<File, OperatorError> {
    let path = dir.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE)
        .open(&path);
    let file = file.map_err(DiskError::at("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OperatorError::Busy { path }),
        Err(TryLockError::Error(error)) => Err(DiskError::at("lock", &path)(error).into()),
    }
}
