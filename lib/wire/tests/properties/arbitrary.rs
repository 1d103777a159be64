//! Arbitrary messages.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use wire::{
    AnalyticsEnrol, AnalyticsEntry, AnalyticsId, AreaId, Areas, BIT_LEN, BandName, BandRule, Bill,
    BillGroup, BillReceipt, BillingPeriod, Bits, CapacityClass, ComparedSum, Comparison,
    ContributorSet, Digest, EarlierMinimum, EnrolAnswer, EnrolFeeder, EnrolMeter, EnrolRequest,
    EpochPlan, EvaluationKeys, FeederId, FeederPlan, Grid, KeyEpoch, LayoutName, MAX_COMPARED,
    MAX_CONTRIBUTORS, MAX_EDGES, MAX_METER_NUMBER, MAX_SHARDS, MAX_UNIX_SECONDS, MaskKey,
    NoisyTotal, Part, Plan, PlanRenewal, PlanVersion, PoolEntry, PrivacyUnit, Question, Reason,
    Receipt, ReceiptEntry, Refusal, Report, Rest, RosterEntry, RosterPage, Salt, Settlement,
    SettlementOutcome, Share, Status, Sum, SumReceipt, SumStatus, Tariff, TariffVersion, Total,
    UnixMillis, UnixSeconds, VerifyingKey, WindowStart,
};

pub(crate) fn name<T>() -> impl Strategy<Value = T>
where
    T: for<'t> TryFrom<&'t str, Error = wire::IdError> + std::fmt::Debug,
{
    proptest::string::string_regex("[a-z0-9-]{1,64}")
        .unwrap()
        .prop_map(|text| T::try_from(text.as_str()).unwrap())
}

pub(super) fn window() -> impl Strategy<Value = WindowStart> {
    (0..=MAX_UNIX_SECONDS).prop_map(WindowStart)
}

fn millis() -> impl Strategy<Value = UnixMillis> {
    (0..=MAX_UNIX_SECONDS * 1000 + 999).prop_map(UnixMillis)
}

pub(super) fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

pub(super) fn good_key() -> impl Strategy<Value = VerifyingKey> {
    any::<[u8; 32]>().prop_map(|seed| wire::SigningKey::from_bytes(&seed).verifying_key())
}

pub(super) fn reason() -> impl Strategy<Value = Reason> {
    proptest::sample::select(Reason::ALL)
}

fn mask_key() -> impl Strategy<Value = MaskKey> {
    // No other byte string of equal bytes has a small order.
    (2..=u8::MAX).prop_map(|byte| MaskKey([byte; 32]))
}

fn capacity() -> impl Strategy<Value = CapacityClass> {
    (0..=CapacityClass::MAX.number()).prop_map(|number| CapacityClass::try_from(number).unwrap())
}

fn part() -> impl Strategy<Value = Part> {
    any::<u16>().prop_map(Part)
}

pub(crate) fn question() -> impl Strategy<Value = Question> {
    (name(), vec(any::<u8>(), 0..100)).prop_map(|(feeder, sum)| Question {
        feeder,
        sum: sum.into(),
    })
}

pub(crate) fn comparison() -> impl Strategy<Value = Comparison> {
    let sum = (part(), digest());
    let sums = btree_map(name(), sum, 1..=MAX_COMPARED);
    let numbers = (
        any::<u32>(),
        btree_set(any::<u16>(), 1..4),
        1..=u64::MAX,
        any::<u64>(),
    );
    (window(), sums, numbers).prop_map(|(window, sums, (epoch, intervals, multiplier, number))| {
        let sums = sums
            .into_iter()
            .map(|(feeder, (part, digest))| ComparedSum {
                feeder,
                part,
                digest,
            });
        let mut comparison = Comparison {
            epoch: KeyEpoch(epoch),
            window,
            sums: sums.collect(),
            intervals: intervals.into_iter().collect(),
            multiplier,
            numbers: Vec::new(),
        };
        comparison.numbers = vec![number; comparison.intervals.len() * comparison.pairs()];
        comparison
    })
}

pub(crate) fn evaluation_keys() -> impl Strategy<Value = EvaluationKeys> {
    let switches = btree_map(any::<u32>(), digest(), 0..4);
    let files = (digest(), proptest::option::of(digest()));
    (files, switches).prop_map(|((signs, levelled), switches)| EvaluationKeys {
        signs,
        levelled,
        switches: switches
            .into_iter()
            .map(|(epoch, digest)| (KeyEpoch(epoch), digest))
            .collect(),
    })
}

pub(crate) fn bits() -> impl Strategy<Value = Bits> {
    (digest(), 1..3usize, any::<u8>()).prop_map(|(comparison, count, byte)| Bits {
        comparison,
        bits: vec![byte; count * BIT_LEN].into(),
    })
}

pub(crate) fn report() -> impl Strategy<Value = Report> {
    let numbers = (any::<u64>(), any::<u32>(), any::<[u8; 8]>());
    (name(), name(), name(), window(), millis(), numbers).prop_map(
        |(feeder, meter, gateway, window, sealed_at, numbers)| Report {
            plan_version: PlanVersion(numbers.0),
            epoch: KeyEpoch(numbers.1),
            feeder,
            meter,
            gateway,
            window,
            salt: Salt(numbers.2),
            sealed_at,
        },
    )
}

fn setting() -> impl Strategy<Value = FeederPlan> {
    let units = (0..64u32, 0..64u32, 0..64u32);
    let meters = 1..=MAX_CONTRIBUTORS;
    let rating_wh = proptest::option::of(1..=u64::MAX);
    let names = (name(), name(), areas());
    (names, units, (meters, rating_wh), any::<u64>(), window()).prop_map(
        |((feeder, profile, areas), units, (max_meters, rating_wh), since, first_window)| {
            FeederPlan {
                feeder,
                areas,
                profile,
                reference_wh: 1 << units.0,
                quantum_wh: 1 << units.1,
                square_unit_wh2: Some(1 << units.2),
                rating_wh,
                max_meters,
                since: PlanVersion(since),
                first_window,
            }
        },
    )
}

fn areas() -> impl Strategy<Value = Option<Areas>> {
    let areas = (name::<AreaId>(), proptest::option::of(name())).prop_map(|(area, around)| Areas {
        substation: around.filter(|around| *around != area),
        transformer: area,
    });
    proptest::option::of(areas)
}

fn epochs() -> impl Strategy<Value = Vec<EpochPlan>> {
    let numbers = (0..u32::MAX, 0..MAX_UNIX_SECONDS, 1..63u32, any::<bool>());
    (any::<[u8; 32]>(), mask_key(), numbers).prop_map(|(fingerprint, mask_key, numbers)| {
        let (first, first_window, key_len, two) = numbers;
        let epoch = |add: u32, key_len| EpochPlan {
            epoch: KeyEpoch(first + add),
            fingerprint,
            mask_key,
            first_window: WindowStart(first_window + u64::from(add)),
            key_len,
        };
        match two {
            // Together they are as long as the sample limbs.
            true => vec![epoch(0, key_len), epoch(1, 64 - key_len)],
            false => vec![epoch(0, 64)],
        }
    })
}

/// `moments`, `histogram` with its edges, or another layout.
fn layout() -> impl Strategy<Value = (LayoutName, Vec<u64>)> {
    let edges = btree_set(1..=u64::MAX, 1..=MAX_EDGES);
    prop_oneof![
        Just(("moments".parse().unwrap(), Vec::new())),
        edges.prop_map(|edges| ("histogram".parse().unwrap(), edges.into_iter().collect())),
        name().prop_map(|name| (name, Vec::new())),
    ]
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let analytics =
        (name(), any::<[u8; 32]>(), vec(name(), 0..3)).prop_map(|(id, key, feeders)| {
            AnalyticsEntry {
                id,
                key: VerifyingKey::from_bytes(key),
                feeders,
            }
        });
    let grid = (grid(), 1..=u32::MAX);
    let until = proptest::option::of(seconds());
    let lists = (
        vec(setting(), 0..5),
        epochs(),
        vec(analytics, 0..3),
        earlier_minimums(),
        proptest::option::of(tariff()),
        (1..=MAX_SHARDS, vec((name(), good_key()), 0..3)),
    );
    (name(), until, layout(), grid, lists).prop_map(|(deployment, until, layout, grid, lists)| {
        let (mut feeders, epochs, mut analytics, min_meters_before, tariff, (shards, pool)) = lists;
        feeders.sort_by(|a, b| (&a.feeder, a.first_window).cmp(&(&b.feeder, b.first_window)));
        feeders.dedup_by(|a, b| a.feeder == b.feeder && a.first_window == b.first_window);
        let (layout, histogram_edges_wh) = layout;
        if layout.as_str() != "moments" {
            for setting in &mut feeders {
                setting.square_unit_wh2 = None;
            }
        }
        analytics.sort_by(|a, b| a.id.cmp(&b.id));
        analytics.dedup_by(|a, b| a.id == b.id);
        let pool = members(pool, &analytics);
        // Its bands end at midnight.
        let tariff = tariff.filter(|_| 86_400 % grid.0.interval_s() == 0);
        Plan {
            deployment,
            version: PlanVersion(u64::MAX),
            valid_until: until,
            interval_s: grid.0.interval_s(),
            batch: grid.0.batch(),
            time_zone: grid.0.zone(),
            layout,
            histogram_edges_wh,
            min_meters: grid.1,
            min_meters_before,
            tariff,
            feeders,
            epochs,
            analytics,
            shards,
            pool,
            holders: Vec::new(),
        }
    })
}

/// Members of one pool, under names that no service has.
fn members(keys: Vec<(AnalyticsId, VerifyingKey)>, services: &[AnalyticsEntry]) -> Vec<PoolEntry> {
    let is_free = |name: &AnalyticsId| services.iter().all(|entry| entry.id != *name);
    let members: BTreeMap<_, _> = keys.into_iter().filter(|(name, _)| is_free(name)).collect();
    let members = members.into_iter().map(|(analytics, key)| PoolEntry {
        pool: "the-pool".parse().unwrap(),
        analytics,
        key,
    });
    members.collect()
}

/// One whose bands are of whole days, which suits any interval.
fn tariff() -> impl Strategy<Value = Tariff> {
    let season = (101..=1_231u16, 101..=1_231u16);
    let rules = (0..=14u8, proptest::option::of(season));
    let versions = btree_map(
        0..=MAX_UNIX_SECONDS,
        (rules, btree_set(any::<u32>(), 0..4)),
        1..4,
    );
    (0..=1_023u32, vec(name::<BandName>(), 16), versions).prop_map(|(count, bands, versions)| {
        let versions = versions
            .into_iter()
            .map(|(from, ((days, season), holidays))| {
                let rule = |band, days| BandRule {
                    band,
                    minutes: (0, 1_440),
                    days,
                    season,
                };
                let rules = [rule(3, 15 - days), rule(15, days)];
                TariffVersion {
                    from: WindowStart(from),
                    otherwise: days,
                    rules: rules.into_iter().filter(|rule| rule.days > 0).collect(),
                    holidays: holidays.into_iter().collect(),
                }
            });
        Tariff {
            period: match count {
                0 => BillingPeriod::Month,
                count => BillingPeriod::Windows(count),
            },
            bands,
            versions: versions.collect(),
        }
    })
}

pub(crate) fn bill() -> impl Strategy<Value = Bill> {
    let windows = btree_map(0..=MAX_UNIX_SECONDS, any::<bool>(), 1..40);
    let numbers = (0..=MAX_METER_NUMBER, any::<u32>(), any::<u64>());
    let bands = vec(any::<u64>(), 1..=16);
    (name(), name(), name(), numbers, windows, bands).prop_map(
        |(analytics, feeder, meter, (number, epoch, version), windows, bands)| {
            let group = |first| {
                let windows = windows.iter().filter(|(_, is_first)| **is_first == first);
                let windows: Vec<_> = windows.map(|(at, _)| WindowStart(*at)).collect();
                BillGroup {
                    epoch: KeyEpoch(epoch),
                    plan_version: PlanVersion(version),
                    salts: windows.iter().map(|at| Salt(at.0.to_le_bytes())).collect(),
                    windows,
                }
            };
            let groups = [true, false].map(group);
            let has_any = |group: &BillGroup| !group.windows.is_empty();
            Bill {
                analytics,
                feeder,
                meter,
                number,
                period: WindowStart(0),
                groups: groups.into_iter().filter(has_any).collect(),
                bands,
            }
        },
    )
}

pub(crate) fn bill_receipt() -> impl Strategy<Value = BillReceipt> {
    let status = prop_oneof![
        Just(SumStatus::Taken),
        Just(SumStatus::Duplicate),
        reason().prop_map(SumStatus::Rejected)
    ];
    (name(), name(), window(), digest(), status).prop_map(
        |(feeder, meter, period, digest, status)| BillReceipt {
            feeder,
            meter,
            period,
            digest,
            status,
        },
    )
}

fn grid() -> impl Strategy<Value = Grid> {
    const ZONES: &[&str] = &["Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"];
    let days = (
        proptest::sample::select(ZONES),
        proptest::sample::select(&[60u32, 300, 900][..]),
    )
        .prop_map(|(zone, interval_s)| Grid::of_days(interval_s, zone.parse().unwrap()).unwrap());
    let plain = (1..=86_400u32, 1..=u16::MAX)
        .prop_map(|(interval_s, batch)| Grid::new(interval_s, batch).unwrap());
    prop_oneof![plain, days]
}

fn earlier_minimums() -> impl Strategy<Value = Vec<EarlierMinimum>> {
    btree_map(0..=MAX_UNIX_SECONDS, 1..=u32::MAX, 0..4).prop_map(|earlier| {
        let earlier = earlier.into_iter();
        let earlier = earlier.map(|(until, min_meters)| EarlierMinimum {
            until: WindowStart(until),
            min_meters,
        });
        earlier.collect()
    })
}

fn seconds() -> impl Strategy<Value = UnixSeconds> {
    (0..=MAX_UNIX_SECONDS).prop_map(UnixSeconds)
}

pub(crate) fn renewal() -> impl Strategy<Value = PlanRenewal> {
    (name(), any::<u64>(), digest(), seconds()).prop_map(
        |(deployment, version, plan_digest, valid_until)| PlanRenewal {
            deployment,
            plan_version: PlanVersion(version),
            plan_digest,
            valid_until,
        },
    )
}

pub(crate) fn roster() -> impl Strategy<Value = RosterPage> {
    let names = (name(), name(), name());
    let keys = (any::<[u8; 32]>(), mask_key(), any::<bool>());
    let entry = (names, 0..=MAX_METER_NUMBER, capacity(), keys).prop_map(
        |((meter, feeder, gateway), number, capacity, (key, mask_key, billing))| RosterEntry {
            meter,
            feeder,
            number,
            gateway,
            capacity,
            key: VerifyingKey::from_bytes(key),
            mask_key,
            billing,
        },
    );
    (any::<u64>(), 0..64u16, 0..64u16, vec(entry, 0..5)).prop_map(|(version, a, b, mut entries)| {
        entries.sort_by(|a, b| a.meter.cmp(&b.meter));
        entries.dedup_by(|a, b| a.meter == b.meter);
        RosterPage {
            version,
            page: a.min(b),
            pages: a.max(b) + 1,
            entries,
            countersignatures: Vec::new(),
        }
    })
}

pub(crate) fn enrol() -> impl Strategy<Value = EnrolRequest> {
    let feeder =
        (name(), capacity(), any::<u32>()).prop_map(|(feeder, max_capacity, meters)| EnrolFeeder {
            feeder,
            max_capacity,
            meters,
        });
    let meter = (
        name(),
        name(),
        capacity(),
        good_key(),
        (mask_key(), any::<bool>()),
    )
        .prop_map(
            |(meter, feeder, capacity, key, (mask_key, billing))| EnrolMeter {
                meter,
                feeder,
                capacity,
                key,
                mask_key,
                billing,
            },
        );
    let chunks = (0..65_536u32, 0..65_536u32);
    let lists = (vec(feeder, 0..3), vec(meter, 0..3));
    (name(), good_key(), millis(), chunks, lists).prop_map(
        |(gateway, gateway_key, issued_at, (a, b), (feeders, meters))| EnrolRequest {
            gateway,
            gateway_key,
            issued_at,
            chunk: a.min(b),
            chunks: a.max(b) + 1,
            feeders,
            meters,
        },
    )
}

pub(crate) fn enrol_answer() -> impl Strategy<Value = EnrolAnswer> {
    let refusal = (reason(), any::<u32>(), name()).prop_map(|(reason, meters, first)| Refusal {
        reason,
        meters,
        first,
    });
    let refused = vec(refusal, 0..4);
    (name(), good_key(), millis(), any::<bool>(), refused).prop_map(
        |(gateway, gateway_key, issued_at, waits, refused)| EnrolAnswer {
            gateway,
            gateway_key,
            issued_at,
            waits,
            refused,
        },
    )
}

pub(crate) fn analytics_enrol() -> impl Strategy<Value = AnalyticsEnrol> {
    let pool = proptest::option::of(name());
    (name(), good_key(), millis(), vec(name(), 0..4), pool).prop_map(
        |(id, key, issued_at, feeders, pool)| AnalyticsEnrol {
            id,
            key,
            issued_at,
            feeders: if pool.is_some() { Vec::new() } else { feeders },
            pool,
        },
    )
}

fn receipt_entry() -> impl Strategy<Value = ReceiptEntry> {
    let status = prop_oneof![
        Just(Status::Folded),
        Just(Status::Duplicate),
        reason().prop_map(Status::Rejected)
    ];
    (name(), window(), digest(), status, part()).prop_map(
        |(meter, window, digest, status, part)| ReceiptEntry {
            meter,
            window,
            digest,
            status,
            part: match status {
                Status::Rejected(_) => Part(0),
                _ => part,
            },
        },
    )
}

fn settlement() -> impl Strategy<Value = Settlement> {
    let outcome = prop_oneof![
        Just(SettlementOutcome::Released),
        Just(SettlementOutcome::Refused),
        Just(SettlementOutcome::Wanted)
    ];
    (name(), window(), part(), outcome).prop_map(|(feeder, window, part, outcome)| Settlement {
        feeder,
        window,
        part,
        outcome,
    })
}

pub(crate) fn receipt() -> impl Strategy<Value = Receipt> {
    let lists = (vec(receipt_entry(), 0..5), vec(settlement(), 0..5));
    (name(), name(), lists).prop_map(|(analytics, gateway, (entries, settlements))| Receipt {
        analytics,
        gateway,
        entries,
        settlements,
    })
}

/// Meters of a small and of the largest feeder, each with its salt.
fn contributors() -> impl Strategy<Value = (ContributorSet, Vec<Salt>)> {
    let numbers = prop_oneof![
        btree_set(0..300u32, 1..200),
        btree_set(0..=MAX_METER_NUMBER, 1..5)
    ];
    (numbers, any::<u64>()).prop_map(|(numbers, first)| {
        let salt = |index: usize| Salt(first.wrapping_add(index as u64).to_le_bytes());
        let salts = (0..numbers.len()).map(salt).collect();
        (ContributorSet::from_numbers(numbers).unwrap(), salts)
    })
}

/// A feeder, and perhaps others after it: the rest of an area.
fn feeders() -> impl Strategy<Value = (FeederId, Option<Rest>)> {
    let share = (any::<u64>(), part(), contributors());
    let feeders = btree_map(name::<FeederId>(), share, 1..4);
    (feeders, name()).prop_map(|(feeders, area)| {
        let mut feeders = feeders.into_iter();
        let (first, _) = feeders.next().unwrap();
        let share = |(feeder, (plan_version, part, (set, salts)))| Share {
            feeder,
            plan_version: PlanVersion(plan_version),
            part,
            set,
            salts,
        };
        let others: Vec<Share> = feeders.map(share).collect();
        let rest = (!others.is_empty()).then_some(Rest { area, others });
        (first, rest)
    })
}

pub(crate) fn sum() -> impl Strategy<Value = Sum> {
    let parts = (any::<u16>(), any::<u16>(), any::<bool>());
    let times = (window(), millis(), millis());
    let numbers = (any::<u64>(), any::<u32>());
    (
        name(),
        feeders(),
        numbers,
        parts,
        contributors(),
        times,
        digest(),
    )
        .prop_map(
            |(
                analytics,
                (feeder, rest),
                numbers,
                (a, b, replaces),
                (set, salts),
                times,
                digest,
            )| Sum {
                analytics,
                plan_version: PlanVersion(numbers.0),
                epoch: KeyEpoch(numbers.1),
                feeder,
                window: times.0,
                part: Part(a.max(b)),
                replaces: (rest.is_none() && replaces && a != b).then_some(Part(a.min(b))),
                rest,
                set,
                salts,
                oldest_sealed_at: times.1.min(times.2),
                newest_sealed_at: times.1.max(times.2),
                contributors_digest: digest,
            },
        )
}

pub(crate) fn sum_receipt() -> impl Strategy<Value = SumReceipt> {
    let status = prop_oneof![
        Just(SumStatus::Taken),
        Just(SumStatus::Duplicate),
        Just(SumStatus::Divide),
        reason().prop_map(SumStatus::Rejected)
    ];
    (
        name(),
        any::<u32>(),
        window(),
        any::<u16>(),
        digest(),
        status,
    )
        .prop_map(|(feeder, epoch, window, part, digest, status)| SumReceipt {
            feeder,
            epoch: KeyEpoch(epoch),
            window,
            part: Part(part),
            digest,
            status,
        })
}

pub(crate) fn total() -> impl Strategy<Value = Total> {
    let numbers = (1..=86_400u32, 0..64u32, 0..=1_000_000u32);
    let intervals = vec((proptest::option::of(0..=9u32), any::<i64>()), 1..20);
    (
        name(),
        window(),
        part(),
        numbers,
        9..=MAX_CONTRIBUTORS,
        intervals,
    )
        .prop_map(|(feeder, window, part, numbers, meters, intervals)| Total {
            feeder,
            window,
            part,
            interval_s: numbers.0,
            quantum_wh: 1 << numbers.1,
            meters,
            completeness_ppm: numbers.2,
            present: intervals
                .iter()
                .map(|(ninths, _)| ninths.map(|ninths| meters / 9 * ninths))
                .collect(),
            energy_wh: intervals
                .iter()
                .map(|(ninths, energy)| (ninths.unwrap_or(0) > 0).then_some(*energy))
                .collect(),
        })
}

pub(crate) fn noisy_total() -> impl Strategy<Value = NoisyTotal> {
    let place = (name(), name(), window(), part());
    let numbers = (1..=86_400u32, 0..64u32, any::<bool>());
    let privacy = (1..=100_000_000u64, 0..=1_000_000_000_000u64);
    let noise = (any::<u64>(), any::<u64>(), any::<u64>());
    let energy_wh = vec(proptest::option::of(any::<i64>()), 1..20);
    (place, numbers, privacy, noise, energy_wh).prop_map(
        |(place, numbers, privacy, noise, energy_wh)| NoisyTotal {
            recipient: place.0,
            feeder: place.1,
            window: place.2,
            part: place.3,
            interval_s: numbers.0,
            quantum_wh: 1 << numbers.1,
            unit: match numbers.2 {
                true => PrivacyUnit::HouseholdDay,
                false => PrivacyUnit::Interval,
            },
            epsilon_millionths: privacy.0,
            delta_quadrillionths: privacy.1,
            sensitivity_wh: noise.0,
            shares: 1 + (noise.1 % 255) as u8,
            scale_mwh: noise.1,
            half_width_wh: noise.2,
            energy_wh,
        },
    )
}
