//! A transaction as the columns of `commit.sql`.

use std::collections::HashMap;

use tokio_postgres::types::ToSql;
use wire::{FeederId, WindowStart};

use super::blocks::{Contributors, Seat};
use crate::store::{BillKey, Limbs, ReleaseRow, SumKey, SumRow};

/// What of a transaction is written, with the short names of feeders.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) run: Option<i64>,
    pub(super) shards: Vec<i16>,
    pub(super) fences: Vec<i64>,
    sums: Sums,
    rewritten: Windows,
    added: (Windows, Vec<Vec<u8>>),
    seats: (Vec<i32>, Vec<String>, Vec<Seat>),
    times: (Vec<i32>, Vec<i64>),
    releases: Releases,
    settled: Keys,
    reclaimed: Windows,
    bills: Bills,
}

type Windows = (Vec<i32>, Vec<i64>);
type Keys = (Vec<i32>, Vec<i64>, Vec<i32>);

#[derive(Debug, Default)]
struct Sums {
    key: Keys,
    epoch: Vec<i32>,
    plan_version: Vec<i64>,
    profile: Vec<&'static str>,
    contributors: Vec<i32>,
    sealed: (Vec<i64>, Vec<i64>),
    stage: Vec<i16>,
    replaces: Vec<Option<i32>>,
    ranks: (Vec<Option<i64>>, Vec<Option<i64>>),
    replaced: Vec<Option<i32>>,
    record: Vec<Option<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Releases {
    key: Keys,
    digest: Vec<Vec<u8>>,
    bytes_digest: Vec<Vec<u8>>,
    bytes: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Bills {
    feeder: Vec<i32>,
    period: Vec<i64>,
    meter: Vec<String>,
    epoch: Vec<i32>,
    plan_version: Vec<i64>,
    bands: Vec<i64>,
    record: Vec<Option<Vec<u8>>>,
}

/// The short names of feeders.
pub(super) type Numbers = HashMap<FeederId, i32>;

fn push_key(to: &mut Keys, feeder: i32, key: &SumKey) {
    to.0.push(feeder);
    to.1.push(key.window.0.cast_signed());
    to.2.push(key.part.0.into());
}

fn push_window(to: &mut Windows, feeder: i32, window: WindowStart) {
    to.0.push(feeder);
    to.1.push(window.0.cast_signed());
}

impl Columns {
    pub(super) fn sum(&mut self, feeder: i32, row: &SumRow, limbs: &Limbs<'_>) {
        let sums = &mut self.sums;
        push_key(&mut sums.key, feeder, &row.key);
        sums.epoch.push(row.epoch.0.cast_signed());
        sums.plan_version.push(row.plan_version.0.cast_signed());
        sums.profile.push(row.profile.name);
        sums.contributors.push(row.contributors.cast_signed());
        sums.sealed.0.push(row.sealed_at.0.0.cast_signed());
        sums.sealed.1.push(row.sealed_at.1.0.cast_signed());
        sums.stage.push(row.stage.number().into());
        let replaces = row.replaces;
        sums.replaces.push(replaces.map(|it| it.part.0.into()));
        sums.ranks
            .0
            .push(replaces.map(|it| it.ranks.0.cast_signed()));
        sums.ranks
            .1
            .push(replaces.map(|it| it.ranks.1.cast_signed()));
        sums.replaced
            .push(replaces.map(|it| it.meters.cast_signed()));
        sums.record.push(match limbs {
            Limbs::Changed(sum) => Some(row.record(sum)),
            Limbs::Kept | Limbs::Gone => None,
        });
    }

    /// What a commit adds to the contributors of a window.
    pub(super) fn add(&mut self, feeder: i32, window: WindowStart, contributors: &Contributors) {
        push_window(&mut self.added.0, feeder, window);
        self.added.1.push(contributors.write());
    }

    /// What is stored of the contributors of a window goes.
    pub(super) fn rewrite(&mut self, feeder: i32, window: WindowStart) {
        push_window(&mut self.rewritten, feeder, window);
    }

    pub(super) fn seat(&mut self, feeder: i32, meter: &str, seat: Seat) {
        self.seats.0.push(feeder);
        self.seats.1.push(meter.to_owned());
        self.seats.2.push(seat);
    }

    pub(super) fn time(&mut self, feeder: i32, time: u64) {
        self.times.0.push(feeder);
        self.times.1.push(time.cast_signed());
    }

    pub(super) fn release(&mut self, feeder: i32, row: &ReleaseRow) {
        let releases = &mut self.releases;
        push_key(&mut releases.key, feeder, &row.key);
        releases.digest.push(row.digest.0.to_vec());
        releases.bytes_digest.push(row.bytes_digest.0.to_vec());
        releases.bytes.push(row.bytes.to_vec());
    }

    pub(super) fn settle(&mut self, feeder: i32, key: &SumKey) {
        push_key(&mut self.settled, feeder, key);
    }

    pub(super) fn reclaim(&mut self, feeder: i32, window: WindowStart) {
        push_window(&mut self.reclaimed, feeder, window);
        self.rewrite(feeder, window);
    }

    pub(super) fn bill(&mut self, feeder: i32, key: &BillKey, record: Option<&Vec<u8>>) {
        let bills = &mut self.bills;
        bills.feeder.push(feeder);
        bills.period.push(key.period.0.cast_signed());
        bills.meter.push(key.meter.as_str().to_owned());
        bills.epoch.push(key.epoch.0.cast_signed());
        bills.plan_version.push(key.plan_version.0.cast_signed());
        bills.bands.push(bands_column(key.bands));
        bills.record.push(record.cloned());
    }

    /// The days of the windows that contributors are added to.
    pub(super) fn days(&self) -> impl Iterator<Item = i64> {
        self.added.0.1.iter().map(|start| day(*start))
    }

    /// In the order of the statement's parameters.
    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 46] {
        let (sums, releases, bills) = (&self.sums, &self.releases, &self.bills);
        [
            &self.run,
            &self.shards,
            &self.fences,
            &sums.key.0,
            &sums.key.1,
            &sums.key.2,
            &sums.epoch,
            &sums.plan_version,
            &sums.profile,
            &sums.contributors,
            &sums.sealed.0,
            &sums.sealed.1,
            &sums.stage,
            &sums.replaces,
            &sums.ranks.0,
            &sums.ranks.1,
            &sums.replaced,
            &sums.record,
            &self.rewritten.0,
            &self.rewritten.1,
            &self.added.0.0,
            &self.added.0.1,
            &self.added.1,
            &self.seats.0,
            &self.seats.1,
            &self.seats.2,
            &self.times.0,
            &self.times.1,
            &releases.key.0,
            &releases.key.1,
            &releases.key.2,
            &releases.digest,
            &releases.bytes_digest,
            &releases.bytes,
            &self.settled.0,
            &self.settled.1,
            &self.settled.2,
            &self.reclaimed.0,
            &self.reclaimed.1,
            &bills.feeder,
            &bills.period,
            &bills.meter,
            &bills.epoch,
            &bills.plan_version,
            &bills.bands,
            &bills.record,
        ]
    }
}

/// The day of a window, in days since 1970: the contributors of its windows are in one table.
pub(super) fn day(start: i64) -> i64 {
    start.div_euclid(86_400)
}

/// A number whose order as a signed one is that of `bands`.
pub(super) fn bands_column(bands: u64) -> i64 {
    (bands ^ (1 << 63)).cast_signed()
}

/// What [`bands_column`] was given.
pub(super) fn bands_of(column: i64) -> u64 {
    column.cast_unsigned() ^ (1 << 63)
}
