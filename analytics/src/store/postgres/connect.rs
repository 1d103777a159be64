//! Making a connection: to each address in turn, in bounded time, and only to a server that takes writes and keeps them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use service::database::{Login, login};
use service::{Chain, Settings};
use tokio::time::timeout;
use tokio_postgres::config::{LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::durable::{self, Doubt};
use super::fault::fault;
use super::heard::{Heard, drive};
use crate::store::StoreError;

/// What each statement of a session goes by. Every statement but those of a start finds its rows by their keys, also where the
/// planner knows nothing of the tables yet, and is planned once.
const SESSION: &str = "-c synchronous_commit=on -c default_transaction_isolation=read\\ committed -c enable_seqscan=off \
                       -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan -c jit=off";

/// A connection to a server that takes writes and keeps them.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) heard: Arc<Heard>,
    pub(super) doubts: Vec<Doubt>,
}

/// How to get a connection.
pub(super) struct Connecting<'a> {
    pub(super) settings: &'a Settings,
    /// How the database lists it.
    pub(super) name: &'a str,
    /// What it is for.
    pub(super) operation: &'static str,
    /// Whether it is the first of this process.
    pub(super) is_first: bool,
}

impl Connecting<'_> {
    /// Connects to the first address that a server takes writes at.
    pub(super) async fn connect(&self) -> Result<Connected, StoreError> {
        let login = login(self.settings).map_err(|error| self.io(io::Error::other(error)))?;
        let hosts = self.settings.analytics.postgres.hosts();
        let hosts = hosts.map_err(|problem| self.io(io::Error::other(problem)))?;
        let limit = self.settings.analytics.postgres.connect_timeout;
        let place = place(self.settings);
        let mut problems = Vec::new();
        for (host, port) in &hosts {
            let connecting = async {
                let (client, heard) = self.connect_to((host, *port), &login).await?;
                // It takes writes, so it is the one.
                let doubts = durable::check(&client, hosts.len(), self.is_first, &place).await;
                heard.warning();
                Ok(doubts.map(|doubts| Connected {
                    client,
                    heard,
                    doubts,
                }))
            };
            match timeout(limit, connecting).await {
                Ok(Ok(connected)) => return connected,
                Ok(Err(error)) => problems.push((host, *port, error)),
                Err(_) => problems.push((host, *port, self.io(silent(limit)))),
            }
        }
        Err(self.of_all(problems))
    }

    async fn connect_to(
        &self,
        host: (&str, u16),
        login: &Login,
    ) -> Result<(Client, Arc<Heard>), StoreError> {
        let place = place(self.settings);
        let failed = |error| fault(&place, self.operation, error);
        let mut config = self.config(host);
        if !login.password.is_empty() {
            config.password(login.password.as_bytes());
        }
        let heard = Arc::new(Heard::default());
        let client = match &login.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                drive(connection, heard.clone());
                client
            }
            Some(tls) => {
                config.ssl_mode(SslMode::Require);
                let tls = MakeRustlsConnect::new(tls.as_ref().clone());
                let (client, connection) = config.connect(tls).await.map_err(failed)?;
                drive(connection, heard.clone());
                client
            }
        };
        Ok((client, heard))
    }

    /// How to connect, but for the password.
    fn config(&self, (host, port): (&str, u16)) -> Config {
        let postgres = &self.settings.analytics.postgres;
        let mut config = Config::new();
        config
            .host(host)
            .port(port)
            .dbname(&postgres.database)
            .user(&postgres.user)
            .application_name(self.name)
            // Of a name's addresses another one first each time: one that says nothing takes all the time there is.
            .load_balance_hosts(LoadBalanceHosts::Random)
            .tcp_user_timeout(postgres.statement_timeout)
            .keepalives_idle(postgres.statement_timeout)
            .keepalives_interval(postgres.statement_timeout / 3)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .options(format!(
                "{SESSION} -c statement_timeout={} -c idle_in_transaction_session_timeout={}",
                postgres.statement_timeout.as_millis(),
                postgres.idle_in_transaction_timeout.as_millis(),
            ));
        config
    }

    /// What is wrong, if no address will do: it passes if it does at one of them.
    fn of_all(&self, mut problems: Vec<(&String, u16, StoreError)>) -> StoreError {
        let passes = problems.iter().any(|(_, _, error)| error.may_pass());
        if problems.len() == 1 || (!passes && !problems.is_empty()) {
            return problems.swap_remove(0).2;
        }
        let texts = problems.iter().map(|(host, port, error)| match error {
            StoreError::Io { source, .. } => format!("{host}:{port}: {}", Chain(source)),
            other => format!("{host}:{port}: {}", Chain(other)),
        });
        self.io(io::Error::other(texts.collect::<Vec<_>>().join("; ")))
    }

    fn io(&self, source: io::Error) -> StoreError {
        StoreError::Io {
            operation: self.operation,
            path: place(self.settings),
            source,
        }
    }
}

/// The database says nothing.
pub(super) fn silent(limit: Duration) -> io::Error {
    let text = format!("no answer within {}", humantime::format_duration(limit));
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// What a database is called in messages.
pub(super) fn place(settings: &Settings) -> PathBuf {
    let postgres = &settings.analytics.postgres;
    Path::new(&format!(
        "postgres://{}/{}",
        postgres.address, postgres.database
    ))
    .to_owned()
}
