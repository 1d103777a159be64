//! The guard: the only thing that speaks MQTT. rumqttd is the router behind it, in the same process.
//!
//! ```text
//! accept → permits → TLS (in the task) → CONNECT → identity → session slot
//!    reader: check → rules → ledger → link          writer: link → vectored write
//! ```
//!
//! rumqttd's own listener can be ended by one packet of anybody; so can its router, by packets that its parser lets pass and by
//! sessions that end at the wrong moment. What the router is never sent, and in which order, is the work of these files:
//!
//! - `accept`, `caps`: the loop that accepts, and how many may come · `connect`: TLS, CONNECT, who it is.
//! - `packet`, `fields`: what a client may send · `encode`: what it is sent.
//! - `slots`: one connection a client id, and sessions that are kept · `session`, `wills`: a connection from its slot to its end.
//! - `reader`, `messages`, `filters`, `writer`, `granted`: its two halves · `lane`, `deliveries`: what they share.
//! - `ledger`, `required`, `turns`: messages wait for subscribers that they must reach, and for others that came before.
//! - `retained`, `names`: what is kept, and how much · `router`: the links to rumqttd.
//! - `identity`, `rules`, `tls`: who may do what · `standing`: whether who was let in would still be.

mod accept;
pub(crate) mod access;
mod caps;
mod connect;
mod deliveries;
mod encode;
mod end;
mod ends;
mod fields;
mod filters;
mod granted;
pub(crate) mod identity;
mod lane;
mod ledger;
mod members;
mod messages;
mod metrics;
mod names;
pub(crate) mod packet;
mod passwords;
mod quiet;
mod reader;
mod required;
mod retained;
mod router;
mod rules;
mod session;
mod slots;
mod standing;
pub(crate) mod tls;
mod turns;
mod wills;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use service::Settings;
use service::config::Broker;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use self::access::Access;
use self::caps::Caps;
use self::end::End;
use self::ends::Ends;
use self::ledger::Ledger;
use self::names::Names;
use self::quiet::Quiet;
use self::retained::Retained;
use self::router::Router;
use self::slots::Slots;

/// How often sessions are looked through for those whose clients are away for too long.
const SWEEP: Duration = Duration::from_secs(60);

/// How often a guard that stops looks whether its clients are gone.
const LOOK: Duration = Duration::from_millis(5);

/// A connection to a client.
type Stream = Box<dyn Connected>;

trait Connected: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connected for T {}

/// What all connections share.
pub(crate) struct Guard {
    limits: Broker,
    access: Access,
    caps: Caps,
    slots: Slots,
    names: Names,
    retained: Retained,
    ledger: Ledger,
    router: Router,
    traffic: metrics::Traffic,
    quiet: Quiet,
    ends: Ends,
    stop: watch::Sender<bool>,
}

/// The router has ended while the guard was made.
pub(crate) struct RouterGone;

impl Guard {
    /// Starts a router and makes a guard in front of it.
    pub(crate) async fn start(
        settings: &Settings,
        access: Access,
        config: rumqttd::RouterConfig,
    ) -> Result<Arc<Self>, RouterGone> {
        let limits = settings.broker.clone();
        let log = limits.segment_bytes as u64 * (limits.segment_count as u64 - 1);
        // Building the first link waits for the router's answer.
        let router = tokio::task::spawn_blocking(move || Router::start(config));
        let Ok(Ok(router)) = router.await else {
            return Err(RouterGone);
        };
        ends::describe();
        Ok(Arc::new(Self {
            access,
            caps: Caps::new(&limits),
            slots: Slots::new(
                (limits.max_sessions, limits.max_sessions_per_identity),
                limits.session_expiry,
            ),
            names: Names::new(&limits),
            retained: Retained::new(limits.max_retained, limits.max_retained_bytes),
            ledger: Ledger::new(log, limits.required_grace),
            router,
            traffic: metrics::describe(),
            quiet: Quiet::default(),
            ends: Ends::default(),
            stop: watch::Sender::new(false),
            limits,
        }))
    }

    /// Accepts clients until [`Guard::stop`].
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let sweep = self.clone().sweep();
        tokio::select! {
            () = accept::run(self, listener) => {}
            () = sweep => {}
        }
    }

    /// A link to the router for whoever probes it.
    pub(crate) async fn link(&self, name: &str) -> Result<crate::probe::Link, RouterGone> {
        let link = self.router.link(name.to_owned(), true).await;
        link.map_err(|_| RouterGone)
            .map(|link| (link.to.into_inner(), link.from))
    }

    /// Takes leave of all clients and returns once they are gone, or after `patience`.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.stop.send_replace(true);
        let end = Instant::now() + patience;
        while self.caps.connected() > 0 && Instant::now() < end {
            sleep(LOOK).await;
        }
    }

    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The guard has the sender, so this cannot fail.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    async fn sweep(self: Arc<Self>) {
        loop {
            sleep(SWEEP).await;
            for claim in self.slots.expired(Instant::now()) {
                if self.router.forget(claim.router_name()).await.is_err() {
                    return;
                }
                self.ledger.leave(claim.client_id(), None);
                self.slots.release(claim, false);
            }
        }
    }

    /// Counts and logs the end of a connection.
    fn ended(&self, peer: SocketAddr, end: &End) {
        match end.reason() {
            Some(reason) => {
                metrics::refused(reason);
                if self.quiet.passes() {
                    tracing::warn!(%peer, reason, "a connection is refused: {end}");
                }
            }
            None => tracing::debug!(%peer, "a connection ends: {end}"),
        }
    }

    /// What the rules learn from a message that may be published.
    fn learn(&self, topic: &str, payload: &[u8]) {
        self.access.learn(topic, payload);
    }
}
