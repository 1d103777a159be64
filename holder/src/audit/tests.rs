//! Audits without a broker: a holder, the gateways that it demands reports of, and an analytics service that may lie.

use std::time::Duration;

use bytes::Bytes;
use packed::{ADDITIVE, Accumulator, RING};
use service::Settings;
use tokio::time::Instant;
use wire::{AuditDemand, Digest, MeterId, Reason, Report, Salt, SigningKey, Step, Sum, UnixMillis};

use super::records::{Named, Record};
use super::*;
use crate::answers::Outgoing;
use crate::testing::{FEEDERS, World};

mod command;
mod queue;
mod wrong;

const METERS: u32 = 8;
const LIMIT: usize = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// A report as its gateway has it, and its ciphertext.
struct Sent {
    meter: MeterId,
    message: Bytes,
    limbs: Vec<u8>,
}

/// A holder that audits, and what meters sent.
struct Auditing {
    world: World,
    audits: Audits,
    settings: Settings,
}

fn sealed(world: &World, sum: &Sum, (number, salt): (u32, Salt), key: u8) -> Sent {
    let feeder = sum.feeder.clone();
    let meter: MeterId = format!("meter-{feeder}-{number:04}").parse().unwrap();
    let coefficients = world.holders[0].held.as_ref().unwrap().shape.coefficients();
    let word = |at: usize| (at as u64 * 7_919 + u64::from(number) + u64::from(salt.0[0])) % 1_000;
    let c0: Vec<_> = (0..coefficients).map(word).collect();
    let c1: Vec<_> = (0..RING.dimension).map(word).collect();
    let mut limbs = Vec::new();
    packed::report::pack(&ADDITIVE, &c0, &c1, &mut limbs).unwrap();
    let report = Report {
        plan_version: sum.plan_version,
        epoch: sum.epoch,
        feeder: feeder.clone(),
        meter: meter.clone(),
        gateway: "gateway-1".parse().unwrap(),
        window: sum.window,
        salt,
        sealed_at: UnixMillis(1),
    };
    let topic = world.topics.report(wire::Shard(0), &feeder, &meter);
    let key = SigningKey::from_bytes(&[key; 32]);
    let deployment = &world.plan.deployment;
    let (message, _) = wire::seal(&report, Some(&limbs), deployment, &topic, &key);
    Sent {
        meter,
        message: message.into(),
        limbs,
    }
}

/// What every meter of a sum sent.
fn all(world: &World, sum: &Sum) -> Vec<Sent> {
    let members = sum.set.iter().zip(&sum.salts);
    members
        .map(|(number, salt)| sealed(world, sum, (number, *salt), 7))
        .collect()
}

fn added(world: &World, reports: &[Sent]) -> Vec<u8> {
    let coefficients = world.holders[0].held.as_ref().unwrap().shape.coefficients();
    let mut total = Accumulator::new(&ADDITIVE, coefficients);
    for report in reports {
        total.add(&report.limbs).unwrap();
    }
    total.to_packed()
}

impl Auditing {
    /// A holder that audits every sum.
    fn new() -> Self {
        let mut world = World::new((2, 3, 3), METERS);
        world.holders[0].audit_share = 1.0;
        let mut settings = world.settings(0);
        settings.holder.audit_again = 10 * SECOND;
        settings.holder.audit_wait = 60 * SECOND;
        let audits = Audits::open(&settings, world.folder(0).path(), &world.holders[0]).unwrap();
        Self {
            world,
            audits,
            settings,
        }
    }

    /// It has consented to the honest sum of three meters: with what they sent.
    fn of_three() -> (Self, Sum, Vec<Sent>) {
        let mut auditing = Self::new();
        let sum = auditing.world.sum(FEEDERS[0], 0, &[0, 1, 2]);
        let reports = auditing.consent_to_honest(&sum);
        (auditing, sum, reports)
    }

    /// Has it consent to an honest sum; what its meters sent.
    fn consent_to_honest(&mut self, sum: &Sum) -> Vec<Sent> {
        let reports = all(&self.world, sum);
        let limbs = added(&self.world, &reports);
        self.consent(sum, &limbs);
        reports
    }

    /// Has it consent to a sum with this ciphertext.
    fn consent(&mut self, sum: &Sum, limbs: &[u8]) {
        let ask = self.world.ask_of(Step::Consent, sum, Digest::of(limbs));
        let answer = self.world.holders[0].answer(&ask).unwrap();
        assert!(wire::decode::<wire::Consent>(&answer[0].1, 1 << 10).is_ok());
    }

    /// Its demands now, verified: gateway's topic and meters.
    fn tick(&mut self, now: Instant) -> Vec<(String, Vec<MeterId>)> {
        let demands = self.audits.tick(&mut self.world.holders[0], now).unwrap();
        let key = self.world.terms.holders[0].key;
        let opened = demands.into_iter().map(|(topic, bytes): Outgoing| {
            let demand = wire::decode::<AuditDemand>(&bytes, LIMIT).unwrap();
            let demand = demand.verify(&self.world.plan.deployment, &topic, &key);
            (topic, demand.unwrap().message.meters)
        });
        opened.collect()
    }

    fn show(&mut self, report: &Sent, now: Instant) -> Result<(), Reason> {
        let place = (&self.world.holders[0], LIMIT);
        self.audits.take(&report.message, place, now)
    }

    /// The holder is killed, and goes on with what it has on disk.
    fn restart(&mut self) {
        self.world.restart(0);
        let folder = self.world.folder(0);
        self.audits = Audits::open(&self.settings, folder.path(), &self.world.holders[0]).unwrap();
    }

    fn record(&self) -> Record {
        let [record] = &read_all(self.world.folder(0).path()).unwrap()[..] else {
            panic!("one record")
        };
        record.clone()
    }

    /// What the only audit came to.
    fn result(&mut self, now: Instant) -> AuditResult {
        assert_eq!(self.tick(now), []);
        let record = self.record();
        let verdict = record.verdict.expect("it is over");
        let to_audit = self.world.holders[0].ledger.to_audit().unwrap();
        assert_eq!(to_audit, [], "it is done");
        verdict.result
    }
}

fn named(sent: &Sent) -> Named {
    Named {
        meter: sent.meter.clone(),
        gateway: "gateway-1".parse().unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_honest_sum_is_audited_right_also_when_the_holder_is_killed_in_between() {
    let mut auditing = Auditing::new();
    let sum = auditing.world.sum(FEEDERS[0], 0, &[0, 1, 2, 5]);
    let reports = auditing.consent_to_honest(&sum);
    let mut now = Instant::now();
    for killed in [true, false] {
        let demands = auditing.tick(now);
        let meters: Vec<_> = reports.iter().map(|report| report.meter.clone()).collect();
        let topic = auditing
            .world
            .topics
            .audit_demand(&"gateway-1".parse().unwrap());
        assert_eq!(demands, [(topic, meters)]);
        assert_eq!(auditing.tick(now + SECOND), [], "they may still come");
        for report in reports.iter().skip(usize::from(killed)).rev() {
            assert_eq!(auditing.show(report, now), Ok(()));
            assert_eq!(auditing.show(report, now), Err(Reason::Conflict), "again");
        }
        if killed {
            assert_eq!(auditing.record().verdict, None, "under way");
            auditing.restart();
            now += SECOND;
        }
    }
    assert_eq!(auditing.result(now), AuditResult::Right);
    auditing.restart();
    assert_eq!(auditing.tick(now), [], "it is not done twice");
    // Killed when it had written down what it came to, and not yet that it is done: it comes to the same once more.
    let ledger = &mut auditing.world.holders[0].ledger;
    let key = ledger.sums_of(sum.window).unwrap()[0].key.clone();
    ledger.audit(&key, false).unwrap();
    auditing.restart();
    assert_eq!(auditing.tick(now).len(), 1);
    for report in &reports {
        auditing.show(report, now).unwrap();
    }
    assert_eq!(auditing.result(now), AuditResult::Right);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_is_demanded_again_and_then_named_with_its_gateway() {
    let (mut auditing, _, reports) = Auditing::of_three();
    let mut now = Instant::now();
    auditing.tick(now);
    auditing.show(&reports[2], now).unwrap();
    let mut times = 0;
    while auditing.record().verdict.is_none() {
        now += SECOND;
        for (_, meters) in auditing.tick(now) {
            assert_eq!(
                meters,
                [&reports[0], &reports[1]].map(|sent| sent.meter.clone())
            );
            times += 1;
        }
    }
    assert_eq!(times, 6, "every ten seconds for a minute");
    assert_eq!(auditing.result(now), AuditResult::Incomplete);
    let verdict = auditing.record().verdict.unwrap();
    assert_eq!(verdict.missing, [&reports[0], &reports[1]].map(named));
    assert!(!verdict.differs);
}

#[test]
fn a_share_of_nothing_is_never_drawn_and_one_of_all_always() {
    assert!((0..100).all(|_| is_drawn(1.0) && !is_drawn(0.0)));
    let drawn = (0..2_000).filter(|_| is_drawn(0.5)).count();
    assert!((700..1_300).contains(&drawn), "{drawn}");
}
