//! Why bytes are refused as a message.

use crate::FORMAT;
use crate::contributors::{Salt, SetError};
use crate::grid::{GridError, WindowStart};
use crate::ids::{AreaId, BandName, FeederId, IdError, LayoutName};
use crate::reason::Reason;
use crate::zone::ZoneError;

/// Why bytes were refused as a message. A variant names the field and the value found in it.
///
/// A field is named after its message and its place in `docs/wire.cddl`, for example
/// `report.window`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum WireError {
    /// The message is longer than the receiver accepts. Checked before anything is read.
    #[error("the message has {len} bytes; at most {max} are accepted")]
    Oversize {
        /// Length found, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The bytes end inside a field.
    #[error("the bytes end inside {field}")]
    Truncated { field: &'static str },
    /// There are bytes after the end.
    #[error("there are {count} bytes after the end of {field}")]
    Trailing { field: &'static str, count: usize },
    /// The bytes are not CBOR, or an item is of another type.
    #[error("{field} is {found}, not {expected}")]
    WrongType {
        field: &'static str,
        expected: &'static str,
        found: &'static str,
    },
    /// A length or number is not in its shortest form.
    #[error("{field} is not in its shortest encoding")]
    NotShortest { field: &'static str },
    /// An item is of indefinite length, which the format does not use.
    #[error("{field} has an indefinite length, which is not allowed")]
    Indefinite { field: &'static str },
    /// An array or byte string has another number of elements or bytes.
    #[error("{field} has length {found}, not {expected}")]
    WrongLength {
        field: &'static str,
        expected: usize,
        found: usize,
    },
    /// A list has too many entries.
    #[error("{field} has {found} entries, more than {max}")]
    TooMany {
        field: &'static str,
        max: usize,
        found: usize,
    },
    /// A list that must not be empty is empty.
    #[error("{field} is empty")]
    Empty { field: &'static str },
    /// A list is not in strictly ascending order, which also rules out duplicates.
    #[error(
        "{field} must be in ascending order without repetition; entry {index} is not above the one before it"
    )]
    OutOfOrder {
        field: &'static str,
        /// The first entry not above the one before it.
        index: usize,
    },
    /// A number is outside its range.
    #[error("{field} is {value}; it must be {min} to {max}")]
    OutOfRange {
        field: &'static str,
        value: i128,
        min: i128,
        max: i128,
    },
    /// A number is not a power of two, and must be one.
    #[error("{field} is {value}, not a power of two")]
    NotPowerOfTwo { field: &'static str, value: u64 },
    /// A code that has no meaning in this version of the format.
    #[error("{field} is {value}, an unassigned code")]
    UnknownCode { field: &'static str, value: u8 },
    /// A text is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 { field: &'static str },
    /// A text is not an id.
    #[error("{field} is not a valid id")]
    BadId {
        field: &'static str,
        source: IdError,
    },
    /// Bytes are not a key, or a key that would accept forged signatures.
    #[error("{field} is not a usable Ed25519 key")]
    BadKey { field: &'static str },
    /// Bytes are not a mask key, or one with which everybody agrees on the same secret.
    #[error("{field} is not a usable X25519 key: it is zero or of small order")]
    BadMaskKey { field: &'static str },
    /// The protected header names another algorithm than EdDSA.
    #[error("the signature algorithm is {found}, not EdDSA (-8)")]
    WrongAlgorithm { found: String },
    /// The protected header names another kind of message.
    #[error("the content type is {found}, not {expected}")]
    WrongContentType {
        expected: &'static str,
        found: String,
    },
    /// The protected header differs from the one of the format in some other way.
    #[error("the protected header is not exactly [alg, content type] in deterministic CBOR")]
    ProtectedHeader,
    /// The unprotected header is not empty.
    #[error("the unprotected header has {found} entries; it must be empty")]
    UnprotectedHeader { found: usize },
    /// The message is of an earlier version of the format.
    #[error(
        "the message is of format {found}, which only earlier versions of this program read; \
         upgrade the sender to one that writes format {FORMAT}"
    )]
    EarlierVersion { found: u64 },
    /// The message is of a version of the format that does not exist yet.
    #[error("the format version is {found}, not {expected}")]
    WrongFormat { expected: u64, found: u64 },
    /// A field that a later version will use is filled.
    #[error("{field} is filled, which this version does not support")]
    Reserved { field: &'static str },
    /// Bytes are not a set of contributors.
    #[error("{field} is not a set of contributors")]
    BadSet {
        field: &'static str,
        source: SetError,
    },
    /// The set of contributors has another size than the number of contributors.
    #[error("sum.contributors is {contributors}, but sum.set has {found} members")]
    SetCount { contributors: u32, found: u32 },
    /// There is not one salt for each contributor.
    #[error("sum.salts has {found} bytes, not {expected}: 8 for each contributor")]
    SaltCount { expected: usize, found: usize },
    /// Two contributors have the same salt.
    #[error("sum.salts has the salt {salt} twice")]
    SaltTwice { salt: Salt },
    /// The windows of a bill are not each in one of its groups.
    #[error("bill.windows has the window {window} twice")]
    WindowTwice { window: WindowStart },
    /// Two meters of a page have the same number on one feeder.
    #[error("roster.number is {number} for two meters of feeder {feeder}")]
    NumberTwice { feeder: FeederId, number: u32 },
    /// There is no such time zone, or its name is spelt otherwise.
    #[error("plan.time_zone cannot be used")]
    TimeZone { source: ZoneError },
    /// Interval, batch and time zone are not a grid.
    #[error("the windows of the plan cannot be used")]
    Grid {
        #[from]
        source: GridError,
    },
    /// A feeder setting has a unit for squares and the layout has none, or the reverse.
    #[error(
        "plan.square_unit_wh2 of feeder {feeder} does not fit plan.layout = {layout}: \
         the layout moments needs a unit for squares, every other layout needs null"
    )]
    SquareUnit {
        feeder: FeederId,
        layout: LayoutName,
    },
    /// An area is its own substation.
    #[error(
        "plan.area says that {area} is in {area}: a transformer is in another area, or in none"
    )]
    AreaInItself { area: AreaId },
    /// A plan has two pools, or a name twice.
    #[error(
        "plan.pool names two pools, or a service by a name that another or the pool has: a plan has one pool, and each name once"
    )]
    PoolNames,
    /// Only the first terms of a deployment's holders follow none.
    #[error("terms.previous is missing, or the first terms of a deployment have it")]
    TermsChain,
    /// Two holders of an agreement have one key, or two streams.
    #[error("terms has one key twice: each holder has its own, and each stream")]
    TermsKeyTwice,
    /// The streams of an agreement are not one for each set of threshold - 1 holders.
    #[error(
        "terms.streams has not exactly one stream for each set of threshold - 1 holders, ascending"
    )]
    TermsStreams,
    /// Holders whose noise two sums of one meter would tell.
    #[error(
        "noise takes an agreement under which no meter is in two sums: with twice the consents at least holders and threshold"
    )]
    NoiseWeak,
    /// The ρ of Gaussian noise without a δ, or the other way round.
    #[error("noise.rho and noise.delta are both there, or neither")]
    NoiseRho,
    /// The agreements of a plan do not follow one another.
    #[error("plan.holders has agreements that do not follow one another")]
    HoldersChain,
    /// The feeders of the rest of an area are not in order, or one is named twice.
    #[error("sum.feeder {feeder} is not above the feeder before it in the rest of an area")]
    ShareOrder { feeder: FeederId },
    /// A plan has edges of bins and its layout has none, or the reverse.
    #[error(
        "plan.histogram_edges_wh does not fit plan.layout = {layout}: the layout histogram needs edges of its bins, every \
         other layout has none"
    )]
    Edges { layout: LayoutName },
    /// Two bands of a tariff hold at the same time.
    #[error(
        "plan.tariff has the bands {first} and {second} at the same time: each interval is in one band"
    )]
    BandsOverlap { first: BandName, second: BandName },
    /// A band of a tariff begins or ends within an interval.
    #[error(
        "plan.tariff has a band that begins or ends at {:02}:{:02}, within an interval of {interval_s} s: move it to where \
         an interval begins", minute / 60, minute % 60
    )]
    BandEdge { minute: u16, interval_s: u32 },
    /// A list has another number of entries than the list it belongs to.
    #[error("total.present has {present} entries, but total.energy_wh has {energy_wh}")]
    PresentCount { present: usize, energy_wh: usize },
    /// An interval has an energy and nobody who had a reading, or the reverse.
    #[error(
        "total.energy_wh and total.present contradict each other in interval {interval}: \
         an energy is null exactly where present is null or 0"
    )]
    EnergyOfNobody { interval: usize },
    /// A message came without the limbs that its type requires.
    #[error("{message} came without limbs")]
    LimbsMissing { message: &'static str },
    /// A message came with limbs, and its type has none.
    #[error("{message} came with limbs, which it must not have")]
    LimbsUnexpected { message: &'static str },
    /// The SHA-256 of the limbs is not the one that was signed.
    #[error("the limbs do not match their signed digest")]
    LimbsDigest,
    /// This key did not sign this message for this topic and deployment.
    #[error("the signature does not verify")]
    BadSignature,
}

impl WireError {
    /// The reason under which this is counted and reported.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Oversize { .. } => Reason::Oversize,
            Self::LimbsDigest | Self::BadSignature => Reason::BadSignature,
            Self::EarlierVersion { .. } => Reason::EarlierVersion,
            Self::Reserved { .. } => Reason::NotSupported,
            Self::BadSet { .. }
            | Self::SetCount { .. }
            | Self::SaltCount { .. }
            | Self::SaltTwice { .. } => Reason::BadSet,
            _ => Reason::InvalidMessage,
        }
    }
}
