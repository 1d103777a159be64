//! rumqttd on a runtime of its own.
//!
//! rumqttd spawns a task for each client and keeps no handle on it. Its own runtime is what makes it
//! stoppable: shutting that down drops the listener and every client. Its router thread cannot be
//! stopped: it waits, idle and holding its logs, until the process ends. A process that restarts
//! brokers again and again grows by that much; a broker process has one.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::task::Poll;
use std::time::Duration;

use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::v4::V4;
use rumqttd::{LinkType, Router, Server};
use service::Settings;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::{BrokerError, probe, sizing};

/// How often a free port is looked for: another process may take it before rumqttd binds it.
const ATTEMPTS: usize = 16;

/// How long clients' tasks may take to notice the end.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// A running rumqttd. Dropping it ends it in the background; [`Embedded::shutdown`] waits.
pub(crate) struct Embedded {
    address: SocketAddr,
    runtime: Option<Runtime>,
    listener: JoinHandle<String>,
    probe: JoinHandle<()>,
}

impl Embedded {
    pub(crate) async fn start(settings: &Settings) -> Result<Self, BrokerError> {
        let listen = settings.broker.listen;
        let bind = |source| BrokerError::Bind { listen, source };
        let mut runtime = Owned(Some(
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("broker")
                .enable_all()
                .build()
                .map_err(BrokerError::Runtime)?,
        ));
        let (address, listener, links) = {
            let handle = runtime.handle().map_err(BrokerError::Runtime)?;
            // Before the router starts, because its thread cannot be ended.
            let mut address = free_address(listen).map_err(bind)?;
            let router = Router::new(0, sizing::router(settings)).spawn();
            let mut attempt = 1;
            let listener = loop {
                let server = Server::new(sizing::server(settings, address), router.clone(), V4);
                match handle.spawn(bound(server)).await {
                    Ok(Ok(listener)) => break listener,
                    Ok(Err(source)) if listen.port() != 0 || attempt == ATTEMPTS => {
                        return Err(bind(source));
                    }
                    Ok(Err(_)) => address = free_address(listen).map_err(bind)?,
                    Err(error) => return Err(BrokerError::ListenerEnded(error.to_string())),
                }
                attempt += 1;
            };
            // Building a link waits for the router's answer.
            let links = handle
                .spawn_blocking(move || LinkBuilder::new(probe::CLIENT, router).build().ok())
                .await;
            (address, listener, links)
        };
        let Ok(Some((sender, receiver, _))) = links else {
            return Err(BrokerError::RouterEnded);
        };
        probe::describe();
        let probe = spawn_probe(&runtime, sender, receiver)?;
        #[cfg(target_os = "linux")]
        if let Err(error) = crate::nodelay::set(address) {
            tracing::warn!(
                "packets to clients may wait 40 ms for an acknowledgement: TCP_NODELAY is not set: {error}"
            );
        }
        // It ends with the runtime.
        #[cfg(target_os = "linux")]
        runtime
            .handle()
            .map_err(BrokerError::Runtime)?
            .spawn(crate::sockets::run(address));
        Ok(Self {
            address,
            runtime: runtime.0.take(),
            listener,
            probe,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes only if rumqttd ends by itself.
    pub(crate) async fn ended(&mut self) -> BrokerError {
        tokio::select! {
            reason = &mut self.listener => {
                BrokerError::ListenerEnded(reason.unwrap_or_else(|error| error.to_string()))
            }
            _ = &mut self.probe => BrokerError::RouterEnded,
        }
    }

    /// Ends the listener and all clients, and waits until their sockets are closed.
    pub(crate) async fn shutdown(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(SHUTDOWN));
            // Only cancelled if our own runtime ends, and then there is nothing to wait for.
            let _ = ended.await;
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(Owned(self.runtime.take()));
    }
}

/// A runtime that may be dropped inside another one.
struct Owned(Option<Runtime>);

impl Owned {
    fn handle(&self) -> io::Result<tokio::runtime::Handle> {
        let runtime = self.0.as_ref();
        let handle = runtime.map(|runtime| runtime.handle().clone());
        handle.ok_or_else(|| io::Error::other("the runtime is gone"))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn spawn_probe(
    runtime: &Owned,
    sender: LinkTx,
    receiver: LinkRx,
) -> Result<JoinHandle<()>, BrokerError> {
    let handle = runtime.handle().map_err(BrokerError::Runtime)?;
    Ok(handle.spawn(probe::run(sender, receiver)))
}

/// Starts a server and returns once it has bound its address. rumqttd does not tell, but binds in
/// the first poll of its future, before it waits for a client.
async fn bound(mut server: Server<V4>) -> io::Result<JoinHandle<String>> {
    let mut serving = Box::pin(async move {
        match server.start(LinkType::Remote).await {
            Ok(()) => io::Error::other("it returned"),
            Err(rumqttd_error) => into_io(rumqttd_error),
        }
    });
    match poll_fn(|context| Poll::Ready(serving.as_mut().poll(context))).await {
        Poll::Ready(error) => Err(error),
        Poll::Pending => Ok(tokio::spawn(async move { serving.await.to_string() })),
    }
}

/// rumqttd's error type is private; the cause of a failed bind is its source.
fn into_io(error: impl std::error::Error) -> io::Error {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    match source.and_then(io::Error::raw_os_error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(error.to_string()),
    }
}

/// The address with its port, or for port 0 one that was free a moment ago.
fn free_address(listen: SocketAddr) -> io::Result<SocketAddr> {
    TcpListener::bind(listen)?.local_addr()
}
