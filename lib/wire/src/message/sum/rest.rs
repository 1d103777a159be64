//! The rest of an area: the parts of its feeders that are too small to be released, added up.

use super::{Sum, read_contributors, write_contributors};
use crate::cbor::{Reader, Writer};
use crate::contributors::{ContributorSet, MAX_CONTRIBUTORS, Salt};
use crate::error::WireError;
use crate::ids::{AreaId, FeederId};
use crate::message::MAX_FEEDERS;
use crate::units::{Part, PlanVersion};

/// The code of the rest of an area.
const KIND_REST: u64 = 1;

/// What makes a sum the rest of an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The area that all its feeders are in.
    pub area: AreaId,
    /// The parts of the other feeders, at least one, ascending and after the sum's own feeder.
    pub others: Vec<Share>,
}

/// One feeder's part of the rest of an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The feeder.
    pub feeder: FeederId,
    /// The feeder setting of its reports.
    pub plan_version: PlanVersion,
    /// Which sum of the feeder's window.
    pub part: Part,
    /// The meters of the feeder in it, at least one.
    pub set: ContributorSet,
    /// The salts of their reports, in ascending order of the meters' numbers.
    pub salts: Vec<Salt>,
}

/// A [`Share`], or what a sum says of its own feeder.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "as in `Share`")]
pub struct ShareRef<'a> {
    pub feeder: &'a FeederId,
    pub plan_version: PlanVersion,
    pub part: Part,
    pub set: &'a ContributorSet,
    pub salts: &'a [Salt],
}

impl Share {
    pub(super) fn as_ref(&self) -> ShareRef<'_> {
        ShareRef {
            feeder: &self.feeder,
            plan_version: self.plan_version,
            part: self.part,
            set: &self.set,
            salts: &self.salts,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(6, "sum.share")?;
        let feeder = reader.id("sum.feeder")?;
        let plan_version = PlanVersion(reader.u64("sum.plan_version")?);
        let part = Part(reader.u16("sum.part")?);
        let (set, salts) = read_contributors(reader)?;
        Ok(Self {
            feeder,
            plan_version,
            part,
            set,
            salts,
        })
    }
}

impl Rest {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(3);
        writer.uint(KIND_REST);
        writer.text(self.area.as_str());
        writer.list(&self.others, |writer, share| {
            writer.array(6);
            writer.text(share.feeder.as_str());
            writer.uint(share.plan_version.0);
            writer.uint(share.part.0);
            write_contributors(&share.set, &share.salts, writer);
        });
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(3, "sum.kind")?;
        reader.reserved_uint(KIND_REST, "sum.kind")?;
        Ok(Self {
            area: reader.id("sum.area")?,
            others: reader.list(MAX_FEEDERS, "sum.others", Share::read)?,
        })
    }
}

/// Feeders in order and each once, and no more meters than a sum can have. The rest of an area takes no other's place: it
/// is not divided.
pub(super) fn check(sum: &Sum) -> Result<(), WireError> {
    let Some(rest) = &sum.rest else {
        return Ok(());
    };
    if rest.others.is_empty() {
        return Err(WireError::Empty {
            field: "sum.others",
        });
    }
    if sum.replaces.is_some() {
        return Err(WireError::Reserved {
            field: "sum.replaces",
        });
    }
    let mut last = &sum.feeder;
    for Share { feeder, .. } in &rest.others {
        if feeder <= last {
            return Err(WireError::ShareOrder {
                feeder: feeder.clone(),
            });
        }
        last = feeder;
    }
    let meters = sum.shares().map(|share| u64::from(share.set.count()));
    let meters: u64 = meters.sum();
    match meters > u64::from(MAX_CONTRIBUTORS) {
        true => Err(WireError::OutOfRange {
            field: "sum.contributors",
            value: meters.into(),
            min: 1,
            max: MAX_CONTRIBUTORS.into(),
        }),
        false => Ok(()),
    }
}
