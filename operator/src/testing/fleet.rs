//! Meters of one feeder that seal under real keys, and sums of their reports, honest or not.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use masks::{Label, MaskSecret, PadKey, Parties};
use packed::layout::{Encoding, Entered, Layout};
use packed::{ADDITIVE, Profile, RING};
use wire::{
    AnalyticsEntry, CapacityClass, ContributorSet, Digest, FeederId, KeyEpoch, MaskKey, NoiseTerms,
    Opened, Part, Plan, Salt, Sum, Tariff, Terms, UnixMillis, Watts, WindowStart,
};

use crate::enrolment::message::tests::{analytics, deployment, signing, topics};
use crate::holders::agreements::tests::{agreement, streams_of};
use crate::keys::keyring::{FIRST_EPOCH, Keyring};
use crate::plan::book::PlanBook;
use crate::plan::feeder_setting::encoding;
use crate::plan::settings::PlanSettings;
use crate::plan::term::Term;
use service::trust::{Member, Members};

/// Drops no bits.
static WHOLE: Profile = Profile::new("whole", &RING, ADDITIVE.scale_bits, [0, 0]);

/// Readings of one meter, in Wh; none where it has none.
pub(crate) type Readings = Vec<Option<i64>>;

/// What the tests vary in a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub meters: u32,
    pub layout: Layout,
    pub batch: u16,
    pub reference_wh: u64,
    pub min_meters: u32,
    pub profile: Option<&'static Profile>,
    pub tariff: Option<Tariff>,
    /// The first meters, so many, are billed.
    pub billed: u32,
    /// Mask keys are with four holders too, of whom two have all.
    pub holders: bool,
    /// What those add to totals.
    pub noise: Option<NoiseTerms>,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            meters: 15,
            layout: Layout::Profile,
            batch: 96,
            reference_wh: 65_536,
            min_meters: 15,
            profile: None,
            tariff: None,
            billed: 0,
            holders: false,
            noise: None,
        }
    }
}

/// feeder-1 with its meters, the operator's keys and plan, and analytics-1 (key 3).
pub(crate) struct Fleet {
    pub keyring: Arc<Keyring>,
    pub plan: Arc<Plan>,
    pub members: Arc<Members>,
    secrets: Vec<MaskSecret>,
    /// The secret halves of the holders' streams.
    streams: Vec<MaskSecret>,
    /// Salts used so far.
    salts: Cell<u64>,
}

/// The words of a report, and the salt of its masks.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub number: u32,
    pub salt: Salt,
    /// Residues without their low bits.
    pub c0: Vec<u64>,
    pub c1: Vec<u64>,
}

/// What a report is sealed under, where it is not what the plan says.
#[derive(Clone)]
pub(crate) struct Under {
    pub plan: Arc<Plan>,
    pub feeder: FeederId,
    /// Of the masks; the ciphertext is under the key of the first epoch.
    pub epoch: KeyEpoch,
    pub window: u64,
    pub salt: Salt,
    pub masked: bool,
}

/// The edges of a layout that has some.
pub(crate) fn edges_wh(layout: Layout) -> Vec<u64> {
    match layout {
        Layout::Histogram => vec![100, 1_000, 30_000],
        Layout::Profile | Layout::Maxima | Layout::Moments => Vec::new(),
    }
}

impl Fleet {
    pub(crate) fn new(dir: &Path, scene: &Scene) -> Self {
        let keyring = Keyring::open(dir, None).unwrap();
        let (streams, mut terms) = streams_of(2, 3, 4);
        terms.noise = scene.noise.clone();
        let settings = PlanSettings {
            shards: 1,
            deployment: deployment(),
            interval_s: 900,
            batch: scene.batch,
            time_zone: None,
            layout: scene.layout,
            histogram_edges_wh: edges_wh(scene.layout),
            ratings_wh: Default::default(),
            tariff: scene.tariff.clone(),
            profile: scene.profile,
            areas: Default::default(),
            min_meters: scene.min_meters,
            term: Term(Duration::from_secs(86_400)),
            latest: UnixMillis(0),
            holders: scene
                .holders
                .then(|| agreement(terms))
                .into_iter()
                .collect(),
        };
        let mut book = PlanBook::open(dir, topics().plan(), &settings, &keyring).unwrap();
        for feeder in ["feeder-1", "feeder-2"] {
            book.add_feeder(&feeder.parse().unwrap(), scene.reference_wh, scene.meters);
        }
        let request = analytics("analytics-1", 3, &[]);
        book.set_analytics(AnalyticsEntry {
            id: request.id,
            key: request.key,
            feeders: Vec::new(),
        });
        let secrets = (0..scene.meters).map(|_| MaskSecret::generate().unwrap());
        let secrets: Vec<MaskSecret> = secrets.collect();
        let mut members = Members::default();
        for (number, secret) in (0..).zip(&secrets) {
            let member = Member {
                meter: format!("meter-{number}").as_str().try_into().unwrap(),
                capacity: CapacityClass::of(Watts(10_000)).unwrap(),
                key: signing(number as u8).verifying_key(),
                mask_key: MaskKey(secret.public()),
                billing: number < scene.billed,
                gateway: format!("gateway-{}", number % 2).parse().unwrap(),
            };
            assert!(members.insert(number, member));
        }
        Self {
            keyring: Arc::new(keyring),
            plan: book.plan().clone(),
            members: Arc::new(members),
            secrets,
            streams,
            salts: Cell::new(0),
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        encoding(&self.plan, &self.plan.feeders[0]).unwrap()
    }

    /// The start of a window.
    pub(crate) fn window(&self, index: u64) -> u64 {
        index * self.plan.grid().unwrap().longest_window_s()
    }

    /// As an honest meter seals for a window, or for none of the masks.
    pub(crate) fn under(&self, window: u64, masked: bool) -> Under {
        self.salts.set(self.salts.get() + 1);
        Under {
            plan: self.plan.clone(),
            feeder: "feeder-1".parse().unwrap(),
            epoch: FIRST_EPOCH,
            window,
            salt: Salt(self.salts.get().to_le_bytes()),
            masked,
        }
    }

    /// The report of a meter.
    pub(crate) fn seal(&self, number: u32, under: &Under, readings: &Readings) -> Sealed {
        let mut plaintext = self.plaintext(readings);
        if under.masked {
            self.mask(number, under, &mut plaintext);
        }
        self.encrypt(number, under.salt, &plaintext)
    }

    /// The coefficients of readings, without masks.
    pub(crate) fn plaintext(&self, readings: &Readings) -> Vec<u64> {
        let entered = |wh: &i64| Entered {
            wh: *wh,
            clamped: false,
        };
        let readings: Vec<_> = readings.iter().map(|wh| wh.as_ref().map(entered)).collect();
        self.encoding().encode(&readings).unwrap()
    }

    pub(crate) fn mask(&self, number: u32, under: &Under, plaintext: &mut [u64]) {
        let keys = self.keyring.epoch(under.epoch).unwrap();
        let secret = &self.secrets[number as usize];
        let member = self.members.get(number).unwrap();
        let verifier_key = keys.mask.public();
        let parties = Parties {
            deployment: under.plan.deployment.as_str(),
            meter: member.meter.as_str(),
            epoch: under.epoch.0,
            meter_key: member.mask_key.as_bytes(),
            verifier_key: &verifier_key,
        };
        let pad = PadKey::agree(secret, &verifier_key, &parties).unwrap();
        let window = WindowStart(under.window);
        let setting = under.plan.feeder(&under.feeder, window).unwrap();
        let digest = under
            .plan
            .setting_digest(setting, &under.plan.epochs[0], window);
        let label = Label {
            setting: &digest.0,
            window: under.window,
            salt: under.salt.0,
        };
        pad.add(&label, RING.modulus, plaintext);
        if let Some(terms) = under.plan.terms_for(window) {
            for pad in self.stream_pads(number, terms) {
                pad.add(&label, RING.modulus, plaintext);
            }
        }
    }

    /// What a meter and each stream of the holders share.
    fn stream_pads(&self, number: u32, terms: &Terms) -> Vec<PadKey> {
        let member = self.members.get(number).unwrap();
        let streams = self.streams.iter().zip(&terms.streams);
        let pads = streams.map(|(secret, stream)| {
            let parties = Parties {
                deployment: terms.deployment.as_str(),
                meter: member.meter.as_str(),
                epoch: terms.generation,
                meter_key: member.mask_key.as_bytes(),
                verifier_key: stream.key.as_bytes(),
            };
            PadKey::agree(secret, member.mask_key.as_bytes(), &parties).unwrap()
        });
        pads.collect()
    }

    /// What holders that have these streams give for a sum, over all coefficients.
    pub(crate) fn stream_sums(&self, sum: &Sum, streams: u16) -> Vec<u64> {
        let terms = self.plan.terms_for(sum.window).unwrap();
        let setting = self.plan.feeder(&sum.feeder, sum.window).unwrap();
        let digest = (self.plan).setting_digest(setting, &self.plan.epochs[0], sum.window);
        let mut words = vec![0; self.encoding().shape.coefficients()];
        for (number, salt) in sum.set.iter().zip(&sum.salts) {
            let label = Label {
                setting: &digest.0,
                window: sum.window.0,
                salt: salt.0,
            };
            for (index, pad) in self.stream_pads(number, terms).iter().enumerate() {
                if streams >> index & 1 == 1 {
                    pad.add(&label, RING.modulus, &mut words);
                }
            }
        }
        words
    }

    /// Encrypts coefficients under the key of the first epoch.
    pub(crate) fn encrypt(&self, number: u32, salt: Salt, plaintext: &[u64]) -> Sealed {
        let keys = self.keyring.get(FIRST_EPOCH).unwrap();
        let key = seal::PublicKey::from_packed(&keys.public).unwrap();
        let mut whole = Vec::new();
        seal::encrypt(&key, &WHOLE, plaintext, &mut whole).unwrap();
        let (c0, c1) = whole.split_at(RING.packed_len(plaintext.len()));
        let words = |packed, count, dropped| {
            let words = packed::unpack(&RING, count, packed).unwrap();
            words.iter().map(|word| word >> dropped).collect()
        };
        let [t0, t1] = self.encoding().profile.dropped;
        Sealed {
            number,
            salt,
            c0: words(c0, plaintext.len(), t0),
            c1: words(c1, RING.dimension, t1),
        }
    }

    /// Honest reports of the meters with these numbers.
    pub(crate) fn reports(&self, window: u64, masked: bool, readings: &[Readings]) -> Vec<Sealed> {
        let sealed = (0..)
            .zip(readings)
            .map(|(number, readings)| self.seal(number, &self.under(window, masked), readings));
        sealed.collect()
    }

    /// What analytics signs for these contributors.
    pub(crate) fn sum(&self, window: u64, part: u16, contributors: &[Sealed]) -> Sum {
        let mut contributors: Vec<_> = contributors.iter().collect();
        contributors.sort_by_key(|report| report.number);
        let numbers = contributors.iter().map(|report| report.number);
        Sum {
            plan_version: self.plan.feeders[0].since,
            set: ContributorSet::from_numbers(numbers).unwrap(),
            salts: contributors.iter().map(|report| report.salt).collect(),
            part: Part(part),
            ..super::sum("feeder-1", window, part)
        }
    }

    /// Its limbs: reports added up, each as often as its weight says, modulo q.
    pub(crate) fn limbs<'a>(
        &self,
        reports: impl IntoIterator<Item = (u64, &'a Sealed)>,
    ) -> Vec<u8> {
        let coefficients = self.encoding().shape.coefficients();
        let mut words = vec![0; coefficients + RING.dimension];
        for (weight, report) in reports {
            for (word, value) in words.iter_mut().zip(report.c0.iter().chain(&report.c1)) {
                *word = add(*word, multiply(weight, *value));
            }
        }
        packed::pack(&RING, &words).unwrap()
    }

    /// Adds to the limbs of a sum what makes the operator find `c0` and `c1` more in its ciphertext.
    pub(crate) fn tamper(&self, limbs: &[u8], c0: &[(usize, i64)], c1: &[(usize, i64)]) -> Vec<u8> {
        let encoding = self.encoding();
        let coefficients = encoding.shape.coefficients();
        let mut words = packed::unpack(&RING, coefficients + RING.dimension, limbs).unwrap();
        // The operator multiplies by 2^t.
        let [by_t0, by_t1] = encoding
            .profile
            .dropped
            .map(|dropped| inverse(1 << dropped));
        let places = c0.iter().map(|(at, value)| (*at, *value, by_t0));
        let others = c1
            .iter()
            .map(|(at, value)| (coefficients + at, *value, by_t1));
        for (at, value, divisor) in places.chain(others) {
            words[at] = add(words[at], multiply(RING.residue(value), divisor));
        }
        packed::pack(&RING, &words).unwrap()
    }

    /// As it is once its signature is verified.
    pub(crate) fn opened(&self, sum: Sum, limbs: Vec<u8>) -> Opened<Sum> {
        Opened {
            message: sum,
            digest: Digest::of(&limbs),
            limbs: limbs.into(),
        }
    }

    /// The first coefficients of the secret key.
    pub(crate) fn key_coefficients(&self, count: usize) -> Vec<i64> {
        let mut c1 = vec![0; RING.dimension];
        c1[0] = 1;
        let c0 = vec![0; count];
        let keys = self.keyring.get(FIRST_EPOCH).unwrap();
        let lifted = packed::Lifted { c0, c1 };
        let residues = keys.secret.open(&lifted).unwrap();
        residues.into_iter().map(|word| RING.centre(word)).collect()
    }
}

/// Readings of meters that differ from each other and from interval to interval.
pub(crate) fn readings(meters: u32, batch: u16) -> Vec<Readings> {
    let reading = |meter: i64, k: i64| Some((meter * 37 + k * 101) % 1_500 - 100);
    let meters = 0..i64::from(meters);
    let all = meters.map(|meter| (0..i64::from(batch)).map(|k| reading(meter, k)).collect());
    all.collect()
}

/// The sum of readings, interval by interval.
pub(crate) fn truth(readings: &[Readings]) -> Vec<i64> {
    let batch = readings.first().map_or(0, Vec::len);
    let of = |k: usize| readings.iter().filter_map(|meter| meter[k]).sum();
    (0..batch).map(of).collect()
}

pub(crate) fn add(a: u64, b: u64) -> u64 {
    (a + b) % RING.modulus
}

pub(crate) fn multiply(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(RING.modulus)) as u64
}

/// `1 / value` modulo q, by Fermat.
pub(crate) fn inverse(value: u64) -> u64 {
    let (mut power, mut base, mut exponent) = (1, value, RING.modulus - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = multiply(power, base);
        }
        base = multiply(base, base);
        exponent >>= 1;
    }
    power
}
