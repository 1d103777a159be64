//! What a household's reports of a billing period come to by tariff band, and the operator's answer.

use std::collections::HashSet;

use super::{DigestOf, Limbs, MAX_BANDS, MAX_PERIOD_WINDOWS, Message, SumStatus};
use crate::cbor::{Reader, Writer, ascending};
use crate::contributors::{MAX_METER_NUMBER, Salt, repeated};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{AnalyticsId, FeederId, MeterId};
use crate::units::{Digest, KeyEpoch, PlanVersion};

/// The most groups of a bill.
pub const MAX_BILL_GROUPS: usize = 64;

/// The energy of one meter by tariff band, encrypted. Its limbs are those of its groups, one after the other: of the sum of
/// the group's reports all of `c1`, and of `c0` what comes after the payload. Signed by analytics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// The analytics service that signs.
    pub analytics: AnalyticsId,
    /// The feeder.
    pub feeder: FeederId,
    /// The meter.
    pub meter: MeterId,
    /// The meter's number on the feeder.
    pub number: u32,
    /// The first window of the billing period.
    pub period: WindowStart,
    /// The reports: no window is in two groups.
    pub groups: Vec<BillGroup>,
    /// Of each band of the tariff the sum of the residues of `c0` that carry its intervals, over all groups, at the finest
    /// scale that one of these has.
    pub bands: Vec<u64>,
}

/// Reports of a bill that were added up: of one key epoch and one feeder setting, and with the same bands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillGroup {
    /// The key that they were encrypted under.
    pub epoch: KeyEpoch,
    /// Their feeder setting.
    pub plan_version: PlanVersion,
    /// Their windows, ascending.
    pub windows: Vec<WindowStart>,
    /// Their salts, in the order of the windows.
    pub salts: Vec<Salt>,
}

impl Bill {
    /// All its windows, in no order.
    pub fn windows(&self) -> impl Iterator<Item = WindowStart> {
        let groups = self.groups.iter();
        groups.flat_map(|group| group.windows.iter().copied())
    }
}

impl BillGroup {
    fn write(&self, writer: &mut Writer) {
        writer.array(4);
        writer.uint(self.epoch.0);
        writer.uint(self.plan_version.0);
        writer.list(&self.windows, |writer, window| writer.uint(window.0));
        let salts: Vec<u8> = self.salts.iter().flat_map(|salt| salt.0).collect();
        writer.bytes(&salts);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(4, "bill.group")?;
        let epoch = KeyEpoch(reader.u32("bill.epoch")?);
        let plan_version = PlanVersion(reader.u64("bill.plan_version")?);
        let windows = reader.list(MAX_PERIOD_WINDOWS as usize, "bill.windows", |reader| {
            reader.window("bill.windows")
        })?;
        let bytes = reader.bytes("bill.salts")?;
        let (salts, rest) = bytes.as_chunks();
        if salts.len() != windows.len() || !rest.is_empty() {
            return Err(WireError::WrongLength {
                field: "bill.salts",
                expected: windows.len() * size_of::<Salt>(),
                found: bytes.len(),
            });
        }
        Ok(Self {
            epoch,
            plan_version,
            windows,
            salts: salts.iter().copied().map(Salt).collect(),
        })
    }

    fn check(&self) -> Result<(), WireError> {
        if self.windows.is_empty() {
            return Err(WireError::Empty {
                field: "bill.windows",
            });
        }
        ascending(&self.windows, "bill.windows", |a, b| a < b)?;
        match repeated(&self.salts) {
            Some(salt) => Err(WireError::SaltTwice { salt }),
            None => Ok(()),
        }
    }
}

impl Message for Bill {
    const CONTENT_TYPE: &'static str = "cipherwatt/bill";
    const LIMBS: Limbs = Limbs::Required;
    const DIGEST_OF: DigestOf = DigestOf::Payload;
    const FIELDS: usize = 7;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.analytics.as_str());
        writer.text(self.feeder.as_str());
        writer.text(self.meter.as_str());
        writer.uint(self.number);
        writer.uint(self.period.0);
        writer.list(&self.groups, |writer, group| group.write(writer));
        writer.list(&self.bands, |writer, band| writer.uint(*band));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            analytics: reader.id("bill.analytics")?,
            feeder: reader.id("bill.feeder")?,
            meter: reader.id("bill.meter")?,
            number: reader.u32_in(0, MAX_METER_NUMBER, "bill.number")?,
            period: reader.window("bill.period")?,
            groups: reader.list(MAX_BILL_GROUPS, "bill.groups", BillGroup::read)?,
            bands: reader.list(MAX_BANDS, "bill.bands", |reader| reader.u64("bill.bands"))?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        for (field, is_empty) in [
            ("bill.groups", self.groups.is_empty()),
            ("bill.bands", self.bands.is_empty()),
        ] {
            if is_empty {
                return Err(WireError::Empty { field });
            }
        }
        self.groups.iter().try_for_each(BillGroup::check)?;
        let mut seen = HashSet::new();
        match self.windows().find(|window| !seen.insert(*window)) {
            Some(window) => Err(WireError::WindowTwice { window }),
            None => Ok(()),
        }
    }
}

/// What became of a bill. Signed by the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillReceipt {
    /// The feeder.
    pub feeder: FeederId,
    /// The meter.
    pub meter: MeterId,
    /// The first window of the billing period.
    pub period: WindowStart,
    /// The bill's digest: SHA-256 of its signed array.
    pub digest: Digest,
    /// What became of it; never [`SumStatus::Divide`].
    pub status: SumStatus,
}

impl Message for BillReceipt {
    const CONTENT_TYPE: &'static str = "cipherwatt/bill-receipt";
    const FIELDS: usize = 5;

    fn write(&self, writer: &mut Writer) {
        writer.text(self.feeder.as_str());
        writer.text(self.meter.as_str());
        writer.uint(self.period.0);
        writer.bytes(&self.digest.0);
        writer.uint(self.status.code());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let answer = |code| SumStatus::from_code(code).filter(|it| *it != SumStatus::Divide);
        Ok(Self {
            feeder: reader.id("bill_receipt.feeder")?,
            meter: reader.id("bill_receipt.meter")?,
            period: reader.window("bill_receipt.period")?,
            digest: Digest(reader.bytes_of("bill_receipt.digest")?),
            status: reader.code("bill_receipt.status", answer)?,
        })
    }
}
