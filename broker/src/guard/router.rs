//! rumqttd's router, reached over links in this process, and what it must never be sent.
//!
//! - A wake-up for a connection that is gone ends it. Packets of a link are taken together, so a DISCONNECT can overtake a
//!   wake-up that was queued before it: [`Router::fence`] waits until the queue is behind it.
//! - It keeps something of each name it has ever seen, so links are called after slots, which are used again.

use std::sync::Arc;
use std::time::Duration;

use rumqttd::Notification;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet, PingReq};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// How long a fence waits for its echo before it calls again, because the router may sleep although somebody is ready.
const CALL: Duration = Duration::from_millis(50);

/// How often it is looked for whether the router has taken what it was given.
const LOOK: Duration = Duration::from_millis(1);

type Built = Result<(LinkTx, LinkRx, Notification), Gone>;
type Build = Arc<dyn Fn(&str, bool) -> Built + Send + Sync>;

/// The router has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

#[derive(Clone)]
pub(super) struct Router {
    build: Build,
    fence: Arc<Mutex<(LinkTx, LinkRx)>>,
}

/// A connection to the router.
pub(super) struct Link {
    pub(super) to: ToRouter,
    pub(super) from: LinkRx,
    /// Whether the router had a session of that name.
    pub(super) present: bool,
}

/// The sending half of a link.
pub(super) struct ToRouter {
    link: LinkTx,
    /// Bytes pushed since the router last had taken everything.
    untaken: usize,
}

impl Router {
    /// Starts the router's thread and a link through which the others are watched.
    pub(super) fn start(config: rumqttd::RouterConfig) -> Result<Self, Gone> {
        let router = rumqttd::Router::new(0, config).spawn();
        let build = move |name: &str, clean| {
            let link = LinkBuilder::new(name, router.clone());
            let built = link.clean_session(clean).dynamic_filters(true).build();
            built.map_err(|_| Gone)
        };
        let (to, from, _) = build("fence", true)?;
        Ok(Self {
            build: Arc::new(build),
            fence: Arc::new(Mutex::new((to, from))),
        })
    }

    /// A link of its own, which nobody else's packets pass through. Waits for the router.
    pub(super) async fn link(&self, name: String, clean: bool) -> Result<Link, Gone> {
        let build = self.build.clone();
        let built = tokio::task::spawn_blocking(move || build(&name, clean));
        let (link, from, acknowledged) = match built.await {
            Ok(Ok(built)) => built,
            _ => return Err(Gone),
        };
        let acknowledged = Option::<Packet>::from(acknowledged);
        let present = matches!(acknowledged, Some(Packet::ConnAck(ack, _)) if ack.session_present);
        Ok(Link {
            to: ToRouter { link, untaken: 0 },
            from,
            present,
        })
    }

    /// Forgets a session that was kept.
    pub(super) async fn forget(&self, name: String) -> Result<(), Gone> {
        let mut link = self.link(name, true).await?;
        link.to.disconnect().await
    }

    /// Returns once the router has worked through everything that was queued before.
    pub(super) async fn fence(&self) -> Result<(), Gone> {
        let mut fence = self.fence.lock().await;
        let (to, from) = &mut *fence;
        loop {
            to.send(Packet::PingReq(PingReq)).await.map_err(|_| Gone)?;
            let echo = async {
                loop {
                    let next = from.next().await.map_err(|_| Gone)?;
                    let packet = next.and_then(Option::<Packet>::from);
                    if matches!(packet, Some(Packet::PingResp(_))) {
                        return Ok(());
                    }
                }
            };
            if let Ok(echo) = timeout(CALL, echo).await {
                return echo;
            }
        }
    }
}

impl ToRouter {
    /// Hands packets to the router, with one call for all of them. Their payloads have `bytes`.
    pub(super) async fn push(&mut self, batch: &mut Vec<Packet>, bytes: usize) -> Result<(), Gone> {
        let Some(last) = batch.pop() else {
            return Ok(());
        };
        {
            let mut waiting = self.link.buffer();
            let called = !waiting.is_empty();
            self.untaken = bytes + if called { self.untaken } else { 0 };
            waiting.extend(batch.drain(..));
            if called {
                // The call for what is there already is for this too.
                waiting.push_back(last);
                return Ok(());
            }
        }
        self.link.send(last).await.map(drop).map_err(|_| Gone)
    }

    /// Waits while the router has more than `bytes` in front of it from here.
    pub(super) async fn taken(&self, bytes: usize) {
        while self.untaken > bytes && !self.link.buffer().is_empty() {
            sleep(LOOK).await;
        }
    }

    pub(super) fn into_inner(self) -> LinkTx {
        self.link
    }

    /// The last packet of a link. Nothing may be sent over it, and nobody woken, afterwards.
    pub(super) async fn disconnect(&mut self) -> Result<(), Gone> {
        let reason_code = DisconnectReasonCode::NormalDisconnection;
        let disconnect = Packet::Disconnect(Disconnect { reason_code }, None);
        self.link.send(disconnect).await.map(drop).map_err(|_| Gone)
    }
}
