//! A deployment in memory: the keys of operator and meters, plan and roster, and what the meters have to report.

use std::sync::Arc;
use std::time::Duration;

use analytics::AssignedPlan;
use anyhow::{Context as _, Result, anyhow};
use masks::{Label, MaskSecret, PadKey, Parties};
use openfhe::secret::{self, SecretKey};
use openfhe::{Context, PublicKey};
use packed::Profile;
use packed::layout::{Encoding, Entered, Layout};
use packed::noise::{self, KeyNorms};
use readings::MicroWattHours;
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    AnalyticsEntry, CapacityClass, Digest, EpochPlan, FeederPlan, KeyEpoch, MaskKey, Plan,
    PlanVersion, Report, RosterEntry, RosterPage, Salt, SigningKey, Topics, UnixMillis,
    WindowStart,
};

use super::work::{BATCH, INTERVAL_S, Work};

/// Wall time of the run, as far as the messages are concerned.
pub(crate) const NOW: UnixMillis = UnixMillis(1_700_600_000_000);
/// A window that is over by then, and aligned.
const WINDOW: WindowStart = WindowStart(1_699_660_800);
/// The one feeder.
const FEEDER: &str = "feeder-1";

/// Everybody's keys, and what the meters enter.
pub(super) struct Deployment {
    pub(super) plan: AssignedPlan,
    pub(super) roster: Roster,
    pub(super) encoding: Encoding,
    pub(super) secret: SecretKey,
    /// As OpenFHE encrypts with it, and as we do.
    pub(super) public: PublicKey,
    pub(super) sealing_key: seal::PublicKey,
    pub(super) members: Vec<Member>,
    /// What masks are bound to.
    setting: Digest,
}

pub(super) struct Member {
    /// Its report, but for the salt.
    pub(super) report: Report,
    pub(super) topic: String,
    pub(super) key: SigningKey,
    pub(super) pad: PadKey,
    mask_key: MaskKey,
    /// Its readings in whole quanta.
    pub(super) entered: Vec<Option<Entered>>,
}

impl Deployment {
    /// A meter for each report of `work`, on one feeder in `profile` or in the one that a plan would give it.
    pub(super) fn new(
        settings: &Settings,
        topics: &Topics,
        context: &Context,
        (work, profile): (&Work, Option<&'static Profile>),
    ) -> Result<Self> {
        let (secret, public) = secret::generate(context)?;
        let verifier = MaskSecret::generate().map_err(|error| anyhow!("{error}"))?;
        let setting = setting(work, profile, &secret.norms())?;
        let epoch = EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: public.fingerprint(),
            mask_key: MaskKey(verifier.public()),
            first_window: WindowStart(0),
            key_len: u32::try_from(public.as_packed().len())?,
        };
        let plan = plan(settings, work.layout, setting.clone(), epoch.clone())?;
        let digest = plan.setting_digest(&setting, &epoch, WindowStart(0));
        let held = HeldPlan::new(plan, public.as_packed().to_vec())?;
        let encoding = held.encoding(&setting);
        let scale = meter::Scale {
            quantum_wh: setting.quantum_wh,
            reference_wh: setting.reference_wh,
        };
        let member = |(index, readings): (usize, &Vec<i64>)| {
            let report = report(index)?;
            let mask = MaskSecret::generate().map_err(|error| anyhow!("{error}"))?;
            let parties = Parties {
                deployment: settings.deployment.id.as_ref(),
                meter: report.meter.as_ref(),
                epoch: 1,
                meter_key: &mask.public(),
                verifier_key: &epoch.mask_key.0,
            };
            Ok(Member {
                topic: topics.report(wire::Shard(0), &report.feeder, &report.meter),
                key: SigningKey::generate(),
                pad: PadKey::agree(&mask, &epoch.mask_key.0, &parties)?,
                mask_key: MaskKey(mask.public()),
                entered: entered(readings, scale),
                report,
            })
        };
        let members = work.readings.iter().enumerate().map(member);
        let members = members.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            plan: AssignedPlan::new(Arc::new(held), settings.analytics.id.clone()),
            roster: roster(&members)?,
            encoding,
            secret,
            sealing_key: seal::PublicKey::from_packed(public.as_packed())?,
            public,
            members,
            setting: digest,
        })
    }

    /// What a pad is for.
    pub(super) fn label(&self, salt: Salt) -> Label<'_> {
        Label {
            setting: &self.setting.0,
            window: WINDOW.0,
            salt: salt.0,
        }
    }
}

/// Readings in whole quanta, the remainder of each carried to the next.
fn entered(readings: &[i64], scale: meter::Scale) -> Vec<Option<Entered>> {
    let exact = |&wh: &i64| Some((MicroWattHours(wh * MicroWattHours::PER_WH), false));
    meter::enter(readings.iter().map(exact), scale, &mut MicroWattHours(0))
}

/// A meter's report, but for the salt.
pub(super) fn report(index: usize) -> Result<Report> {
    Ok(Report {
        plan_version: PlanVersion(1),
        epoch: KeyEpoch(1),
        feeder: FEEDER.parse()?,
        meter: format!("meter-{index:06}").parse()?,
        gateway: "gateway-1".parse()?,
        window: WINDOW,
        salt: Salt([0; 8]),
        sealed_at: NOW,
    })
}

fn setting(work: &Work, profile: Option<&'static Profile>, norms: &KeyNorms) -> Result<FeederPlan> {
    let meters = u32::try_from(work.readings.len())?;
    let reference_wh = work.reference_wh;
    let profile =
        profile.unwrap_or_else(|| noise::choose(work.layout, reference_wh, meters, norms));
    // Rounds may add a report more than once.
    let max_meters = profile.max_contributors();
    Ok(FeederPlan {
        feeder: FEEDER.parse()?,
        areas: None,
        profile: profile.name.parse()?,
        reference_wh,
        quantum_wh: noise::quantum_wh(profile, norms, reference_wh, max_meters),
        square_unit_wh2: (work.layout == Layout::Moments)
            .then(|| noise::square_unit_wh2(profile, norms, reference_wh, max_meters))
            .flatten(),
        rating_wh: None,
        max_meters,
        since: PlanVersion(1),
        first_window: WindowStart(0),
    })
}

fn plan(
    settings: &Settings,
    layout: Layout,
    setting: FeederPlan,
    epoch: EpochPlan,
) -> Result<Plan> {
    let edges = service::config::Plan {
        layout,
        interval: Duration::from_secs(u64::from(INTERVAL_S)),
        ..Settings::defaults().plan
    };
    Ok(Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1),
        valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
        interval_s: INTERVAL_S,
        batch: u16::try_from(BATCH)?,
        time_zone: None,
        layout: layout.as_str().parse()?,
        histogram_edges_wh: edges.histogram_edges_wh(),
        min_meters: settings.plan.min_meters,
        min_meters_before: Vec::new(),
        tariff: None,
        feeders: vec![setting],
        epochs: vec![epoch],
        analytics: vec![AnalyticsEntry {
            id: settings.analytics.id.clone(),
            key: SigningKey::generate().verifying_key(),
            feeders: Vec::new(),
        }],
        shards: 1,
        pool: Vec::new(),
        holders: Vec::new(),
    })
}

fn roster(members: &[Member]) -> Result<Roster> {
    let capacity = CapacityClass::from_number(0).context("the least capacity")?;
    let entries = (0..)
        .zip(members)
        .map(|(number, member)| RosterEntry {
            meter: member.report.meter.clone(),
            feeder: member.report.feeder.clone(),
            number,
            gateway: member.report.gateway.clone(),
            capacity,
            key: member.key.verifying_key(),
            mask_key: member.mask_key,
            billing: false,
        })
        .collect();
    let page = RosterPage {
        version: 1,
        page: 0,
        pages: 1,
        entries,
        countersignatures: Vec::new(),
    };
    Roster::from_pages([page]).context("a roster of one page")
}
