//! A gateway with one meter that the test plays: it is enrolled like any other, and sends what it likes. Like any gateway it
//! sends a report again when its sum has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use masks::{Label, MaskSecret, PadKey, Parties};
use operator::FeederReport;
use packed::layout::{Encoding, Entered, Shape};
use packed::{ADDITIVE, Profile, RING, unpack};
use rand::RngExt as _;
use service::mqtt::{self, Inbox, Publisher, QoS};
use service::{Settings, Stop, StopHandle};
use wire::{
    CapacityClass, ContributorSet, EnrolFeeder, EnrolMeter, EnrolRequest, EpochPlan, FeederId,
    FeederPlan, GatewayId, MaskKey, MeterId, Part, Plan, PlanVersion, Reason, Receipt, Report,
    RosterPage, Salt, SettlementOutcome, SigningKey, Status, Sum, Topic, Topics, UnixMillis,
    WindowStart,
};

use super::LIMIT;

/// Drops no bits.
static WHOLE: Profile = Profile::new("whole", &RING, ADDITIVE.scale_bits, [0, 0]);

/// The meter of the test's gateway.
const HOSTILE: &str = "hostile";

/// What a hostile meter sends in the place of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoilt {
    /// Limbs that are no ciphertext.
    Noise,
    /// What brings coefficients of the key into the totals.
    Key,
    /// Readings that are no whole number of quanta, in a report that is in order otherwise.
    Readings,
    /// A reading beyond what all meters together can have entered.
    Range,
    /// A thousand readings where one can be.
    Presence,
    /// Masks of another salt than the report names.
    Salt,
    /// Masks of another setting than the report names.
    Setting,
    /// Limbs of which the last is missing.
    Truncated,
    /// A value that is beyond the modulus.
    Limb,
    /// The setting of a plan that does not hold for the window.
    OtherPlan,
    /// The salt of another meter's report.
    CopiedSalt,
}

impl Spoilt {
    /// Why analytics refuses the report, if it does: no sum has it then.
    pub(crate) fn refusal(self) -> Option<Reason> {
        match self {
            Self::Truncated => Some(Reason::WrongLength),
            Self::Limb => Some(Reason::LimbOutOfRange),
            Self::OtherPlan => Some(Reason::OutdatedConfig),
            Self::CopiedSalt => Some(Reason::SaltTaken),
            _ => None,
        }
    }

    /// Whether its zero checks are wrong, so that a search finds its meter.
    pub(crate) fn is_found(self) -> bool {
        matches!(self, Self::Noise | Self::Key | Self::Salt | Self::Setting)
    }
}

/// What is seen on the broker.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) plan: Option<(Plan, Vec<u8>)>,
    /// The feeder's meters by number.
    pub(crate) meters: BTreeMap<u32, MeterId>,
    /// Those of the newest roster.
    pub(crate) roster: BTreeSet<MeterId>,
    sums: BTreeMap<(WindowStart, Part), ContributorSet>,
    /// The hostile reports, by window: topic and bytes.
    sent: BTreeMap<WindowStart, (String, Vec<u8>)>,
    /// Windows whose report was asked for again.
    pub(crate) wanted: BTreeSet<WindowStart>,
    /// A salt of another meter's report of each window that was folded.
    pub(crate) salts: BTreeMap<WindowStart, Salt>,
    /// Why reports of the hostile meter were refused, by window.
    pub(crate) refused: BTreeMap<WindowStart, Reason>,
}

/// A gateway with one meter.
pub(crate) struct Rogue {
    settings: Settings,
    topics: Topics,
    feeder: FeederId,
    gateway: GatewayId,
    pub(crate) meter: MeterId,
    key: SigningKey,
    mask: MaskSecret,
    publisher: Publisher,
    pub(crate) observed: Arc<Mutex<Observed>>,
    sealed_at: UnixMillis,
    _stop: StopHandle,
}

impl Rogue {
    /// Connects, asks for its meter to be enrolled, and waits until the feeder has so many. All its reports say that they were
    /// sealed at `sealed_at`.
    pub(crate) async fn enrol(settings: &Settings, meters: u32, sealed_at: UnixMillis) -> Self {
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let gateway: GatewayId = "rogue".parse().unwrap();
        let filters = [
            topics.plan(),
            topics.roster_filter(),
            topics.sum_filter(),
            topics.receipt(&gateway),
            topics.reports_of(&meter::feeder_of(0, 1)),
        ];
        let filters = filters.map(|filter| (filter, QoS::AtLeastOnce)).to_vec();
        let (stop, stopped) = Stop::manual();
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, "rogue", filters, stopped);
        let rogue = Self {
            settings: settings.clone(),
            topics,
            feeder: meter::feeder_of(0, 1),
            gateway,
            meter: HOSTILE.parse().unwrap(),
            key: SigningKey::generate(),
            mask: MaskSecret::generate().unwrap(),
            publisher,
            observed: Arc::default(),
            sealed_at,
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
            .until(|seen| seen.meters.len() as u32 == meters && seen.plan.is_some())
            .await;
        rogue
    }

    pub(crate) async fn until(&self, mut holds: impl FnMut(&Observed) -> bool) {
        let waits = async {
            while !holds(&self.observed.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, waits)
            .await
            .expect("it never came");
    }

    /// Sends the report of a window, with readings of 0 Wh if it is not spoilt.
    pub(crate) async fn send(&self, window: WindowStart, spoilt: Option<Spoilt>) {
        let (topic, bytes) = self.seal(window, spoilt);
        let sent = (topic.clone(), bytes.clone());
        self.observed.lock().unwrap().sent.insert(window, sent);
        self.publisher.publish(topic, bytes, false).await.unwrap();
    }

    fn seal(&self, window: WindowStart, spoilt: Option<Spoilt>) -> (String, Vec<u8>) {
        let observed = self.observed.lock().unwrap();
        let (plan, limbs) = observed.plan.as_ref().unwrap();
        let setting = plan.feeder(&self.feeder, window).unwrap();
        let epoch = plan.epoch_for(window).unwrap();
        let encoding = encoding(plan, setting);
        let mut plaintext = plaintext(&encoding, plan.batch, spoilt);
        let salt = match spoilt {
            Some(Spoilt::CopiedSalt) => observed.salts[&window],
            _ => Salt(rand::rng().random()),
        };
        let mut masked = (plan.setting_digest(setting, epoch).0, salt.0);
        match spoilt {
            Some(Spoilt::Setting) => masked.0[0] ^= 1,
            Some(Spoilt::Salt) => masked.1[0] ^= 1,
            _ => {}
        }
        let label = Label {
            setting: &masked.0,
            window: window.0,
            salt: masked.1,
        };
        let pad = self.pad(plan, epoch);
        pad.add(&label, RING.modulus, &mut plaintext);

        let (mut c0, mut c1) = encrypt(plan.public_key(0, limbs).unwrap(), &plaintext);
        spoil(spoilt, &mut c0, &mut c1);
        let mut limbs = Vec::new();
        packed::report::pack(encoding.profile, &c0, &c1, &mut limbs).unwrap();
        match spoilt {
            Some(Spoilt::Truncated) => drop(limbs.pop()),
            Some(Spoilt::Limb) => limbs.fill(0xff),
            _ => {}
        }
        let report = Report {
            plan_version: match spoilt {
                Some(Spoilt::OtherPlan) => PlanVersion(0),
                _ => setting.since,
            },
            epoch: epoch.epoch,
            feeder: self.feeder.clone(),
            meter: self.meter.clone(),
            gateway: self.gateway.clone(),
            window,
            salt,
            sealed_at: self.sealed_at,
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

fn encoding(plan: &Plan, setting: &FeederPlan) -> Encoding {
    let profile = Profile::by_name(setting.profile.as_str()).unwrap();
    let shape = Shape::new(plan.layout.as_str().parse().unwrap(), plan.batch).unwrap();
    let (reference_wh, quantum_wh) = (setting.reference_wh, setting.quantum_wh);
    let unit = setting.square_unit_wh2;
    Encoding::new(profile, shape, reference_wh, quantum_wh, unit).unwrap()
}

/// The words of a whole ciphertext.
fn encrypt(key: &[u8], plaintext: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let key = seal::PublicKey::from_packed(key).unwrap();
    let mut whole = Vec::new();
    seal::encrypt(&key, &WHOLE, plaintext, &mut whole).unwrap();
    let (c0, c1) = whole.split_at(RING.packed_len(plaintext.len()));
    let c0 = unpack(&RING, plaintext.len(), c0).unwrap();
    (c0, unpack(&RING, RING.dimension, c1).unwrap())
}

/// What is to be wrong with a ciphertext.
fn spoil(spoilt: Option<Spoilt>, c0: &mut [u64], c1: &mut [u64]) {
    match spoilt {
        Some(Spoilt::Noise) => {
            for word in c0.iter_mut().chain(c1) {
                *word = rand::rng().random_range(0..RING.modulus);
            }
        }
        Some(Spoilt::Key) => c1[7] = (c1[7] + (1 << 40)) % RING.modulus,
        _ => {}
    }
}

/// Readings of 0 Wh, and what is to be wrong with the first of them.
fn plaintext(encoding: &Encoding, batch: u16, spoilt: Option<Spoilt>) -> Vec<u64> {
    let nothing = Entered {
        wh: 0,
        clamped: false,
    };
    let readings = vec![Some(nothing); usize::from(batch)];
    let mut plaintext = encoding.encode(&readings).unwrap();
    match spoilt {
        Some(Spoilt::Readings) => {
            let quantum_bits = encoding.quantum_wh.ilog2() + encoding.profile.scale_bits;
            plaintext[0] = 1 << (quantum_bits - encoding.reference_wh.ilog2() - 1);
        }
        // A reading of the reference is one such unit.
        Some(Spoilt::Range) => plaintext[0] = 200 << encoding.profile.scale_bits,
        Some(Spoilt::Presence) => plaintext[encoding.shape.presence().start] *= 1_000,
        _ => {}
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
                let entries = &page.claimed().entries;
                let numbered = entries
                    .iter()
                    .map(|entry| (entry.number, entry.meter.clone()));
                self.meters.extend(numbered);
                self.roster = entries.iter().map(|entry| entry.meter.clone()).collect();
            }
            Some(Topic::Report { meter, .. }) if meter.as_str() != HOSTILE => {
                let report = wire::decode::<Report>(bytes, bytes.len()).unwrap();
                let report = report.claimed();
                self.salts.entry(report.window).or_insert(report.salt);
            }
            Some(Topic::Sum { .. }) => {
                let sum = wire::decode::<Sum>(bytes, bytes.len()).unwrap();
                let sum = sum.claimed();
                self.sums.insert((sum.window, sum.part), sum.set.clone());
            }
            Some(Topic::Receipt { .. }) => {
                let receipt = wire::decode::<Receipt>(bytes, bytes.len()).unwrap();
                for entry in &receipt.claimed().entries {
                    if let Status::Rejected(reason) = entry.status {
                        self.refused.insert(entry.window, reason);
                    }
                }
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

    pub(crate) fn members(&self, report: &FeederReport) -> BTreeSet<MeterId> {
        let set = &self.sums[&(report.window_start, report.part)];
        set.iter()
            .map(|number| self.meters[&number].clone())
            .collect()
    }
}
