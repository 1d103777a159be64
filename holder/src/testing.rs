//! A group of holders without a broker: their keys, an operator that asks, meters that mask.

mod plan;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use masks::{Label, MaskSecret, PadKey, Parties};
use packed::RING;
use service::trust::HeldPlan;
use service::{MockClock, Settings};
use tempfile::TempDir;
use wire::{
    Ask, CapacityClass, Consent, ContributorSet, Digest, Group, HolderAnswer, KeyEpoch, MaskKey,
    NoiseTerms, Part as SumPart, Plan, PlanVersion, Rest, RosterEntry, RosterPage, Salt, Share,
    SigningKey, Step, Sum, Terms, Topic, Topics, UnixMillis, Watts, WindowStart,
};

use crate::answers::{Answers, Outgoing};
use crate::keys::Folder;
use crate::setup::{Numbers, together};
use plan::plan;

/// Starts of windows of four hours.
pub(crate) const WINDOW: u64 = 1_699_992_000;
pub(crate) const LENGTH: u64 = 14_400;

pub(crate) const FEEDERS: [&str; 2] = ["feeder-1", "feeder-2"];

/// Some holders and everybody around them.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) terms: Terms,
    pub(crate) holders: Vec<Answers>,
    pub(crate) plan: Plan,
    pub(crate) clock: Arc<MockClock>,
    analytics: SigningKey,
    pub(crate) topics: Topics,
    meters: u32,
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn settings(dir: &Path, holder: usize) -> Settings {
    let mut settings = Settings::defaults();
    settings.deployment.state_dir = dir.to_owned();
    settings.holder.id = id(&format!("holder-{holder}"));
    settings.deployment.operator_key = Some(operator().verifying_key());
    settings.set_min_meters(3);
    settings
}

/// A meter of a roster.
pub(crate) fn entry(meter: &str, feeder: &str, number: u32, mask_key: [u8; 32]) -> RosterEntry {
    RosterEntry {
        meter: id(meter),
        feeder: id(feeder),
        number,
        gateway: id("gateway-1"),
        capacity: CapacityClass::of(Watts(10_000)).unwrap(),
        key: SigningKey::from_bytes(&[7; 32]).verifying_key(),
        mask_key: MaskKey(mask_key),
        billing: false,
    }
}

/// The only page of a roster.
pub(crate) fn page(version: u64, entries: impl IntoIterator<Item = RosterEntry>) -> RosterPage {
    RosterPage {
        version,
        page: 0,
        pages: 1,
        entries: entries.into_iter().collect(),
        countersignatures: Vec::new(),
    }
}

/// What the operator signs with.
pub(crate) fn operator() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

impl World {
    /// `n` holders, of whom `threshold` have all streams and `consents` have to consent, and so many meters on each feeder, whom all
    /// holders countersigned.
    pub(crate) fn new((threshold, consents, n): (u8, u8, usize), meters: u32) -> Self {
        Self::noisy((threshold, consents, n), meters, None)
    }

    /// The same of holders that agreed on noise.
    pub(crate) fn noisy(
        (threshold, consents, n): (u8, u8, usize),
        meters: u32,
        noise: Option<NoiseTerms>,
    ) -> Self {
        let mut world = Self::set_up((threshold, consents, n), meters, noise);
        for holder in 0..n {
            let opened = world.open(holder);
            world.holders.push(opened);
        }
        let page = world.page(1);
        for holder in &mut world.holders {
            holder.countersign(&page, |_, _| true).unwrap().unwrap();
        }
        world
    }

    /// The same without a holder that runs.
    pub(crate) fn set_up(
        (threshold, consents, n): (u8, u8, usize),
        meters: u32,
        noise: Option<NoiseTerms>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings: Vec<_> = (0..n).map(|holder| settings(dir.path(), holder)).collect();
        let numbers = Numbers {
            threshold,
            consents,
        };
        let agreement = together(&settings, numbers, (WindowStart(0), noise), None).unwrap();
        let analytics = SigningKey::from_bytes(&[2; 32]);
        Self {
            holders: Vec::new(),
            terms: agreement.terms.clone(),
            plan: plan(agreement, &analytics),
            clock: MockClock::new(UnixMillis((WINDOW + 1_000 * LENGTH) * 1_000)),
            topics: Topics::new(&Settings::defaults().deployment.root).unwrap(),
            analytics,
            meters,
            dir,
        }
    }

    pub(crate) fn settings(&self, holder: usize) -> Settings {
        settings(self.dir.path(), holder)
    }

    fn open(&self, holder: usize) -> Answers {
        let folder = Folder::open(&self.settings(holder)).unwrap();
        let settings = self.settings(holder);
        let mut answers = Answers::open(&settings, &folder, self.clock.clone()).unwrap();
        let held = HeldPlan::new(self.plan.clone(), vec![0; 25_600]).unwrap();
        answers.plan(Arc::new(held), &folder).unwrap();
        answers
    }

    /// A holder ends, and begins again on what it has on disk.
    pub(crate) fn restart(&mut self, holder: usize) {
        drop(self.holders.remove(holder));
        let opened = self.open(holder);
        self.holders.insert(holder, opened);
    }

    pub(crate) fn folder(&self, holder: usize) -> Folder {
        Folder::open(&self.settings(holder)).unwrap()
    }

    /// The roster's only page.
    pub(crate) fn page(&self, version: u64) -> RosterPage {
        let entries = FEEDERS.iter().flat_map(|feeder| {
            (0..self.meters).map(move |number| {
                let name = format!("meter-{feeder}-{number:04}");
                entry(&name, feeder, number, meter(feeder, number).public())
            })
        });
        page(version, entries)
    }

    /// A sum of a feeder's meters in the `index`-th window.
    pub(crate) fn sum(&self, feeder: &str, index: u64, numbers: &[u32]) -> Sum {
        let set = ContributorSet::from_numbers(numbers.iter().copied()).unwrap();
        Sum {
            analytics: id("analytics-1"),
            plan_version: PlanVersion(2),
            epoch: KeyEpoch(1),
            feeder: id(feeder),
            window: WindowStart(WINDOW + index * LENGTH),
            part: SumPart(0),
            rest: None,
            replaces: None,
            salts: set.iter().map(salt).collect(),
            set,
            oldest_sealed_at: UnixMillis(1),
            newest_sealed_at: UnixMillis(1),
            contributors_digest: Digest([3; 32]),
        }
    }

    /// The rest of the area of both feeders.
    pub(crate) fn rest(&self, index: u64, numbers: [&[u32]; 2]) -> Sum {
        let other = self.sum(FEEDERS[1], index, numbers[1]);
        Sum {
            rest: Some(Rest {
                area: id("area-1"),
                others: vec![Share {
                    feeder: other.feeder,
                    plan_version: other.plan_version,
                    part: other.part,
                    set: other.set,
                    salts: other.salts,
                }],
            }),
            ..self.sum(FEEDERS[0], index, numbers[0])
        }
    }

    pub(crate) fn ask(&self, step: Step, sum: &Sum) -> Ask {
        self.ask_of(step, sum, Digest([5; 32]))
    }

    /// The same, of a sum with this digest of its ciphertext.
    pub(crate) fn ask_of(&self, step: Step, sum: &Sum, ciphertext: Digest) -> Ask {
        let topic = self.topics.sum(wire::Shard(0), &sum.feeder);
        let (signed, _) = wire::sign(
            sum,
            Some(ciphertext),
            &self.plan.deployment,
            &topic,
            &self.analytics,
        );
        Ask {
            step,
            feeder: sum.feeder.clone(),
            sum: signed.into(),
            groups: Vec::new(),
            consents: Vec::new(),
        }
    }

    /// Asks one holder for its streams, each alone.
    pub(crate) fn ask_for_streams(&self, step: Step, sum: &Sum, holder: usize) -> Ask {
        let streams = self.terms.streams_of(holder);
        let groups = streams.map(|stream| Group {
            holder: holder as u8,
            streams: 1 << stream,
        });
        Ask {
            groups: groups.collect(),
            ..self.ask(step, sum)
        }
    }

    /// The consents that these holders give, as the operator hands them on.
    pub(crate) fn consents(&mut self, sum: &Sum, holders: &[usize]) -> Vec<Bytes> {
        let ask = self.ask(Step::Consent, sum);
        let consents = holders.iter().filter_map(|holder| {
            let answers = self.holders[*holder].answer(&ask).unwrap();
            let unverified = wire::decode_shared::<Consent>(&answers[0].1, 1 << 10).ok()?;
            Some(unverified.signed_part())
        });
        consents.collect()
    }

    /// What a meter added for a stream, to every coefficient.
    pub(crate) fn masks_of(&self, sum: &Sum, stream: usize) -> Vec<u64> {
        let held = HeldPlan::new(self.plan.clone(), vec![0; 25_600]).unwrap();
        let mut words = vec![0; held.shape.coefficients()];
        for share in sum.shares() {
            let setting = self.plan.feeder(share.feeder, sum.window).unwrap();
            let digest = self
                .plan
                .setting_digest(setting, &self.plan.epochs[0], sum.window);
            for number in share.set.iter() {
                let secret = meter(share.feeder.as_str(), number);
                let key = self.terms.streams[stream].key;
                let parties = Parties {
                    deployment: self.plan.deployment.as_str(),
                    meter: &format!("meter-{}-{number:04}", share.feeder),
                    epoch: self.terms.generation,
                    meter_key: &secret.public(),
                    verifier_key: key.as_bytes(),
                };
                let label = Label {
                    setting: &digest.0,
                    window: sum.window.0,
                    salt: salt(number).0,
                };
                let key = PadKey::agree(&secret, key.as_bytes(), &parties).unwrap();
                key.add(&label, RING.modulus, &mut words);
            }
        }
        words
    }

    /// An answer that its holder signed.
    pub(crate) fn opened(&self, (topic, bytes): &Outgoing, holder: usize) -> HolderAnswer {
        let key = &self.terms.holders[holder].key;
        let expected = self.topics.of(&Topic::HolderAnswer {
            holder: self.terms.holders[holder].id.clone(),
        });
        assert_eq!(*topic, expected);
        let unverified = wire::decode::<HolderAnswer>(bytes, 1 << 15).unwrap();
        let opened = unverified.verify(&self.plan.deployment, topic, key);
        opened.unwrap().message
    }
}

/// The mask secret of a meter.
fn meter(feeder: &str, number: u32) -> MaskSecret {
    MaskSecret::from_bytes(&Digest::of(format!("{feeder} {number}").as_bytes()).0)
}

fn salt(number: u32) -> Salt {
    Salt(u64::from(number).to_be_bytes())
}
