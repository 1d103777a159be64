//! What privacy costs: the same small pipeline with and without encryption, in turns.
//!
//! Meters, broker, an aggregator with a durable store and receipts, and a total at the end: everything is the same code
//! for both but what is in a report and how two reports are added. It is smaller than the services: what those add (the
//! gateway's journal, plan, roster, releases) would be the same with and without encryption, and would only dilute the
//! ratio. Readings are signed and integers, so the plaintext sum is exact.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use openfhe::secret::{self, SecretKey};
use openfhe::{Context, PublicKey};
use packed::layout::{self, Layout};
use packed::{ADDITIVE, Accumulator, noise};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use redb::{Database, TableDefinition};
use rustix::time::{ClockId, clock_gettime};
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Incoming, Publisher, QoS};
use service::stop::Stop;
use tokio::sync::{mpsc, oneshot};
use wire::{
    AnalyticsId, Awaiting, FeederId, GatewayId, MeterId, Receipt, ReceiptEntry, Report, Sequence,
    SigningKey, Status, Topics, UnixMillis, VerifyingKey, WindowStart,
};

use super::Interrupted;
use crate::ratio::Spread;
use crate::resources::thread_time;
use crate::results::schema::{
    PathCost, Plaintext, PlaintextOverhead, PlaintextRound, PlaintextWork,
};

/// Readings are below this, in watt-hours: a power of two, as a feeder's reference is.
const REFERENCE_WH: u64 = 4_096;
/// Reports in one commit, and how long one waits for others: what analytics does by default.
const COMMIT_REPORTS: usize = 256;
const COMMIT_DELAY: Duration = Duration::from_millis(20);
/// Longest turn.
const LIMIT: Duration = Duration::from_secs(60);
const CONTRIBUTORS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("contributors");
const SUMS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("sums");

/// How readings travel.
#[derive(Clone)]
enum Form {
    /// As 64-bit integers.
    Plain,
    /// As a ciphertext.
    Encrypted(Arc<Keys>),
}

struct Keys {
    context: Context,
    secret: SecretKey,
    public: PublicKey,
}

/// A sum of reports in either form.
enum Sum {
    Plain(Vec<i64>),
    Encrypted(Box<Accumulator>),
}

/// The work and who does it.
struct Fleet {
    work: PlaintextWork,
    gateway: GatewayId,
    topics: Topics,
    deployment: wire::DeploymentId,
    meters: Vec<(MeterId, FeederId, SigningKey, VerifyingKey)>,
    readings_wh: Vec<Vec<i64>>,
}

/// When a feeder's window was last reported, by the sealing thread.
type Sealed = Arc<Mutex<BTreeMap<(FeederId, WindowStart), Instant>>>;

/// Runs both pipelines in turns.
///
/// # Errors
/// Where a turn comes to no end, or is interrupted.
pub async fn run(
    base: &Settings,
    rounds: u32,
    quick: bool,
    seed: u64,
    stop: &Stop,
) -> Result<Plaintext> {
    let work = PlaintextWork {
        meters: 100,
        feeders: 4,
        batch: 96,
        windows: if quick { 3 } else { 10 },
    };
    let fleet = Arc::new(Fleet::new(base, work, seed)?);
    let context = Context::new(&ADDITIVE)?;
    let (secret, public) = secret::generate(&context)?;
    let encrypted = Form::Encrypted(Arc::new(Keys {
        context,
        secret,
        public,
    }));
    let (mut turns, mut correct) = (Vec::new(), true);
    for _ in 0..rounds {
        let (encrypted, right) = turn(base, &fleet, encrypted.clone(), stop).await?;
        let (plaintext, also) = turn(base, &fleet, Form::Plain, stop).await?;
        correct &= right && also;
        turns.push(PlaintextRound {
            encrypted,
            plaintext,
        });
    }
    Ok(Plaintext {
        shares: [
            "the broker and the MQTT client",
            "CBOR, COSE_Sign1 with Ed25519 and SHA-256",
            "verification in batches, one report a meter and window, a durable commit of contributors and sums",
            "signed receipts after the commit",
            "every total compared with the truth",
        ]
        .map(str::to_owned)
        .to_vec(),
        differs: [
            "encrypted: encoding, encryption and packing, adding ciphertexts, decrypting each sum",
            "plaintext: 64-bit integers, added as they are; whoever runs the aggregator reads every household",
            "in neither: the gateway's journal, plan and roster, releases between analytics and operator",
        ]
        .map(str::to_owned)
        .to_vec(),
        work,
        correct,
        overhead: overhead(&turns).context("no round of the plaintext comparison")?,
        rounds: turns,
    })
}

fn overhead(turns: &[PlaintextRound]) -> Option<PlaintextOverhead> {
    let ratio = |of: fn(&PathCost) -> f64| {
        let ratios: Vec<f64> = turns
            .iter()
            .map(|turn| of(&turn.encrypted) / of(&turn.plaintext))
            .collect();
        Spread::of(&ratios)
    };
    Some(PlaintextOverhead {
        bytes_per_report: ratio(|cost| cost.bytes_per_report)?,
        cpu_us_per_report: ratio(|cost| cost.cpu_us_per_report)?,
        seal_us: ratio(|cost| cost.seal_us)?,
        wall_s: ratio(|cost| cost.wall_s)?,
        end_to_end_s: ratio(|cost| cost.end_to_end_s)?,
    })
}

impl Fleet {
    fn new(base: &Settings, work: PlaintextWork, seed: u64) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let meters = (0..work.meters as usize).map(|index| {
            let key = SigningKey::generate();
            let public = key.verifying_key();
            Ok((
                format!("meter-{index}").parse()?,
                meter::fleet::feeder_of(index, work.feeders),
                key,
                public,
            ))
        });
        Ok(Self {
            meters: meters.collect::<Result<_>>()?,
            readings_wh: (0..u64::from(work.meters) * u64::from(work.windows))
                .map(|_| {
                    (0..work.batch)
                        .map(|_| random.random_range(0..REFERENCE_WH as i64))
                        .collect()
                })
                .collect(),
            work,
            gateway: "plain-gateway".parse()?,
            topics: Topics::new(&base.deployment.root)?,
            deployment: base.deployment.id.clone(),
        })
    }

    fn reports(&self) -> usize {
        self.readings_wh.len()
    }

    /// The meter and the window of report `n`.
    fn slot(&self, n: usize) -> (usize, WindowStart) {
        let window = (n / self.meters.len()) as u64 * u64::from(self.work.batch) * 900;
        (n % self.meters.len(), WindowStart(window))
    }

    /// The sealed report `n`, and its topic.
    fn seal(&self, n: usize, form: &Form) -> Result<(String, Vec<u8>)> {
        let (index, window) = self.slot(n);
        let (meter, feeder, key, _) = &self.meters[index];
        let readings = &self.readings_wh[n];
        let limbs = match form {
            Form::Plain => readings.iter().flat_map(|wh| wh.to_le_bytes()).collect(),
            Form::Encrypted(keys) => {
                let slots = layout::encode(Layout::Profile, readings, REFERENCE_WH)?;
                keys.context.encrypt(&keys.public, &slots)?
            }
        };
        let report = Report {
            plan_version: wire::PlanVersion(1),
            epoch: wire::KeyEpoch(1),
            feeder: feeder.clone(),
            meter: meter.clone(),
            gateway: self.gateway.clone(),
            window,
            sequence: Sequence(n as u64),
            sealed_at: UnixMillis(0),
            clamped: 0,
            missing: 0,
        };
        let topic = self.topics.report(feeder, meter);
        let (payload, _) = wire::seal(&report, Some(&limbs), &self.deployment, &topic, key);
        Ok((topic, payload))
    }
}

impl Form {
    fn empty(&self, batch: u16) -> Sum {
        match self {
            Self::Plain => Sum::Plain(vec![0; batch.into()]),
            Self::Encrypted(_) => Sum::Encrypted(Box::new(Accumulator::new(&ADDITIVE))),
        }
    }

    /// The energies of a sum, and how far they may be off.
    fn open(&self, sum: &Sum) -> Result<(Vec<f64>, f64)> {
        match (self, sum) {
            (Self::Encrypted(keys), Sum::Encrypted(sum)) => {
                let slots = keys.secret.decrypt(&sum.to_packed())?;
                let reference = REFERENCE_WH as f64;
                let bound = noise::bound(&ADDITIVE, sum.contributors()) * reference;
                Ok((slots.iter().map(|slot| slot * reference).collect(), bound))
            }
            (_, Sum::Plain(sum)) => Ok((sum.iter().map(|&wh| wh as f64).collect(), 0.0)),
            (Self::Plain, Sum::Encrypted(_)) => bail!("a ciphertext in a plaintext pipeline"),
        }
    }
}

impl Sum {
    fn add(&mut self, limbs: &[u8]) -> Result<()> {
        match self {
            Self::Encrypted(sum) => sum.add(limbs)?,
            Self::Plain(sum) => {
                let (values, rest) = limbs.as_chunks::<8>();
                ensure!(
                    rest.is_empty() && values.len() == sum.len(),
                    "{} bytes for {} readings",
                    limbs.len(),
                    sum.len()
                );
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += i64::from_le_bytes(*value);
                }
            }
        }
        Ok(())
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Plain(sum) => sum.iter().flat_map(|wh| wh.to_le_bytes()).collect(),
            Self::Encrypted(sum) => sum.to_packed(),
        }
    }
}

/// One pipeline from its first report to its last total; whether all of them are right.
async fn turn(
    base: &Settings,
    fleet: &Arc<Fleet>,
    form: Form,
    stop: &Stop,
) -> Result<(PathCost, bool)> {
    let folder = tempfile::Builder::new().prefix("cipherwatt-").tempdir()?;
    let (handle, stopped) = Stop::manual();
    let mut settings = base.clone();
    settings.broker.listen = "127.0.0.1:0".parse()?;
    let (ready, bound) = oneshot::channel();
    let broker = {
        let (settings, stop) = (settings.clone(), stopped.clone());
        tokio::spawn(async move { broker::run(&settings, stop, ready).await })
    };
    settings.mqtt.address = bound.await.context("the broker ended")?.to_string();
    let subscribe = |id: &str, filter| {
        mqtt::connect(
            &settings.mqtt,
            id,
            vec![(filter, QoS::AtLeastOnce)],
            stopped.clone(),
        )
    };
    let mut server = Server {
        fleet: fleet.clone(),
        form: form.clone(),
        database: open(folder.path())?,
        key: SigningKey::generate(),
        sums: BTreeMap::new(),
        seen: BTreeSet::new(),
        link: subscribe("plain-analytics", fleet.topics.report_filter()),
        max_packet_bytes: settings.mqtt.max_packet_bytes,
    };
    let mut gateway = subscribe("plain-gateway", fleet.topics.receipt(&fleet.gateway));
    // A report that is published before the aggregator has subscribed reaches nobody.
    connected(&mut server.link.1).await?;
    connected(&mut gateway.1).await?;
    let sealed: Sealed = Arc::default();
    let (began, cpu) = (Instant::now(), process_time());
    let ended = tokio::select! {
        () = stop.stopped() => Err(Interrupted.into()),
        ended = tokio::time::timeout(LIMIT, async {
            tokio::try_join!(send(fleet, form, &gateway.0, &sealed), receipts(fleet, &mut gateway.1), server.run(&sealed))
        }) => ended.context("the plaintext comparison came to no end").flatten(),
    };
    let (wall, cpu) = (began.elapsed(), process_time().saturating_sub(cpu));
    handle.stop();
    drop((gateway, server.link));
    broker.await??;
    let ((bytes, sealing), (), totals) = ended?;
    let reports = fleet.reports() as f64;
    let cost = PathCost {
        bytes_per_report: bytes as f64 / reports,
        cpu_us_per_report: cpu.as_secs_f64() * 1e6 / reports,
        seal_us: sealing.as_secs_f64() * 1e6 / reports,
        wall_s: wall.as_secs_f64(),
        end_to_end_s: Spread::of(&totals.end_to_end_s).context("no total")?.median,
    };
    Ok((cost, totals.right))
}

async fn connected(inbox: &mut Inbox) -> Result<()> {
    loop {
        match inbox.recv().await {
            Some(Event::Connected) => return Ok(()),
            Some(_) => {}
            None => bail!("no connection to the broker"),
        }
    }
}

fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn open(folder: &Path) -> Result<Database> {
    let database = Database::create(folder.join("sums.redb"))?;
    let changes = database.begin_write()?;
    changes.open_table(CONTRIBUTORS)?;
    changes.open_table(SUMS)?;
    changes.commit()?;
    Ok(database)
}

/// Seals on a thread of its own and publishes. Returns the bytes and the processor time that sealing took.
async fn send(
    fleet: &Arc<Fleet>,
    form: Form,
    publisher: &Publisher,
    times: &Sealed,
) -> Result<(usize, Duration)> {
    let (sender, mut reports) = mpsc::channel(16);
    let (fleet, times) = (fleet.clone(), times.clone());
    let sealing = tokio::task::spawn_blocking(move || -> Result<Duration> {
        let before = thread_time();
        for n in 0..fleet.reports() {
            let report = fleet.seal(n, &form)?;
            let (index, window) = fleet.slot(n);
            if let Ok(mut times) = times.lock() {
                times.insert((fleet.meters[index].1.clone(), window), Instant::now());
            }
            if sender.blocking_send(report).is_err() {
                break;
            }
        }
        Ok(thread_time().saturating_sub(before))
    });
    let mut bytes = 0;
    while let Some((topic, payload)) = reports.recv().await {
        bytes += payload.len();
        publisher.publish(topic, payload, false).await?;
    }
    Ok((bytes, sealing.await??))
}

/// Waits until every report has a receipt.
async fn receipts(fleet: &Fleet, inbox: &mut Inbox) -> Result<()> {
    let mut open = fleet.reports();
    while open > 0 {
        if let Event::Message(incoming) = inbox.recv().await.context("the connection ended")? {
            let receipt = wire::decode_shared::<Receipt>(&incoming.payload, 1 << 20)?;
            open = open.saturating_sub(receipt.claimed().entries.len());
            inbox.ack(&incoming);
        }
    }
    Ok(())
}

/// What is known of the totals.
struct Totals {
    end_to_end_s: Vec<f64>,
    right: bool,
}

/// The aggregator.
struct Server {
    fleet: Arc<Fleet>,
    form: Form,
    database: Database,
    key: SigningKey,
    sums: BTreeMap<(FeederId, WindowStart), (u32, Sum)>,
    seen: BTreeSet<(MeterId, WindowStart)>,
    link: (Publisher, Inbox),
    max_packet_bytes: usize,
}

impl Server {
    async fn run(&mut self, sealed: &Sealed) -> Result<Totals> {
        let mut totals = Totals {
            end_to_end_s: Vec::new(),
            right: true,
        };
        while self.seen.len() < self.fleet.reports() {
            let batch = self.collect().await?;
            let changed = self.take(batch).await?;
            for key in changed {
                let Some((count, sum)) = self.sums.get(&key) else {
                    continue;
                };
                let members = self
                    .fleet
                    .meters
                    .iter()
                    .filter(|meter| meter.1 == key.0)
                    .count();
                if *count as usize == members {
                    totals.right &= self.is_right(&key, sum)?;
                    let newest = sealed
                        .lock()
                        .ok()
                        .and_then(|sealed| sealed.get(&key).copied());
                    totals
                        .end_to_end_s
                        .extend(newest.map(|newest| newest.elapsed().as_secs_f64()));
                }
            }
        }
        totals.right &= totals.end_to_end_s.len() == self.sums.len();
        Ok(totals)
    }

    /// Reports that are committed together.
    async fn collect(&mut self) -> Result<Vec<Incoming>> {
        let mut batch = Vec::new();
        let mut until = None;
        while batch.len() < COMMIT_REPORTS {
            let event = match until {
                None => self.link.1.recv().await,
                Some(until) => match tokio::time::timeout_at(until, self.link.1.recv()).await {
                    Ok(event) => event,
                    Err(_) => break,
                },
            };
            if let Event::Message(incoming) = event.context("the connection ended")? {
                self.link.1.ack(&incoming);
                until.get_or_insert_with(|| tokio::time::Instant::now() + COMMIT_DELAY);
                batch.push(incoming);
            }
        }
        Ok(batch)
    }

    /// Verifies, adds, commits and answers. Returns the sums that changed.
    async fn take(&mut self, batch: Vec<Incoming>) -> Result<BTreeSet<(FeederId, WindowStart)>> {
        let mut awaiting = Vec::new();
        for incoming in &batch {
            let unverified =
                wire::decode_shared::<Report>(&incoming.payload, self.max_packet_bytes)?;
            let claimed = &unverified.claimed().meter;
            let member = self
                .fleet
                .meters
                .iter()
                .find(|member| member.0 == *claimed)
                .context("a stranger")?;
            awaiting.push(Awaiting {
                unverified,
                topic: &incoming.topic,
                key: &member.3,
            });
        }
        let (mut changed, mut entries) = (BTreeSet::new(), Vec::new());
        for opened in wire::verify_all(awaiting, &self.fleet.deployment) {
            let opened = opened?;
            let report = opened.message;
            let new = self.seen.insert((report.meter.clone(), report.window));
            if new {
                let key = (report.feeder.clone(), report.window);
                let empty = || (0, self.form.empty(self.fleet.work.batch));
                let (count, sum) = self.sums.entry(key.clone()).or_insert_with(empty);
                sum.add(&opened.limbs)?;
                *count += 1;
                changed.insert(key);
            }
            entries.push(ReceiptEntry {
                meter: report.meter,
                window: report.window,
                digest: opened.digest,
                status: if new {
                    Status::Folded
                } else {
                    Status::Duplicate
                },
            });
        }
        self.commit(&entries, &changed)?;
        let analytics: AnalyticsId = "plain-analytics".parse()?;
        let receipt = Receipt {
            analytics,
            gateway: self.fleet.gateway.clone(),
            entries,
        };
        let topic = self.fleet.topics.receipt(&self.fleet.gateway);
        let (payload, _) = wire::seal(&receipt, None, &self.fleet.deployment, &topic, &self.key);
        self.link.0.publish(topic, payload, false).await?;
        Ok(changed)
    }

    /// Contributors and changed sums in one durable transaction.
    fn commit(
        &self,
        entries: &[ReceiptEntry],
        changed: &BTreeSet<(FeederId, WindowStart)>,
    ) -> Result<()> {
        let changes = self.database.begin_write()?;
        {
            let mut contributors = changes.open_table(CONTRIBUTORS)?;
            for entry in entries {
                let key = format!("{} {}", entry.window.0, entry.meter);
                contributors.insert(key.as_bytes(), entry.digest.to_string().as_bytes())?;
            }
            let mut sums = changes.open_table(SUMS)?;
            for key in changed {
                if let Some((_, sum)) = self.sums.get(key) {
                    sums.insert(
                        format!("{} {}", key.1.0, key.0).as_bytes(),
                        sum.to_bytes().as_slice(),
                    )?;
                }
            }
        }
        Ok(changes.commit()?)
    }

    /// Whether a complete sum is the truth, within the bound.
    fn is_right(&self, key: &(FeederId, WindowStart), sum: &Sum) -> Result<bool> {
        let (energy_wh, bound) = self.form.open(sum)?;
        let mut truth = vec![0_i64; self.fleet.work.batch.into()];
        for (n, readings) in self.fleet.readings_wh.iter().enumerate() {
            let (index, window) = self.fleet.slot(n);
            if window == key.1 && self.fleet.meters[index].1 == key.0 {
                truth
                    .iter_mut()
                    .zip(readings)
                    .for_each(|(sum, wh)| *sum += wh);
            }
        }
        Ok(truth
            .iter()
            .zip(&energy_wh)
            .all(|(&truth, &wh)| (wh - truth as f64).abs() <= bound))
    }
}
