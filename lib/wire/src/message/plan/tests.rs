use super::*;
use crate::ids::IdError;
use crate::keys::{MaskKey, VerifyingKey};
use crate::units::KeyEpoch;

fn id<T: for<'t> TryFrom<&'t str, Error = IdError>>(text: &str) -> T {
    T::try_from(text).unwrap()
}

fn setting(feeder: &str, since: u64, first_window: u64) -> FeederPlan {
    FeederPlan {
        feeder: id(feeder),
        areas: None,
        profile: id("additive"),
        reference_wh: 1024,
        quantum_wh: 1,
        square_unit_wh2: Some(16),
        rating_wh: None,
        max_meters: 255,
        since: PlanVersion(since),
        first_window: WindowStart(first_window),
    }
}

fn epoch(epoch: u32, first_window: u64, key_len: u32) -> EpochPlan {
    EpochPlan {
        epoch: KeyEpoch(epoch),
        fingerprint: [0; 32],
        mask_key: MaskKey([9; 32]),
        first_window: WindowStart(first_window),
        key_len,
    }
}

fn entry(name: &str, feeders: &[&str]) -> AnalyticsEntry {
    AnalyticsEntry {
        id: id(name),
        key: VerifyingKey::from_bytes([0; 32]),
        feeders: feeders.iter().map(|f| id(f)).collect(),
    }
}

fn plan() -> Plan {
    let mut plan = Plan {
        deployment: id("d"),
        version: PlanVersion(3),
        valid_until: None,
        interval_s: 900,
        batch: 4,
        time_zone: None,
        layout: id("moments"),
        histogram_edges_wh: Vec::new(),
        min_meters: 15,
        min_meters_before: Vec::new(),
        tariff: None,
        feeders: vec![
            setting("b", 2, 7200),
            setting("b", 1, 3600),
            setting("a", 1, 3600),
        ],
        epochs: vec![epoch(5, 3600, 3), epoch(6, 7200, 2)],
        analytics: vec![entry("rest", &[]), entry("named", &["b"])],
        shards: 1,
        pool: Vec::new(),
        holders: Vec::new(),
    };
    plan.sort();
    plan
}

#[test]
fn a_window_has_the_newest_setting_and_epoch_not_after_it() {
    let plan = plan();
    let since = |feeder: &str, window| {
        let setting = plan.feeder(&id(feeder), WindowStart(window));
        setting.map(|setting| setting.since.0)
    };
    assert_eq!(since("b", 3599), None);
    assert_eq!(since("b", 3600), Some(1));
    assert_eq!(since("b", 7199), Some(1));
    assert_eq!(since("b", 7200), Some(2));
    assert_eq!(since("a", 1 << 40), Some(1));
    assert_eq!(since("c", 7200), None);
    assert_eq!(since("0", 7200), None);

    let epoch = |window| {
        plan.epoch_for(WindowStart(window))
            .map(|epoch| epoch.epoch.0)
    };
    assert_eq!(epoch(3599), None);
    assert_eq!(epoch(3600), Some(5));
    assert_eq!(epoch(7200), Some(6));
}

#[test]
fn a_feeder_belongs_to_the_service_that_names_it_or_to_the_rest() {
    let mut plan = plan();
    let owner = |plan: &Plan, feeder: &str| {
        let owner = plan.owner(&id(feeder));
        owner.map(ToString::to_string)
    };
    assert_eq!(owner(&plan, "b").as_deref(), Some("named"));
    assert_eq!(owner(&plan, "a").as_deref(), Some("rest"));
    let agree = |plan: &Plan| {
        let owners = crate::Owners::of(plan);
        for feeder in ["a", "b", "c"] {
            let found = owners.owner(&id(feeder)).map(ToString::to_string);
            assert_eq!(found, owner(plan, feeder), "{feeder}");
        }
    };
    agree(&plan);
    plan.analytics.retain(|entry| !entry.feeders.is_empty());
    assert_eq!(owner(&plan, "a"), None);
    agree(&plan);
    // A pool has what nobody names, and any member of it speaks for that.
    let member = |name: &str, seed| PoolEntry {
        pool: id("pool"),
        analytics: id(name),
        key: crate::SigningKey::from_bytes(&[seed; 32]).verifying_key(),
    };
    plan.pool = vec![member("one", 1), member("two", 2)];
    assert_eq!(owner(&plan, "a").as_deref(), Some("pool"));
    assert_eq!(owner(&plan, "b").as_deref(), Some("named"));
    agree(&plan);
    let speaks = |feeder: &str, service: &str| plan.key_for(&id(feeder), &id(service)).copied();
    assert_eq!(speaks("a", "two"), Some(plan.pool[1].key));
    assert_eq!(speaks("b", "two"), None);
    assert_eq!(speaks("a", "named"), None);
    assert_eq!(speaks("b", "named"), Some(plan.analytics[0].key));
    let owners = crate::Owners::of(&plan);
    assert_eq!(owners.owner_of(&id("two")), Some(&id("pool")));
    assert!(owners.is_pool(&id("pool")) && !owners.is_pool(&id("named")));
}

#[test]
fn the_feeders_of_an_area_are_in_one_shard() {
    let mut plan = plan();
    assert_eq!(plan.shard(&id("a")), crate::Shard(0));
    plan.shards = 256;
    let alone = plan.shard(&id("a"));
    assert_eq!(alone, crate::Shard::of("a", 256));
    for setting in &mut plan.feeders {
        setting.areas = Some(Areas {
            transformer: id(&format!("t-{}", setting.feeder)),
            substation: Some(id("north")),
        });
    }
    let north = crate::Shard::of("north", 256);
    assert_eq!(["a", "b"].map(|feeder| plan.shard(&id(feeder))), [north; 2]);
}

#[test]
fn keys_are_cut_from_the_limbs_in_order() {
    let plan = plan();
    assert_eq!(plan.public_key(0, b"abcde"), Some(&b"abc"[..]));
    assert_eq!(plan.public_key(1, b"abcde"), Some(&b"de"[..]));
    assert_eq!(plan.public_key(1, b"abcd"), None);
    assert_eq!(plan.public_key(2, b"abcde"), None);
}

/// A mask made under one setting must fit no other: whatever changes, the digest does.
#[test]
fn the_digest_of_a_setting_changes_with_everything_it_binds() {
    let plan = plan();
    let (setting, epoch) = (&plan.feeders[0], &plan.epochs[0]);
    let mut digests = vec![plan.setting_digest(setting, epoch, WindowStart(0))];
    let plan_changes: [fn(&mut Plan); 6] = [
        |plan| plan.deployment = id("e"),
        |plan| plan.interval_s += 1,
        |plan| plan.batch += 1,
        |plan| plan.layout = id("profile"),
        |plan| plan.histogram_edges_wh = vec![8],
        |plan| plan.histogram_edges_wh = vec![8, 9],
    ];
    for change in plan_changes {
        let mut changed = plan.clone();
        change(&mut changed);
        digests.push(changed.setting_digest(setting, epoch, WindowStart(0)));
    }
    let setting_changes: [fn(&mut FeederPlan); 9] = [
        |setting| setting.feeder = id("c"),
        |setting| setting.profile = id("additive-small"),
        |setting| setting.reference_wh *= 2,
        |setting| setting.quantum_wh *= 2,
        |setting| setting.square_unit_wh2 = Some(1),
        |setting| setting.square_unit_wh2 = None,
        |setting| setting.max_meters += 1,
        |setting| setting.since.0 += 1,
        |setting| setting.first_window.0 += 1,
    ];
    for change in setting_changes {
        let mut changed = setting.clone();
        change(&mut changed);
        digests.push(plan.setting_digest(&changed, epoch, WindowStart(0)));
    }
    let mut changed = epoch.clone();
    changed.fingerprint[31] ^= 1;
    digests.push(plan.setting_digest(setting, &changed, WindowStart(0)));

    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!((count, digests.len()), (17, 17));
}
