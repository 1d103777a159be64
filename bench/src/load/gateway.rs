//! A gateway of the generator: it sends what is due, as receipts allow, and sends again what has none.
//!
//! It keeps the pace a real one keeps, by the same code ([`meter::pacing`]). What is due and not yet allowed waits here,
//! and its latency goes on counting, so the load is open-loop whatever the pipeline makes of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use meter::pacing::{Limits, Pace};
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Publisher, QoS};
use service::stop::{Stop, StopHandle};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use wire::{Receipt, Retry, SettlementOutcome, Status, Unverified};

use super::due::{Next, State};
use super::reports::Reports;
use super::step::Step;

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
            tasks.spawn(send(line, publisher.clone(), steps.clone()));
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

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn send(
    line: Arc<Line>,
    publisher: Publisher,
    mut steps: watch::Receiver<Option<Arc<Step>>>,
) {
    loop {
        if steps.has_changed().unwrap_or(false) {
            let mut state = line.lock();
            state.step = steps.borrow_and_update().clone();
            state.next = 0;
            state.room_since = Instant::now();
        }
        let prepared = {
            let reports = read(&line.shared.reports);
            let mut state = line.lock();
            match state.next(line.index, &reports) {
                Next::Wait(until) => Err(until),
                Next::Send { row, again } => {
                    Ok((row, again, state.room_since, reports.message(row)))
                }
            }
        };
        match prepared {
            Ok((row, again, allowed, message)) => {
                let (topic, payload) = match message {
                    Ok(message) => message,
                    Err(error) => return tracing::error!("the generator ends: {error:#}"),
                };
                let bytes = payload.len();
                // Before it leaves: its receipt may be here before this task goes on.
                line.lock().sent(row, bytes, again);
                if publisher.publish(topic, payload, false).await.is_err() {
                    return;
                }
                let mut state = line.lock();
                if again {
                    line.shared.resent.fetch_add(1, Ordering::Relaxed);
                } else if let Some(step) = state.step.clone() {
                    step.sent(state.next, allowed);
                    state.next += 1;
                }
            }
            Err(until) => {
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
                    () = line.receipt.notified() => {}
                    changed = steps.changed() => if changed.is_err() { return } else { steps.mark_changed() },
                }
            }
        }
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
