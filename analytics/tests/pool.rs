//! Processes of a pool on one broker and one store: one is cut off, or cannot work, and others go on for it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use analytics::AnalyticsError;
use analytics::ownership::{Leases, Member, MemoryLeases, SharedMemory, Terms};
use analytics::store::{Lease, Store as _, StoreError, SumKey};
use common::scene::{Scene, WINDOW, within};
use service::config::Settings;
use service::{Stop, StopHandle, SystemClock};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use wire::{AnalyticsId, FeederId, Part, PoolEntry, Status};

mod common;

const NAMES: [&str; 2] = ["analytics-1", "analytics-2"];
const SHARDS: u16 = 2;
const TTL: Duration = Duration::from_secs(10);

/// Leases that a process can be cut off from.
struct Cut {
    leases: MemoryLeases,
    is_cut: Arc<AtomicBool>,
    turns: Arc<Mutex<Turns>>,
}

/// What the turns of a process came to.
#[derive(Default)]
struct Turns {
    held: usize,
    /// How many turns it has held so many.
    for_turns: usize,
}

impl Leases for Cut {
    fn turn(&mut self, terms: &Terms) -> Result<Vec<Lease>, StoreError> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(StoreError::Io {
                operation: "reach",
                path: "cut off".into(),
                source: std::io::ErrorKind::TimedOut.into(),
            });
        }
        let held = self.leases.turn(terms)?;
        let mut turns = self.turns.lock().unwrap();
        turns.for_turns = match turns.held == held.len() {
            true => turns.for_turns + 1,
            false => 1,
        };
        turns.held = held.len();
        Ok(held)
    }

    fn give_up(&mut self) -> Result<(), StoreError> {
        self.leases.give_up()
    }
}

/// The way of a process to the broker, for as long as the task runs.
async fn line(listener: TcpListener, broker: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            let mut broker = TcpStream::connect(broker).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut broker).await;
        });
    }
}

struct Process {
    is_cut: Arc<AtomicBool>,
    turns: Arc<Mutex<Turns>>,
    address: SocketAddr,
    line: JoinHandle<()>,
    stop: StopHandle,
    running: JoinHandle<Result<(), AnalyticsError>>,
}

impl Process {
    async fn stop(self) {
        self.stop.stop();
        within(self.running).await.unwrap().unwrap();
    }

    /// Waits until it has held so many shards in ten turns one after another.
    async fn until_it_holds(&self, shards: usize) {
        within(async {
            loop {
                let (held, for_turns) = {
                    let turns = self.turns.lock().unwrap();
                    (turns.held, turns.for_turns)
                };
                if held == shards && for_turns >= 10 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

struct Pool {
    scene: Scene,
    shared: SharedMemory,
    runs: AtomicUsize,
    /// Who has answered for each meter.
    answered: BTreeMap<String, BTreeSet<AnalyticsId>>,
}

impl Pool {
    async fn begin(ttl: Duration) -> Self {
        let mut settings = Settings::defaults();
        settings.analytics.pool = Some("north".parse().unwrap());
        settings.analytics.lease_ttl = ttl;
        settings.analytics.lease_renew = Duration::from_millis(20);
        let scene = Scene::begin(settings).await;
        let mut plan = scene.plan();
        plan.shards = SHARDS;
        plan.analytics.clear();
        let member = |name: &&str| PoolEntry {
            pool: "north".parse().unwrap(),
            analytics: name.parse().unwrap(),
            key: scene.identity(name).verifying_key(),
        };
        plan.pool = NAMES.iter().map(member).collect();
        scene.announce(&plan).await;
        scene.announce_roster(1, 20).await;
        Self {
            scene,
            shared: SharedMemory::default(),
            runs: AtomicUsize::new(0),
            answered: BTreeMap::new(),
        }
    }

    async fn process(&self, name: &str) -> Process {
        let mut settings = self.scene.settings.clone();
        settings.analytics.id = name.parse().unwrap();
        let broker = settings.mqtt.address.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        settings.mqtt.address = address.to_string();
        settings.mqtt.backoff_max = Duration::from_millis(50);
        let (is_cut, turns) = (Arc::<AtomicBool>::default(), Arc::default());
        let member = Member {
            id: settings.analytics.id.clone(),
            run: self.runs.fetch_add(1, Ordering::SeqCst) as u64,
        };
        let leases = Box::new(Cut {
            leases: self.shared.leases(member),
            is_cut: is_cut.clone(),
            turns: Arc::clone(&turns),
        });
        let store = self.shared.store();
        let (stop, stopped) = Stop::manual();
        let clock = SystemClock::shared();
        let running = tokio::spawn(async move {
            analytics::run_sharing(&settings, clock, stopped, None, (store, leases)).await
        });
        Process {
            is_cut,
            turns,
            address,
            line: tokio::spawn(line(listener, broker)),
            stop,
            running,
        }
    }

    /// Sends a report until it is answered, as a gateway does; says by whom, and how.
    async fn until_answered(&mut self, meter: u32) -> (AnalyticsId, Status) {
        let name = format!("meter-{meter}");
        loop {
            self.scene.send(meter, SHARDS).await;
            let wait = Duration::from_millis(200);
            while let Ok(receipt) = tokio::time::timeout(wait, self.scene.receipt()).await {
                let mut answer = None;
                for entry in &receipt.entries {
                    let by = self.answered.entry(entry.meter.to_string()).or_default();
                    by.insert(receipt.analytics.clone());
                    if entry.meter.as_str() == name {
                        answer = Some(entry.status);
                    }
                }
                if let Some(status) = answer {
                    assert!(matches!(status, Status::Folded | Status::Duplicate));
                    return (receipt.analytics, status);
                }
            }
        }
    }

    /// How many meters are in the sum of the window, as its row says, and as the contributors are.
    fn counted(&self) -> [usize; 2] {
        let mut store = self.shared.store();
        let feeder: FeederId = "feeder-1".parse().unwrap();
        let mut contributors = 0;
        let each = &mut |_| contributors += 1;
        store.contributors(&feeder, WINDOW, each).unwrap();
        let key = SumKey {
            feeder,
            window: WINDOW,
            part: Part(0),
        };
        let row = store.sum(&key).unwrap().unwrap();
        [row.contributors as usize, contributors]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_is_stood_in_for_and_writes_nothing_more() {
    let mut pool = Pool::begin(TTL).await;
    let mut processes = vec![pool.process(NAMES[0]).await, pool.process(NAMES[1]).await];
    let (owner, _) = within(pool.until_answered(0)).await;
    let at = NAMES.iter().position(|name| owner.as_str() == *name);
    let at = at.unwrap();
    // Until it has ended, the lease is its owner's; it goes on without a turn, and beyond the end, too.
    processes[at].is_cut.store(true, Ordering::SeqCst);
    assert_eq!(within(pool.until_answered(1)).await.0, owner);
    pool.shared.advance(TTL);
    // Both hear the next report. The one that was cut off adds it, too, and finds at its commit that it is fenced.
    let mut meters = 2..;
    let other = within(async {
        loop {
            let (by, _) = pool.until_answered(meters.next().unwrap()).await;
            if by != owner {
                return by;
            }
        }
    })
    .await;
    // What the first one had counted is known to the other.
    let again = within(pool.until_answered(0)).await;
    assert_eq!(again, (other.clone(), Status::Duplicate));
    // What is sent from now on is the other's alone.
    let sent: Vec<u32> = meters.by_ref().take(4).collect();
    for meter in &sent {
        within(pool.until_answered(*meter)).await;
    }
    let known = *sent.last().unwrap() as usize + 1;
    assert_eq!(pool.counted(), [known; 2]);
    // It comes back, and has work again once the other stops.
    processes[at].is_cut.store(false, Ordering::SeqCst);
    processes.remove(1 - at).stop().await;
    let (again, _) = within(pool.until_answered(meters.next().unwrap())).await;
    assert_eq!(again, owner);
    for meter in sent {
        let by = &pool.answered[&format!("meter-{meter}")];
        assert_eq!(*by, BTreeSet::from([other.clone()]), "meter {meter}");
    }
    assert_eq!(pool.counted(), [known + 1; 2]);
    processes.remove(0).stop().await;
}

/// The clock of the leases stands: none of them ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_enrolled_or_without_the_broker_has_no_shards() {
    let mut pool = Pool::begin(Duration::from_millis(200)).await;
    // One that the plan does not have.
    let stranger = pool.process("analytics-3").await;
    within(pool.scene.until_asked()).await;
    let one = pool.process(NAMES[0]).await;
    one.until_it_holds(2).await;
    let mut other = pool.process(NAMES[1]).await;
    other.until_it_holds(1).await;
    one.until_it_holds(1).await;
    other.line.abort();
    one.until_it_holds(2).await;
    let listener = TcpListener::bind(other.address).await.unwrap();
    let broker = pool.scene.settings.mqtt.address.parse().unwrap();
    other.line = tokio::spawn(line(listener, broker));
    other.until_it_holds(1).await;
    one.until_it_holds(1).await;
    within(pool.until_answered(0)).await;
    for process in [stranger, one, other] {
        process.stop().await;
    }
}
