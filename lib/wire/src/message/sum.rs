//! A released sum, and the operator's answer.

mod rest;

use super::{DigestOf, Limbs, Message};
use crate::cbor::{Reader, Writer};
use crate::contributors::{ContributorSet, MAX_CONTRIBUTORS, Salt, repeated};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{AnalyticsId, FeederId};
use crate::reason::Reason;
use crate::units::{Digest, KeyEpoch, Part, PlanVersion, UnixMillis};

pub use rest::{Rest, Share, ShareRef};

/// The encrypted sum over one part of a window; its limbs are the packed ciphertext. Signed by
/// analytics. The rest of an area is over parts of several feeders: then it stands under the name of the first, and its own
/// set is the meters of that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The analytics service that signs.
    pub analytics: AnalyticsId,
    /// The feeder setting of its reports.
    pub plan_version: PlanVersion,
    /// The key its reports were encrypted under.
    pub epoch: KeyEpoch,
    /// The feeder.
    pub feeder: FeederId,
    /// The start of the window.
    pub window: WindowStart,
    /// Which sum of the window.
    pub part: Part,
    /// Where it is the rest of an area: the area, and the parts of the other feeders in it.
    pub rest: Option<Rest>,
    /// The earlier part that failed and that this one is a piece of.
    pub replaces: Option<Part>,
    /// The meters of `feeder` in it, at least one.
    pub set: ContributorSet,
    /// The salts of their reports, in ascending order of the meters' numbers.
    pub salts: Vec<Salt>,
    /// The earliest `sealed_at` of its reports: wall time, by the gateways' clocks.
    pub oldest_sealed_at: UnixMillis,
    /// The latest `sealed_at` of its reports, no earlier than the earliest.
    pub newest_sealed_at: UnixMillis,
    /// SHA-256 over the digests of its reports, in ascending order of the meters' numbers.
    pub contributors_digest: Digest,
}

impl Sum {
    /// How many meters are in it, over all feeders.
    pub fn contributors(&self) -> u32 {
        // Decoding has checked that they are no more than a sum can have.
        self.shares().map(|share| share.set.count()).sum()
    }

    /// What it is over, feeder by feeder: its own, and in the rest of an area those of the others, ascending.
    pub fn shares(&self) -> impl Iterator<Item = ShareRef<'_>> {
        let own = ShareRef {
            feeder: &self.feeder,
            plan_version: self.plan_version,
            part: self.part,
            set: &self.set,
            salts: &self.salts,
        };
        let others = self.rest.iter().flat_map(|rest| &rest.others);
        [own].into_iter().chain(others.map(Share::as_ref))
    }
}

impl Message for Sum {
    const CONTENT_TYPE: &'static str = "cipherwatt/sum";
    const LIMBS: Limbs = Limbs::Required;
    const DIGEST_OF: DigestOf = DigestOf::Limbs;
    const FIELDS: usize = 14;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.analytics.as_str());
        writer.uint(self.plan_version.0);
        writer.uint(self.epoch.0);
        writer.text(self.feeder.as_str());
        writer.uint(self.window.0);
        writer.uint(self.part.0);
        match &self.rest {
            None => writer.uint(KIND_TOTAL),
            Some(rest) => rest.write(writer),
        }
        writer.optional_uint(self.replaces.map(|part| part.0));
        write_contributors(&self.set, &self.salts, writer);
        writer.uint(self.oldest_sealed_at.0);
        writer.uint(self.newest_sealed_at.0);
        writer.bytes(&self.contributors_digest.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let analytics = reader.id("sum.analytics")?;
        let plan_version = PlanVersion(reader.u64("sum.plan_version")?);
        let epoch = KeyEpoch(reader.u32("sum.epoch")?);
        let feeder = reader.id("sum.feeder")?;
        let window = reader.window("sum.window")?;
        let part = Part(reader.u16("sum.part")?);
        let rest = match reader.is_array() {
            true => Some(Rest::read(reader)?),
            false => {
                reader.reserved_uint(KIND_TOTAL, "sum.kind")?;
                None
            }
        };
        let replaces = reader.optional(|reader| reader.u16("sum.replaces").map(Part))?;
        let (set, salts) = read_contributors(reader)?;
        let oldest_sealed_at = reader.millis("sum.oldest_sealed_at")?;
        let newest_sealed_at = reader.millis_from(oldest_sealed_at, "sum.newest_sealed_at")?;
        Ok(Self {
            analytics,
            plan_version,
            epoch,
            feeder,
            window,
            part,
            rest,
            replaces,
            set,
            salts,
            oldest_sealed_at,
            newest_sealed_at,
            contributors_digest: Digest(reader.bytes_of("sum.contributors_digest")?),
        })
    }

    fn check(&self) -> Result<(), WireError> {
        if let Some(replaces) = self.replaces
            && self.part <= replaces
        {
            return Err(WireError::OutOfRange {
                field: "sum.part",
                value: self.part.0.into(),
                min: i128::from(replaces.0) + 1,
                max: u16::MAX.into(),
            });
        }
        rest::check(self)?;
        self.shares().try_for_each(|share| {
            if share.set.is_empty() {
                return Err(WireError::Empty { field: "sum.set" });
            }
            check_salt_count(share.set.count(), SALT_LEN * share.salts.len())?;
            match repeated(share.salts) {
                Some(salt) => Err(WireError::SaltTwice { salt }),
                None => Ok(()),
            }
        })
    }
}

/// The code of a sum of everything that reports carry. That of the rest of an area is in `rest`; others are reserved.
const KIND_TOTAL: u64 = 0;

const SALT_LEN: usize = size_of::<Salt>();

fn write_contributors(set: &ContributorSet, salts: &[Salt], writer: &mut Writer) {
    writer.uint(set.count());
    writer.bytes(set.as_bytes());
    let salts: Vec<u8> = salts.iter().flat_map(|salt| salt.0).collect();
    writer.bytes(&salts);
}

/// Reads how many contribute, who, and with which salts.
fn read_contributors(reader: &mut Reader<'_>) -> Result<(ContributorSet, Vec<Salt>), WireError> {
    let contributors = reader.u32_in(1, MAX_CONTRIBUTORS, "sum.contributors")?;
    let field = "sum.set";
    let set = ContributorSet::from_bytes(reader.bytes(field)?)
        .map_err(|source| WireError::BadSet { field, source })?;
    let found = set.count();
    if found != contributors {
        return Err(WireError::SetCount {
            contributors,
            found,
        });
    }
    let bytes = reader.bytes("sum.salts")?;
    check_salt_count(contributors, bytes.len())?;
    let (salts, _) = bytes.as_chunks();
    Ok((set, salts.iter().copied().map(Salt).collect()))
}

fn check_salt_count(contributors: u32, found: usize) -> Result<(), WireError> {
    let expected = SALT_LEN * contributors as usize;
    match found == expected {
        true => Ok(()),
        false => Err(WireError::SaltCount { expected, found }),
    }
}

/// What became of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SumStatus {
    /// The operator stored it.
    Taken,
    /// The operator had stored the same before: as good as taken.
    Duplicate,
    /// It failed once: its reports are to be sent again in smaller sums without a common meter, each with
    /// [`Sum::replaces`].
    Divide,
    /// The operator refused it.
    Rejected(Reason),
}

impl SumStatus {
    /// The number on the wire: 0 to 2, or the reason's code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Taken => 0,
            Self::Duplicate => 1,
            Self::Divide => 2,
            Self::Rejected(reason) => reason.code(),
        }
    }

    /// The status with this number, if there is one.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Taken),
            1 => Some(Self::Duplicate),
            2 => Some(Self::Divide),
            code => Reason::from_code(code).map(Self::Rejected),
        }
    }
}

/// What became of a sum. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumReceipt {
    /// The feeder.
    pub feeder: FeederId,
    /// The sum's key epoch.
    pub epoch: KeyEpoch,
    /// The start of the sum's window.
    pub window: WindowStart,
    /// The sum's part.
    pub part: Part,
    /// The sum's digest: SHA-256 of its limbs.
    pub digest: Digest,
    /// What became of it.
    pub status: SumStatus,
}

impl Message for SumReceipt {
    const CONTENT_TYPE: &'static str = "cipherwatt/sum-receipt";
    const FIELDS: usize = 6;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.feeder.as_str());
        writer.uint(self.epoch.0);
        writer.uint(self.window.0);
        writer.uint(self.part.0);
        writer.bytes(&self.digest.0);
        writer.uint(self.status.code());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            feeder: reader.id("sum_receipt.feeder")?,
            epoch: KeyEpoch(reader.u32("sum_receipt.epoch")?),
            window: reader.window("sum_receipt.window")?,
            part: Part(reader.u16("sum_receipt.part")?),
            digest: Digest(reader.bytes_of("sum_receipt.digest")?),
            status: reader.code("sum_receipt.status", SumStatus::from_code)?,
        })
    }
}
