//! The protocol between Cipherwatt's processes: ids, units, windows, topics and signed messages.
//! No I/O, and no cryptography except signatures and SHA-256.
//!
//! # Layout
//! - `ids`, `units`, `capacity`, `grid`, `zone`: names, quantities and time, each its own type;
//! - `contributors`: who is in a sum, by meter number, and the salts of their masks;
//! - `topic`: where messages are published;
//! - `reason`: why a message was refused, as a small fixed set;
//! - `message`: the messages, one file each, as `docs/wire.cddl` specifies them;
//! - `sign`, `open`: from a message to signed bytes, and from bytes to a verified message;
//! - `keys`, `cbor`, `error`: signature keys, the encoding, and why bytes are refused.
//!
//! # From a message to bytes and back
//! ```
//! use wire::{Digest, SigningKey, SumReceipt, SumStatus, Topics};
//!
//! let deployment = "dev".parse()?;
//! let topics = Topics::new("cipherwatt/v2")?;
//! let key = SigningKey::generate();
//! let receipt = SumReceipt {
//!     feeder: "feeder-1".parse()?,
//!     epoch: wire::KeyEpoch(1),
//!     window: wire::WindowStart(1_750_000_500),
//!     part: wire::Part(0),
//!     digest: Digest::of(b"limbs"),
//!     status: SumStatus::Taken,
//! };
//! let topic = topics.sum_receipt(wire::Shard(0), &receipt.feeder);
//! let (bytes, _) = wire::seal(&receipt, None, &deployment, &topic, &key);
//!
//! let unverified = wire::decode::<SumReceipt>(&bytes, 1024)?;
//! assert_eq!(unverified.claimed().feeder.as_str(), "feeder-1"); // to find the key with
//! let opened = unverified.verify(&deployment, &topic, &key.verifying_key())?;
//! assert_eq!(opened.message, receipt);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capacity;
mod cbor;
mod contributors;
mod error;
mod grid;
mod ids;
mod keys;
mod message;
mod open;
mod reason;
mod shard;
mod sign;
mod topic;
mod units;
mod zone;

pub use capacity::{CapacityClass, UnknownClass};
pub use contributors::{ContributorSet, MAX_CONTRIBUTORS, MAX_METER_NUMBER, Salt, SetError};
pub use error::WireError;
pub use grid::{Grid, GridError, MAX_INTERVAL_S, WindowStart};
pub use ids::{
    AnalyticsId, AreaId, BandName, DeploymentId, FeederId, GatewayId, HolderId, IdError,
    LayoutName, MAX_ID_LEN, MeterId, ProfileName, RecipientId,
};
pub use keys::{KeyError, KnownKeys, MaskKey, SigningKey, VerifyingKey};
pub use message::{
    Acceptance, Agreement, AgreementError, AnalyticsEnrol, AnalyticsEntry, AnswerBody, Areas, Ask,
    AuditDemand, BIT_LEN, BandRule, Bill, BillGroup, BillReceipt, BillingPeriod, Bits, Card,
    Closing, ComparedSum, Comparison, Consent, Countersignature, DayType, Deal, DealtKey, DigestOf,
    EarlierMinimum, EnrolAnswer, EnrolFeeder, EnrolMeter, EnrolRequest, EpochPlan, EvaluationKeys,
    FeederPlan, Group, HolderAnswer, HolderEntry, HolderSet, Limbs, MAX_AGREEMENT_LEN,
    MAX_AGREEMENTS, MAX_ANALYTICS, MAX_BANDS, MAX_BILL_GROUPS, MAX_BITS, MAX_COMPARED, MAX_DEALT,
    MAX_DEMANDED, MAX_EARLIER_MINIMUMS, MAX_EDGES, MAX_ENROL_CHUNKS, MAX_ENROL_METERS, MAX_FEEDERS,
    MAX_GROUPS, MAX_HOLDERS, MAX_KEY_LEN, MAX_PERIOD_WINDOWS, MAX_RECEIPT_ENTRIES, MAX_REFUSALS,
    MAX_ROSTER_ENTRIES, MAX_SWITCH_KEYS, Message, NoiseTerms, NoisyTotal, Owners, Plan,
    PlanRenewal, PoolEntry, PrivacyUnit, Proposal, Question, Receipt, ReceiptEntry, Refusal,
    Report, Rest, RosterEntry, RosterPage, Settlement, SettlementOutcome, Share, ShareRef, Status,
    Step, Stream, Sum, SumReceipt, SumStatus, Tariff, TariffVersion, Terms, Total, most_quanta,
};
pub use open::{Awaiting, Detached, Opened, Unverified, decode, decode_shared, verify_all};
pub use reason::{Reason, Retry, UnknownReason};
pub use shard::{MAX_SHARDS, Shard};
pub use sign::{envelope, envelope_before_limbs, seal, sign};
pub use topic::{MAX_ROSTER_PAGES, RootError, Topic, Topics};
pub use units::{
    Digest, HexError, KeyEpoch, MAX_UNIX_SECONDS, Part, PlanVersion, UnixMillis, UnixSeconds,
    WattHours, Watts,
};
pub use zone::{Zone, ZoneError, civil, day_number, day_start, time_zone};

/// The version of the format: the first element of every message.
pub const FORMAT: u64 = 2;
