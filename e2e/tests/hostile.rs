//! One enrolled meter that spoils every sum it is in: the others are released all the same, and it is named.
//!
//! All processes but the clock are real, in this process and over TCP. The hostile meter is behind a gateway of its own, which
//! the test plays; like any gateway it sends a report again when its sum has failed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::clocked::{self, WINDOW_S, window};
use harness::network::Network;
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::watch::Seen;
use masks::{Label, MaskSecret, PadKey, Parties};
use meter::Scale;
use meter::source::{MicroWattHours, Reading, Simulated, Source as _};
use operator::FeederReport;
use packed::layout::{Encoding, Entered, Shape};
use packed::{ADDITIVE, Profile, RING, unpack};
use rand::RngExt as _;
use serde::Deserialize;
use service::clock::MockClock;
use service::mqtt::{self, Inbox, Publisher, QoS};
use service::{Settings, Stop, StopHandle};
use wire::{
    CapacityClass, ContributorSet, EnrolFeeder, EnrolMeter, EnrolRequest, EpochPlan, FeederId,
    GatewayId, MaskKey, MeterId, Part, Plan, Receipt, Report, RosterPage, Salt, SettlementOutcome,
    SigningKey, Sum, Topic, Topics, UnixMillis, UnixSeconds, WindowStart,
};

/// What the design promises.
const LIMIT: Duration = Duration::from_secs(60);

/// With the hostile one they make four groups.
const HONEST: u32 = 100;
const MIN_METERS: u32 = 15;

/// Drops no bits.
static WHOLE: Profile = Profile::new("whole", &RING, ADDITIVE.scale_bits, [0, 0]);

/// What the hostile meter sends, a window each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoilt {
    /// Limbs that are no ciphertext.
    Noise,
    /// What brings coefficients of the key into the totals.
    Key,
    /// Readings that are no whole number of quanta, in a report that is in order otherwise.
    Readings,
}

const SPOILT: [Spoilt; 3] = [Spoilt::Noise, Spoilt::Key, Spoilt::Readings];

/// What is seen on the broker.
#[derive(Default)]
struct Observed {
    plan: Option<(Plan, Vec<u8>)>,
    /// The feeder's meters by number.
    meters: BTreeMap<u32, MeterId>,
    sums: BTreeMap<(WindowStart, Part), ContributorSet>,
    /// The hostile reports, by window: topic and bytes.
    sent: BTreeMap<WindowStart, (String, Vec<u8>)>,
    /// Windows whose report was asked for again.
    wanted: BTreeSet<WindowStart>,
}

/// A gateway with one meter.
struct Rogue {
    settings: Settings,
    topics: Topics,
    feeder: FeederId,
    gateway: GatewayId,
    meter: MeterId,
    key: SigningKey,
    mask: MaskSecret,
    publisher: Publisher,
    observed: Arc<Mutex<Observed>>,
    _stop: StopHandle,
}

impl Rogue {
    /// Connects, and asks for its meter to be enrolled.
    async fn enrol(settings: &Settings) -> Self {
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let gateway: GatewayId = "rogue".parse().unwrap();
        let filters = [
            topics.plan(),
            topics.roster_filter(),
            topics.sum_filter(),
            topics.receipt(&gateway),
        ];
        let filters = filters.map(|filter| (filter, QoS::AtLeastOnce)).to_vec();
        let (stop, stopped) = Stop::manual();
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, "rogue", filters, stopped);
        let rogue = Self {
            settings: settings.clone(),
            topics,
            feeder: meter::feeder_of(0, 1),
            gateway,
            meter: "hostile".parse().unwrap(),
            key: SigningKey::generate(),
            mask: MaskSecret::generate().unwrap(),
            publisher,
            observed: Arc::default(),
            _stop: stop,
        };
        tokio::spawn(watch(
            inbox,
            rogue.publisher.clone(),
            rogue.topics.clone(),
            rogue.observed.clone(),
        ));
        let gateway_key = SigningKey::generate();
        let capacity = CapacityClass::from_number(0).unwrap();
        let request = EnrolRequest {
            gateway: rogue.gateway.clone(),
            gateway_key: gateway_key.verifying_key(),
            issued_at: UnixMillis(1),
            chunk: 0,
            chunks: 1,
            feeders: vec![EnrolFeeder {
                feeder: rogue.feeder.clone(),
                max_capacity: capacity,
                meters: 1,
            }],
            meters: vec![EnrolMeter {
                meter: rogue.meter.clone(),
                feeder: rogue.feeder.clone(),
                capacity,
                key: rogue.key.verifying_key(),
                mask_key: MaskKey(rogue.mask.public()),
            }],
        };
        let topic = rogue.topics.enrol(&rogue.gateway);
        let deployment = &rogue.settings.deployment.id;
        let (bytes, _) = wire::seal(&request, None, deployment, &topic, &gateway_key);
        rogue.publisher.publish(topic, bytes, false).await.unwrap();
        rogue
            .until(|seen| seen.meters.len() as u32 == HONEST + 1 && seen.plan.is_some())
            .await;
        rogue
    }

    async fn until(&self, mut holds: impl FnMut(&Observed) -> bool) {
        let waits = async {
            while !holds(&self.observed.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, waits)
            .await
            .expect("it never came");
    }

    /// Sends the report of a window.
    async fn send(&self, window: WindowStart, spoilt: Spoilt) {
        let (topic, bytes) = self.seal(window, spoilt);
        let sent = (topic.clone(), bytes.clone());
        self.observed.lock().unwrap().sent.insert(window, sent);
        self.publisher.publish(topic, bytes, false).await.unwrap();
    }

    fn seal(&self, window: WindowStart, spoilt: Spoilt) -> (String, Vec<u8>) {
        let observed = self.observed.lock().unwrap();
        let (plan, limbs) = observed.plan.as_ref().unwrap();
        let setting = plan.feeder(&self.feeder, window).unwrap();
        let epoch = plan.epoch_for(window).unwrap();
        let profile = Profile::by_name(setting.profile.as_str()).unwrap();
        let shape = Shape::new(plan.layout.as_str().parse().unwrap(), plan.batch).unwrap();
        let (reference_wh, quantum_wh) = (setting.reference_wh, setting.quantum_wh);
        let unit = setting.square_unit_wh2;
        let encoding = Encoding::new(profile, shape, reference_wh, quantum_wh, unit).unwrap();
        let mut plaintext = plaintext(&encoding, plan.batch, spoilt);
        let salt = Salt(rand::rng().random());
        let label = Label {
            setting: &plan.setting_digest(setting, epoch).0,
            window: window.0,
            salt: salt.0,
        };
        let pad = self.pad(plan, epoch);
        pad.add(&label, RING.modulus, &mut plaintext);

        let key = seal::PublicKey::from_packed(plan.public_key(0, limbs).unwrap()).unwrap();
        let mut whole = Vec::new();
        seal::encrypt(&key, &WHOLE, &plaintext, &mut whole).unwrap();
        let (c0, c1) = whole.split_at(RING.packed_len(plaintext.len()));
        let mut c0 = unpack(&RING, plaintext.len(), c0).unwrap();
        let mut c1 = unpack(&RING, RING.dimension, c1).unwrap();
        match spoilt {
            Spoilt::Noise => {
                for word in c0.iter_mut().chain(&mut c1) {
                    *word = rand::rng().random_range(0..RING.modulus);
                }
            }
            Spoilt::Key => c1[7] = (c1[7] + (1 << 40)) % RING.modulus,
            Spoilt::Readings => {}
        }
        let mut limbs = Vec::new();
        packed::report::pack(profile, &c0, &c1, &mut limbs).unwrap();
        let report = Report {
            plan_version: setting.since,
            epoch: epoch.epoch,
            feeder: self.feeder.clone(),
            meter: self.meter.clone(),
            gateway: self.gateway.clone(),
            window,
            salt,
            sealed_at: clocked::passed(0),
        };
        let topic = self.topics.report(&self.feeder, &self.meter);
        let (bytes, _) = wire::seal(&report, Some(&limbs), &plan.deployment, &topic, &self.key);
        (topic, bytes)
    }

    fn pad(&self, plan: &Plan, epoch: &EpochPlan) -> PadKey {
        let verifier_key = epoch.mask_key.as_bytes();
        let parties = Parties {
            deployment: plan.deployment.as_str(),
            meter: self.meter.as_str(),
            epoch: epoch.epoch.0,
            meter_key: &self.mask.public(),
            verifier_key,
        };
        PadKey::agree(&self.mask, verifier_key, &parties).unwrap()
    }
}

/// Readings of 0 Wh, or the first of them half a quantum.
fn plaintext(encoding: &Encoding, batch: u16, spoilt: Spoilt) -> Vec<u64> {
    let nothing = Entered {
        wh: 0,
        clamped: false,
    };
    let readings = vec![Some(nothing); usize::from(batch)];
    let mut plaintext = encoding.encode(&readings).unwrap();
    if spoilt == Spoilt::Readings {
        let quantum_bits = encoding.quantum_wh.ilog2() + encoding.profile.scale_bits;
        plaintext[0] = 1 << (quantum_bits - encoding.reference_wh.ilog2() - 1);
    }
    plaintext
}

/// Notes what is published, and sends a report again that is wanted.
async fn watch(
    mut inbox: Inbox,
    publisher: Publisher,
    topics: Topics,
    observed: Arc<Mutex<Observed>>,
) {
    while let Some(event) = inbox.recv().await {
        let mqtt::Event::Message(message) = event else {
            continue;
        };
        inbox.ack(&message);
        let wanted = observed.lock().unwrap().note(&topics, &message);
        for (topic, bytes) in wanted {
            publisher.publish(topic, bytes, false).await.unwrap();
        }
    }
}

impl Observed {
    /// Returns the reports that are asked for.
    fn note(&mut self, topics: &Topics, message: &mqtt::Incoming) -> Vec<(String, Vec<u8>)> {
        let bytes = &message.payload;
        match topics.parse(&message.topic) {
            Some(Topic::Plan) => {
                let plan = wire::decode::<Plan>(bytes, bytes.len()).unwrap();
                self.plan = Some((plan.claimed().clone(), plan.claimed_limbs().to_vec()));
            }
            Some(Topic::Roster { .. }) => {
                let page = wire::decode::<RosterPage>(bytes, bytes.len()).unwrap();
                let entries = page.claimed().entries.iter();
                self.meters
                    .extend(entries.map(|entry| (entry.number, entry.meter.clone())));
            }
            Some(Topic::Sum { .. }) => {
                let sum = wire::decode::<Sum>(bytes, bytes.len()).unwrap();
                let sum = sum.claimed();
                self.sums.insert((sum.window, sum.part), sum.set.clone());
            }
            Some(Topic::Receipt { .. }) => {
                let receipt = wire::decode::<Receipt>(bytes, bytes.len()).unwrap();
                let wanted = (receipt.claimed().settlements.iter())
                    .filter(|settled| settled.outcome == SettlementOutcome::Wanted);
                let windows: Vec<_> = wanted.map(|settled| settled.window).collect();
                self.wanted.extend(&windows);
                return windows.iter().map(|at| self.sent[at].clone()).collect();
            }
            _ => {}
        }
        Vec::new()
    }

    fn members(&self, report: &FeederReport) -> BTreeSet<MeterId> {
        let set = &self.sums[&(report.window_start, report.part)];
        set.iter()
            .map(|number| self.meters[&number].clone())
            .collect()
    }
}

/// A line of `totals.refused.jsonl`.
#[derive(Deserialize)]
struct Refused {
    window_start: WindowStart,
    /// Of a part that is burnt.
    #[serde(default)]
    meters: BTreeSet<MeterId>,
    /// Of a search.
    #[serde(default)]
    culprits: BTreeSet<MeterId>,
}

fn refused(totals: &Path) -> Vec<Refused> {
    let text = std::fs::read_to_string(totals.with_extension("refused.jsonl"));
    let text = text.unwrap_or_default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn settings() -> Settings {
    // One window more than passes: the gateway does not end before everything is settled.
    let mut settings = clocked::settings(SPOILT.len() as u64 + 1, LIMIT);
    settings.plan.min_meters = MIN_METERS;
    settings.meter.meters = HONEST;
    settings.meter.feeders = 1;
    settings
}

/// What each honest meter entered, and the hostile one may have, in Wh by window and interval.
fn entered(
    settings: &Settings,
    hostile: &MeterId,
    scale: Scale,
) -> BTreeMap<(MeterId, WindowStart), Vec<i64>> {
    let interval_s = (WINDOW_S / 2) as u32;
    let mut source = Simulated::new(&meter::simulated(settings)).unwrap();
    let specs = source.meters().to_vec();
    let mut remainders = vec![MicroWattHours(0); specs.len()];
    let mut entered: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for number in 0..SPOILT.len() as u64 {
        let window = window(number);
        entered.insert((hostile.clone(), window), vec![0; 2]);
        for k in 0..2 {
            let start = UnixSeconds(window.0 + k * u64::from(interval_s));
            let mut readings = Vec::new();
            source.read(start, interval_s, &mut readings).unwrap();
            for ((spec, reading), remainder) in specs.iter().zip(readings).zip(&mut remainders) {
                let Reading::Energy(energy) = reading else {
                    panic!("a simulated meter has every reading");
                };
                let (energy, _) = meter::source::clamp(energy, spec.capacity_w, interval_s);
                let (wh, rest) = meter::quantise(energy, *remainder, scale);
                *remainder = rest;
                let of_meter = entered.entry((spec.id.clone(), window)).or_default();
                of_meter.push(wh.0);
            }
        }
    }
    entered
}

/// What came of a window: the parts that were released, and who is named.
struct Ended<'a> {
    parts: Vec<&'a FeederReport>,
    burnt: BTreeSet<MeterId>,
    culprits: BTreeSet<MeterId>,
}

impl<'a> Ended<'a> {
    fn of(window: WindowStart, released: &'a [FeederReport], totals: &Path) -> Self {
        let parts = released.iter().filter(|part| part.window_start == window);
        let mut ended = Self {
            parts: parts.collect(),
            burnt: BTreeSet::new(),
            culprits: BTreeSet::new(),
        };
        let refused = refused(totals).into_iter();
        for line in refused.filter(|line| line.window_start == window) {
            ended.burnt.extend(line.meters);
            ended.culprits.extend(line.culprits);
        }
        ended
    }

    /// Whether every meter is in a total or named, and the culprit is if it can be.
    fn is_whole(&self, spoilt: Spoilt) -> bool {
        let meters: usize = self.parts.iter().map(|part| part.meters as usize).sum();
        let is_found = !self.culprits.is_empty() || spoilt == Spoilt::Readings;
        is_found && meters + self.burnt.len() == HONEST as usize + 1
    }

    /// Every part is exact, only the hostile meter's is missing, and it is named.
    fn check(
        &self,
        spoilt: Spoilt,
        hostile: &MeterId,
        observed: &Observed,
        entered: &BTreeMap<(MeterId, WindowStart), Vec<i64>>,
    ) {
        let mut in_totals = BTreeSet::new();
        for part in &self.parts {
            let members = observed.members(part);
            assert!(in_totals.is_disjoint(&members), "{spoilt:?}");
            let of = |meter: &MeterId, k: usize| entered[&(meter.clone(), part.window_start)][k];
            let total = |k| members.iter().map(|meter| of(meter, k)).sum::<i64>();
            assert_eq!(part.energy_wh, [0, 1].map(|k| Some(total(k))), "{spoilt:?}");
            assert_eq!(part.quantum_wh, 1);
            assert!(members.len() >= MIN_METERS as usize);
            in_totals.extend(members);
        }
        assert!(self.parts.len() >= 3, "{spoilt:?}");
        assert!(self.burnt.contains(hostile), "{spoilt:?}");
        assert!(self.burnt.len() < 2 * MIN_METERS as usize, "one part");
        assert!(self.burnt.is_disjoint(&in_totals));
        let all: BTreeSet<_> = observed.meters.values().cloned().collect();
        assert_eq!(&self.burnt | &in_totals, all, "{spoilt:?}");
        let named = self.culprits.iter().collect::<Vec<_>>();
        match spoilt {
            Spoilt::Readings => assert_eq!(named, Vec::<&MeterId>::new()),
            _ => assert_eq!(named, [hostile], "{spoilt:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_meter_costs_its_part_and_its_name() {
    let state = tempfile::tempdir().unwrap();
    let clock = MockClock::new(clocked::passed(0));
    let on = On {
        clock: clock.clone(),
        ..On::here()
    };
    let stack = Stack::services(&settings(), state.path(), &on).await;
    let mut stack = stack.unwrap();
    stack.add_fleet(Network::default()).await.unwrap();
    let settings = stack.settings().clone();
    let (_keep, stop) = Stop::manual();
    loop {
        let next = tokio::time::timeout(LIMIT, stack.next(&stop)).await;
        if let Next::Seen(Seen::Meter(meter::Event::Started(_))) = next.unwrap().unwrap() {
            break;
        }
    }
    let rogue = Rogue::enrol(&settings).await;
    let begin = Instant::now();
    for (number, spoilt) in (0..).zip(SPOILT) {
        rogue.send(window(number), spoilt).await;
    }
    clock.set(clocked::passed(SPOILT.len() as u64));

    let totals = &settings.operator.totals_file;
    let mut released: Vec<FeederReport> = Vec::new();
    let is_over = |released: &[FeederReport]| {
        let mut windows = SPOILT.iter().zip(0..);
        windows.all(|(spoilt, at)| Ended::of(window(at), released, totals).is_whole(*spoilt))
    };
    while !is_over(&released) {
        assert!(begin.elapsed() < LIMIT, "{} parts released", released.len());
        let next = tokio::time::timeout(Duration::from_millis(200), stack.next(&stop)).await;
        if let Ok(Ok(Next::Seen(Seen::Operator(operator::Event::Released(report))))) = next {
            released.push(*report);
        }
    }
    stack.stop().await.unwrap();

    let observed = rogue.observed.lock().unwrap();
    let (plan, _) = observed.plan.as_ref().unwrap();
    let scale = Scale {
        quantum_wh: 1,
        reference_wh: plan.feeders[0].reference_wh,
    };
    let entered = entered(&settings, &rogue.meter, scale);
    for (number, spoilt) in (0..).zip(SPOILT) {
        let window = window(number);
        assert!(observed.wanted.contains(&window));
        let ended = Ended::of(window, &released, totals);
        ended.check(spoilt, &rogue.meter, &observed, &entered);
    }
}
