//! What the tests of the format share: one sample of every message, and how to seal it.
#![allow(dead_code)] // each test uses its part

pub(crate) mod holders;

use wire::{
    AnalyticsEnrol, AnalyticsEntry, Areas, BIT_LEN, BandRule, Bill, BillGroup, BillReceipt,
    BillingPeriod, Bits, CapacityClass, ComparedSum, Comparison, ContributorSet, DeploymentId,
    Digest, EnrolAnswer, EnrolFeeder, EnrolMeter, EnrolRequest, EpochPlan, EvaluationKeys,
    FeederPlan, IdError, KeyEpoch, Limbs, MaskKey, Message, NoisyTotal, Part, Plan, PlanRenewal,
    PlanVersion, PoolEntry, PrivacyUnit, Question, Reason, Receipt, ReceiptEntry, Refusal, Report,
    Rest, RosterEntry, RosterPage, Salt, Settlement, SettlementOutcome, Shard, Share, SigningKey,
    Status, Sum, SumReceipt, SumStatus, Tariff, TariffVersion, Topic, Topics, Total, UnixMillis,
    UnixSeconds, VerifyingKey, Watts, WindowStart,
};

/// More than any sample is long.
pub(crate) const MAX: usize = 1 << 20;

pub(crate) fn id<T: for<'t> TryFrom<&'t str, Error = IdError>>(text: &str) -> T {
    T::try_from(text).unwrap()
}

pub(crate) fn deployment() -> DeploymentId {
    id("golden")
}

pub(crate) fn topics() -> Topics {
    Topics::new("cipherwatt/v2").unwrap()
}

/// The key that signs every sample.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn public() -> VerifyingKey {
    key().verifying_key()
}

/// Stand-ins for a ciphertext: the format does not look inside.
pub(crate) fn limbs(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

/// The class of a home's capacity: up to 20 kW.
fn capacity() -> CapacityClass {
    CapacityClass::of(Watts(14_500)).unwrap()
}

/// A message with what it takes to seal it.
pub(crate) trait Sample: Message + Clone + PartialEq + std::fmt::Debug {
    fn sample() -> Self;
    fn topic(&self) -> String;

    fn limbs() -> Option<Vec<u8>> {
        (Self::LIMBS == Limbs::Required).then(|| limbs(64))
    }

    fn sealed(&self) -> Vec<u8> {
        let limbs = Self::limbs();
        wire::seal(self, limbs.as_deref(), &deployment(), &self.topic(), &key()).0
    }
}

impl Sample for Report {
    fn sample() -> Self {
        Self {
            plan_version: PlanVersion(3),
            epoch: KeyEpoch(2),
            feeder: id("feeder-1"),
            meter: id("meter-17"),
            gateway: id("gateway-1"),
            window: WindowStart(1_749_945_600),
            salt: Salt([1, 2, 3, 4, 5, 6, 7, 8]),
            sealed_at: UnixMillis(1_750_032_001_234),
        }
    }

    fn topic(&self) -> String {
        topics().report(Shard(0), &self.feeder, &self.meter)
    }
}

/// The sample, with 64 shards and a pool of two.
pub(crate) fn with_pool() -> Plan {
    let member = |name, seed| PoolEntry {
        pool: id("north"),
        analytics: id(name),
        key: SigningKey::from_bytes(&[seed; 32]).verifying_key(),
    };
    Plan {
        shards: 64,
        pool: vec![member("north-1", 8), member("north-2", 9)],
        ..Plan::sample()
    }
}

/// The sample, of a member of a pool.
pub(crate) fn of_a_pool() -> AnalyticsEnrol {
    AnalyticsEnrol {
        feeders: vec![],
        pool: Some(id("north")),
        ..AnalyticsEnrol::sample()
    }
}

/// The sample, with windows that are local days.
pub(crate) fn of_local_days() -> Plan {
    Plan {
        batch: 100,
        time_zone: Some("Europe/Berlin".parse().unwrap()),
        ..Plan::sample()
    }
}

/// The sample, with a feeder under a transformer of a substation and one under a transformer alone.
pub(crate) fn of_areas() -> Plan {
    let mut plan = Plan::sample();
    plan.feeders[0].areas = Some(Areas {
        transformer: id("transformer-1"),
        substation: Some(id("north")),
    });
    plan.feeders[2].areas = Some(Areas {
        transformer: id("transformer-2"),
        substation: None,
    });
    plan
}

/// The rest of an area: the sample with the parts of two other feeders.
pub(crate) fn rest_of_an_area() -> Sum {
    let share = |feeder, numbers: &[u32]| Share {
        feeder: id(feeder),
        plan_version: PlanVersion(1),
        part: Part(0),
        set: ContributorSet::from_numbers(numbers.iter().copied()).unwrap(),
        salts: numbers.iter().map(|n| Salt([*n as u8 + 1; 8])).collect(),
    };
    Sum {
        rest: Some(Rest {
            area: id("north"),
            others: vec![share("feeder-2", &[0, 8]), share("feeder-3", &[5])],
        }),
        replaces: None,
        ..Sum::sample()
    }
}

/// The sample, with a tariff of two versions.
pub(crate) fn with_tariff() -> Plan {
    let version = |from, rules, holidays| TariffVersion {
        from: WindowStart(from),
        otherwise: 0,
        rules,
        holidays,
    };
    let rule = |band, season| BandRule {
        band,
        minutes: (420, 1_200),
        days: 9,
        season,
    };
    Plan {
        tariff: Some(Tariff {
            period: BillingPeriod::Windows(14),
            bands: vec![id("low"), id("summer"), id("winter")],
            versions: vec![
                version(0, vec![], vec![]),
                version(
                    1_749_945_600,
                    vec![rule(1, Some((401, 930))), rule(2, Some((1_001, 331)))],
                    vec![20_447, 20_448],
                ),
            ],
        }),
        ..Plan::sample()
    }
}

impl Sample for Plan {
    fn sample() -> Self {
        let setting = |feeder, reference_wh, since, first_window| FeederPlan {
            feeder: id(feeder),
            areas: None,
            profile: id("additive-fine"),
            reference_wh,
            quantum_wh: 1,
            square_unit_wh2: Some(64),
            rating_wh: None,
            max_meters: 1_023,
            since: PlanVersion(since),
            first_window: WindowStart(first_window),
        };
        let epoch = |epoch, first_window, key_len| EpochPlan {
            epoch: KeyEpoch(epoch),
            fingerprint: [epoch as u8; 32],
            mask_key: MaskKey([epoch as u8 + 8; 32]),
            first_window: WindowStart(first_window),
            key_len,
        };
        Self {
            deployment: deployment(),
            version: PlanVersion(3),
            valid_until: Some(UnixSeconds(1_750_086_400)),
            interval_s: 900,
            batch: 96,
            time_zone: None,
            layout: "moments".parse().unwrap(),
            histogram_edges_wh: Vec::new(),
            min_meters: 15,
            min_meters_before: Vec::new(),
            tariff: None,
            feeders: vec![
                setting("feeder-1", 16_384, 1, 0),
                setting("feeder-1", 32_768, 3, 1_749_945_600),
                setting("feeder-2", 1, 1, 0),
            ],
            epochs: vec![epoch(1, 0, 40), epoch(2, 1_749_945_600, 24)],
            analytics: vec![
                AnalyticsEntry {
                    id: id("analytics-1"),
                    key: public(),
                    feeders: vec![],
                },
                AnalyticsEntry {
                    id: id("analytics-2"),
                    key: public(),
                    feeders: vec![id("feeder-2")],
                },
            ],
            shards: 1,
            pool: vec![],
            holders: Vec::new(),
        }
    }

    fn topic(&self) -> String {
        topics().plan()
    }
}

impl Sample for PlanRenewal {
    fn sample() -> Self {
        Self {
            deployment: deployment(),
            plan_version: PlanVersion(3),
            plan_digest: Plan::sample().digest(&limbs(64)),
            valid_until: UnixSeconds(1_750_090_000),
        }
    }

    fn topic(&self) -> String {
        topics().renewal()
    }
}

impl Sample for RosterPage {
    fn sample() -> Self {
        let entry = |meter, feeder, number| RosterEntry {
            meter: id(meter),
            feeder: id(feeder),
            number,
            gateway: id("gateway-1"),
            capacity: capacity(),
            key: public(),
            mask_key: MaskKey([9; 32]),
            billing: false,
        };
        Self {
            version: 12,
            page: 1,
            pages: 2,
            entries: vec![
                entry("meter-17", "feeder-1", 1_048_574),
                entry("meter-18", "feeder-2", 0),
                entry("meter-19", "feeder-2", 3),
            ],
            countersignatures: Vec::new(),
        }
    }

    fn topic(&self) -> String {
        topics().roster(self.page)
    }
}

impl Sample for EnrolRequest {
    fn sample() -> Self {
        Self {
            gateway: id("gateway-1"),
            gateway_key: public(),
            issued_at: UnixMillis(1_749_900_000_000),
            chunk: 0,
            chunks: 1,
            feeders: vec![EnrolFeeder {
                feeder: id("feeder-1"),
                max_capacity: capacity(),
                meters: 203,
            }],
            meters: vec![EnrolMeter {
                meter: id("meter-17"),
                feeder: id("feeder-1"),
                capacity: capacity(),
                key: public(),
                mask_key: MaskKey([9; 32]),
                billing: false,
            }],
        }
    }

    fn topic(&self) -> String {
        topics().enrol(&self.gateway)
    }
}

impl Sample for EnrolAnswer {
    fn sample() -> Self {
        Self {
            gateway: id("gateway-1"),
            gateway_key: public(),
            issued_at: UnixMillis(1_749_900_000_000),
            waits: false,
            refused: vec![Refusal {
                reason: Reason::CapacityAboveReference,
                meters: 1,
                first: id("meter-17"),
            }],
        }
    }

    fn topic(&self) -> String {
        topics().enrol_answer(&self.gateway)
    }
}

impl Sample for AnalyticsEnrol {
    fn sample() -> Self {
        Self {
            id: id("analytics-1"),
            key: public(),
            issued_at: UnixMillis(1_749_900_000_000),
            feeders: vec![id("feeder-1"), id("feeder-2")],
            pool: None,
        }
    }

    fn topic(&self) -> String {
        topics().analytics_enrol(&self.id)
    }
}

impl Sample for Receipt {
    fn sample() -> Self {
        let entry = |meter, status, part| ReceiptEntry {
            meter: id(meter),
            window: WindowStart(1_749_945_600),
            digest: digest(0xaa),
            status,
            part: Part(part),
        };
        let settlement = |part, outcome| Settlement {
            feeder: id("feeder-1"),
            window: WindowStart(1_749_859_200),
            part: Part(part),
            outcome,
        };
        Self {
            analytics: id("analytics-1"),
            gateway: id("gateway-1"),
            entries: vec![
                entry("meter-17", Status::Folded, 0),
                entry("meter-18", Status::Duplicate, 1),
                entry("meter-19", Status::Rejected(Reason::Conflict), 0),
            ],
            settlements: vec![
                settlement(0, SettlementOutcome::Released),
                settlement(1, SettlementOutcome::Refused),
                settlement(2, SettlementOutcome::Wanted),
            ],
        }
    }

    fn topic(&self) -> String {
        topics().receipt(&self.gateway)
    }
}

impl Sample for Sum {
    fn sample() -> Self {
        Self {
            analytics: id("analytics-1"),
            plan_version: PlanVersion(3),
            epoch: KeyEpoch(2),
            feeder: id("feeder-1"),
            window: WindowStart(1_749_945_600),
            part: Part(2),
            rest: None,
            replaces: Some(Part(0)),
            set: ContributorSet::from_numbers([0, 3, 9]).unwrap(),
            salts: vec![Salt([1; 8]), Salt([2; 8]), Salt([3; 8])],
            oldest_sealed_at: UnixMillis(1_749_960_000_123),
            newest_sealed_at: UnixMillis(1_749_960_061_456),
            contributors_digest: digest(0xbb),
        }
    }

    fn topic(&self) -> String {
        topics().sum(Shard(0), &self.feeder)
    }
}

impl Sample for SumReceipt {
    fn sample() -> Self {
        Self {
            feeder: id("feeder-1"),
            epoch: KeyEpoch(2),
            window: WindowStart(1_749_945_600),
            part: Part(1),
            digest: digest(0xcc),
            status: SumStatus::Rejected(Reason::MinMeters),
        }
    }

    fn topic(&self) -> String {
        topics().sum_receipt(Shard(0), &self.feeder)
    }
}

impl Sample for Bill {
    fn sample() -> Self {
        let group = |epoch, windows: &[u64]| BillGroup {
            epoch: KeyEpoch(epoch),
            plan_version: PlanVersion(3),
            windows: windows.iter().copied().map(WindowStart).collect(),
            salts: windows.iter().map(|at| Salt(at.to_be_bytes())).collect(),
        };
        Self {
            analytics: id("analytics-1"),
            feeder: id("feeder-1"),
            meter: id("meter-17"),
            number: 9,
            period: WindowStart(1_749_945_600),
            groups: vec![
                group(1, &[1_749_945_600, 1_750_118_400]),
                group(2, &[1_750_032_000]),
            ],
            bands: vec![1, 1 << 49],
        }
    }

    fn topic(&self) -> String {
        topics().bill(Shard(0), &self.feeder)
    }
}

impl Sample for BillReceipt {
    fn sample() -> Self {
        Self {
            feeder: id("feeder-1"),
            meter: id("meter-17"),
            period: WindowStart(1_749_945_600),
            digest: digest(0xdd),
            status: SumStatus::Rejected(Reason::FewUnbilled),
        }
    }

    fn topic(&self) -> String {
        topics().bill_receipt(Shard(0), &self.feeder)
    }
}

impl Sample for Total {
    fn sample() -> Self {
        Self {
            feeder: id("feeder-1"),
            window: WindowStart(1_749_945_600),
            part: Part(0),
            interval_s: 900,
            quantum_wh: 1,
            meters: 203,
            completeness_ppm: 995_098,
            present: vec![Some(203), Some(0), None, Some(202), Some(203)],
            energy_wh: vec![Some(12_345), None, None, Some(-70_000), Some(i64::MAX)],
        }
    }

    fn topic(&self) -> String {
        topics().total(Shard(0), &self.feeder)
    }
}

impl Sample for Question {
    fn sample() -> Self {
        Self {
            feeder: id("feeder-1"),
            sum: vec![1; 40].into(),
        }
    }

    fn topic(&self) -> String {
        topics().of(&Topic::Question)
    }
}

impl Sample for Comparison {
    fn sample() -> Self {
        let sum = |feeder, part, byte| ComparedSum {
            feeder: id(feeder),
            part: Part(part),
            digest: digest(byte),
        };
        Self {
            epoch: KeyEpoch(2),
            window: WindowStart(1_749_945_600),
            sums: vec![sum("feeder-1", 0, 0xcc), sum("feeder-2", 1, 0xdd)],
            intervals: vec![3, 5],
            multiplier: 77,
            numbers: vec![1, 1 << 49],
        }
    }

    fn topic(&self) -> String {
        topics().of(&Topic::Comparison)
    }
}

impl Sample for Bits {
    fn sample() -> Self {
        Self {
            comparison: digest(0xee),
            bits: vec![5; BIT_LEN].into(),
        }
    }

    fn topic(&self) -> String {
        topics().of(&Topic::Bits)
    }
}

impl Sample for EvaluationKeys {
    fn sample() -> Self {
        Self {
            signs: digest(0xab),
            levelled: None,
            switches: vec![(KeyEpoch(1), digest(1)), (KeyEpoch(2), digest(2))],
        }
    }

    fn topic(&self) -> String {
        Self::PLACE.to_owned()
    }
}

impl Sample for NoisyTotal {
    fn sample() -> Self {
        Self {
            recipient: id("press"),
            feeder: id("feeder-1"),
            window: WindowStart(1_749_945_600),
            part: Part(0),
            interval_s: 900,
            quantum_wh: 1,
            unit: PrivacyUnit::HouseholdDay,
            epsilon_millionths: 500_000,
            delta_quadrillionths: 1_000_000,
            sensitivity_wh: 5_002,
            shares: 4,
            scale_mwh: 451_234_567,
            half_width_wh: 884_404,
            energy_wh: vec![Some(12_345), None, Some(-70_000), Some(i64::MIN)],
        }
    }

    fn topic(&self) -> String {
        topics().noisy_total(&self.recipient, &self.feeder)
    }
}

/// Calls `$check::<M>($args)` for every message, and for what holders pass around in files.
#[macro_export]
macro_rules! for_every_message {
    ($check:ident($($arg:expr),*)) => {
        $crate::for_every_published!($check($($arg),*));
        $crate::for_every_file!($check($($arg),*));
    };
}

/// As [`for_every_message`], of what holders pass around in files.
#[macro_export]
macro_rules! for_every_file {
    ($check:ident($($arg:expr),*)) => {
        $check::<wire::Terms>($($arg),*);
        $check::<wire::Proposal>($($arg),*);
        $check::<wire::Card>($($arg),*);
        $check::<wire::Deal>($($arg),*);
        $check::<wire::Acceptance>($($arg),*);
        $check::<wire::Closing>($($arg),*);
    };
}

/// As [`for_every_message`], of what is published.
#[macro_export]
macro_rules! for_every_published {
    ($check:ident($($arg:expr),*)) => {
        $check::<wire::Plan>($($arg),*);
        $check::<wire::PlanRenewal>($($arg),*);
        $check::<wire::RosterPage>($($arg),*);
        $check::<wire::EnrolRequest>($($arg),*);
        $check::<wire::EnrolAnswer>($($arg),*);
        $check::<wire::AnalyticsEnrol>($($arg),*);
        $check::<wire::Report>($($arg),*);
        $check::<wire::Receipt>($($arg),*);
        $check::<wire::Sum>($($arg),*);
        $check::<wire::SumReceipt>($($arg),*);
        $check::<wire::Bill>($($arg),*);
        $check::<wire::BillReceipt>($($arg),*);
        $check::<wire::Total>($($arg),*);
        $check::<wire::NoisyTotal>($($arg),*);
        $check::<wire::Question>($($arg),*);
        $check::<wire::Comparison>($($arg),*);
        $check::<wire::Bits>($($arg),*);
        $check::<wire::EvaluationKeys>($($arg),*);
        $check::<wire::Ask>($($arg),*);
        $check::<wire::HolderAnswer>($($arg),*);
        $check::<wire::Consent>($($arg),*);
        $check::<wire::Countersignature>($($arg),*);
        $check::<wire::AuditDemand>($($arg),*);
    };
}
