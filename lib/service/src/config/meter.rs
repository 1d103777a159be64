//! Section of the meter fleet.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{GatewayId, UnixSeconds};

use super::files::{
    FileColumns, FileDateOrder, FileDecimal, FileForm, FileGaps, FileLabel, FileSeparator,
    FileUnit, FileValues,
};
use super::{Feed, text};

/// `[meter]`: one gateway and the meters behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meter {
    /// Id of the gateway, and a part of its MQTT client id.
    pub gateway: GatewayId,
    /// Where Prometheus scrapes; `None` (an empty string) is off.
    #[serde(with = "text::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Where readings come from.
    pub source: SourceKind,
    /// Number of simulated meters; a replay has those of its file.
    pub meters: u32,
    /// Number of feeders the meters are spread over.
    pub feeders: u32,
    /// Seed of the simulated readings.
    pub seed: u64,
    /// Simulated seconds in one second of wall time, until the simulated time reaches now.
    pub speed: f64,
    /// Start of simulated time; `None` (an empty string) leaves it to the source.
    #[serde(with = "text::instant")]
    pub start: Option<UnixSeconds>,
    /// Length of simulated time after which the fleet ends; `None` (an empty string) never.
    #[serde(with = "text::duration")]
    pub duration: Option<Duration>,
    /// File to replay; `None` (an empty string) if the source is simulated.
    #[serde(with = "text::path")]
    pub replay: Option<PathBuf>,
    /// When row 0 of a replayed file is, if its first column counts hours instead of giving times; `None` (an
    /// empty string) takes the default of the reader.
    #[serde(with = "text::instant")]
    pub replay_start: Option<UnixSeconds>,
    /// IANA time zone of the file's local times.
    pub time_zone: String,
    /// Form of the file. `None` (an empty string), here and in the following: found out.
    #[serde(with = "text::optional")]
    pub form: Option<FileForm>,
    /// Unit of its values.
    #[serde(with = "text::optional")]
    pub unit: Option<FileUnit>,
    /// What its values are.
    #[serde(with = "text::optional")]
    pub values: Option<FileValues>,
    /// What the time of a row is.
    #[serde(with = "text::optional")]
    pub label: Option<FileLabel>,
    /// What becomes of intervals without a row; `None` refuses the file.
    #[serde(with = "text::optional")]
    pub gaps: Option<FileGaps>,
    /// Marks of missing values, besides the usual ones.
    pub missing: Vec<String>,
    /// Which of its columns are what.
    pub columns: FileColumns,
    /// What separates fields.
    #[serde(with = "text::optional")]
    pub separator: Option<FileSeparator>,
    /// The decimal mark.
    #[serde(with = "text::optional")]
    pub decimal: Option<FileDecimal>,
    /// The order of day, month and year.
    #[serde(with = "text::optional")]
    pub date_order: Option<FileDateOrder>,
    /// CSV file of the meters whose readings are live: id, feeder, capacity; `None` (an empty string) if they are not.
    #[serde(with = "text::path")]
    pub meters_file: Option<PathBuf>,
    /// Whether simulated meters may be in a deployment in production mode.
    pub simulated_in_production: bool,
    /// Where lines of live readings come from: `-`, a FIFO, or `unix:` and the path of a socket.
    pub lines: String,
    /// How long after its end an interval takes live readings.
    #[serde(with = "humantime_serde")]
    pub live_grace: Duration,
    /// How far from an interval's end the read of a register may be.
    #[serde(with = "humantime_serde")]
    pub live_tolerance: Duration,
    /// How far ahead of this machine's clock a live reading may be.
    #[serde(with = "humantime_serde")]
    pub live_ahead: Duration,
    /// Ids of the meters that are to be billed by tariff band; `all`: all of them.
    pub billing: Vec<String>,
    /// Nothing is sealed under a plan with a smaller `min_meters`.
    pub min_meters_floor: u32,
    /// How meters share MQTT connections.
    pub connections: Connections,
    /// What encrypts reports.
    pub sealer: SealerKind,
    /// Threads that encrypt and sign; 0 takes one for each processor.
    pub seal_threads: usize,
    /// Sealed reports kept until their receipt arrives.
    pub outbox_max_reports: usize,
    /// Shortest wait for a receipt before a report is sent again.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,
    /// Longest wait for a receipt before a report is sent again.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
    /// Reports that may be sealed and on their way without a receipt.
    pub max_unreceipted: usize,
    /// Bytes of reports that may be on their way without a receipt.
    pub max_unreceipted_bytes: usize,
    /// How much longer than the quickest a receipt may take before fewer reports are sent at once.
    #[serde(with = "humantime_serde")]
    pub receipt_delay_target: Duration,
    /// How long a gateway waits for another meter to be enrolled before it starts with those that are.
    #[serde(with = "humantime_serde")]
    pub enrolment_wait: Duration,
    /// How long a report that is in a sum is kept at most, until that sum is released or refused; zero keeps none.
    #[serde(with = "humantime_serde")]
    pub keep_folded: Duration,
    /// Most bytes of such reports.
    pub keep_folded_bytes: u64,
    /// How long a report is kept after its sum was released, for audits of holders; zero keeps none.
    #[serde(with = "humantime_serde")]
    pub keep_released: Duration,
    /// Most bytes of such reports.
    pub keep_released_bytes: u64,
    /// Most reports that are shown to one holder in a minute.
    pub audit_reports_per_minute: u32,
    /// Kinds of simulated customer.
    pub mix: Mix,
    /// The plain MQTT broker of live readings.
    pub feed: Feed,
}

/// Where readings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Households, businesses and PV homes from standard load profiles.
    Simulated,
    /// A file.
    Replay,
    /// Meters that send a JSON object a line.
    Lines,
    /// Meters whose readings are on a plain MQTT broker.
    Mqtt,
}

impl SourceKind {
    /// Whether readings come as meters send them.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Lines | Self::Mqtt)
    }
}

/// How meters share MQTT connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connections {
    /// One connection for the whole gateway.
    Gateway,
    /// One connection for each meter.
    PerMeter,
}

/// What encrypts reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealerKind {
    /// The crate `seal`, in plain Rust.
    Native,
    /// OpenFHE, where the build has it.
    Openfhe,
}

/// `[meter.mix]`: shares of the kinds of simulated customer. They need not sum to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Households (BDEW H25).
    pub household: f64,
    /// Businesses (G25).
    pub business: f64,
    /// Homes with solar panels (P25).
    pub solar: f64,
}
