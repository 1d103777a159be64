//! One commit: what must be known of the database first, and the one statement that writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use service::failpoint;
use tokio_postgres::Error;
use wire::{FeederId, Shard};

use super::blocks::{Contributors, Seat};
use super::columns::{Columns, Numbers};
use super::connection::Session;
use super::share::Share;

const COMMIT: &str = include_str!("commit.sql");

/// The same without its proof, for a test that must notice.
static UNFENCED: LazyLock<String> = LazyLock::new(|| COMMIT.replace(" AND l.fence = t.fence", ""));

/// The feeders are there before anything of them is: their short names never change, so it does not matter who gives them.
const NAME: &str = "INSERT INTO feeders (id, shard) SELECT * FROM unnest($1::text[], $2::smallint[]) \
                    ON CONFLICT (id) DO UPDATE SET shard = coalesce(excluded.shard, feeders.shard) RETURNING number, id";

const BLOCKS: &str = "SELECT c.feeder, c.start, c.block FROM contributors c \
                      JOIN unnest($1::integer[], $2::bigint[]) AS t(feeder, start) ON c.feeder = t.feeder AND c.start = t.start \
                      ORDER BY c.feeder, c.start, c.number";

const SEATS: &str = "SELECT feeder, meter, seat FROM seats WHERE feeder = ANY($1::integer[])";

/// The sessions that this run had before, which are named as this one is.
macro_rules! earlier_sessions {
    () => {
        " FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user \
          AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()"
    };
}

/// Ends them, and waits for their end, up to two seconds each.
const END: &str = concat!(
    "SELECT pg_terminate_backend(pid, 2000)",
    earlier_sessions!()
);

const LEFT: &str = concat!("SELECT count(*)", earlier_sessions!());

/// Learns the short names of the feeders that a commit writes.
pub(super) async fn name(
    session: &mut Session<'_>,
    share: &Share<'_>,
    numbers: &mut Numbers,
) -> Result<(), Error> {
    let unknown = share.feeders().into_iter();
    let (ids, shards): (Vec<_>, Vec<_>) = unknown
        .filter(|(feeder, _)| !numbers.contains_key(*feeder))
        .map(|(feeder, shard)| (feeder.as_str(), shard))
        .unzip();
    if ids.is_empty() {
        return Ok(());
    }
    for row in session.client.query(NAME, &[&ids, &shards]).await? {
        let id: String = row.try_get(1)?;
        if let Ok(feeder) = FeederId::try_from(id.as_str()) {
            numbers.insert(feeder, row.try_get(0)?);
        }
    }
    Ok(())
}

/// What is stored of the windows in which parts are to keep members only.
#[derive(Default)]
pub(super) struct Stored {
    blocks: HashMap<(i32, i64), Contributors>,
    seats: HashMap<i32, HashMap<String, Seat>>,
    problem: Option<String>,
}

impl Stored {
    pub(super) async fn read(
        session: &mut Session<'_>,
        share: &Share<'_>,
        numbers: &Numbers,
    ) -> Result<Self, Error> {
        let mut stored = Self::default();
        let (feeders, starts): (Vec<_>, Vec<_>) = (share.shrunk().keys())
            .filter_map(|(feeder, window)| Some((*numbers.get(*feeder)?, window.0.cast_signed())))
            .unzip();
        if feeders.is_empty() {
            return Ok(stored);
        }
        let blocks = session.prepared(BLOCKS).await?;
        for row in session.client.query(&blocks, &[&feeders, &starts]).await? {
            let key = (row.try_get(0)?, row.try_get(1)?);
            let read = stored.blocks.entry(key).or_default().read(row.try_get(2)?);
            stored.problem = stored.problem.or(read.err());
        }
        let seats = session.prepared(SEATS).await?;
        for row in session.client.query(&seats, &[&feeders]).await? {
            let seats = stored.seats.entry(row.try_get(0)?).or_default();
            seats.insert(row.try_get(1)?, row.try_get(2)?);
        }
        Ok(stored)
    }
}

/// The rows that are written, or what is wrong with those that are stored.
pub(super) fn columns(
    share: &Share<'_>,
    numbers: &Numbers,
    mut stored: Stored,
) -> Result<Columns, String> {
    if let Some(problem) = stored.problem {
        return Err(problem);
    }
    let number = |feeder: &FeederId| {
        let number = numbers.get(feeder).copied();
        number.ok_or_else(|| format!("feeder {feeder} has no number"))
    };
    let mut columns = Columns::default();
    for (shard, fence) in share.leases() {
        columns.shards.push(shard.0.cast_signed());
        columns.fences.push(fence.0.cast_signed());
    }
    rows(share, &number, &mut columns)?;
    let mut added = share.added();
    for ((feeder, window), parts) in share.shrunk() {
        let feeder_number = number(feeder)?;
        let mut all = stored
            .blocks
            .remove(&(feeder_number, window.0.cast_signed()))
            .unwrap_or_default();
        if let Some(new) = added.remove(&(feeder, window)) {
            all.whole.extend(new.whole);
        }
        let seats = stored.seats.entry(feeder_number).or_default();
        let mut free = seats.values().max().map_or(0, |last| last + 1);
        for meter in all.meters_of(&parts) {
            if !seats.contains_key(meter.as_str()) {
                seats.insert(meter.as_str().to_owned(), free);
                columns.seat(feeder_number, meter.as_str(), free);
                free += 1;
            }
        }
        parts.iter().for_each(|part| all.shrink(*part, seats));
        columns.rewrite(feeder_number, window);
        columns.add(feeder_number, window, &all);
    }
    for ((feeder, window), contributors) in added {
        columns.add(number(feeder)?, window, &contributors);
    }
    Ok(columns)
}

/// All rows but those of contributors. No key is there twice: a statement writes a row once.
fn rows(
    share: &Share<'_>,
    number: &impl Fn(&FeederId) -> Result<i32, String>,
    columns: &mut Columns,
) -> Result<(), String> {
    let transaction = share.transaction;
    let sums: BTreeMap<_, _> = (transaction.sums.iter())
        .map(|(row, limbs)| (&row.key, (row, limbs)))
        .filter(|(key, _)| share.keeps(&key.feeder, key.window))
        .collect();
    for (row, limbs) in sums.into_values() {
        columns.sum(number(&row.key.feeder)?, row, limbs);
    }
    let settled: BTreeSet<_> = (transaction.settled.iter())
        .filter(|key| share.keeps(&key.feeder, key.window))
        .collect();
    let releases: BTreeMap<_, _> = (transaction.releases.iter())
        .map(|row| (&row.key, row))
        .filter(|(key, _)| share.keeps(&key.feeder, key.window) && !settled.contains(key))
        .collect();
    for row in releases.into_values() {
        columns.release(number(&row.key.feeder)?, row);
    }
    for key in settled {
        columns.settle(number(&key.feeder)?, key);
    }
    let times: BTreeMap<_, _> = (transaction.times.iter())
        .map(|(feeder, time)| (feeder, *time))
        .filter(|(feeder, _)| share.writes(feeder))
        .collect();
    for (feeder, time) in times {
        columns.time(number(feeder)?, time);
    }
    for (feeder, window) in &share.reclaimed {
        if share.writes(feeder) {
            columns.reclaim(number(feeder)?, *window);
        }
    }
    let bills: BTreeMap<_, _> = (transaction.bills.iter())
        .map(|(key, record)| (key, record.as_ref()))
        .filter(|(key, _)| share.writes(&key.feeder))
        .collect();
    for (key, record) in bills {
        columns.bill(number(&key.feeder)?, key, record);
    }
    Ok(())
}

/// Ends what was sent over an earlier connection, and may not even have begun: returns whether no statement of it can come any more. Locks
/// would not do, since one that has not begun holds none.
pub(super) async fn end_earlier(session: &mut Session<'_>) -> Result<bool, Error> {
    let changes = session.client.transaction().await?;
    // That a session has ended by itself meanwhile is a warning.
    changes
        .batch_execute("SET LOCAL client_min_messages = error")
        .await?;
    changes.query(END, &[]).await?;
    changes.commit().await?;
    let left: i64 = session.client.query_one(LEFT, &[]).await?.try_get(0)?;
    Ok(left == 0)
}

/// What came of the statement.
pub(super) struct Proof {
    pub(super) held: BTreeSet<Shard>,
    /// Whether all was written; nothing was otherwise.
    pub(super) written: bool,
}

/// Writes all or nothing.
pub(super) async fn write(session: &mut Session<'_>, columns: &Columns) -> Result<Proof, Error> {
    let text = match failpoint::sabotaged("fence") {
        true => UNFENCED.as_str(),
        false => COMMIT,
    };
    let statement = session.prepared(text).await?;
    let row = session
        .client
        .query_one(&statement, &columns.parameters())
        .await?;
    let held: Vec<i16> = row.try_get(0)?;
    let held = held.into_iter().map(|shard| Shard(shard.cast_unsigned()));
    Ok(Proof {
        held: held.collect(),
        written: row.try_get(1)?,
    })
}
