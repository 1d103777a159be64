//! The guard and the router behind it on a runtime of their own.
//!
//! Shutting that runtime down drops the listener and every client. rumqttd's router thread cannot be stopped: it ends once nobody
//! has a link to it any more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use service::Settings;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::guard::Guard;
use crate::guard::access::Access;
use crate::{BrokerError, probe, sizing};

/// How long clients may take to be told that the broker stops.
const DRAIN: Duration = Duration::from_secs(2);

/// How long what is left of their tasks may take to notice the end.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// A running broker. Dropping it ends it in the background; [`Embedded::shutdown`] waits.
pub(crate) struct Embedded {
    address: SocketAddr,
    runtime: Owned,
    guard: Arc<Guard>,
    listener: JoinHandle<()>,
    probe: JoinHandle<()>,
}

impl Embedded {
    pub(crate) async fn start(settings: &Settings) -> Result<Self, BrokerError> {
        let listen = settings.broker.listen;
        let bind = move |source| BrokerError::Bind { listen, source };
        let access = Access::load(settings)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("broker")
            .enable_all()
            .build();
        let runtime = Owned(Some(runtime.map_err(BrokerError::Runtime)?));
        let handle = runtime.handle()?;
        let config = sizing::router(settings);
        let settings = settings.clone();
        // On that runtime, so that everything of the broker is its.
        let started = handle.spawn(async move {
            // Before the router, whose thread waits for its links to go.
            let listener = TcpListener::bind(listen).await.map_err(bind)?;
            let address = listener.local_addr().map_err(bind)?;
            access.reload_on_hangup();
            let guard = Guard::start(&settings, access, config).await;
            let guard = guard.map_err(|_| BrokerError::RouterEnded)?;
            let link = guard.link(probe::CLIENT).await;
            let link = link.map_err(|_| BrokerError::RouterEnded)?;
            Ok::<_, BrokerError>((address, listener, guard, link))
        });
        let (address, listener, guard, link) = match started.await {
            Ok(started) => started?,
            Err(error) => return Err(BrokerError::ListenerEnded(error.to_string())),
        };
        probe::describe();
        let probe = handle.spawn(probe::run(link));
        let listener = handle.spawn(guard.clone().serve(listener));
        Ok(Self {
            address,
            runtime,
            guard,
            listener,
            probe,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes only if the broker ends by itself.
    pub(crate) async fn ended(&mut self) -> BrokerError {
        tokio::select! {
            ended = &mut self.listener => {
                let reason = ended.err().map(|error| error.to_string());
                BrokerError::ListenerEnded(reason.unwrap_or_default())
            }
            _ = &mut self.probe => BrokerError::RouterEnded,
        }
    }

    /// Accepts nobody any more, takes leave of all clients, and waits until their sockets are closed.
    pub(crate) async fn shutdown(mut self) {
        self.guard.stop(DRAIN).await;
        if let Some(runtime) = self.runtime.0.take() {
            let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(SHUTDOWN));
            // Only cancelled if our own runtime ends, and then there is nothing to wait for.
            let _ = ended.await;
        }
    }
}

/// A runtime that may be dropped inside another one.
struct Owned(Option<Runtime>);

impl Owned {
    fn handle(&self) -> Result<Handle, BrokerError> {
        let gone = || BrokerError::Runtime(std::io::Error::other("the runtime is gone"));
        let runtime = self.0.as_ref().ok_or_else(gone)?;
        Ok(runtime.handle().clone())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
