//! One connection to the database: made again with growing pauses, bounded in time, and believed only as far as a commit is durable.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use service::Settings;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Statement};

use super::connect::{Connected, Connecting, place, silent};
use super::durable::{self, Doubt};
use super::fault::fault;
use crate::metrics;
use crate::store::StoreError;

/// The pause after a connection that failed; it doubles up to the second of these.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How much longer than the database this end waits for a statement, before it takes the connection for cut.
const CUT: Duration = Duration::from_secs(5);

/// Opens and keeps a connection. It is used from one thread at a time, none of them one that serves the network.
pub(super) struct Connection {
    settings: Settings,
    name: String,
    /// Absent only while this is dropped.
    runtime: Option<Runtime>,
    live: Option<Live>,
    /// Connections made so far.
    made: u64,
    again: Option<(Instant, Duration)>,
    /// What was doubtful of the database, as far as that was said.
    said: Vec<Doubt>,
}

struct Live {
    connected: Connected,
    statements: HashMap<&'static str, Statement>,
}

/// A connection that works, for one piece of work.
pub(super) struct Session<'a> {
    pub(super) client: &'a mut Client,
    statements: &'a mut HashMap<&'static str, Statement>,
}

impl Session<'_> {
    /// A statement that is planned once.
    pub(super) async fn prepared(
        &mut self,
        text: &'static str,
    ) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(text).await?;
        self.statements.insert(text, statement.clone());
        Ok(statement)
    }
}

impl Connection {
    /// Connects when it is first used. `name` is how the database lists it.
    ///
    /// # Errors
    /// [`StoreError::Io`] if this machine has no room for it.
    pub(super) fn new(settings: &Settings, name: &str) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StoreError::Io {
            operation: "open",
            path: place(settings),
            source,
        })?;
        Ok(Self {
            settings: settings.clone(),
            name: name.to_owned(),
            runtime: Some(runtime),
            live: None,
            made: 0,
            again: None,
            said: Vec::new(),
        })
    }

    /// What the database is called in messages.
    pub(super) fn place(&self) -> PathBuf {
        place(&self.settings)
    }

    /// Does `work` over a connection that works. It fails once nothing was heard of the database for as long as so many statements may take.
    ///
    /// # Errors
    /// [`StoreError`]: the database is out of reach, or refused; whether the work was done is not known then.
    pub(super) fn run<T>(
        &mut self,
        operation: &'static str,
        statements: u32,
        work: impl AsyncFnOnce(&mut Session<'_>) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let place = self.place();
        let io = |source| StoreError::Io {
            operation,
            path: place.clone(),
            source,
        };
        let Some(runtime) = self.runtime.take() else {
            return Err(io(io::ErrorKind::NotConnected.into()));
        };
        let limit = self.settings.analytics.postgres.statement_timeout * statements + CUT;
        let done = runtime.block_on(async {
            let live = self.connected(operation).await?;
            let heard = live.connected.heard.clone();
            let mut session = Session {
                client: &mut live.connected.client,
                statements: &mut live.statements,
            };
            let done = heard.within(limit, work(&mut session)).await;
            let done = done.ok_or_else(|| io(silent(limit)))?;
            let done = done.map_err(|error| fault(&place, operation, error))?;
            match heard.warning() {
                Some(warning) => Err(io(io::Error::other(format!(
                    "the database warned, so that what it did may not be durable: {warning}"
                )))),
                None => Ok(done),
            }
        });
        self.runtime = Some(runtime);
        if done.is_err() {
            self.live = None;
        }
        done
    }

    /// Whether it is still as it was found when it was connected to. What cannot be believed any more is left, and refused at the next use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn check_again(&mut self) -> Result<(), StoreError> {
        let place = self.place();
        let hosts = self.settings.analytics.postgres.hosts();
        let hosts = hosts.map_or(1, |hosts| hosts.len());
        let found = self.run("read", 1, async |session| {
            Ok(durable::check(session.client, hosts, false, &place).await)
        });
        match found? {
            Ok(doubts) => self.say(&doubts),
            Err(error) => {
                self.live = None;
                return Err(error);
            }
        }
        Ok(())
    }

    fn say(&mut self, doubts: &[Doubt]) {
        let new = doubts.iter().filter(|doubt| !self.said.contains(doubt));
        new.for_each(|doubt| doubt.warn());
        self.said = doubts.to_vec();
    }

    async fn connected(&mut self, operation: &'static str) -> Result<&mut Live, StoreError> {
        if self
            .live
            .as_ref()
            .is_none_or(|live| live.connected.client.is_closed())
        {
            self.live = None;
            let now = Instant::now();
            if let Some((at, _)) = self.again
                && now < at
            {
                tokio::time::sleep(at - now).await;
            }
            let pause = self.again.map_or(PAUSES.0, |(_, pause)| pause * 2);
            let pause = pause.min(PAUSES.1);
            self.again = Some((Instant::now() + pause, pause));
            let connecting = Connecting {
                settings: &self.settings,
                name: &self.name,
                operation,
                is_first: self.made == 0,
            };
            let connected = connecting.connect().await?;
            self.say(&connected.doubts);
            self.again = None;
            self.made += 1;
            metrics::database::connected();
            self.live = Some(Live {
                connected,
                statements: HashMap::new(),
            });
        }
        match &mut self.live {
            Some(live) => Ok(live),
            None => unreachable!("it was just connected"),
        }
    }
}

impl Drop for Connection {
    /// A runtime may not wait for its end on a thread that serves the network.
    fn drop(&mut self) {
        self.live = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("place", &self.place())
            .finish_non_exhaustive()
    }
}
