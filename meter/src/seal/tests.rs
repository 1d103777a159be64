#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests play the operator"
)]

use packed::RING;
use std::collections::HashSet;

use masks::MaskSecret;
use openfhe::secret::SecretKey;
use packed::layout::{Entered, Totals};
use packed::{ADDITIVE_SMALL, Accumulator, noise};
use wire::{EarlierMinimum, KeyEpoch, MaskKey, PlanVersion, Watts, WindowStart};

use super::*;
use crate::fleet::Fleet;
use crate::quantum::{Scale, enter_again};
use readings::{MeterSpec, MicroWattHours};

const INTERVAL_S: u32 = 3_600;
const BATCH: u16 = 24;
const REFERENCE_WH: u64 = 1 << 16;

/// An operator with its keys, and a gateway of two meters.
struct World {
    folder: tempfile::TempDir,
    secret: SecretKey,
    mask: MaskSecret,
}

impl World {
    fn new() -> Self {
        let context = openfhe::Context::new().unwrap();
        let (secret, _) = openfhe::secret::generate(&context).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            secret,
            mask: MaskSecret::generate().unwrap(),
        }
    }

    fn plan(&self, quantum_wh: u64) -> Plan {
        let key = self.secret.public_key();
        Plan {
            deployment: "dev".parse().unwrap(),
            version: PlanVersion(1),
            valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
            interval_s: INTERVAL_S,
            batch: BATCH,
            time_zone: None,
            layout: "profile".parse().unwrap(),
            histogram_edges_wh: Vec::new(),
            min_meters: 2,
            min_meters_before: Vec::new(),
            tariff: None,
            feeders: vec![FeederPlan {
                feeder: "feeder-1".parse().unwrap(),
                areas: None,
                profile: ADDITIVE_SMALL.name.parse().unwrap(),
                reference_wh: REFERENCE_WH,
                quantum_wh,
                square_unit_wh2: None,
                rating_wh: None,
                max_meters: 255,
                since: PlanVersion(1),
                first_window: WindowStart(0),
            }],
            epochs: vec![EpochPlan {
                epoch: KeyEpoch(1),
                fingerprint: key.fingerprint(),
                mask_key: MaskKey(self.mask.public()),
                first_window: WindowStart(0),
                key_len: u32::try_from(key.as_packed().len()).unwrap(),
            }],
            analytics: Vec::new(),
            shards: 1,
            pool: Vec::new(),
            holders: Vec::new(),
        }
    }

    /// A gateway under `plan`, as after a start: its meters' keys are those of the one before.
    fn sealer(&self, plan: Plan) -> Result<Sealer, SealError> {
        let spec = |number| MeterSpec {
            id: format!("meter-{number}").parse().unwrap(),
            capacity_w: Watts(20_000),
        };
        let fleet = Fleet::open(&[1, 2].map(spec), 1, self.folder.path(), []).unwrap();
        let origin = Origin {
            deployment: plan.deployment.clone(),
            gateway: "gateway-1".parse().unwrap(),
            topics: Topics::new("cipherwatt/v2").unwrap(),
            members: fleet.members.clone(),
            sealer: SealerKind::Native,
            min_meters_floor: 2,
            pins_holders: false,
        };
        let key = self.secret.public_key().as_packed().to_vec();
        Sealer::new(origin, Arc::new(HeldPlan::new(plan, key).unwrap()))
    }

    /// What a report says, to whoever has the operator's keys and takes `salt` for the report's.
    fn open(&self, sealer: &Sealer, sealed: &Sealed, salt: Option<Salt>) -> Option<Totals> {
        let member = &sealer.origin.members[sealed.meter];
        let topic = sealer
            .origin
            .topics
            .report(wire::Shard(0), &member.feeder, &member.meter);
        let envelope = wire::decode::<Report>(&sealed.payload, sealed.payload.len()).unwrap();
        let deployment = &sealer.origin.deployment;
        let opened = envelope.verify(deployment, &topic, &member.public.verifying);
        let opened = opened.unwrap();
        let report = opened.message;
        let plan = sealer.plan();
        let setting = plan.feeder(&report.feeder, report.window).unwrap();
        let encoding = sealer.held.encoding(setting);
        let coefficients = encoding.shape.coefficients();
        let mut sum = Accumulator::new(encoding.profile, coefficients);
        sum.add(&opened.limbs).unwrap();
        let lifted =
            packed::sum::lift(encoding.profile, coefficients, &sum.to_packed(), 1).unwrap();
        let mut residues = self.secret.open(&lifted).unwrap();
        let parties = Parties {
            deployment: deployment.as_str(),
            meter: report.meter.as_str(),
            epoch: report.epoch.0,
            meter_key: &member.public.mask.0,
            verifier_key: &self.mask.public(),
        };
        let pad = PadKey::agree(&self.mask, &member.public.mask.0, &parties).unwrap();
        let label = Label {
            setting: &plan
                .setting_digest(setting, &plan.epochs[0], WindowStart(0))
                .0,
            window: report.window.0,
            salt: salt.unwrap_or(report.salt).0,
        };
        pad.subtract(&label, RING.modulus, &mut residues);
        let sigma = noise::sigma(encoding.profile, &self.secret.norms());
        let passed = encoding.checks_pass(&residues, 1, sigma);
        passed.then(|| encoding.decode(&residues, 1, sigma).unwrap())
    }
}

fn batch(meter: usize, readings: Vec<Option<Entered>>) -> Batch {
    Batch {
        meter,
        window: WindowStart(86_400),
        readings,
    }
}

/// A day of readings, with one that is missing, one that was clamped, and export.
fn day() -> Vec<Option<Entered>> {
    let reading = |hour: i64| Entered {
        wh: hour * 17 - 99,
        clamped: hour == 20,
    };
    let of_hour = |hour: i64| (hour != 5).then(|| reading(hour));
    (0..i64::from(BATCH)).map(of_hour).collect()
}

fn energies(readings: &[Option<Entered>]) -> Vec<i64> {
    let energy = |reading: &Option<Entered>| reading.map_or(0, |entered| entered.wh);
    readings.iter().map(energy).collect()
}

fn salt(sealed: &Sealed) -> Salt {
    let envelope = wire::decode::<Report>(&sealed.payload, sealed.payload.len()).unwrap();
    envelope.claimed().salt
}

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

#[test]
fn a_report_opens_to_what_was_entered_which_readings_are_missing_and_how_many_were_clamped() {
    let world = World::new();
    let sealer = world.sealer(world.plan(1)).unwrap();
    let sealed = sealer.seal(&batch(1, day()), NOW).unwrap();
    let totals = world.open(&sealer, &sealed, None).unwrap();
    assert_eq!(totals.energy_wh, energies(&day()));
    let present: Vec<u32> = (0..24).map(|hour| u32::from(hour != 5)).collect();
    assert_eq!((totals.present, totals.clamped), (present, 1));
    // 56 + 32 checks and the counts of clamped readings, in the profile of small feeders.
    assert!(sealed.payload.len() < 11_800, "{}", sealed.payload.len());
}

#[test]
fn no_salt_is_used_twice_not_even_for_the_same_readings_after_a_restart() {
    let world = World::new();
    let mut sealed = Vec::new();
    for _ in 0..2 {
        let sealer = world.sealer(world.plan(1)).unwrap();
        for meter in [0, 1, 0, 1] {
            sealed.push(sealer.seal(&batch(meter, day()), NOW).unwrap());
        }
    }
    let salts: HashSet<Salt> = sealed.iter().map(salt).collect();
    assert_eq!(salts.len(), sealed.len());
    // And it is the salt that the pad depends on.
    let sealer = world.sealer(world.plan(1)).unwrap();
    let other = salt(&sealed[2]);
    assert_eq!(world.open(&sealer, &sealed[0], Some(other)), None);
    assert!(world.open(&sealer, &sealed[0], None).is_some());
}

#[test]
fn what_was_entered_for_a_coarser_quantum_than_the_plans_is_what_it_is() {
    let world = World::new();
    let sealer = world.sealer(world.plan(1)).unwrap();
    let coarse = enter_again(&day(), Scale::of(8), &mut MicroWattHours(0)).unwrap();
    let sealed = sealer.seal(&batch(0, coarse.clone()), NOW).unwrap();
    let totals = world.open(&sealer, &sealed, None).unwrap();
    assert_eq!(totals.energy_wh, energies(&coarse));
}

#[test]
fn an_epoch_whose_mask_key_is_weak_is_refused_by_name() {
    let world = World::new();
    let mut plan = world.plan(1);
    // The neutral element, which no plan that was read can have.
    plan.epochs[0].mask_key = MaskKey([0; 32]);
    let refused = world.sealer(plan).err().unwrap();
    assert!(
        matches!(
            refused,
            SealError::WeakMaskKey {
                epoch: KeyEpoch(1),
                ..
            }
        ),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("mask key of epoch 1 is weak"),
        "{refused}"
    );
}

#[test]
fn a_local_day_of_23_hours_is_sealed_into_a_report_with_room_for_25_and_no_other_length_is() {
    let world = World::new();
    let mut plan = world.plan(1);
    (plan.batch, plan.time_zone) = (25, Some("Europe/Berlin".parse().unwrap()));
    let sealer = world.sealer(plan).unwrap();
    let spring = |readings: &[Option<Entered>]| Batch {
        // The 31st of March 2024.
        window: WindowStart(1_711_839_600),
        ..batch(1, readings.to_vec())
    };
    let sealed = sealer.seal(&spring(&day()[..23]), NOW).unwrap();
    let totals = world.open(&sealer, &sealed, None).unwrap();
    assert_eq!(totals.energy_wh[..23], energies(&day()[..23]));
    assert_eq!(
        (totals.energy_wh[23..].to_vec(), &totals.present[23..]),
        (vec![0; 2], &[0; 2][..])
    );
    for other in [spring(&day()), batch(1, day())] {
        assert!(matches!(
            sealer.seal(&other, NOW),
            Err(SealError::OtherGrid(_))
        ));
    }
}

/// The operator has raised it since: for later windows only.
#[test]
fn readings_of_a_window_whose_minimum_group_was_below_the_floor_are_not_sealed() {
    let world = World::new();
    let mut plan = world.plan(1);
    let before = EarlierMinimum {
        until: WindowStart(2 * 86_400),
        min_meters: 1,
    };
    plan.min_meters_before = vec![before];
    let sealer = world.sealer(plan).unwrap();
    let of_window = |window| Batch {
        window: WindowStart(window),
        ..batch(0, day())
    };
    let refused = sealer.seal(&of_window(86_400), NOW).unwrap_err();
    let says_both = refused
        .to_string()
        .contains("is 1, and meter.min_meters_floor is 2");
    assert!(says_both, "{refused}");
    assert!(sealer.seal(&of_window(2 * 86_400), NOW).is_ok());
}

#[test]
fn what_the_plan_has_no_place_for_is_refused_and_says_no_reading() {
    let world = World::new();
    let sealer = world.sealer(world.plan(1)).unwrap();
    let mut above = day();
    above[7] = Some(Entered {
        wh: 70_001,
        clamped: false,
    });
    let refused = sealer.seal(&batch(1, above), NOW).unwrap_err();
    assert!(
        matches!(refused, SealError::AboveReference { .. }),
        "{refused}"
    );
    let said = refused.to_string();
    assert!(
        said.contains("meter-2") && !said.contains("70001"),
        "{said}"
    );
    let short = sealer.seal(&batch(1, day()[1..].to_vec()), NOW);
    assert!(matches!(short, Err(SealError::OtherGrid(_))));
    let mut plan = world.plan(1);
    plan.feeders[0].first_window = WindowStart(2 * 86_400);
    let later = world.sealer(plan).unwrap().seal(&batch(1, day()), NOW);
    assert!(matches!(later, Err(SealError::NoFeeder(_))));
}
