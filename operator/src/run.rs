//! Starting the operator: everything is opened and checked before anything is published.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use packed::Profile;
use service::config::{Enrolment, Mode, Settings};
use service::mqtt::{self, QoS};
use service::{SharedClock, Stop};
use tokio::sync::mpsc;
use wire::{Topics, VerifyingKey};

use crate::disk::{self, DiskError};
use crate::enrol::{Limits, Registry};
use crate::event::Event;
use crate::gateways::{Gateways, GatewaysError};
use crate::keyring::{Keyring, KeyringError};
use crate::ledger::{Ledger, LedgerError, Place};
use crate::metrics;
use crate::pending::Desk;
use crate::plan::{self, PlanBook, PlanError};
use crate::report::FeederReport;
use crate::roster::{RosterBook, RosterError};
use crate::rotate;
use crate::serve::Operator;
use crate::settle::{self, Settler};
use crate::totals;

/// Why the operator does not run.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A setting that other code should have refused.
    #[error("{key}: {problem}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Another operator uses the same state.
    #[error("another operator is running with {path}: stop it, or use another deployment.state_dir", path = path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
    },
    /// The configured operator key is not this operator's.
    #[error(
        "deployment.operator_key is {configured}, but the signing key in {path} is {actual}: bring the right state \
         folder, or correct the setting everywhere",
        path = path.display()
    )]
    OtherKey {
        /// As configured.
        configured: VerifyingKey,
        /// As found.
        actual: VerifyingKey,
        /// The folder of keys.
        path: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// There is no plan to publish.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The roster cannot be used.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The gateways' keys cannot be used.
    #[error(transparent)]
    Gateways(#[from] GatewaysError),
    /// The record of releases cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The thread that settles sums ended before it was told to.
    #[error("the thread that decrypts ended unexpectedly")]
    Settler,
}

/// Runs the operator until `stop` fires and what it took is answered.
///
/// State is kept in `deployment.state_dir/operator`, totals are appended to `operator.totals_file`. What happens is told to
/// `observer`, if there is one.
///
/// # Errors
/// What is needed cannot be opened, or contradicts the configuration. A missing broker is no error.
pub async fn run(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<(), OperatorError> {
    metrics::register(settings.operator.export_load);
    let owned = settings.clone();
    let opening = tokio::task::spawn_blocking(move || open(&owned, clock));
    let parts = match opening.await {
        Ok(parts) => parts?,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => return Ok(()),
    };
    let topics = parts.topics.clone();
    let subscriptions = [
        topics.enrol_filter(),
        topics.analytics_enrol_filter(),
        topics.sum_filter(),
    ];
    let subscriptions = subscriptions
        .into_iter()
        .map(|filter| (filter, QoS::AtLeastOnce))
        .collect();
    let client_id = mqtt::Client::Operator.id(&settings.deployment);
    let (publisher, inbox) = mqtt::connect(&settings.mqtt, &client_id, subscriptions, stop.clone());
    let operator = Operator::new(settings, parts, publisher, observer);
    operator.serve(inbox, stop).await
}

/// Everything the operator works with, opened and consistent.
pub(crate) struct Parts {
    pub topics: Topics,
    pub registry: Registry,
    pub keyring: Arc<Keyring>,
    pub settler: Settler,
    pub desk: Desk,
    pub rotation: Rotation,
    /// Requests are granted without a person.
    pub automatic: bool,
    /// The last windows released before this start.
    pub recent: Vec<FeederReport>,
    /// Held as long as the operator runs.
    pub lock: File,
}

/// What a new key epoch is judged by, apart from the plan.
pub(crate) struct Rotation {
    pub dir: PathBuf,
    pub inbox: rotate::Inbox,
    pub retention_s: u64,
    pub clock: SharedClock,
}

/// The operator's folder of state.
pub fn folder(settings: &Settings) -> PathBuf {
    settings.deployment.state_dir.join("operator")
}

/// Whether requests are granted without a person: in development on loopback only, whatever else is configured.
pub fn enrols_automatically(settings: &Settings) -> bool {
    settings.operator.enrolment == Enrolment::Automatic
        && settings.deployment.mode == Mode::Development
        && settings.mqtt.is_loopback()
}

fn open(settings: &Settings, clock: SharedClock) -> Result<Parts, OperatorError> {
    let invalid = |key, problem: &dyn std::fmt::Display| OperatorError::Setting {
        key,
        problem: problem.to_string(),
    };
    let topics = Topics::new(&settings.deployment.root)
        .map_err(|error| invalid("deployment.root", &error))?;
    let profile = Profile::by_name(&settings.plan.profile)
        .map_err(|error| invalid("plan.profile", &error))?;
    let layout = settings
        .plan
        .layout
        .parse()
        .map_err(|error| invalid("plan.layout", &error))?;
    let terms = plan::Terms {
        deployment: settings.deployment.id.clone(),
        interval_s: settings.plan.interval_s(),
        batch: settings.plan.batch,
        layout,
        min_meters: settings.plan.min_meters,
    };

    let dir = folder(settings);
    disk::create_folder(&dir)?;
    let lock = lock(&dir)?;
    let credentials = settings.operator.credentials_dir.as_deref();
    let keyring = Keyring::open_with(&dir, credentials, profile)?;
    let actual = keyring.verifying();
    if let Some(configured) = settings
        .deployment
        .operator_key
        .filter(|configured| *configured != actual)
    {
        return Err(OperatorError::OtherKey {
            configured,
            actual,
            path: dir,
        });
    }

    let stored = PlanBook::is_stored(&dir);
    let plan = PlanBook::open(&dir, topics.plan(), &terms, &keyring)?;
    let roster = RosterBook::open(&dir, terms.deployment.clone(), topics.clone(), &keyring)?;
    let gateways = Gateways::open(&dir)?;
    if let Some(parent) = settings.operator.totals_file.parent() {
        disk::create_folder(parent)?;
    }
    let place = Place {
        dir: &dir,
        totals: &settings.operator.totals_file,
        deployment: &terms.deployment,
        operator: &keyring.name(),
    };
    let ledger = Ledger::open(&place, stored)?;
    let recent = totals::recent(&settings.operator.totals_file, &keyring.name())?;
    tracing::info!(
        operator_key = %actual,
        enrolment = if enrols_automatically(settings) { "automatic" } else { "by approval" },
        plan = %plan.plan().version,
        feeders = plan.plan().feeders.len(),
        meters = roster.len(),
        releases = ledger.len(),
        "keys, plan and roster are ready"
    );

    let limits = Limits {
        interval_s: terms.interval_s,
        headroom: settings.operator.reference_headroom,
        max_contributors: profile.max_contributors(),
    };
    let settle_terms = settle::Terms {
        deployment: terms.deployment,
        topics: topics.clone(),
        quantum_wh: settings.operator.publish_quantum_wh,
        publish_totals: settings.operator.publish_totals,
    };
    let keyring = Arc::new(keyring);
    Ok(Parts {
        topics,
        registry: Registry {
            plan,
            roster,
            gateways,
            limits,
        },
        rotation: Rotation {
            inbox: rotate::Inbox::new(&dir),
            retention_s: settings.analytics.retention.as_secs(),
            clock: clock.clone(),
            dir: dir.clone(),
        },
        settler: Settler::new(keyring.clone(), ledger, settle_terms, clock),
        keyring,
        desk: Desk::new(&dir),
        automatic: enrols_automatically(settings),
        recent,
        lock,
    })
}

/// Two operators over one folder would use one plan version twice.
fn lock(dir: &Path) -> Result<File, OperatorError> {
    let path = dir.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = file.map_err(DiskError::at("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OperatorError::Busy { path }),
        Err(TryLockError::Error(error)) => Err(DiskError::at("lock", &path)(error).into()),
    }
}
