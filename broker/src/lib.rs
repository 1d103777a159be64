//! An MQTT 3.1.1 broker for one machine: rumqttd, embedded and sized for ciphertexts.
//!
//! Everything else in the project speaks plain MQTT 3.1.1 to an address and works with any broker;
//! this one needs no installation. It keeps messages in memory only, forgets them when it ends, and
//! drops the oldest silently when a consumer stalls for too long. That is why reports are kept by
//! their gateway until a receipt arrives.
//!
//! The only thing that speaks MQTT here is the guard, in `guard`: rumqttd is the router behind it, in the same process, and
//! nothing reaches it unchecked. No packet and no behaviour of a client ends the broker, and what anybody can make it keep has a
//! limit in `[broker]`. A message that analytics is required to get waits, unacknowledged, while analytics is too far behind.
//!
//! # Layout
//!
//! - [`bind`]: from settings to a broker · [`Bound::run`]: until it is told to stop.
//! - `embedded`: guard and router on a runtime of their own, gone when dropped · `guard`: everything between a socket and the
//!   router.
//! - `sizing`: how settings become rumqttd's limits and how much memory that is.
//! - `probe`: a message through the router and back, every few seconds.
//! - [`doctor`]: what the set-up lacks · [`passwd`], [`certs`]: users and certificates.

pub mod certs;
pub mod doctor;
mod embedded;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
pub mod passwd;
mod probe;
mod sizing;

use std::io;
use std::net::SocketAddr;

use service::config::{IdentityKind, Mode};
use service::{Settings, Stop};

use crate::embedded::Embedded;
pub use crate::guard::access::AccessError;
pub use crate::guard::tls::TlsError;

/// The broker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be bound.
    #[error("cannot listen on {listen}, {}", advice(source))]
    Bind {
        /// The configured address.
        listen: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gives no threads.
    #[error("cannot start the broker's runtime")]
    Runtime(#[source] io::Error),
    /// rumqttd's router has ended, which leaves listeners that accept and do nothing.
    #[error("the broker's router has ended: messages are lost, restart the broker")]
    RouterEnded,
    /// The settings do not say who may connect.
    #[error("cannot tell who may connect")]
    Access(#[from] AccessError),
    /// The listener has ended.
    #[error("the broker's listener has ended: {0}")]
    ListenerEnded(String),
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "another process, perhaps another broker, uses it: stop that one, or choose another \
             address with `broker.listen` (and `mqtt.address` for the clients)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: change `broker.listen`"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need privileges: change `broker.listen`"
        }
        _ => "change `broker.listen`",
    }
}

/// A setting with which no broker starts, and what to do: in production the clients on this machine have identities, or it is
/// said that they need none.
#[must_use]
pub fn unsupported(settings: &Settings) -> Option<(&'static str, String)> {
    let broker = &settings.broker;
    let production = settings.deployment.mode == Mode::Production;
    let said = broker.insecure_local || broker.insecure_remote;
    (production && broker.identity == IdentityKind::None && !said).then(|| {
        let problem = "with deployment.mode = \"production\" whoever runs a program on this machine could do everything: set it \
                       to \"certificate\" (`operator init` and `broker certs` make them) or \"password\", or set \
                       broker.insecure_local = true";
        ("broker.identity", problem.to_owned())
    })
}

/// Binds `broker.listen` and starts the broker: clients can connect from then on.
///
/// ```no_run
/// # async fn broker() -> Result<(), broker::BrokerError> {
/// let mut settings = service::Settings::defaults();
/// settings.broker.listen = ([127, 0, 0, 1], 0).into();
/// let broker = broker::bind(&settings).await?;
/// println!("listening on {}", broker.address());
/// let (handle, stop) = service::Stop::manual();
/// let running = tokio::spawn(broker.run(stop));
/// // Clients come and go.
/// handle.stop();
/// running.await.expect("it does not panic")
/// # }
/// ```
///
/// # Errors
/// If the address cannot be bound, or rumqttd does not start.
pub async fn bind(settings: &Settings) -> Result<Bound, BrokerError> {
    let embedded = Embedded::start(settings).await?;
    let address = embedded.address();
    let tls = settings.broker.certificate_file.is_some();
    let identity = match settings.broker.identity {
        IdentityKind::None => "everybody may do everything",
        IdentityKind::Password => "clients show a password",
        IdentityKind::Certificate => "clients show a certificate",
    };
    let tls = if tls { "TLS" } else { "no TLS" };
    tracing::info!(%address, "broker ready: MQTT 3.1.1, {tls}, {identity}");
    if settings.broker.insecure_remote {
        tracing::warn!(%address, "broker.insecure_remote is set: whoever reaches this address is not kept out, or can read along");
    }
    Ok(Bound(embedded))
}

/// A broker that clients can connect to. Dropping it ends it in the background.
pub struct Bound(Embedded);

impl Bound {
    /// The address it listens on: that of `broker.listen`, whose port 0 is a free one here.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Runs the broker until `stop` fires. When this returns, every client is disconnected and the port is free.
    ///
    /// # Errors
    /// If rumqttd ends by itself.
    pub async fn run(self, stop: Stop) -> Result<(), BrokerError> {
        let Self(mut embedded) = self;
        let ended = tokio::select! {
            () = stop.stopped() => Ok(()),
            error = embedded.ended() => Err(error),
        };
        let address = embedded.address();
        embedded.shutdown().await;
        tracing::info!(%address, "broker stopped");
        ended
    }
}

/// A panic ends its thread or task while the process lives on without it: better to end, so that whoever supervises the
/// process starts it again. For binaries: it sets the process's panic hook.
pub fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        // Not through the log, which may be what panicked.
        eprintln!(
            "the broker ends with code 1 because of this panic: start it again; nothing with a receipt is lost"
        );
        std::process::exit(i32::from(service::exit::FAILED));
    }));
}
