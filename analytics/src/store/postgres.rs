//! Sums, contributors and releases in a PostgreSQL database, for one process or for several that share it.
//!
//! # What survives
//! * Commit: one statement, which proves in itself that each lease it is made under still stands, and writes all or nothing. The
//!   session waits for the disk, and for the synchronous standbys, before it says so. A warning counts as a failure: a
//!   database that stopped waiting for its standby warns, and says that it committed.
//! * A database that is out of reach is a slow disk: the commit fails, nothing is answered, and the same commit is made
//!   again once there is a connection. Whether it had taken effect does not matter, since every row is absolute; but it
//!   may not do so later, after the next commit. So the sessions that this run had before are ended first.
//! * A standby that is promoted is found by its taking writes.
//! * Where no leases are given, the store is that of the run which loaded it last: an earlier one writes nothing any more. Nor does
//!   one once a pool has it; and while a pool has leases, none that is alone starts.
//!
//! One connection is enough: the engine does one thing at a time. Leases have another, so that a commit does not hold them up.

use std::path::PathBuf;
use std::time::Instant;

use service::Settings;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Mark, StoreError};

mod attempt;
mod blocks;
mod columns;
mod commit;
mod connect;
mod connection;
mod days;
mod durable;
mod fault;
mod heard;
mod leases;
mod load;
mod mark;
mod migrate;
mod read;
mod share;
mod store;
mod window;
use columns::Numbers;
use connection::{Connection, Session};
use days::Days;
use fault::corrupt;
pub use leases::PostgresLeases;
use window::Looked;

/// For how long nothing may be heard of the database at a start, in times of a statement: it sorts all there is.
const LONG: u32 = 20;

/// A durable store in a database.
#[derive(Debug)]
pub struct PostgresStore {
    connection: Connection,
    /// Of this store, where it is its own. Drawn when it is opened.
    run: i64,
    /// Whether it was loaded as its own.
    own: bool,
    numbers: Numbers,
    days: Days,
    /// Whether a commit was sent of which it is not known what became.
    uncertain: bool,
    bytes: (u64, Option<Instant>),
    looked: Option<Looked>,
    mark: Option<Mark>,
    /// Whether a migration works on it, which sets its mark and is not kept out by it.
    migrates: bool,
}

impl PostgresStore {
    /// Connects, and brings the tables to the present version or makes them.
    ///
    /// # Errors
    /// [`StoreError`]: out of reach, no account there, of another deployment or a newer version, carried over to a file, or with
    /// settings under which what it says is committed is not.
    pub fn open(settings: &Settings, run: u64) -> Result<Self, StoreError> {
        let store = Self::open_marked(settings, run)?;
        Mark::check(store.mark.as_ref(), &store.place())?;
        Ok(store)
    }

    fn open_marked(settings: &Settings, run: u64) -> Result<Self, StoreError> {
        let mut connection =
            Connection::new(settings, &format!("cipherwatt analytics {run:016x}"))?;
        let place = connection.place();
        let deployment = settings.deployment.id.as_str();
        let opened = connection.run("open", LONG, async |session| {
            let changes = session.client.transaction().await?;
            changes
                .batch_execute("SET LOCAL statement_timeout = 0")
                .await?;
            let version = migrate::migrate(&changes).await?;
            if version > migrate::newest() {
                return Ok((version, String::new(), None));
            }
            changes
                .execute(
                    "INSERT INTO store (deployment) VALUES ($1) ON CONFLICT DO NOTHING",
                    &[&deployment],
                )
                .await?;
            let row = changes
                .query_one("SELECT deployment, mark FROM store", &[])
                .await?;
            let (found, mark) = (row.try_get(0)?, row.try_get::<_, Option<String>>(1)?);
            changes.commit().await?;
            Ok((version, found, mark))
        });
        let (version, found, mark) = opened?;
        let newest = migrate::newest();
        let differs = |what, found: String, expected: &str| {
            Err(StoreError::mismatch(&place, what, found, expected))
        };
        if version > newest {
            let expected = format!("{newest} or less");
            return differs("schema version", version.to_string(), &expected);
        }
        if found != deployment {
            return differs("deployment", found, deployment);
        }
        let mark = mark.map(|text| text.parse()).transpose();
        Ok(Self {
            mark: mark.map_err(|problem: String| corrupt(&place, problem))?,
            migrates: false,
            connection,
            run: run.cast_signed(),
            own: false,
            numbers: Numbers::new(),
            days: Days::default(),
            uncertain: false,
            bytes: (0, None),
            looked: None,
        })
    }

    /// Connects, changes nothing, and says what is there.
    ///
    /// # Errors
    /// [`StoreError`]: out of reach, no account there, or with settings under which what it says is committed is not.
    pub fn examine(settings: &Settings) -> Result<String, StoreError> {
        let mut connection = Connection::new(settings, "cipherwatt analytics doctor")?;
        let found = connection.run("read", 1, async |session| {
            let asked = "SELECT current_setting('server_version'), to_regclass('schema_version') IS NOT NULL, \
                         current_setting('synchronous_standby_names')";
            let row = session.client.query_one(asked, &[]).await?;
            let (version, used): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
            let standbys: String = row.try_get(2)?;
            Ok((version, used, standbys))
        });
        let (version, used, standbys) = found?;
        let tables = if used { "in use" } else { "without tables yet" };
        let standbys = match standbys.is_empty() {
            true => "no synchronous standby".to_owned(),
            false => format!("synchronous standbys {standbys}"),
        };
        let place = connection.place();
        Ok(format!(
            "{}: PostgreSQL {version}, {tables}, {standbys}",
            place.display()
        ))
    }

    /// What the database is called in messages.
    pub(crate) fn place(&self) -> PathBuf {
        self.connection.place()
    }

    /// Reads the rows of a prepared statement.
    fn rows(
        &mut self,
        statement: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.connection.run("read", 1, async |session| {
            let statement = session.prepared(statement).await?;
            session.client.query(&statement, parameters).await
        })
    }

    /// Reads what there is under a key.
    fn one<T>(
        &mut self,
        statement: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
        read: impl FnOnce(&Row) -> Result<T, read::Problem>,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.rows(statement, parameters)?;
        let read = rows.first().map(read).transpose();
        read.map_err(|problem| corrupt(&self.place(), problem))
    }
}
