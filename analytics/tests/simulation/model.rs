//! A case: the schedule, and everything it acts on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use analytics::engine::{Engine, Identity, Outgoing, Rules};
use analytics::ownership::SharedMemory;
use analytics::store::{StoreError, SumKey};
use analytics::{Admission, AssignedPlan, Incoming, Verdicts, Verifier};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use service::trust::HeldPlan;
use wire::{SumReceipt, Topic};

use crate::check::check;
use crate::gateways::{Gateways, SimulatedReport, Told};
use crate::operator::{Mood, Operator};
use crate::pool::{Membership, PROCESSES, TERMS};
use crate::stores::{Durable, Failing, Fault};
use crate::world::{
    FEEDERS, HANDED_OVER, HOUR, METERS, MIN_METERS, NOW, RETENTION_WINDOWS, SECOND_EPOCH, Slot,
    Stage, WINDOWS, WORLD, feeder, service,
};

const IDLE_MS: u64 = 30_000;
const OPERATIONS: usize = 120;

/// What is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The engine on a store in memory.
    Memory,
    /// The engine on the file.
    File,
    /// A broken store: it forgets every third meter.
    Forgetful,
    /// A broken store: it reports every fourth commit as done and does not do it.
    Lossy,
    /// A feeder is handed over from one service to another.
    Handover,
    /// The same, and the owner does not wait until it is drained.
    Hasty,
    /// Three processes share all feeders.
    Pool,
}

impl Kind {
    fn hands_over(self) -> bool {
        matches!(self, Self::Handover | Self::Hasty)
    }

    fn services(self) -> usize {
        match self {
            Self::Handover | Self::Hasty => 2,
            Self::Pool => PROCESSES,
            _ => 1,
        }
    }
}

/// What happened, so that a run in which nothing happens is noticed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    cases: u64,
    restarts: u64,
    failed_commits: u64,
    folded: u64,
    duplicates: u64,
    conflicts: u64,
    outdated: u64,
    too_late: u64,
    releases: u64,
    supplements: u64,
    repeated_releases: u64,
    never_released: u64,
    handovers: u64,
    collected: u64,
    divided: u64,
    replaced: u64,
    burnt: u64,
    takeovers: u64,
    fenced: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, case: &Self) {
        self.cases += 1;
        self.restarts += case.restarts;
        self.failed_commits += case.failed_commits;
        self.folded += case.folded;
        self.duplicates += case.duplicates;
        self.conflicts += case.conflicts;
        self.outdated += case.outdated;
        self.too_late += case.too_late;
        self.releases += case.releases;
        self.supplements += case.supplements;
        self.repeated_releases += case.repeated_releases;
        self.never_released += case.never_released;
        self.handovers += case.handovers;
        self.collected += case.collected;
        self.divided += case.divided;
        self.replaced += case.replaced;
        self.burnt += case.burnt;
        self.takeovers += case.takeovers;
        self.fenced += case.fenced;
    }

    /// Whether shards moved often, and processes found often that they had.
    pub(crate) fn moves(&self) -> bool {
        self.takeovers >= 4 * self.cases && self.fenced >= self.cases / 4
    }

    /// Whether a feeder was handed over often, and late reports of windows of before came to the new owner.
    pub(crate) fn hands_over(&self) -> bool {
        self.handovers >= self.cases / 2 && self.collected > 0
    }

    /// Whether everything that can happen did, often.
    pub(crate) fn is_rich(&self) -> bool {
        let often = [
            self.restarts,
            self.failed_commits,
            self.folded,
            self.duplicates,
            self.conflicts,
            self.outdated,
            self.releases,
            self.supplements,
            self.repeated_releases,
            self.never_released,
            self.divided,
            self.replaced,
        ];
        often.iter().all(|count| *count >= self.cases / 4) && self.too_late > 0 && self.burnt > 0
    }
}

/// An analytics service, and what is on its way to it.
struct Service {
    durable: Durable,
    engine: Option<Engine<Failing>>,
    reports: Vec<Incoming>,
    /// Reports that were verified under the plan of then and are not folded yet.
    verified: Verdicts,
    sum_receipts: Vec<SumReceipt>,
    /// When the process began to count its milliseconds of reach, of which each has its own.
    since_ms: u64,
    /// How far the feeder is handed over by the plan it has.
    stage: Stage,
    /// In a pool.
    membership: Option<Membership>,
}

struct Case {
    rng: ChaCha8Rng,
    kind: Kind,
    services: Vec<Service>,
    /// What the processes of a pool share.
    shared: SharedMemory,
    gateways: Gateways,
    operator: Operator,
    from_analytics: Vec<Outgoing>,
    /// Whether the first service is configured to give the feeder up.
    leaving: bool,
    /// How far the feeder is handed over by the operator's plan.
    stage: Stage,
    /// The window that is being read.
    hour: u64,
    active_ms: u64,
    analytics_has_second: bool,
    seen: Seen,
}

/// Runs the case of `seed`, and says what is wrong with what came of it.
pub(crate) fn run(seed: u64, kind: Kind) -> Result<Seen, String> {
    let shared = SharedMemory::default();
    let stage = match kind {
        Kind::Pool => Stage::Pool,
        _ => Stage::Whole,
    };
    let mut case = Case {
        rng: ChaCha8Rng::seed_from_u64(seed),
        kind,
        services: (0..kind.services())
            .map(|_| Service {
                durable: Durable::new(kind, &shared),
                engine: None,
                reports: Vec::new(),
                verified: Vec::new(),
                sum_receipts: Vec::new(),
                since_ms: 0,
                stage,
                membership: None,
            })
            .collect(),
        shared,
        gateways: Gateways::default(),
        operator: Operator::default(),
        from_analytics: Vec::new(),
        leaving: false,
        stage,
        hour: 0,
        active_ms: 0,
        analytics_has_second: false,
        seen: Seen::default(),
    };
    case.gateways.stage = (kind == Kind::Pool).then_some(stage);
    for index in 0..case.services.len() {
        case.restart(index)?;
    }
    case.read();
    for _ in 0..OPERATIONS {
        case.step()?;
    }
    case.heal()?;
    check(&case.gateways, &case.operator)?;
    Ok(case.finish())
}

impl Case {
    fn step(&mut self) -> Result<(), String> {
        let goes_on = if self.leaving { 0.1 } else { 0.02 };
        if self.kind.hands_over() && self.rng.random_bool(goes_on) {
            return self.hand_over();
        }
        let index = self.rng.random_range(0..self.services.len());
        if self.kind == Kind::Pool && self.rng.random_bool(0.3) {
            self.share(index);
            return Ok(());
        }
        match self.rng.random_range(0..100) {
            0..22 => self.send(),
            22..28 => self.duplicate(),
            28..33 => self.lose(),
            33..60 => self.turn(index, false)?,
            60..75 => self.receive()?,
            75..80 => self.active_ms += self.rng.random_range(1..40_000),
            80..88 => self.next_hour(),
            88..91 => self.conflict(),
            91..94 => self.fail_commits(index),
            94..96 => self.restart(index)?,
            96..98 => self.analytics_has_second = true,
            _ => {
                let unsettled = self.unsettled(index)?;
                self.from_analytics.extend(unsettled);
            }
        }
        Ok(())
    }

    /// The handover goes on: the owner is started again to give the feeder up, the operator lets the other have it, or
    /// somebody hears of it.
    fn hand_over(&mut self) -> Result<(), String> {
        if !self.leaving {
            self.leaving = true;
            return self.restart(0);
        }
        match self.rng.random_range(0..4) {
            0 if self.stage == Stage::GivenUp => self.stage = Stage::Moved,
            1 => {
                let heard = self.gateways.stage.unwrap_or(Stage::Whole).next();
                self.gateways.stage = Some(heard.min(self.stage));
            }
            other => {
                let service = &mut self.services[other % 2];
                service.stage = service.stage.next().min(self.stage);
            }
        }
        Ok(())
    }

    /// Time passes, and a process takes a turn in the leases, or stands still from now on.
    fn share(&mut self, index: usize) {
        let ms = self.rng.random_range(0..4_000);
        self.shared.advance(Duration::from_millis(ms));
        let Some(membership) = &mut self.services[index].membership else {
            return;
        };
        match self.rng.random_range(0..8) {
            0 => membership.stop(&mut self.rng),
            _ => membership.turn(),
        }
        for service in &mut self.services {
            if let Some(membership) = &mut service.membership {
                membership.stopped = membership.stopped.saturating_sub(1);
            }
        }
    }

    /// The engine hears of its leases.
    fn hold(&mut self, index: usize) {
        let Service {
            engine: Some(engine),
            membership: Some(membership),
            ..
        } = &mut self.services[index]
        else {
            return;
        };
        let Some(leases) = membership.news() else {
            return;
        };
        let new = leases
            .iter()
            .filter(|lease| !membership.held.contains(lease));
        self.seen.takeovers += new.count() as u64;
        match engine.hold(&leases) {
            Ok(true) => membership.held = leases,
            // It is told again.
            Ok(false) => {}
            Err(_) => self.seen.failed_commits += 1,
        }
    }

    fn engine(&mut self, index: usize) -> &mut Engine<Failing> {
        self.services[index].engine.as_mut().unwrap()
    }

    /// The releases to send again, read in twos.
    fn unsettled(&mut self, index: usize) -> Result<Vec<Outgoing>, String> {
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let some = self.engine(index).unsettled(last.as_ref(), 2);
            let some = some.map_err(|error| error.to_string())?;
            let Some((key, _)) = some.last() else {
                return Ok(all);
            };
            last = Some(key.clone());
            all.extend(some.into_iter().map(|(_, outgoing)| outgoing));
        }
    }

    /// A new process on what the last one committed.
    fn restart(&mut self, index: usize) -> Result<(), String> {
        self.services[index].engine = None;
        self.services[index].since_ms = self.active_ms;
        self.services[index].verified.clear();
        self.services[index]
            .durable
            .added_to
            .lock()
            .unwrap()
            .clear();
        let identity = Identity {
            deployment: WORLD.settings.deployment.id.clone(),
            id: service(index),
            key: WORLD.analytics[index].clone(),
            topics: WORLD.topics.clone(),
            receipt_entries: 3,
            first_wait_ms: 5_000,
        };
        let rules = Rules {
            release: release::Rules {
                supplement_min_meters: MIN_METERS,
                ..release::Rules::new(MIN_METERS)
            },
            grace_s: HOUR,
            idle_limit_ms: IDLE_MS,
            retention_s: RETENTION_WINDOWS * HOUR,
            max_open: 100,
            max_feeders: [2, 10][self.rng.random_range(0..2)],
            max_small: 100,
            // What is kept in memory must change nothing.
            max_hot: [0, 1, 100][self.rng.random_range(0..3)],
            fingerprint_bits: [0, 2, 32][self.rng.random_range(0..3)],
        };
        let plan = &WORLD.plans[usize::from(self.analytics_has_second)];
        let service = &mut self.services[index];
        let held = HeldPlan::new(plan.clone(), Vec::new()).unwrap();
        let mut engine = match self.kind {
            Kind::Pool => {
                let run = self.seen.restarts;
                service.membership = Some(Membership::new(&self.shared, index, run));
                Engine::sharing(identity, &held, rules, service.durable.open())
            }
            _ => {
                let engine = Engine::start(identity, &held, rules, service.durable.open());
                engine.map_err(|error| error.to_string())?
            }
        };
        let assigned = WORLD.assigned(self.analytics_has_second, service.stage, index);
        let gives_up = index == 0 && self.leaving && service.stage == Stage::Whole;
        let leaving: BTreeSet<_> = gives_up.then(|| feeder(HANDED_OVER)).into_iter().collect();
        engine.use_plan(Arc::new(assigned), Arc::new(leaving));
        service.engine = Some(engine);
        self.seen.restarts += 1;
        Ok(())
    }

    /// Meters read the present hour; some are silent.
    fn read(&mut self) {
        for feeder in 0..FEEDERS {
            let share = [0.2, 0.6, 1.0][self.rng.random_range(0..3)];
            for meter in 0..METERS {
                let slot = Slot {
                    feeder,
                    meter,
                    window: self.hour,
                };
                if self.rng.random_bool(share) {
                    self.seal(slot, 0);
                }
            }
        }
    }

    /// A gateway may be behind with the plan only while analytics is not.
    fn seal(&mut self, slot: Slot, variant: u8) {
        let behind = self.analytics_has_second || slot.window < SECOND_EPOCH;
        let second_plan = !(behind && self.rng.random_bool(0.5));
        self.gateways.seal(slot, variant, second_plan);
    }

    fn next_hour(&mut self) {
        if self.hour + 1 < WINDOWS {
            self.hour += 1;
            self.read();
        }
    }

    /// A meter that makes two reports of one window.
    fn conflict(&mut self) {
        let count = self.gateways.entries.len();
        if count == 0 {
            return;
        }
        let chosen = self.rng.random_range(0..count);
        let chosen = self.gateways.entries.keys().nth(chosen).copied();
        // Two services cannot know which of two reports the other has.
        if let Some((slot, _)) = chosen
            && !(self.kind.hands_over() && slot.feeder == HANDED_OVER)
        {
            self.seal(slot, 1);
        }
    }

    /// Gateways send some of what is not settled, and sometimes what is.
    fn send(&mut self) {
        let share = self.rng.random_range(0.05..0.9);
        for entry in self.gateways.entries.values() {
            let asked_for = entry.is_wanted();
            let share = match entry.told {
                None => share,
                Some(_) if asked_for => share,
                Some(_) => share / 20.0,
            };
            if self.rng.random_bool(share) {
                deliver(&mut self.services, entry);
            }
        }
    }

    fn duplicate(&mut self) {
        for service in &mut self.services {
            double(&mut self.rng, &mut service.reports);
            double(&mut self.rng, &mut service.sum_receipts);
        }
        double(&mut self.rng, &mut self.from_analytics);
    }

    fn lose(&mut self) {
        for service in &mut self.services {
            draw(&mut self.rng, &mut service.reports, 5);
            draw(&mut self.rng, &mut service.sum_receipts, 1);
        }
        draw(&mut self.rng, &mut self.from_analytics, 3);
    }

    fn fail_commits(&mut self, index: usize) {
        let mut faults = self.services[index].durable.faults.lock().unwrap();
        for _ in 0..self.rng.random_range(1..4) {
            let after = self.rng.random_bool(0.5);
            faults.push_back(if after { Fault::After } else { Fault::Before });
        }
    }

    /// Analytics takes what has arrived, in any order, commits, and publishes, unless it dies in between.
    fn turn(&mut self, index: usize, healed: bool) -> Result<(), String> {
        let most = if healed { usize::MAX } else { 40 };
        let membership = self.services[index].membership.as_ref();
        if membership.is_some_and(|membership| membership.stopped > 0) {
            return Ok(());
        }
        let service = &mut self.services[index];
        let receipts = draw(&mut self.rng, &mut service.sum_receipts, most);
        let assigned = WORLD.assigned(self.analytics_has_second, service.stage, index);
        let gives_up = index == 0 && self.leaving && service.stage == Stage::Whole;
        let leaving: BTreeSet<_> = gives_up.then(|| feeder(HANDED_OVER)).into_iter().collect();
        let verdicts = self.verify(index, &assigned, healed);
        let engine = self.engine(index);
        engine.use_plan(Arc::new(assigned.clone()), Arc::new(leaving));
        // One that has stood still goes on with what it knew then, before it hears of anything.
        if healed || self.rng.random_bool(0.6) {
            self.hold(index);
        }
        self.apply(index, &receipts, verdicts)?;
        let crash = if healed {
            9
        } else {
            self.rng.random_range(0..10)
        };
        if crash == 0 {
            return self.restart(index);
        }
        let effects = loop {
            match self.engine(index).commit() {
                Ok(effects) => {
                    let fenced = self.services[index].durable.fenced.lock().unwrap().take();
                    self.seen.fenced += fenced.unwrap_or(0);
                    break effects;
                }
                Err(_) => self.seen.failed_commits += 1,
            }
            if !healed && self.rng.random_bool(0.3) {
                return self.restart(index);
            }
        };
        self.check_ownership(index, &assigned)?;
        if crash == 1 {
            return self.restart(index);
        }
        self.from_analytics.extend(effects.outgoing);
        let drained = self.kind == Kind::Hasty || self.engine(index).handover().draining.is_empty();
        if gives_up && drained && (healed || self.rng.random_bool(0.3)) {
            self.stage = self.stage.max(Stage::GivenUp);
        }
        if crash == 2 {
            return self.restart(index);
        }
        Ok(())
    }

    /// The engine takes what has come. What it cannot read may be another's.
    fn apply(
        &mut self,
        index: usize,
        receipts: &[SumReceipt],
        verdicts: Verdicts,
    ) -> Result<(), String> {
        let active_ms = self.active_ms - self.services[index].since_ms;
        let engine = self.engine(index);
        let apply = || -> Result<(), StoreError> {
            for receipt in receipts {
                engine.settle(receipt, &WORLD.roster, active_ms)?;
            }
            engine.fold(verdicts, active_ms)?;
            engine.tick(&WORLD.roster, active_ms).map(drop)
        };
        if let Err(error) = apply() {
            match engine.excuse(error) {
                Err(error) if !error.may_pass() => return Err(error.to_string()),
                Err(_) => self.seen.failed_commits += 1,
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Verifies what has arrived. Verifying is a stage of its own: the plan may change before what it found is folded.
    fn verify(&mut self, index: usize, assigned: &AssignedPlan, healed: bool) -> Verdicts {
        let most = if healed { usize::MAX } else { 40 };
        let service = &mut self.services[index];
        let batch = draw(&mut self.rng, &mut service.reports, most);
        let (settings, topics) = (&WORLD.settings, &WORLD.topics);
        let admission = Admission::new(settings, topics, assigned, &WORLD.roster, NOW);
        let mut verdicts = std::mem::replace(
            &mut service.verified,
            Verifier::new(1, 0).verify(&admission, &batch),
        );
        if healed || self.rng.random_bool(0.7) {
            verdicts.append(&mut service.verified);
        }
        verdicts
    }

    /// A sum of a feeder that the service does not own could not be released.
    fn check_ownership(&self, index: usize, assigned: &AssignedPlan) -> Result<(), String> {
        let added_to = std::mem::take(&mut *self.services[index].durable.added_to.lock().unwrap());
        match added_to.iter().find(|feeder| !assigned.owns(feeder)) {
            Some(feeder) => Err(format!(
                "service {index} adds to {feeder}, which it does not own"
            )),
            None => Ok(()),
        }
    }

    /// Gateways and the operator get some of what was published.
    fn receive(&mut self) -> Result<(), String> {
        let most = self.rng.random_range(1..20);
        for message in draw(&mut self.rng, &mut self.from_analytics, most) {
            match WORLD.topics.parse(&message.topic) {
                Some(Topic::Sum { .. }) => {
                    let mood = match self.rng.random_range(0..20) {
                        0..4 => Mood::Busy,
                        // A window that two services add for is not divided: the other knows nothing of the partition.
                        4..6 if !self.kind.hands_over() => Mood::Fails,
                        _ => Mood::Well,
                    };
                    let stage = self.stage;
                    let receipt =
                        (self.operator).take(&message.topic, &message.payload, stage, mood)?;
                    // Everybody hears the operator's receipts.
                    for service in &mut self.services {
                        service.sum_receipts.extend(receipt.clone());
                    }
                }
                _ => {
                    let is_taken = |key: &SumKey| self.operator.taken.contains_key(key);
                    let (topic, payload) = (&message.topic, &message.payload);
                    self.gateways.take(topic, payload, self.hour, is_taken)?;
                }
            }
        }
        Ok(())
    }

    /// The network and the disk work, everybody has the plan, and time goes on until nothing is left to do.
    fn heal(&mut self) -> Result<(), String> {
        self.analytics_has_second = true;
        for service in &self.services {
            service.durable.faults.lock().unwrap().clear();
        }
        for round in 0..100 {
            for entry in self.gateways.pending() {
                deliver(&mut self.services, entry);
            }
            self.active_ms += IDLE_MS;
            self.share_well();
            if self.stage == Stage::GivenUp {
                self.stage = Stage::Moved;
            }
            self.gateways.stage = Some(self.stage);
            // A process that has just started counts a window idle from its first turn, so that one round shows nothing yet.
            let mut idle =
                round > 0 && self.is_shared() && (!self.leaving || self.stage == Stage::Moved);
            for index in 0..self.services.len() {
                self.services[index].stage = self.stage;
                self.turn(index, true)?;
                let unsettled = self.unsettled(index)?;
                // Some are put off, and due later.
                idle &= self.from_analytics.is_empty() && self.engine(index).awaited().is_empty();
                self.from_analytics.extend(unsettled);
            }
            while !self.from_analytics.is_empty() {
                self.receive()?;
            }
            for entry in self.gateways.wanted() {
                deliver(&mut self.services, entry);
                idle = false;
            }
            if idle && self.gateways.pending().next().is_none() {
                self.ask_what_became()?;
                let stranded = self.engine(0).handover().stranded;
                return match stranded.is_empty() {
                    true => Ok(()),
                    false => Err(format!("{stranded:?} are in no total")),
                };
            }
        }
        Err("it does not come to rest".to_owned())
    }

    /// Every process is there, and takes its turns.
    fn share_well(&mut self) {
        for service in &mut self.services {
            if let Some(membership) = &mut service.membership {
                membership.stopped = 0;
                membership.turn();
            }
        }
        self.shared.advance(Duration::from_secs(2));
    }

    /// Whether somebody has each shard, and knows it: a lease that one gives up is free until another takes a turn.
    fn is_shared(&self) -> bool {
        let held = self.services.iter().filter_map(|service| {
            let membership = service.membership.as_ref()?;
            Some(membership.held.len())
        });
        self.kind != Kind::Pool || held.sum::<usize>() == usize::from(TERMS.shards)
    }

    /// What gateways still keep they send once more: they missed what became of it.
    fn ask_what_became(&mut self) -> Result<(), String> {
        // Twice: messages overtake each other here, so what became of a part may come before the word that a report is in it.
        for _ in 0..2 {
            let kept = self.gateways.entries.values();
            for entry in kept.filter(|entry| entry.is_kept()) {
                deliver(&mut self.services, entry);
            }
            for index in 0..self.services.len() {
                self.turn(index, true)?;
            }
            while !self.from_analytics.is_empty() {
                self.receive()?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Seen {
        let rejected = |reason| self.gateways.rejected.get(reason).copied().unwrap_or(0);
        let told = |told| {
            self.gateways
                .entries
                .values()
                .filter(|entry| entry.told == Some(told))
                .count() as u64
        };
        let taken = &self.operator.taken;
        let failed = |for_good| {
            let failed = self.operator.failed.values();
            failed
                .filter(|failed| failed.is_for_good() == for_good)
                .count() as u64
        };
        let in_releases: u64 = taken
            .values()
            .map(|taken| u64::from(taken.sum.contributors()))
            .sum();
        Seen {
            folded: self.gateways.folded,
            duplicates: self.gateways.duplicates,
            conflicts: told(Told::Refused(wire::Reason::Conflict)),
            outdated: rejected("outdated_config") + rejected("wrong_epoch"),
            too_late: rejected("report_too_late"),
            releases: taken.len() as u64,
            supplements: taken.keys().filter(|key| key.part.0 > 0).count() as u64,
            repeated_releases: self.operator.repeats,
            never_released: self.gateways.counted.len() as u64
                - in_releases.min(self.gateways.counted.len() as u64),
            handovers: u64::from(self.stage == Stage::Moved),
            collected: self.operator.collected.len() as u64,
            divided: failed(false),
            replaced: taken
                .values()
                .filter(|taken| taken.sum.replaces.is_some())
                .count() as u64,
            burnt: failed(true),
            ..self.seen
        }
    }
}

/// A report comes to every service that listens to its feeder.
fn deliver(services: &mut [Service], entry: &SimulatedReport) {
    for service in services {
        service.reports.push(Incoming {
            topic: entry.sealed.topic.clone(),
            payload: entry.sealed.payload.clone(),
        });
    }
}

/// Takes up to `most` of `from`, at random.
fn draw<T>(rng: &mut ChaCha8Rng, from: &mut Vec<T>, most: usize) -> Vec<T> {
    let mut drawn = Vec::new();
    while !from.is_empty() && drawn.len() < most {
        drawn.push(from.swap_remove(rng.random_range(0..from.len())));
    }
    drawn
}

fn double<T: Clone>(rng: &mut ChaCha8Rng, messages: &mut Vec<T>) {
    if !messages.is_empty() {
        let message = messages[rng.random_range(0..messages.len())].clone();
        messages.push(message);
    }
}
