//! One configuration schema for all processes.
//!
//! Every setting lives in `config/default.toml`, which is compiled in and documents each key with
//! its unit. Layers over it, each stronger than the one before: `--config` files in the order given,
//! environment variables `CIPHERWATT__SECTION__KEY`, flags. A key that the defaults do not have is
//! an error in every layer, and the origin of each value is kept for messages and `--print-config`.
//! The `config` crate reads and merges the layers; what it does not keep or check is in `layers` and `keys`.

mod access;
mod conflicts;
mod error;
mod feed;
mod files;
mod holders;
mod keys;
mod layers;
mod login_keys;
mod meter;
mod mqtt;
mod origin;
mod postgres;
mod publish;
mod rating;
mod release;
mod services;
mod shared;
mod tariffs;
mod text;
mod validate;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use access::{IdentityKind, PatternLevel, Role, TopicPattern};
pub use error::{ConfigError, Given};
pub use feed::{Feed, FeedMapping};
pub use files::{
    FileColumns, FileDateOrder, FileDecimal, FileForm, FileGaps, FileLabel, FileSeparator,
    FileUnit, FileValues,
};
pub use holders::{Holder, Holders, PinnedHolder};
pub use keys::DEFAULTS;
pub use layers::{Loaded, load_layers};
pub(crate) use login_keys::LoginKeys;
pub use meter::{Connections, Meter, Mix, SealerKind, SourceKind};
pub(crate) use mqtt::Endpoint;
pub use mqtt::Mqtt;
pub use origin::{Origin, Overrides};
pub use postgres::{Postgres, StoreKind};
pub use publish::{Publish, PublishMechanism, Recipient};
pub use rating::Rating;
pub use release::Release;
pub use services::{Analytics, Broker, Enrolment, Evaluator, Operator};
pub use shared::{Deployment, Log, LogFormat, Metrics, Mode, Plan, Transformer};
pub use tariffs::{BandPrice, BandTime, TariffEntry};

/// Every setting of every process. Sections a process does not use are still checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Identity of the deployment and where its processes keep their state.
    pub deployment: Deployment,
    /// How to reach the broker.
    pub mqtt: Mqtt,
    /// Logs on standard error.
    pub log: Log,
    /// Who may scrape.
    pub metrics: Metrics,
    /// The plan an operator publishes when it starts for the first time.
    pub plan: Plan,
    /// Which sums are released.
    pub release: Release,
    /// Noisy totals for those who publish them.
    pub publish: Publish,
    /// The embedded broker.
    pub broker: Broker,
    /// The operator.
    pub operator: Operator,
    /// The analytics service.
    pub analytics: Analytics,
    /// The evaluator.
    pub evaluator: Evaluator,
    /// Who holds mask keys beside the operator.
    pub holders: Holders,
    /// One of them.
    pub holder: Holder,
    /// The meter fleet behind one gateway.
    pub meter: Meter,
}

impl Settings {
    /// The settings of `config/default.toml`, with no other layer.
    ///
    /// # Panics
    /// Never: a test parses the embedded file.
    pub fn defaults() -> Self {
        let none = std::iter::empty();
        match load_layers(&[], none, &Overrides::default()) {
            Ok(loaded) => loaded.settings,
            Err(error) => unreachable!("config/default.toml is wrong: {error}"),
        }
    }

    /// Gives a whole deployment a minimum group: the plan, and the floors below which gateways, analytics and holders go
    /// by no plan.
    pub fn set_min_meters(&mut self, min_meters: u32) {
        self.plan.min_meters = min_meters;
        self.plan.detail_min_meters = min_meters;
        for floor in [
            &mut self.meter.min_meters_floor,
            &mut self.analytics.min_meters_floor,
            &mut self.holder.min_meters_floor,
        ] {
            *floor = min_meters.min(*floor);
        }
    }

    /// Whether who joins is taken without a person, under this setting of a process: in development on loopback only, whatever else is
    /// configured.
    pub fn enrols_automatically(&self, enrolment: Enrolment) -> bool {
        enrolment == Enrolment::Automatic
            && self.deployment.mode == Mode::Development
            && self.mqtt.is_loopback()
    }

    /// Where the process of this name serves its metrics; `None` when off or for another name.
    pub fn metrics_listen(&self, process: &str) -> Option<SocketAddr> {
        match process {
            "broker" => self.broker.metrics_listen,
            "operator" => self.operator.metrics_listen,
            "analytics" => self.analytics.metrics_listen,
            "evaluator" => self.evaluator.metrics_listen,
            "holder" => self.holder.metrics_listen,
            "meter" => self.meter.metrics_listen,
            _ => None,
        }
    }
}
