//! A gateway of the generator: it sends what is due, as receipts allow, and sends again what has none.
//!
//! It keeps the pace a real one keeps, by the same code ([`meter::pacing`]). What is due and not yet allowed waits here,
//! and its latency goes on counting, so the load is open-loop whatever the pipeline makes of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Result;
use meter::pacing::{Limits, Pace};
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Publisher, QoS};
use service::stop::{Stop, StopHandle};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use wire::{GatewayId, Receipt, Retry, SettlementOutcome, Status, Unverified};

use super::due::{Next, State};
use super::reports::Reports;
use super::step::Step;
use super::uplink::Uplink;

/// The shortest sleep: the timer is no finer.
const NAP: Duration = Duration::from_millis(1);

pub(crate) struct Gateways {
    shared: Arc<Shared>,
    step: watch::Sender<Option<Arc<Step>>>,
    /// The connections, by gateway.
    pub(crate) publishers: Vec<Publisher>,
    tasks: JoinSet<()>,
    stop: StopHandle,
}

struct Shared {
    settings: Settings,
    reports: Arc<RwLock<Reports>>,
    resent: AtomicU64,
    refused: AtomicU64,
}

struct Line {
    index: u32,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// A receipt came.
    receipt: Notify,
}

impl Gateways {
    pub(crate) fn connect(
        settings: &Settings,
        reports: &Arc<RwLock<Reports>>,
        generator: &Handle,
    ) -> Self {
        let _within = generator.enter();
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            reports: reports.clone(),
            resent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let (step, steps) = watch::channel(None);
        let (stop, stopped) = Stop::manual();
        let mut tasks = JoinSet::new();
        let mut publishers = Vec::new();
        let fleet = read(reports).fleet.clone();
        let topics = read(reports).topics.clone();
        for (index, id) in (0..).zip(&fleet.gateways) {
            let filter = vec![(topics.receipt(id), QoS::AtLeastOnce)];
            let stop = stopped.clone();
            let (publisher, inbox) = mqtt::connect(&settings.mqtt, id.as_ref(), filter, stop);
            let line = Arc::new(Line {
                index,
                shared: shared.clone(),
                state: Mutex::new(State {
                    origin: Instant::now(),
                    pace: Pace::new(Limits::of(&settings.meter)),
                    step: None,
                    again: VecDeque::new(),
                    later: VecDeque::new(),
                    next: 0,
                    room_since: Instant::now(),
                }),
                receipt: Notify::new(),
            });
            tasks.spawn(receive(line.clone(), inbox));
            tasks.spawn(send(line, id.clone(), steps.clone()));
            publishers.push(publisher);
        }
        Self {
            shared,
            step,
            publishers,
            tasks,
            stop,
        }
    }

    /// Sets all gateways to work on a step, whose clock starts now.
    pub(crate) fn begin(&self, step: &Arc<Step>) {
        self.shared.resent.store(0, Ordering::Relaxed);
        self.shared.refused.store(0, Ordering::Relaxed);
        step.start();
        self.step.send_replace(Some(step.clone()));
    }

    pub(crate) fn counts(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.shared.resent), of(&self.shared.refused))
    }

    pub(crate) async fn stop(mut self) {
        self.stop.stop();
        self.tasks.shutdown().await;
    }
}

/// A step, and of reports of it that are sent the first time the number, and from when on the pace allowed them.
type New = (Arc<Step>, Vec<(u64, Instant)>);

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is due and allowed, or waits for more. `false` once there are no more steps.
    async fn send_due(
        &self,
        uplink: &mut Uplink,
        steps: &mut watch::Receiver<Option<Arc<Step>>>,
    ) -> Result<bool> {
        if steps.has_changed().unwrap_or(false) {
            let mut state = self.lock();
            state.step = steps.borrow_and_update().clone();
            state.next = 0;
            state.room_since = Instant::now();
        }
        let (new, wait) = self.collect(uplink)?;
        uplink.send().await?;
        if let Some((step, numbers)) = new {
            for (number, allowed) in numbers {
                step.sent(number, allowed);
            }
        }
        let Some(until) = wait else {
            return Ok(true);
        };
        let nap = async {
            match until {
                Some(until) => {
                    tokio::time::sleep_until(until.max(Instant::now() + NAP).into()).await
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = nap => {}
            () = self.receipt.notified() => {}
            changed = steps.changed() => match changed {
                Ok(()) => steps.mark_changed(),
                Err(_) => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Adds what is due and allowed to what is sent next. Returns the reports of the step among them, each with the time from which on
    /// it was allowed, and until when to wait if that is all.
    fn collect(&self, uplink: &mut Uplink) -> Result<(Option<New>, Option<Option<Instant>>)> {
        let reports = read(&self.shared.reports);
        let mut state = self.lock();
        let step = state.step.clone();
        let mut numbers = Vec::new();
        let mut wait = None;
        while !uplink.is_full() {
            match state.next(self.index, &reports) {
                Next::Wait(until) => {
                    wait = Some(until);
                    break;
                }
                Next::Send { row, again } => {
                    let message = reports.message(row)?;
                    state.sent(row, message.len(), again);
                    uplink.add(message);
                    if again {
                        self.shared.resent.fetch_add(1, Ordering::Relaxed);
                    } else {
                        numbers.push((state.next, state.room_since));
                        state.next += 1;
                    }
                }
            }
        }
        Ok((step.map(|step| (step, numbers)), wait))
    }

    fn settle(&self, topic: &str, payload: &bytes::Bytes) {
        let settings = &self.shared.settings;
        let reports = read(&self.shared.reports);
        let opened = wire::decode_shared(payload, settings.mqtt.max_packet_bytes).and_then(
            |unverified: Unverified<Receipt>| {
                let from = &unverified.claimed().analytics;
                let key = reports.held.plan.service_key(from).copied();
                let key = key.unwrap_or(wire::VerifyingKey::from_bytes([0; 32]));
                unverified.verify(&settings.deployment.id, topic, &key)
            },
        );
        let Ok(opened) = opened else { return };
        let retry_ms = settings.meter.retry_min.as_millis() as u64;
        let mut state = self.lock();
        let had_room = state.pace.has_room(reports.bytes());
        let now_ms = state.now_ms();
        for entry in opened.message.entries {
            let Some(row) = reports.fleet.row(&entry.meter, entry.window) else {
                continue;
            };
            state.pace.receipt(&row, now_ms);
            let number = state.step.as_ref().and_then(|step| step.number(row));
            match (number, &state.step, entry.status) {
                (Some(n), Some(step), Status::Folded | Status::Duplicate) => step.settle(n),
                (_, _, Status::Rejected(reason)) => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    if reason.retry() == Retry::AsItIs {
                        state.later.push_back((now_ms + retry_ms, row));
                    }
                }
                _ => {}
            }
        }
        // A sum that the operator could not open, and reports that are wanted again: neither is in an honest run.
        let settlements = opened.message.settlements.iter();
        let failed = settlements.filter(|of| of.outcome != SettlementOutcome::Released);
        self.shared
            .refused
            .fetch_add(failed.count() as u64, Ordering::Relaxed);
        if !had_room {
            state.room_since = Instant::now();
        }
        drop(state);
        self.receipt.notify_one();
    }
}

async fn send(line: Arc<Line>, id: GatewayId, mut steps: watch::Receiver<Option<Arc<Step>>>) {
    let address = &line.shared.settings.mqtt.address;
    let sent = async {
        // Not one of those names under which gateways ask for their meters.
        let mut uplink = Uplink::connect(address, &format!("reports-of-{id}")).await?;
        while line.send_due(&mut uplink, &mut steps).await? {}
        anyhow::Ok(())
    };
    if let Err(error) = sent.await {
        tracing::error!("the generator ends: {error:#}");
    }
}

async fn receive(line: Arc<Line>, mut inbox: Inbox) {
    while let Some(event) = inbox.recv().await {
        if let Event::Message(incoming) = event {
            line.settle(&incoming.topic, &incoming.payload);
            inbox.ack(&incoming);
        }
    }
}

/// The lock is only written between steps.
pub(super) fn read(reports: &RwLock<Reports>) -> std::sync::RwLockReadGuard<'_, Reports> {
    reports.read().unwrap_or_else(PoisonError::into_inner)
}
