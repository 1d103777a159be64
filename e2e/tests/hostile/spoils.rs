//! One enrolled meter that spoils every sum it is in: all others are in totals all the same where it is named, and out of service
//! until a person decides. Where it spoils readings alone, its part is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use e2e::clocked::{self, WINDOW_S, window};
use harness::holders::Group;
use harness::network::Network;
use harness::oracle;
use harness::rogue::{Observed, RogueGateway, Spoilt};
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::watch::Seen;
use meter::Scale;
use operator::{Change, FeederReport, Party, commands};
use serde::Deserialize;
use service::clock::{Clock as _, MockClock};
use service::{Settings, Stop};
use wire::{Grid, MeterId, Status, WindowStart};

use super::{LIMIT, rogue, roster_has, started};

/// With the hostile one they make four groups.
const HONEST: u32 = 100;
const MIN_METERS: u32 = 15;
/// What it sends, a window each.
const SPOILT: [Spoilt; 11] = [
    Spoilt::Truncated,
    Spoilt::Limb,
    Spoilt::OtherPlan,
    Spoilt::CopiedSalt,
    Spoilt::Readings,
    Spoilt::Range,
    Spoilt::Presence,
    Spoilt::Noise,
    Spoilt::Salt,
    Spoilt::Setting,
    Spoilt::Key,
];
/// Windows that pass: in the last two it is out of service.
const PASSED: u64 = SPOILT.len() as u64 + 2;

/// A line of `totals.refused.jsonl`.
#[derive(Deserialize)]
struct Refused {
    window_start: WindowStart,
    /// Of a part that is burnt.
    #[serde(default)]
    meters: BTreeSet<MeterId>,
    /// Of a search.
    #[serde(default)]
    culprits: BTreeSet<MeterId>,
    #[serde(default)]
    silent: BTreeSet<MeterId>,
}

fn refused(totals: &Path) -> Vec<Refused> {
    let text = std::fs::read_to_string(totals.with_extension("refused.jsonl"));
    let text = text.unwrap_or_default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn settings(honest: u32) -> Settings {
    // One window more than passes: the gateway does not end before everything is settled.
    let mut settings = clocked::settings(PASSED + 1, LIMIT);
    settings.set_min_meters(MIN_METERS);
    settings.analytics.release_retry = Duration::from_secs(1);
    settings.meter.meters = honest;
    settings.meter.feeders = 1;
    settings
}

/// What each honest meter entered, and the hostile one may have, in Wh by window and interval.
fn entered(settings: &Settings, hostile: &MeterId, scale: Scale) -> Entered {
    let grid = Grid::new((WINDOW_S / 2) as u32, 2).unwrap();
    let windows = (window(0), PASSED);
    let mut entered = oracle::entered(settings, grid, scale, windows).unwrap();
    for number in 0..PASSED {
        entered.insert((hostile.clone(), window(number)), vec![0; 2]);
    }
    entered
}

/// What came of a window: the parts that were released, and who is named.
struct Ended<'a> {
    parts: Vec<&'a FeederReport>,
    burnt: BTreeSet<MeterId>,
    culprits: BTreeSet<MeterId>,
}

impl<'a> Ended<'a> {
    fn of(window: WindowStart, released: &'a [FeederReport], totals: &Path) -> Self {
        let parts = released.iter().filter(|part| part.window_start == window);
        let mut ended = Self {
            parts: parts.collect(),
            burnt: BTreeSet::new(),
            culprits: BTreeSet::new(),
        };
        let refused = refused(totals).into_iter();
        for line in refused.filter(|line| line.window_start == window) {
            ended.burnt.extend(line.meters);
            ended.culprits.extend(line.culprits);
            ended.culprits.extend(line.silent);
        }
        ended
    }

    /// Whether every meter is in a total or named.
    fn is_whole(&self, honest: u32) -> bool {
        let meters: usize = self.parts.iter().map(|part| part.meters as usize).sum();
        let named = &self.burnt | &self.culprits;
        meters + named.len() == honest as usize + 1
    }

    /// Every part is exact. Only the hostile meter is missing and named, or, where it cannot be found, its part.
    fn check(
        &self,
        (spoilt, is_found): (Spoilt, bool),
        hostile: &MeterId,
        observed: &Observed,
        entered: &Entered,
    ) {
        let mut in_totals = BTreeSet::new();
        for part in &self.parts {
            let members = observed.members(&(part.feeder.clone(), part.window_start, part.part));
            assert!(in_totals.is_disjoint(&members), "{spoilt:?}");
            let of = |meter: &MeterId, k: usize| entered[&(meter.clone(), part.window_start)][k];
            let total = |k| members.iter().map(|meter| of(meter, k)).sum::<i64>();
            assert_eq!(part.energy_wh, [0, 1].map(|k| Some(total(k))), "{spoilt:?}");
            assert_eq!(part.quantum_wh, 1);
            assert!(members.len() >= MIN_METERS as usize);
            in_totals.extend(members);
        }
        let mut honest: BTreeSet<_> = observed.meters.values().cloned().collect();
        assert!(honest.remove(hostile) && !in_totals.contains(hostile));
        if is_found {
            assert_eq!(in_totals, honest, "{spoilt:?}");
            assert_eq!(self.burnt, BTreeSet::new(), "{spoilt:?}");
            assert!(self.culprits.iter().eq([hostile]), "{spoilt:?}");
            return;
        }
        assert!(self.parts.len() >= 3, "{spoilt:?}");
        assert!(self.burnt.contains(hostile), "{spoilt:?}");
        assert!(self.burnt.len() < 2 * MIN_METERS as usize, "one part");
        assert!(self.burnt.is_disjoint(&in_totals));
        assert!(self.burnt.is_superset(&(&honest - &in_totals)));
        assert_eq!(self.culprits, BTreeSet::new(), "{spoilt:?}");
    }
}

impl Ended<'_> {
    /// There is one exact total of so many meters, and nothing of it was refused. The readings of the hostile one are 0.
    fn check_one_total(&self, meters: u32, entered: &Entered) {
        let [total] = self.parts[..] else {
            panic!("{} parts", self.parts.len());
        };
        assert!(self.burnt.is_empty() && self.culprits.is_empty());
        // The clock is far beyond these windows, so the hostile meter owes its readings there.
        assert_eq!(total.meters, meters);
        let of_window = entered
            .iter()
            .filter(|((_, at), _)| *at == total.window_start);
        let wh: Vec<_> = of_window.map(|(_, wh)| wh).collect();
        let sum = |k: usize| wh.iter().map(|wh| wh[k]).sum::<i64>();
        assert_eq!(total.energy_wh, [0, 1].map(|k| Some(sum(k))));
    }
}

/// Readings of each meter in each window, in Wh.
type Entered = BTreeMap<(MeterId, WindowStart), Vec<i64>>;

/// All services, the honest fleet and the hostile meter.
struct Scene {
    stack: Stack,
    clock: std::sync::Arc<MockClock>,
    stop: Stop,
    rogue: RogueGateway,
    hostile: MeterId,
    settings: Settings,
    released: Vec<FeederReport>,
    begin: Instant,
}

impl Scene {
    async fn start(state: &Path, stop: Stop, settings: &Settings) -> Self {
        Self::with_holders(state, stop, settings, None).await
    }

    async fn with_holders(
        state: &Path,
        stop: Stop,
        settings: &Settings,
        holders: Option<Group>,
    ) -> Self {
        let clock = MockClock::new(clocked::passed(0));
        let on = On {
            clock: clock.clone(),
            ..On::here()
        };
        let stack = Stack::with_holders(settings, state, &on, holders);
        let mut stack = stack.await.unwrap();
        stack.add_fleet(Network::default()).await.unwrap();
        started(&mut stack, &stop).await;
        let settings = stack.settings().clone();
        let rogue = rogue(&settings, clocked::passed(0)).await;
        Self {
            hostile: rogue.meters[0].id.clone(),
            rogue,
            begin: Instant::now(),
            released: Vec::new(),
            stack,
            clock,
            stop,
            settings,
        }
    }

    /// Lets a window pass in which the hostile meter sends this, and a good report if that was refused.
    async fn pass(&self, number: u64, spoilt: Spoilt) {
        let at = window(number);
        let Some(reason) = spoilt.refusal() else {
            self.rogue.send(0, at, Some(spoilt)).await.unwrap();
            self.clock.set(clocked::passed(number + 1));
            return;
        };
        self.clock.set(clocked::passed(number + 1));
        // The others are folded long before the hostile one has sealed.
        let others = |seen: &Observed| seen.windows().contains_key(&at);
        let others = self.rogue.outsider.until("another report", others);
        others.await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.rogue.send(0, at, Some(spoilt)).await.unwrap();
        let key = (at, self.hostile.clone());
        let refused = |seen: &Observed| seen.receipts.get(&key) == Some(&Status::Rejected(reason));
        let refused = self.rogue.outsider.until("a refusal", refused);
        refused.await.unwrap();
        self.rogue.send(0, at, None).await.unwrap();
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&[FeederReport]) -> bool) {
        while !holds(&self.released) {
            assert!(
                self.begin.elapsed() < 4 * LIMIT,
                "{what}: {} parts",
                self.released.len()
            );
            let next = self.stack.next(&self.stop);
            let next = tokio::time::timeout(Duration::from_millis(200), next).await;
            if let Ok(Ok(Next::Seen(Seen::Operator(operator::Event::Released(report))))) = next {
                self.released.push(*report);
            }
        }
    }

    /// What an outsider saw, and what the meters entered.
    fn seen(&self) -> (MutexGuard<'_, Observed>, Entered) {
        let observed = self.rogue.outsider.seen();
        let (plan, _) = observed.plan.as_ref().unwrap();
        let scale = Scale {
            quantum_wh: 1,
            reference_wh: plan.feeders[0].reference_wh,
        };
        let entered = entered(&self.settings, &self.hostile, scale);
        (observed, entered)
    }

    /// A person takes it back.
    async fn readmit(&self) {
        let party = (Party::Meter, self.hostile.as_str());
        let (settings, now) = (&self.settings, self.clock.now());
        commands::request_change(settings, now, Change::Readmit, party, (None, false)).unwrap();
        roster_has(settings, &self.rogue, &self.hostile, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_meter_costs_nobody_else_or_its_part_and_the_next_windows_are_whole() {
    let state = tempfile::tempdir().unwrap();
    let (_keep, stop) = Stop::manual();
    let mut scene = Scene::start(state.path(), stop, &settings(HONEST)).await;
    let totals = scene.settings.operator.totals_file.clone();
    let hostile = scene.hostile.clone();
    for (number, spoilt) in (0..).zip(SPOILT) {
        scene.pass(number, spoilt).await;
        let is_whole = |released: &[FeederReport]| {
            Ended::of(window(number), released, &totals).is_whole(HONEST)
        };
        scene.until(&format!("{spoilt:?}"), is_whole).await;
        if spoilt.is_found() {
            roster_has(&scene.settings, &scene.rogue, &hostile, false).await;
        }
        if number + 1 < SPOILT.len() as u64 && spoilt.is_found() {
            scene.readmit().await;
        }
    }
    for number in SPOILT.len() as u64..PASSED {
        scene.pass(number, Spoilt::Noise).await;
        let is_there = |released: &[FeederReport]| {
            let mut released = released.iter();
            released.any(|report| report.window_start == window(number))
        };
        scene.until("a window without it", is_there).await;
    }
    scene.stack.stop().await.unwrap();

    let (observed, entered) = scene.seen();
    for (number, spoilt) in (0..).zip(SPOILT) {
        let window = window(number);
        let ended = Ended::of(window, &scene.released, &totals);
        if spoilt.refusal().is_some() {
            ended.check_one_total(HONEST + 1, &entered);
            continue;
        }
        assert!(observed.wanted.contains(&window));
        ended.check((spoilt, spoilt.is_found()), &hostile, &observed, &entered);
    }
    for number in SPOILT.len() as u64..PASSED {
        let ended = Ended::of(window(number), &scene.released, &totals);
        ended.check_one_total(HONEST, &entered);
    }
}

/// Too few for two parts of the minimum group and more, enough for two, and one that sends nothing again.
#[tokio::test(flavor = "multi_thread")]
async fn all_twenty_and_all_sixty_honest_reports_are_in_totals_beside_one_of_noise() {
    for (honest, sends_again) in [(20, true), (60, true), (60, false)] {
        let state = tempfile::tempdir().unwrap();
        let (_keep, stop) = Stop::manual();
        let mut settings = settings(honest);
        if !sends_again {
            settings.analytics.idle_limit = Duration::from_secs(4);
            settings.operator.search_timeout = Duration::from_secs(16);
        }
        let mut scene = Scene::start(state.path(), stop, &settings).await;
        let totals = scene.settings.operator.totals_file.clone();
        scene.pass(0, Spoilt::Noise).await;
        if !sends_again {
            scene.rogue.forget();
        }
        let is_whole =
            |released: &[FeederReport]| Ended::of(window(0), released, &totals).is_whole(honest);
        scene.until("everybody in a total or named", is_whole).await;
        scene.stack.stop().await.unwrap();
        let (observed, entered) = scene.seen();
        let ended = Ended::of(window(0), &scene.released, &totals);
        ended.check((Spoilt::Noise, true), &scene.hostile, &observed, &entered);
    }
}

/// The operator has not all masks of single reports, so it searches for nobody: the part with the hostile meter is lost, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn with_holders_a_hostile_meter_costs_its_part_and_nothing_else() {
    let honest = HONEST;
    let state = tempfile::tempdir().unwrap();
    let (_keep, stop) = Stop::manual();
    let group = "2of4".parse().ok();
    let mut scene = Scene::with_holders(state.path(), stop, &settings(honest), group).await;
    let totals = scene.settings.operator.totals_file.clone();
    scene.pass(0, Spoilt::Noise).await;
    let is_whole =
        |released: &[FeederReport]| Ended::of(window(0), released, &totals).is_whole(honest);
    scene.until("everybody in a total or named", is_whole).await;
    scene.stack.stop().await.unwrap();
    let (observed, entered) = scene.seen();
    let ended = Ended::of(window(0), &scene.released, &totals);
    ended.check((Spoilt::Noise, false), &scene.hostile, &observed, &entered);
    assert!(ended.parts.iter().all(|part| part.holders.is_some()));
}
