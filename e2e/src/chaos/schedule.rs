//! Who is killed when, and how: everything that follows from the seed.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::serve::Role;

/// Fewest kills of a run: below, a process could be left out.
pub(crate) const FEWEST: u32 = 10;
/// Share of the run's windows over which the kills are spread. The rest is for what they left behind.
const SPREAD: f64 = 0.85;
/// Share of the kills after which the next one does not wait until the process has recovered.
const OVERLAPPING: f64 = 0.25;
/// Longest random wait between seeing work in flight and the kill, in milliseconds.
const LATEST_MS: u64 = 150;

/// A fail point and the greatest number of passages after which it is to kill.
type Point = (&'static str, u32);

const GATEWAY: &[Point] = &[
    ("meter.before_journal", 20),
    ("meter.after_journal", 20),
    ("meter.before_publish", 100),
    ("meter.after_publish", 100),
];

/// Points around a commit and a publish of each process. The broker has none: it forgets everything whenever it dies.
const POINTS: [(Role, &[Point]); 5] = [
    (
        Role::Analytics,
        &[
            ("analytics.before_commit", 12),
            ("analytics.after_commit", 12),
            ("analytics.after_publish", 12),
        ],
    ),
    (
        Role::FirstHolder,
        &[
            ("holder.before_consent", 8),
            ("holder.after_consent", 8),
            ("holder.after_answer", 8),
        ],
    ),
    (Role::Meter, GATEWAY),
    (Role::Live, GATEWAY),
    (
        Role::Operator,
        &[
            ("operator.before_record", 4),
            ("operator.between_records", 4),
            ("operator.after_record", 4),
            ("operator.after_receipt", 4),
            ("operator.after_bill_spent", 4),
            ("operator.after_bill", 4),
        ],
    ),
];

/// How the operator's fail points around bills begin.
const OF_BILLS: &str = "operator.after_bill";

/// A fail point armed for one life of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailPoint {
    pub(crate) name: &'static str,
    /// Passages until it kills.
    pub(crate) count: u32,
}

/// A process that is killed from outside and, in some cases, its successor at a fail point: two kills then.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedKill {
    pub(crate) role: Role,
    /// Where its successor dies.
    pub(crate) then: Option<FailPoint>,
    /// Share of the run's windows, 0 to 1, that is reported first.
    pub(crate) position: f64,
    /// Milliseconds between seeing work in flight and the kill.
    pub(crate) wait_ms: u64,
    /// Whether the next kill comes before this process has recovered.
    pub(crate) overlaps: bool,
}

/// What happens to a run besides kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A process stands still.
    Stop { role: Role, pause: Duration },
    /// The database is killed, and started again.
    Restart,
    /// The database is killed for good, and its standby promoted.
    Promotion,
}

/// A fault, and the share of the run's windows, 0 to 1, that is reported first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PlannedFault {
    pub(crate) fault: Fault,
    pub(crate) position: f64,
}

/// Faults of a run of `kills` kills over a database: for each twenty of them a restart, a promotion and two stops, every second of an
/// analytics process for longer than a lease.
pub(crate) fn faults(kills: u32, seed: u64, roles: &[Role]) -> Vec<PlannedFault> {
    let mut random = ChaCha8Rng::seed_from_u64(!seed);
    let of_each = kills.div_ceil(20) as usize;
    let (pool, others): (Vec<Role>, Vec<Role>) =
        (roles.iter()).partition(|role| role.program() == Role::Analytics);
    let mut stop = |roles: &[Role], number: usize, ms: std::ops::Range<u64>| Fault::Stop {
        role: roles[number % roles.len()],
        pause: Duration::from_millis(random.random_range(ms)),
    };
    let mut faults = Vec::new();
    for number in 0..of_each {
        faults.extend([Fault::Restart, Fault::Promotion]);
        faults.push(stop(&pool, number, 6_000..9_000));
        faults.push(stop(&others, number, 200..3_000));
    }
    faults.shuffle(&mut random);
    let step = SPREAD / faults.len() as f64;
    let position = |index: usize| step * (index as f64 + 0.5);
    let placed = faults.into_iter().enumerate();
    let placed = placed.map(|(index, fault)| PlannedFault {
        fault,
        position: position(index),
    });
    placed.collect()
}

/// A plan of `kills` kills of the processes `roles`.
pub(crate) fn schedule(kills: u32, seed: u64, roles: &[Role]) -> Vec<PlannedKill> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut lives = Vec::new();
    for (role, share) in shares(kills, roles, &mut random) {
        let points = points(role, (share, roles), &mut random);
        let single = share as usize - 2 * points.len();
        lives.extend(points.into_iter().map(|point| (role, Some(point))));
        lives.extend(std::iter::repeat_n((role, None), single));
    }
    lives.shuffle(&mut random);
    let step = SPREAD / lives.len() as f64;
    lives
        .into_iter()
        .enumerate()
        .map(|(index, (role, then))| PlannedKill {
            role,
            then,
            position: step * (index as f64 + random.random_range(0.0..1.0)),
            wait_ms: random.random_range(0..LATEST_MS),
            overlaps: random.random_bool(OVERLAPPING),
        })
        .collect()
}

/// As many kills for each process; what does not divide goes by lot.
fn shares(kills: u32, roles: &[Role], random: &mut ChaCha8Rng) -> BTreeMap<Role, u32> {
    let mut roles = roles.to_vec();
    roles.shuffle(random);
    let count = roles.len() as u32;
    (0..)
        .zip(roles)
        .map(|(place, role)| (role, kills / count + u32::from(place < kills % count)))
        .collect()
}

/// At least a third of a process's kills at fail points, all of them in turn.
fn points(role: Role, (share, roles): (u32, &[Role]), random: &mut ChaCha8Rng) -> Vec<FailPoint> {
    let Some((_, known)) = POINTS.iter().find(|(of, _)| *of == role.program()) else {
        return Vec::new();
    };
    let mut known = known.to_vec();
    if roles.contains(&Role::FirstHolder) {
        // Where there are holders, nobody is billed.
        known.retain(|(name, _)| !name.starts_with(OF_BILLS));
    }
    known.shuffle(random);
    let count = (share * 2).div_ceil(5).min(share / 2) as usize;
    let names = known.iter().cycle().take(count);
    names
        .map(|&(name, most)| FailPoint {
            name,
            count: random.random_range(1..=most),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::stage::LEASE;
    use super::*;

    const ROLES: [Role; 5] = [
        Role::Broker,
        Role::Operator,
        Role::Analytics,
        Role::Meter,
        Role::Live,
    ];

    fn kills_of(planned: &[PlannedKill]) -> BTreeMap<Role, (u32, u32)> {
        let mut counts: BTreeMap<Role, (u32, u32)> = BTreeMap::new();
        for kill in planned {
            let (all, at_points) = counts.entry(kill.role).or_default();
            *all += 1 + u32::from(kill.then.is_some());
            *at_points += u32::from(kill.then.is_some());
        }
        counts
    }

    #[test]
    fn each_process_gets_as_many_and_a_third_of_those_at_fail_points() {
        for kills in FEWEST..150 {
            let planned = schedule(kills, u64::from(kills), &ROLES);
            let counts = kills_of(&planned);
            assert_eq!(counts.values().map(|(all, _)| all).sum::<u32>(), kills);
            for role in ROLES {
                let (all, at_points) = counts[&role];
                assert!(
                    all >= kills / ROLES.len() as u32,
                    "{role:?} {all} of {kills}"
                );
                let expected = role != Role::Broker;
                assert_eq!(
                    at_points * 3 >= all,
                    expected,
                    "{role:?} {at_points} of {all}"
                );
            }
        }
    }

    #[test]
    fn a_longer_run_passes_every_fail_point_that_its_processes_have() {
        let with_holder = [&ROLES[..], &[Role::FirstHolder]].concat();
        for roles in [&ROLES[..], &with_holder] {
            let is_held = roles.contains(&Role::FirstHolder);
            let planned = schedule(90, 7, roles);
            for (role, points) in POINTS {
                for (name, most) in points {
                    let armed = planned.iter().filter_map(|kill| kill.then.as_ref());
                    let counts: Vec<u32> = armed
                        .filter(|point| point.name == *name)
                        .map(|point| point.count)
                        .collect();
                    let is_passed = roles.contains(&role) && !(is_held && name.contains("bill"));
                    assert_eq!(!counts.is_empty(), is_passed, "{name}");
                    assert!(counts.iter().all(|count| (1..=*most).contains(count)));
                }
            }
        }
    }

    #[test]
    fn two_hundred_kills_have_ten_of_every_fault() {
        let planned = faults(200, 7, &ROLES);
        let of = |is: fn(&Fault) -> bool| planned.iter().filter(|one| is(&one.fault)).count();
        assert_eq!(of(|fault| *fault == Fault::Restart), 10);
        assert_eq!(of(|fault| *fault == Fault::Promotion), 10);
        let outlasts = |fault: &Fault| matches!(fault, Fault::Stop { role: Role::Analytics, pause } if *pause > LEASE);
        assert_eq!(of(|fault| matches!(fault, Fault::Stop { .. })), 20);
        assert_eq!(
            planned.iter().filter(|one| outlasts(&one.fault)).count(),
            10
        );
        assert!(planned.iter().all(|one| one.position < SPREAD));
    }

    #[test]
    fn the_schedule_follows_from_the_seed_and_leaves_the_end_in_peace() {
        let planned = schedule(50, 3, &ROLES);
        assert_eq!(planned, schedule(50, 3, &ROLES));
        assert_ne!(planned, schedule(50, 4, &ROLES));
        assert!(planned.is_sorted_by_key(|kill| (kill.position * 1e9) as u64));
        assert!(planned.iter().all(|kill| kill.position < SPREAD));
    }
}
