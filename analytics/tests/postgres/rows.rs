//! Rows that tests write, and everything that a store holds.

use std::collections::{BTreeMap, BTreeSet};

use analytics::store::{
    BillKey, ContributorRow, Loaded, MemberRow, ReleaseRow, Scope, Stage, Store, StoreError,
    StoreFormat, SumKey, SumRow,
};
use bytes::Bytes;
use packed::ADDITIVE;
use packed::layout::{Layout, Shape};
use wire::{
    Digest, FeederId, Grid, KeyEpoch, MeterId, Part, PlanVersion, Salt, UnixMillis, WindowStart,
};

/// The first window, on the last hour of a day.
pub(crate) const START: u64 = 1_736_204_400;
pub(crate) const METERS: u32 = 6;

pub(crate) fn format() -> StoreFormat {
    StoreFormat {
        shape: Shape::new(Layout::Profile, 1).unwrap(),
        grid: Grid::new(3600, 1).unwrap(),
    }
}

pub(crate) fn feeder(number: u64) -> FeederId {
    format!("feeder-{number}").parse().unwrap()
}

pub(crate) fn meter(number: u32) -> MeterId {
    format!("meter-{number}").parse().unwrap()
}

pub(crate) fn key(feeder_number: u64, window: u64, part: u16) -> SumKey {
    SumKey {
        feeder: feeder(feeder_number),
        window: WindowStart(START + window * 3600),
        part: Part(part),
    }
}

pub(crate) fn sum(key: &SumKey, contributors: u32, stage: Stage) -> SumRow {
    SumRow {
        key: key.clone(),
        epoch: KeyEpoch(u32::MAX),
        plan_version: PlanVersion(7),
        profile: &ADDITIVE,
        contributors,
        sealed_at: (UnixMillis(1), UnixMillis(u64::MAX)),
        stage,
        replaces: None,
    }
}

/// `variant` makes another report of the same meter.
pub(crate) fn contributor(key: &SumKey, number: u32, variant: u64) -> ContributorRow {
    let digest = Digest::of(format!("{key:?} {number} {variant}").as_bytes());
    ContributorRow {
        key: key.clone(),
        meter: meter(number),
        number,
        salt: Salt(variant.to_le_bytes()),
        digest,
    }
}

pub(crate) fn release(key: &SumKey) -> ReleaseRow {
    let text = format!("release of {key:?}");
    ReleaseRow::new(key.clone(), Digest::of(b"limbs"), Bytes::from(text))
}

pub(crate) fn bill(number: u64) -> BillKey {
    BillKey {
        feeder: feeder(number % 2),
        period: WindowStart(START),
        meter: meter((number % 3) as u32),
        epoch: KeyEpoch(1),
        plan_version: PlanVersion(number),
        bands: u64::MAX / 4 * (number % 5),
    }
}

/// Everything a store holds, in one order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dump {
    loaded: Loaded,
    sums: Vec<(SumRow, Option<Vec<u8>>)>,
    contributors: Vec<ContributorRow>,
    known: Vec<Option<(Part, bool)>>,
    members: BTreeMap<(FeederId, WindowStart), BTreeSet<MemberRow>>,
    releases: Vec<ReleaseRow>,
    feeders: Vec<(Option<u64>, Vec<SumRow>)>,
    bills: Vec<(BillKey, Option<Vec<u8>>)>,
}

impl Dump {
    pub(crate) fn sums(&self) -> usize {
        self.sums.len()
    }

    /// Contributors of sums, in whatever way they are kept.
    pub(crate) fn reports(&self) -> usize {
        let members: usize = self.members.values().map(BTreeSet::len).sum();
        self.contributors.len() + members
    }
}

/// Reads all of a store; `reports` are those that it may know.
pub(crate) fn dump(store: &mut dyn Store, reports: &[ContributorRow]) -> Result<Dump, StoreError> {
    let mut dump = Dump::default();
    let mut rows = Vec::new();
    dump.loaded = store.load(&format(), Scope::All, &mut |row| rows.push(row))?;
    for row in rows {
        let key = row.key.clone();
        if key.part.0 == 0 {
            let mut window = Vec::new();
            store.contributors(&key.feeder, key.window, &mut |row| window.push(row))?;
            window.sort_by_key(|row: &ContributorRow| (row.key.clone(), row.meter.clone()));
            dump.contributors.extend(window);
        }
        dump.releases.extend(store.release(&key)?);
        assert_eq!(store.sum(&key)?.as_ref(), Some(&row));
        dump.sums.push((row, store.record(&key)?));
    }
    for report in reports {
        let key = &report.key;
        for digest in [report.digest, Digest::of(b"another report")] {
            let known = store.contributor(&key.feeder, key.window, &report.meter, &digest)?;
            dump.known.push(known);
        }
        let mut members = BTreeSet::new();
        store.members(&key.feeder, key.window, &mut |member| {
            members.insert(member);
        })?;
        dump.members
            .insert((key.feeder.clone(), key.window), members);
    }
    for number in 0..3 {
        let mut rows = Vec::new();
        let time = store.feeder(&feeder(number), &mut |row| rows.push(row))?;
        dump.feeders.push((time, rows));
    }
    let mut from = None;
    loop {
        let keys = store.bills(from.as_ref(), 3)?;
        let mut new = keys.iter().filter(|key| Some(*key) != from.as_ref());
        for key in new.clone() {
            dump.bills.push((key.clone(), store.bill(key)?));
        }
        match new.next_back() {
            Some(last) => from = Some(last.clone()),
            None => return Ok(dump),
        }
    }
}
