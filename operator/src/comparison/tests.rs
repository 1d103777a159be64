use packed::sum::{lift, without_readings};
use service::{Settings, SystemClock};
use sha2::{Digest as _, Sha256};
use wire::{Question, Sum, SumReceipt, SumStatus};

use super::*;
use crate::enrolment::message::tests::{deployment, signing, topics};
use crate::keys::keyring::FIRST_EPOCH;
use crate::testing::fleet::{Fleet, Readings, Scene, readings, truth};

/// In quarter hours, of a rating of 40 kW.
const RATING_WH: u64 = 10_000;

struct World {
    _folder: tempfile::TempDir,
    fleet: Fleet,
    comparer: Comparer,
    window: u64,
}

impl World {
    fn new(scene: &Scene) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = folder.path().to_owned();
        settings.deployment.id = deployment();
        settings.operator.totals_file = folder.path().join("totals.jsonl");
        settings.operator.bills_file = folder.path().join("bills.jsonl");
        settings.operator.evaluator_key = Some(signing(9).verifying_key());
        let dir = crate::setup::folder(&settings);
        service::files::private_folder(&dir).unwrap();
        service::files::write_new(&dir.join("comparison.key"), &secret_file(), 0o600).unwrap();
        let mut fleet = Fleet::new(&dir, scene);
        Arc::make_mut(&mut fleet.plan).feeders[0].rating_wh = Some(RATING_WH);
        let clock = SystemClock::shared();
        let comparer = Comparer::open(&settings, fleet.keyring.clone(), topics(), clock).unwrap();
        Self {
            _folder: folder,
            window: fleet.window(3),
            fleet,
            comparer,
        }
    }

    /// What the operator answers to a question about the honest sum of so many meters.
    fn ask(&mut self, meters: u32) -> Vec<(String, Bytes)> {
        let (sum, limbs) = self.sum(meters);
        self.ask_about(&sum, &limbs)
    }

    fn sum(&self, meters: u32) -> (Sum, Vec<u8>) {
        self.sum_of(readings(meters, 96))
    }

    fn sum_of(&self, readings: Vec<Readings>) -> (Sum, Vec<u8>) {
        let reports = self.fleet.reports(self.window, true, &readings);
        let limbs = self.fleet.limbs(reports.iter().map(|report| (1, report)));
        (self.fleet.sum(self.window, 0, &reports), limbs)
    }

    fn ask_about(&mut self, sum: &Sum, limbs: &[u8]) -> Vec<(String, Bytes)> {
        let topic = topics().closed_sum(wire::Shard(0), &sum.feeder);
        self.ask_signed_for(&topic, sum, limbs)
    }

    fn ask_signed_for(&mut self, topic: &str, sum: &Sum, limbs: &[u8]) -> Vec<(String, Bytes)> {
        let shown = without_readings(&self.fleet.encoding().shape, limbs).unwrap();
        self.ask_showing(&shown, topic, (sum, limbs))
    }

    fn ask_showing(
        &mut self,
        shown: &[u8],
        topic: &str,
        (sum, limbs): (&Sum, &[u8]),
    ) -> Vec<(String, Bytes)> {
        let (sealed, _) = wire::seal(sum, Some(limbs), &deployment(), topic, &signing(3));
        let unverified = wire::decode::<Sum>(&sealed, sealed.len()).unwrap();
        let question = Question {
            feeder: sum.feeder.clone(),
            sum: unverified.signed_part(),
        };
        let topic = topics().of(&Topic::Question);
        let (sealed, _) = wire::seal(&question, Some(shown), &deployment(), &topic, &signing(9));
        let asked = question::Asked {
            payload: sealed.into(),
            plan: self.fleet.plan.clone(),
            min_meters: Arc::new(service::trust::MinMeters::of_plan(&self.fleet.plan)),
            members: self.fleet.members.clone(),
        };
        self.comparer.work(Work::Question(Box::new(asked))).unwrap()
    }
}

/// A secret of zeros: nothing here decrypts a bit.
fn secret_file() -> Vec<u8> {
    let mut bytes = b"CWSIGSEC".to_vec();
    bytes.extend_from_slice(&1u16.to_le_bytes());
    bytes.extend_from_slice(&[0; compare::DIMENSION]);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

fn status(answer: &(String, Bytes)) -> SumStatus {
    let receipt = wire::decode::<SumReceipt>(&answer.1, answer.1.len()).unwrap();
    receipt.claimed().status
}

fn comparison(answer: &(String, Bytes)) -> Comparison {
    let unverified = wire::decode::<Comparison>(&answer.1, answer.1.len()).unwrap();
    unverified.claimed().clone()
}

#[test]
fn what_the_evaluator_is_given_takes_masks_and_rating_off_every_interval_of_the_sum() {
    let mut world = World::new(&Scene::default());
    let answers = world.ask(15);
    assert_eq!(status(&answers[0]), SumStatus::Taken);
    let comparison = comparison(&answers[1]);
    let (sum, limbs) = world.sum(15);
    let encoding = world.fleet.encoding();
    let coefficients = encoding.shape.coefficients();
    // Not the very sum that was asked about, which has other salts: so its masks do not come off.
    let lifted = lift(encoding.profile, coefficients, &limbs, sum.contributors()).unwrap();
    let keys = world.fleet.keyring.get(FIRST_EPOCH).unwrap();
    let other = keys.secret.open(&lifted).unwrap();
    assert_eq!(comparison.numbers.len(), 96);
    let asked = world.ask_about(&sum, &limbs);
    assert_eq!(
        status(&asked[0]),
        SumStatus::Rejected(wire::Reason::Conflict)
    );
    let wh = |residue: u64, number: u64| {
        let residue = RING.centre(minus(residue, number));
        residue as f64 / f64::from(encoding.quantum_bits()).exp2()
    };
    let expected = truth(&readings(15, 96));
    let is_right = |index: usize, residue: u64, number: u64| {
        (wh(residue, number) - (expected[index] as f64 - RATING_WH as f64)).abs() < 0.5
    };
    let wrong = (0..96).filter(|index| is_right(*index, other[*index], comparison.numbers[*index]));
    assert!(wrong.count() < 5);
    // In another window, the very same sum: asked about, and opened here as nobody can who has not both.
    world.window = world.fleet.window(4);
    let (sum, limbs) = world.sum(15);
    let answers = world.ask_about(&sum, &limbs);
    let lifted = lift(encoding.profile, coefficients, &limbs, sum.contributors()).unwrap();
    let opened = keys.secret.open(&lifted).unwrap();
    let numbers = self::comparison(&answers[1]).numbers;
    assert!((0..96).all(|index| is_right(index, opened[index], numbers[index])));
}

#[test]
fn a_question_that_is_asked_again_has_the_same_answer_and_waits_until_it_is_answered() {
    let mut world = World::new(&Scene::default());
    let (sum, limbs) = world.sum(15);
    let first = world.ask_about(&sum, &limbs);
    let again = world.ask_about(&sum, &limbs);
    assert_eq!(status(&again[0]), SumStatus::Duplicate);
    assert_eq!(first[1], again[1]);
    let waiting = world.comparer.work(Work::Again).unwrap();
    assert_eq!(waiting, [first[1].clone()]);
}

#[test]
fn the_rules_of_release_hold_for_what_is_compared() {
    let mut world = World::new(&Scene::default());
    let answers = world.ask(14);
    assert_eq!(
        status(&answers[0]),
        SumStatus::Rejected(wire::Reason::MinMeters)
    );
    assert_eq!(answers.len(), 1);
    let (mut sum, limbs) = world.sum(15);
    sum.part = wire::Part(1);
    let answers = world.ask_about(&sum, &limbs);
    assert_eq!(
        status(&answers[0]),
        SumStatus::Rejected(wire::Reason::BatchCollected)
    );
    Arc::make_mut(&mut world.fleet.plan).feeders[0].rating_wh = None;
    let answers = world.ask(15);
    assert_eq!(
        status(&answers[0]),
        SumStatus::Rejected(wire::Reason::WrongTopic)
    );
}

#[test]
fn a_sum_that_analytics_signed_to_be_opened_is_not_compared() {
    let mut world = World::new(&Scene::default());
    let (sum, limbs) = world.sum(15);
    let topic = topics().sum(wire::Shard(0), &sum.feeder);
    assert_eq!(world.ask_signed_for(&topic, &sum, &limbs), []);
}

/// An interval in which one household had a reading would be a question about that household.
#[test]
fn an_interval_in_which_too_few_had_a_reading_is_not_compared() {
    let mut world = World::new(&Scene::default());
    let mut all = readings(15, 96);
    all[0][7] = None;
    for readings in &mut all {
        readings[90] = None;
    }
    let (sum, limbs) = world.sum_of(all);
    let answers = world.ask_about(&sum, &limbs);
    let compared = comparison(&answers[1]);
    let expected: Vec<u16> = (0..96).filter(|k| ![7, 90].contains(k)).collect();
    assert_eq!(compared.intervals, expected);
    assert_eq!(compared.numbers.len(), 94);
    // None at all: then there is no comparison, and asking again changes nothing.
    world.window = world.fleet.window(4);
    let one = readings(15, 96).into_iter().enumerate();
    let one = one.map(|(meter, readings)| match meter {
        0 => readings,
        _ => vec![None; 96],
    });
    let (sum, limbs) = world.sum_of(one.collect());
    for _ in 0..2 {
        let answers = world.ask_about(&sum, &limbs);
        let refused = SumStatus::Rejected(wire::Reason::MinMeters);
        assert_eq!((status(&answers[0]), answers.len()), (refused, 1));
    }
}

#[test]
fn a_spoilt_sum_is_not_compared_and_each_counts_against_the_key() {
    let mut world = World::new(&Scene::default());
    world.comparer.budget = Budget::new(2);
    let shape = world.fleet.encoding().shape;
    let one = 1 << world.fleet.encoding().profile.scale_bits;
    let spoilt = [shape.checks().start, shape.presence().start];
    let refused = |reason| [SumStatus::Rejected(reason)];
    for (window, place) in (3..).zip(spoilt) {
        world.window = world.fleet.window(window);
        let (sum, limbs) = world.sum(15);
        let bad = world.fleet.tamper(&limbs, &[(place, one / 2)], &[]);
        // The second time it comes whole: it is spent.
        for limbs in [&bad, &limbs] {
            let answers = world.ask_about(&sum, limbs);
            let found: Vec<_> = answers.iter().map(status).collect();
            assert_eq!(found, refused(wire::Reason::NotOpened), "{place}");
        }
    }
    world.window = world.fleet.window(5);
    let answers = world.ask(15);
    let found: Vec<_> = answers.iter().map(status).collect();
    assert_eq!(found, refused(wire::Reason::KeySpent));
    world.comparer.budget = Budget::new(3);
    assert_eq!(status(&world.ask(15)[0]), SumStatus::Taken);
}

/// Whoever spoils the sums of one feeder does not keep the others from being compared.
#[test]
fn a_feeder_that_spoils_its_sums_leaves_refusals_to_the_others() {
    let mut world = World::new(&Scene::default());
    world.comparer.budget = Budget::new(2);
    let plan = Arc::make_mut(&mut world.fleet.plan);
    let mut other = plan.feeders[0].clone();
    other.feeder = "feeder-2".parse().unwrap();
    plan.feeders.push(other);
    let first = world.fleet.encoding().shape.checks().start;
    let one = 1 << world.fleet.encoding().profile.scale_bits;
    let (sum, limbs) = world.sum(15);
    let bad = world.fleet.tamper(&limbs, &[(first, one / 2)], &[]);
    let answers = world.ask_about(&sum, &bad);
    assert_eq!(
        status(&answers[0]),
        SumStatus::Rejected(wire::Reason::NotOpened)
    );
    world.window = world.fleet.window(4);
    let answers = world.ask(15);
    assert_eq!(
        status(&answers[0]),
        SumStatus::Rejected(wire::Reason::KeySpent)
    );
    let counted = world
        .comparer
        .ledger
        .refusals(FIRST_EPOCH, &"feeder-2".parse().unwrap());
    let counted = counted.unwrap();
    assert!(
        world
            .comparer
            .budget
            .allows_one(FIRST_EPOCH, counted, false)
    );
}

/// Whoever has the key and the masks must not be shown a reading's coefficient.
#[test]
fn a_question_that_shows_readings_is_refused() {
    let mut world = World::new(&Scene::default());
    let (sum, limbs) = world.sum(15);
    let topic = topics().closed_sum(wire::Shard(0), &sum.feeder);
    let answers = world.ask_showing(&limbs, &topic, (&sum, &limbs));
    let refused = SumStatus::Rejected(wire::Reason::LimbOutOfRange);
    assert_eq!((status(&answers[0]), answers.len()), (refused, 1));
}
