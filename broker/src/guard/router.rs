//! rumqttd's router, reached over links in this process, and what it must never be sent.
//!
//! - A wake-up for a connection that is gone ends it. Packets of a link are taken together, so a DISCONNECT can overtake a
//!   wake-up that was queued before it: [`Router::fence`] waits until the queue is behind it.
//! - An UNSUBSCRIBE behind a PUBLISH to the same filter that it takes together with it leaves half of the subscription, and a second one
//!   ends it: [`ToRouter::all_taken`] keeps them apart.
//! - It keeps something of each name it has ever seen, so links are called after slots, which are used again.

use std::sync::Arc;
use std::time::Duration;

use rumqttd::Notification;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet, PingReq};
use tokio::sync::Mutex;
use tokio::time::{interval, sleep};

/// How long a fence waits for its answer before it calls again, because the router may sleep although somebody is ready.
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
    fence: Arc<Mutex<Fence>>,
}

/// How it is seen that the router has worked through its queue.
struct Fence {
    /// Has one PINGREQ at a time on its way, so that its answer is that of the call in the queue that came with it.
    asked: (LinkTx, LinkRx),
    /// Whether that answer is outstanding: whoever asked may have been cancelled.
    outstanding: bool,
    /// Calls a router that sleeps. What it is answered is thrown away.
    caller: (LinkTx, LinkRx),
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
        let link = |name| build(name, true).map(|(to, from, _)| (to, from));
        let fence = Fence {
            asked: link("fence")?,
            outstanding: false,
            caller: link("caller")?,
        };
        Ok(Self {
            build: Arc::new(build),
            fence: Arc::new(Mutex::new(fence)),
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
        fence.answered().await?;
        fence.outstanding = true;
        ping(&mut fence.asked.0).await?;
        fence.answered().await
    }
}

impl Fence {
    /// Waits for the answer that is outstanding.
    async fn answered(&mut self) -> Result<(), Gone> {
        let mut call = interval(CALL);
        call.tick().await;
        while self.outstanding {
            tokio::select! {
                next = self.asked.1.next() => {
                    let packet = next.map_err(|_| Gone)?.and_then(Option::<Packet>::from);
                    self.outstanding = !matches!(packet, Some(Packet::PingResp(_)));
                }
                next = self.caller.1.next() => drop(next.map_err(|_| Gone)?),
                _ = call.tick() => ping(&mut self.caller.0).await?,
            }
        }
        Ok(())
    }
}

async fn ping(link: &mut LinkTx) -> Result<(), Gone> {
    let sent = link.send(Packet::PingReq(PingReq)).await;
    sent.map(drop).map_err(|_| Gone)
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

    /// Waits until the router has taken everything from here.
    pub(super) async fn all_taken(&self) {
        while !self.link.buffer().is_empty() {
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

#[cfg(test)]
mod tests {
    use rumqttd::protocol::{Filter, Publish, QoS, RetainForwardRule, Subscribe};
    use service::Settings;

    use super::*;

    const NAMES: usize = 4_000;

    /// Filters that the router compares each new topic with.
    fn filters() -> Packet {
        let filters = (0..NAMES).map(|number| Filter {
            path: format!("a/+/{number}"),
            qos: QoS::AtMostOnce,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: RetainForwardRule::Never,
        });
        let filters = filters.collect();
        Packet::Subscribe(Subscribe { pkid: 1, filters }, None)
    }

    /// A message with a topic of its own.
    fn message(number: usize) -> Packet {
        let topic = format!("a/{number}/x");
        Packet::Publish(Publish::new(topic, String::new(), false), None)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_fence_that_had_to_call_leaves_no_answer_to_the_next() {
        let config = crate::sizing::router(&Settings::defaults());
        let router = tokio::task::spawn_blocking(move || Router::start(config));
        let router = router.await.unwrap().ok().unwrap();
        let mut busy = router.link("busy".to_owned(), true).await.ok().unwrap();
        busy.to.push(&mut vec![filters()], 0).await.unwrap();
        for round in 0..2 {
            busy.to.all_taken().await;
            let mut many = (0..NAMES).map(|it| message(round * NAMES + it)).collect();
            busy.to.push(&mut many, 0).await.unwrap();
            busy.to.all_taken().await;
            // The router needs many times `CALL` for those; this one waits in the queue behind them.
            busy.to.push(&mut vec![message(0)], 0).await.unwrap();
            router.fence().await.unwrap();
            assert!(busy.to.link.buffer().is_empty());
        }
    }
}
