//! What comes over a connection: when anything last did, and warnings.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Connection};

/// What was heard of the database.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    warning: Option<String>,
}

impl Heard {
    /// The last warning since this was last asked: what the database said was done may not be durable then.
    pub(super) fn warning(&self) -> Option<String> {
        self.with(|state| state.warning.take())
    }

    /// Does `work`, unless nothing is heard for as long as `limit`.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        self.hear();
        loop {
            let until = self.with(|state| state.last).map(|last| last + limit)?;
            if until <= Instant::now() {
                return None;
            }
            if let Ok(done) = timeout_at(until, &mut work).await {
                return Some(done);
            }
        }
    }

    fn hear(&self) {
        self.with(|state| state.last = Some(Instant::now()));
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Carries what goes over the connection, while anybody waits for it.
pub(super) fn drive<S, T>(mut connection: Connection<S, T>, heard: Arc<Heard>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let mut next = async || {
            poll_fn(|context| {
                // It is polled when something came, or is to be sent.
                heard.hear();
                connection.poll_message(context)
            })
            .await
        };
        while let Some(Ok(message)) = next().await {
            if let AsyncMessage::Notice(notice) = message
                && notice.parsed_severity() == Some(Severity::Warning)
            {
                let (code, text) = (notice.code().code(), notice.message());
                tracing::warn!(code, "the database warns: {text}");
                heard.with(|state| state.warning = Some(text.to_owned()));
            }
        }
    });
}
