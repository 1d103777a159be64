//! A gateway that is enrolled like any other, and sends what it likes. Like any gateway it sends a report again when its sum has
//! failed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use masks::{Label, MaskSecret, PadKey, Parties};
use packed::RING;
use rand::RngExt as _;
use service::Settings;
use wire::{
    CapacityClass, EnrolFeeder, EnrolMeter, EnrolRequest, EpochPlan, FeederId, GatewayId, MaskKey,
    MeterId, Plan, PlanVersion, Report, RosterEntry, Salt, SigningKey, UnixMillis, WindowStart,
};

use super::ciphertext::{encoding, encrypt, no_energy};
use super::observed::Observed;
use super::outsider::Outsider;
use super::spoilt::Spoilt;

/// How often it asks to be enrolled, and how long it waits each time.
const ATTEMPTS: u64 = 20;
const AGAIN: Duration = Duration::from_secs(1);

/// A meter with its keys.
pub struct RogueMeter {
    /// Its name.
    pub id: MeterId,
    key: SigningKey,
    pub(super) mask: MaskSecret,
}

/// The keys of a gateway and of its meters.
pub struct RogueKeys {
    gateway: SigningKey,
    meters: Vec<RogueMeter>,
}

/// A gateway with some meters on one feeder.
pub struct RogueGateway {
    /// Its connection, and what it saw.
    pub outsider: Outsider,
    /// Its meters.
    pub meters: Vec<RogueMeter>,
    feeder: FeederId,
    gateway: GatewayId,
    key: SigningKey,
    sealed_at: UnixMillis,
}

impl RogueKeys {
    fn new(name: &str, meters: usize) -> Result<Self> {
        let meter = |number: usize| {
            Ok(RogueMeter {
                id: format!("{name}-{number}").parse()?,
                key: SigningKey::generate(),
                mask: MaskSecret::generate()?,
            })
        };
        Ok(Self {
            gateway: SigningKey::generate(),
            meters: (0..meters).map(meter).collect::<Result<_>>()?,
        })
    }
}

impl RogueGateway {
    /// Connects, asks for meters to be enrolled that are named after it, and waits until they are. All its reports say that they
    /// were sealed at `sealed_at`.
    ///
    /// # Errors
    /// They are not enrolled within a minute.
    pub async fn enrol(
        settings: &Settings,
        name: &str,
        (feeder, meters): (FeederId, usize),
        sealed_at: UnixMillis,
    ) -> Result<Self> {
        let rogue = Self::connect(settings, name, (feeder, meters), sealed_at)?;
        let names = rogue.names();
        let is_enrolled = |seen: &Observed| {
            seen.plan.is_some() && names.iter().all(|name| seen.roster.contains(name))
        };
        for attempt in 1..ATTEMPTS {
            // The operator may not listen yet.
            rogue.ask(UnixMillis(attempt), meters).await?;
            let enrolled = rogue.outsider.until("enrolment", is_enrolled);
            if tokio::time::timeout(AGAIN, enrolled).await.is_ok() {
                break;
            }
        }
        rogue
            .outsider
            .until("the meters to be enrolled", is_enrolled)
            .await?;
        Ok(rogue)
    }

    /// Connects, and asks for nothing yet.
    ///
    /// # Errors
    /// The name is not an id.
    pub fn connect(
        settings: &Settings,
        name: &str,
        (feeder, meters): (FeederId, usize),
        sealed_at: UnixMillis,
    ) -> Result<Self> {
        let keys = RogueKeys::new(name, meters)?;
        Ok(Self {
            outsider: Outsider::connect(settings, name)?,
            meters: keys.meters,
            feeder,
            gateway: name.parse()?,
            key: keys.gateway,
            sealed_at,
        })
    }

    /// New keys for itself and its meters, under the names that they have.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub fn new_keys(&self) -> Result<RogueKeys> {
        RogueKeys::new(self.gateway.as_str(), self.meters.len())
    }

    /// Takes other keys, and returns those that it had.
    pub fn exchange(&mut self, keys: RogueKeys) -> RogueKeys {
        RogueKeys {
            gateway: std::mem::replace(&mut self.key, keys.gateway),
            meters: std::mem::replace(&mut self.meters, keys.meters),
        }
    }

    /// Asks for the first of its meters to be enrolled, as many as these.
    ///
    /// # Errors
    /// The request cannot be published.
    pub async fn ask(&self, issued_at: UnixMillis, meters: usize) -> Result<()> {
        let capacity = CapacityClass::from_number(0).context("the least capacity")?;
        let meter = |meter: &RogueMeter| EnrolMeter {
            meter: meter.id.clone(),
            feeder: self.feeder.clone(),
            capacity,
            key: meter.key.verifying_key(),
            mask_key: MaskKey(meter.mask.public()),
            billing: false,
        };
        let mut meters: Vec<EnrolMeter> = self.meters.iter().take(meters).map(meter).collect();
        meters.sort_by(|a, b| a.meter.cmp(&b.meter));
        let request = EnrolRequest {
            gateway: self.gateway.clone(),
            gateway_key: self.key.verifying_key(),
            issued_at,
            chunk: 0,
            chunks: 1,
            feeders: vec![EnrolFeeder {
                feeder: self.feeder.clone(),
                max_capacity: capacity,
                meters: meters.len().max(1) as u32,
            }],
            meters,
        };
        let topic = self.outsider.topics.enrol(&self.gateway);
        let deployment = &self.outsider.settings.deployment.id;
        let (bytes, _) = wire::seal(&request, None, deployment, &topic, &self.key);
        self.outsider.publish(&topic, bytes, false).await
    }

    /// Its meters as a roster would have them, with numbers from `first` on.
    ///
    /// # Errors
    /// Never.
    pub fn entries(&self, first: u32) -> Result<Vec<RosterEntry>> {
        let capacity = CapacityClass::from_number(0).context("the least capacity")?;
        let entry = |(number, meter): (u32, &RogueMeter)| RosterEntry {
            meter: meter.id.clone(),
            feeder: self.feeder.clone(),
            number,
            gateway: self.gateway.clone(),
            capacity,
            key: meter.key.verifying_key(),
            mask_key: MaskKey(meter.mask.public()),
            billing: false,
        };
        Ok((first..).zip(&self.meters).map(entry).collect())
    }

    /// Sends nothing again of what it has sent.
    pub fn forget(&self) {
        self.outsider.seen().sent.clear();
    }

    /// The names of its meters.
    #[must_use]
    pub fn names(&self) -> Vec<MeterId> {
        self.meters.iter().map(|meter| meter.id.clone()).collect()
    }

    /// Sends the report of one of its meters for a window, with readings of 0 Wh if it is not spoilt.
    ///
    /// # Errors
    /// There is no plan for the window, or the report cannot be published.
    pub async fn send(
        &self,
        meter: usize,
        window: WindowStart,
        spoilt: Option<Spoilt>,
    ) -> Result<()> {
        let meter = &self.meters[meter];
        let (topic, bytes) = self.seal(meter, window, spoilt)?;
        let sent = (topic.clone(), bytes.clone());
        let key = (window, meter.id.clone());
        self.outsider.seen().sent.insert(key, sent);
        self.outsider.publish(&topic, bytes, false).await
    }

    fn seal(
        &self,
        meter: &RogueMeter,
        window: WindowStart,
        spoilt: Option<Spoilt>,
    ) -> Result<(String, Vec<u8>)> {
        let observed = self.outsider.seen();
        let (plan, limbs) = observed.plan.as_ref().context("there is no plan")?;
        let setting = plan.feeder(&self.feeder, window);
        let setting = setting.context("the plan has no such feeder")?;
        let epoch = plan.epoch_for(window);
        let epoch = epoch.context("the window has no key epoch")?;
        let encoding = encoding(plan, setting)?;
        let mut plaintext = no_energy(&encoding)?;
        if let Some(spoilt) = spoilt {
            spoilt.plaintext(&encoding, &mut plaintext);
        }
        let salt = salt(&observed, (window, &meter.id), spoilt)?;
        let mut masked = (plan.setting_digest(setting, epoch, window).0, salt.0);
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
        pad(meter, plan, epoch)?.add(&label, RING.modulus, &mut plaintext);
        let index = (plan.epochs.iter()).position(|other| other.epoch == epoch.epoch);
        let key = index.and_then(|index| plan.public_key(index, limbs));
        let limbs = encrypt(key.context("no key")?, &encoding, &plaintext, spoilt)?;
        let report = Report {
            plan_version: match spoilt {
                Some(Spoilt::OtherPlan) => PlanVersion(0),
                _ => setting.since,
            },
            epoch: epoch.epoch,
            feeder: self.feeder.clone(),
            meter: meter.id.clone(),
            gateway: self.gateway.clone(),
            window,
            salt,
            sealed_at: self.sealed_at,
        };
        let topic = self
            .outsider
            .topics
            .report(wire::Shard(0), &self.feeder, &meter.id);
        let (bytes, _) = wire::seal(&report, Some(&limbs), &plan.deployment, &topic, &meter.key);
        Ok((topic, bytes))
    }
}

/// A salt of its own, or that of another meter's report.
fn salt(
    observed: &Observed,
    (window, own): (WindowStart, &MeterId),
    spoilt: Option<Spoilt>,
) -> Result<Salt> {
    if spoilt != Some(Spoilt::CopiedSalt) {
        return Ok(Salt(rand::rng().random()));
    }
    let mut reports = observed.reports.iter();
    let other = reports.find(|((at, meter), _)| *at == window && meter != own);
    Ok(other.context("there is no other report")?.1.report.salt)
}

fn pad(meter: &RogueMeter, plan: &Plan, epoch: &EpochPlan) -> Result<PadKey> {
    let verifier_key = epoch.mask_key.as_bytes();
    let parties = Parties {
        deployment: plan.deployment.as_str(),
        meter: meter.id.as_str(),
        epoch: epoch.epoch.0,
        meter_key: &meter.mask.public(),
        verifier_key,
    };
    Ok(PadKey::agree(&meter.mask, verifier_key, &parties)?)
}
