//! Reading the tables back.

use std::collections::BTreeSet;

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableError};
use wire::{Digest, FeederId, KeyEpoch, MeterId, Part, PlanVersion, WindowStart};

use super::fault::corrupted;
use super::format::{self, ContributorColumns, MeterColumns, Reader};
use super::members::Lookup;
use super::row::columns;
use crate::store::fit::nobody;
use crate::store::{BillKey, ContributorRow, Mark, MemberRow, ReleaseRow, SumKey, SumRow};

/// A contributor of a sum that keeps members only.
#[derive(Debug)]
pub struct KeptMember {
    /// The sum.
    pub key: SumKey,
    /// The meter.
    pub meter: MeterId,
    /// The start of the digest of its report, in hexadecimal.
    pub digest: String,
}

/// What the rows of a file mean.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) format: String,
    pub(super) deployment: String,
    /// Absent until the first plan came.
    pub(super) layout: Option<String>,
    /// Absent until the first plan came.
    pub(super) grid: Option<String>,
    pub(super) commits: u64,
    pub(super) mark: Option<Mark>,
}

pub(super) fn meta(view: &ReadTransaction) -> Result<Meta, redb::Error> {
    let meta = view.open_table(format::META)?;
    let text = |key| -> Result<Option<String>, redb::Error> {
        Ok(meta.get(key)?.map(|value| value.value().to_owned()))
    };
    let needed = |key| text(key)?.ok_or_else(|| corrupted(format!("meta has no {key}")));
    let counters = view.open_table(format::COUNTERS)?;
    let commits = counters.get(format::COMMITS)?.map(|value| value.value());
    let mark = text(format::MARK_KEY)?.map(|text| text.parse().map_err(corrupted));
    Ok(Meta {
        mark: mark.transpose()?,
        format: needed(format::FORMAT_KEY)?,
        deployment: needed(format::DEPLOYMENT_KEY)?,
        layout: text(format::LAYOUT_KEY)?,
        grid: text(format::GRID_KEY)?,
        commits: commits.ok_or_else(|| corrupted("there is no count of commits".to_owned()))?,
    })
}

/// Every contributor.
pub(super) fn all_contributors(view: &ReadTransaction) -> Result<Vec<ContributorRow>, redb::Error> {
    let mut reader = Reader::default();
    let rows = view.open_table(format::CONTRIBUTORS)?;
    let rows = rows.iter()?.map(|row| {
        let (key, row) = row?;
        reader.contributor(key.value(), row.value())
    });
    rows.collect()
}

/// Every member of `sums`, which are in order.
pub(super) fn all_members(
    view: &ReadTransaction,
    sums: &[SumRow],
) -> Result<Vec<KeptMember>, redb::Error> {
    let lookup = Lookup::in_view(view)?;
    let mut all = Vec::new();
    for sums in sums.chunk_by(|one, other| one.key.feeder == other.key.feeder) {
        let names = lookup.names(&sums[0].key.feeder)?;
        for SumRow { key, .. } in sums {
            for (seat, digest) in lookup.members(key)? {
                let meter = names.get(&seat).cloned();
                let nobody = || corrupted(nobody(&key.feeder, seat));
                all.push(KeptMember {
                    key: key.clone(),
                    meter: meter.ok_or_else(nobody)?,
                    digest: digest.map(|byte| format!("{byte:02x}")).concat(),
                });
            }
        }
    }
    Ok(all)
}

pub(super) fn contributor(
    database: &Database,
    feeder: &FeederId,
    window: WindowStart,
    meter: &MeterId,
    digest: &Digest,
) -> Result<Option<(Part, bool)>, redb::Error> {
    let view = database.begin_read()?;
    let rows = view.open_table(format::CONTRIBUTORS)?;
    let key = (feeder.as_str(), window.0, meter.as_str());
    if let Some(row) = rows.get(key)? {
        let columns = columns::<MeterColumns, ContributorColumns>(&key, row.value())?;
        let (part, _, _, found) = columns;
        return Ok(Some((Part(part), *found == digest.0)));
    }
    Lookup::in_view(&view)?.find((feeder, window), meter, digest)
}

pub(super) fn members(
    database: &Database,
    feeder: &FeederId,
    window: WindowStart,
    each: &mut dyn FnMut(MemberRow),
) -> Result<(), redb::Error> {
    Lookup::in_view(&database.begin_read()?)?.of_window(feeder, window, each)
}

pub(super) fn contributors(
    database: &Database,
    feeder: &FeederId,
    window: WindowStart,
    each: &mut dyn FnMut(ContributorRow),
) -> Result<(), redb::Error> {
    let rows = database.begin_read()?.open_table(format::CONTRIBUTORS)?;
    let mut reader = Reader::default();
    for row in rows.range(format::meters_of(feeder, window))? {
        let (key, row) = row?;
        each(reader.contributor(key.value(), row.value())?);
    }
    Ok(())
}

pub(super) fn feeder(
    database: &Database,
    feeder: &FeederId,
    each: &mut dyn FnMut(SumRow),
) -> Result<Option<u64>, redb::Error> {
    let view = database.begin_read()?;
    let mut reader = Reader::default();
    for row in view
        .open_table(format::SUMS)?
        .range(format::sums_of(feeder))?
    {
        let (key, row) = row?;
        each(reader.checked_row(key.value(), row.value())?);
    }
    let key = feeder.as_str();
    let time = view.open_table(format::TIMES)?.get(key)?;
    let time = time.map(|row| columns::<&str, u64>(&key, row.value()));
    time.transpose()
}

pub(super) fn sum(database: &Database, key: &SumKey) -> Result<Option<SumRow>, redb::Error> {
    let rows = database.begin_read()?.open_table(format::SUMS)?;
    let columns = format::key_columns(key);
    let row = rows.get(columns)?;
    let row = row.map(|row| Reader::default().checked_row(columns, row.value()));
    row.transpose()
}

pub(super) fn record(database: &Database, key: &SumKey) -> Result<Option<Vec<u8>>, redb::Error> {
    let rows = database.begin_read()?.open_table(format::LIMBS)?;
    let row = rows.get(format::key_columns(key))?;
    Ok(row.map(|record| record.value().to_vec()))
}

pub(super) fn release(
    database: &Database,
    key: &SumKey,
) -> Result<Option<ReleaseRow>, redb::Error> {
    let rows = database.begin_read()?.open_table(format::RELEASES)?;
    let row = rows.get(format::key_columns(key))?;
    Ok(row.map(|columns| {
        let (digest, bytes_digest, bytes) = columns.value();
        ReleaseRow {
            key: key.clone(),
            digest: Digest(*digest),
            bytes: bytes::Bytes::copy_from_slice(bytes),
            bytes_digest: Digest(*bytes_digest),
        }
    }))
}

type BillTable = redb::ReadOnlyTable<format::BillColumns, &'static [u8]>;

/// The groups of bills; none in a file of before there were any.
fn bill_table(database: &Database) -> Result<Option<BillTable>, redb::Error> {
    bills_of(&database.begin_read()?)
}

fn bills_of(view: &ReadTransaction) -> Result<Option<BillTable>, redb::Error> {
    match view.open_table(format::BILLS) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}

/// The billing periods of which there are groups: the first group of each is looked up.
pub(super) fn periods(
    view: &ReadTransaction,
) -> Result<BTreeSet<(FeederId, WindowStart)>, redb::Error> {
    let mut periods = BTreeSet::new();
    let Some(rows) = bills_of(view)? else {
        return Ok(periods);
    };
    let mut from = (String::new(), 0);
    while let Some(row) = rows.range((from.0.as_str(), from.1, "", 0, 0, 0)..)?.next() {
        let (key, _) = row?;
        let (feeder, period, ..) = key.value();
        let next = (feeder.to_owned(), period.saturating_add(1));
        let feeder = FeederId::try_from(feeder).map_err(|error| corrupted(error.to_string()))?;
        periods.insert((feeder, WindowStart(period)));
        from = next;
    }
    Ok(periods)
}

pub(super) fn bill(database: &Database, key: &BillKey) -> Result<Option<Vec<u8>>, redb::Error> {
    let Some(rows) = bill_table(database)? else {
        return Ok(None);
    };
    let row = rows.get(format::bill_columns(key))?;
    Ok(row.map(|record| record.value().to_vec()))
}

pub(super) fn bills(
    database: &Database,
    from: Option<&BillKey>,
    most: usize,
) -> Result<Vec<BillKey>, redb::Error> {
    let Some(rows) = bill_table(database)? else {
        return Ok(Vec::new());
    };
    let from = from.map_or(("", 0, "", 0, 0, 0), format::bill_columns);
    let mut keys = Vec::new();
    for row in rows.range(from..)?.take(most) {
        let (key, _) = row?;
        let (feeder, period, meter, epoch, plan_version, bands) = key.value();
        keys.push(BillKey {
            feeder: FeederId::try_from(feeder).map_err(|error| corrupted(error.to_string()))?,
            period: WindowStart(period),
            meter: MeterId::try_from(meter).map_err(|error| corrupted(error.to_string()))?,
            epoch: KeyEpoch(epoch),
            plan_version: PlanVersion(plan_version),
            bands,
        });
    }
    Ok(keys)
}
