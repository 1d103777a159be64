//! An operator that signs what a test asks for.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests, each of which uses its part"
)]

use std::path::PathBuf;

use service::Settings;
use service::files;
use service::trust::{PlanKeeper, RosterKeeper, RosterScope};
use tempfile::TempDir;
use wire::{
    CapacityClass, EpochPlan, FeederPlan, KeyEpoch, MaskKey, Plan, PlanRenewal, PlanVersion,
    RosterEntry, RosterPage, SigningKey, Topics, Watts, WindowStart,
};

/// The public key of the only epoch.
pub(crate) const LIMBS: [u8; 64] = [7; 64];

pub(crate) struct Operator {
    pub(crate) settings: Settings,
    pub(crate) key: SigningKey,
    topics: Topics,
    _state: TempDir,
}

impl Operator {
    /// An operator whose verifying key lies in the state folder, as after its start.
    pub(crate) fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = state.path().to_owned();
        let folder = files::state_folder(state.path(), "operator").unwrap();
        let key = files::load_or_create_signing_key(&folder.join(files::SIGNING_KEY)).unwrap();
        Self {
            topics: Topics::new(&settings.deployment.root).unwrap(),
            settings,
            key,
            _state: state,
        }
    }

    pub(crate) fn public_key_file(&self) -> PathBuf {
        let folder = self.settings.deployment.operator_folder();
        files::verifying_key_path(&folder.join(files::SIGNING_KEY))
    }

    pub(crate) fn leave_key(&self) {
        let text = format!("{}\n", self.key.verifying_key());
        files::write_atomic(&self.public_key_file(), text.as_bytes(), files::PRIVATE).unwrap();
    }

    pub(crate) fn folder(&self, process: &str) -> PathBuf {
        files::state_folder(&self.settings.deployment.state_dir, process).unwrap()
    }

    pub(crate) fn keeper(&self, process: &str) -> PlanKeeper {
        PlanKeeper::open(&self.settings, &self.folder(process)).unwrap()
    }

    pub(crate) fn rosters(&self, process: &str) -> RosterKeeper {
        let folder = self.folder(process);
        RosterKeeper::open(&self.settings, &folder, RosterScope::Whole, None).unwrap()
    }

    pub(crate) fn plan_topic(&self) -> String {
        self.topics.plan()
    }

    pub(crate) fn plan(&self, version: u64) -> Vec<u8> {
        self.plan_with(version, |_| {})
    }

    pub(crate) fn plan_with(&self, version: u64, change: impl FnOnce(&mut Plan)) -> Vec<u8> {
        let mut plan = Plan {
            deployment: self.settings.deployment.id.clone(),
            version: PlanVersion(version),
            valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
            interval_s: 3_600,
            batch: 4,
            time_zone: None,
            layout: "moments".parse().unwrap(),
            histogram_edges_wh: Vec::new(),
            min_meters: 15,
            min_meters_before: Vec::new(),
            tariff: None,
            feeders: vec![FeederPlan {
                feeder: "north".parse().unwrap(),
                areas: None,
                profile: "additive-small".parse().unwrap(),
                reference_wh: 8_192,
                quantum_wh: 1,
                square_unit_wh2: Some(1_024),
                rating_wh: None,
                max_meters: 1_023,
                since: PlanVersion(1),
                first_window: WindowStart(0),
            }],
            epochs: vec![EpochPlan {
                epoch: KeyEpoch(1),
                fingerprint: [1; 32],
                mask_key: MaskKey([9; 32]),
                first_window: WindowStart(0),
                key_len: LIMBS.len() as u32,
            }],
            analytics: Vec::new(),
            shards: 1,
            pool: Vec::new(),
            holders: Vec::new(),
        };
        change(&mut plan);
        let deployment = &self.settings.deployment.id;
        wire::seal(
            &plan,
            Some(&LIMBS),
            deployment,
            &self.plan_topic(),
            &self.key,
        )
        .0
    }

    pub(crate) fn renewal_topic(&self) -> String {
        self.topics.renewal()
    }

    /// A renewal of the plan with these bytes.
    pub(crate) fn renewal(&self, plan: &[u8], valid_until: u64) -> Vec<u8> {
        let plan = wire::decode::<Plan>(plan, plan.len()).unwrap();
        let plan = plan.claimed();
        let renewal = PlanRenewal {
            deployment: plan.deployment.clone(),
            plan_version: plan.version,
            plan_digest: plan.digest(&LIMBS),
            valid_until: wire::UnixSeconds(valid_until),
        };
        let topic = self.renewal_topic();
        wire::seal(&renewal, None, &plan.deployment, &topic, &self.key).0
    }

    /// Topic and bytes of each page; a page is a list of meters with their feeders and numbers.
    pub(crate) fn roster(
        &self,
        version: u64,
        pages: &[&[(&str, &str, u32)]],
    ) -> Vec<(String, Vec<u8>)> {
        self.roster_on(version, pages, |page| self.topics.roster(page))
    }

    /// The same, each page on a topic of its own.
    pub(crate) fn roster_on(
        &self,
        version: u64,
        pages: &[&[(&str, &str, u32)]],
        topic: impl Fn(u16) -> String,
    ) -> Vec<(String, Vec<u8>)> {
        let count = pages.len() as u16;
        let page = |(number, meters): (u16, &&[(&str, &str, u32)])| {
            let entry = |&(meter, feeder, number): &(&str, &str, u32)| RosterEntry {
                meter: meter.try_into().unwrap(),
                feeder: feeder.try_into().unwrap(),
                number,
                gateway: "gateway-1".try_into().unwrap(),
                capacity: CapacityClass::of(Watts(10_000)).unwrap(),
                key: self.key.verifying_key(),
                mask_key: MaskKey([9; 32]),
                billing: false,
            };
            let message = RosterPage {
                version,
                page: number,
                pages: count,
                entries: meters.iter().map(entry).collect(),
                countersignatures: Vec::new(),
            };
            let topic = topic(number);
            let deployment = &self.settings.deployment.id;
            let sealed = wire::seal(&message, None, deployment, &topic, &self.key);
            (topic, sealed.0)
        };
        (0..count).zip(pages).map(page).collect()
    }
}
