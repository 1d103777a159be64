//! One connection to the database: made again with growing pauses, bounded in time, and believed only as far as a commit is durable.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use service::Settings;
use service::database::{Login, login};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::durable;
use super::fault::fault;
use crate::metrics;
use crate::store::StoreError;

/// What each statement of a session goes by. Every statement but those of a start finds its rows by their keys, also where the
/// planner knows nothing of the tables yet, and is planned once.
const SESSION: &str = "-c synchronous_commit=on -c default_transaction_isolation=read\\ committed -c enable_seqscan=off \
                       -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan -c jit=off";

/// The pause after a connection that failed; it doubles up to the second of these.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How much longer than the database this end waits for a statement, before it takes the connection for cut.
const CUT: Duration = Duration::from_secs(5);

/// Opens and keeps a connection. It is used from one thread at a time, none of them one that serves the network.
pub(super) struct Connection {
    settings: Settings,
    name: &'static str,
    /// Absent only while this is dropped.
    runtime: Option<Runtime>,
    live: Option<Live>,
    /// Connections made so far.
    made: u64,
    again: Option<(Instant, Duration)>,
}

struct Live {
    client: Client,
    /// Whether the database warned: then what it said was done may not be durable.
    warned: Arc<AtomicBool>,
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
    pub(super) fn new(settings: &Settings, name: &'static str) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StoreError::Io {
            operation: "open",
            path: place(settings),
            source,
        })?;
        Ok(Self {
            settings: settings.clone(),
            name,
            runtime: Some(runtime),
            live: None,
            made: 0,
            again: None,
        })
    }

    /// What the database is called in messages.
    pub(super) fn place(&self) -> PathBuf {
        place(&self.settings)
    }

    /// Does `work` over a connection that works, within the time that a statement may take for each of `statements`.
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
            let warned = live.warned.clone();
            let mut session = Session {
                client: &mut live.client,
                statements: &mut live.statements,
            };
            let done = tokio::time::timeout(limit, work(&mut session)).await;
            let done = done.map_err(|_| io(io::ErrorKind::TimedOut.into()))?;
            let done = done.map_err(|error| fault(&place, operation, error))?;
            match warned.swap(false, Ordering::Relaxed) {
                true => Err(io(io::Error::other(
                    "the database warned that what it did may not be on its standby",
                ))),
                false => Ok(done),
            }
        });
        self.runtime = Some(runtime);
        if done.is_err() {
            self.live = None;
        }
        done
    }

    async fn connected(&mut self, operation: &'static str) -> Result<&mut Live, StoreError> {
        if self
            .live
            .as_ref()
            .is_none_or(|live| live.client.is_closed())
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
            let live = self.connect(operation).await?;
            self.again = None;
            self.made += 1;
            metrics::database::connected();
            self.live = Some(live);
        }
        match &mut self.live {
            Some(live) => Ok(live),
            None => unreachable!("it was just connected"),
        }
    }

    async fn connect(&self, operation: &'static str) -> Result<Live, StoreError> {
        let place = self.place();
        let io = |source| StoreError::Io {
            operation,
            path: place.clone(),
            source,
        };
        let Login { password, tls } =
            login(&self.settings).map_err(|error| io(io::Error::other(error)))?;
        let mut config = self
            .config()
            .map_err(|problem| io(io::Error::other(problem)))?;
        if !password.is_empty() {
            config.password(password.as_bytes());
        }
        let warned = Arc::new(AtomicBool::new(false));
        let failed = |error| fault(&place, operation, error);
        let client = match tls {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                drive(connection, warned.clone());
                client
            }
            Some(tls) => {
                let tls = MakeRustlsConnect::new(Arc::unwrap_or_clone(tls));
                config.ssl_mode(tokio_postgres::config::SslMode::Require);
                let (client, connection) = config.connect(tls).await.map_err(failed)?;
                drive(connection, warned.clone());
                client
            }
        };
        let hosts = config.get_hosts().len();
        durable::check(&client, hosts, self.made == 0, &place).await?;
        warned.store(false, Ordering::Relaxed);
        Ok(Live {
            client,
            warned,
            statements: HashMap::new(),
        })
    }

    /// How to connect, but for the password.
    fn config(&self) -> Result<Config, String> {
        let postgres = &self.settings.analytics.postgres;
        let mut config = Config::new();
        for (host, port) in postgres.hosts()? {
            config.host(host).port(port);
        }
        config
            .dbname(&postgres.database)
            .user(&postgres.user)
            .application_name(self.name)
            .connect_timeout(postgres.connect_timeout)
            .tcp_user_timeout(postgres.statement_timeout)
            .keepalives_idle(postgres.statement_timeout)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .options(format!(
                "{SESSION} -c statement_timeout={} -c idle_in_transaction_session_timeout={}",
                postgres.statement_timeout.as_millis(),
                postgres.idle_in_transaction_timeout.as_millis(),
            ));
        Ok(config)
    }
}

/// Carries what goes over the connection, while anybody waits for it, and notes warnings.
fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, warned: Arc<AtomicBool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message
                && notice.parsed_severity() == Some(Severity::Warning)
            {
                tracing::warn!(
                    code = notice.code().code(),
                    "the database warns: {}",
                    notice.message()
                );
                warned.store(true, Ordering::Relaxed);
            }
        }
    });
}

fn place(settings: &Settings) -> PathBuf {
    let postgres = &settings.analytics.postgres;
    format!("postgres://{}/{}", postgres.address, postgres.database).into()
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
