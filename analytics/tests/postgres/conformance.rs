//! The database answers as a store in memory does, whatever is committed, committed again, and reopened.

use analytics::store::{
    ContributorRow, Limbs, MemoryStore, PostgresStore, Stage, Store, SumKey, SumRow, Transaction,
};
use packed::{ADDITIVE, Accumulator};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use service::Settings;
use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::rows::{METERS, START, bill, contributor, dump, feeder, key, release, sum};

fn open(settings: &Settings) -> PostgresStore {
    PostgresStore::open(settings, 1).unwrap()
}

/// What an engine knows of its sums.
#[derive(Default)]
struct Model {
    sums: BTreeMap<SumKey, SumRow>,
    reports: Vec<ContributorRow>,
}

impl Model {
    /// Something that an engine may commit.
    fn step<'a>(&mut self, random: &mut ChaCha12Rng, sum_of: &'a Accumulator) -> Transaction<'a> {
        let mut transaction = Transaction::default();
        for _ in 0..random.random_range(1..4) {
            self.change(random, sum_of, &mut transaction);
        }
        transaction
    }

    fn change<'a>(
        &mut self,
        random: &mut ChaCha12Rng,
        sum_of: &'a Accumulator,
        transaction: &mut Transaction<'a>,
    ) {
        let (number, window) = (random.random_range(0..2), random.random_range(0..3));
        let parts = (0..).take_while(|part| self.sums.contains_key(&key(number, window, *part)));
        let parts = parts.count() as u16;
        let part = key(number, window, random.random_range(0..=parts.min(2)));
        // A commit changes a sum once.
        let done = |transaction: &Transaction<'_>| {
            transaction.sums.iter().any(|(row, _)| row.key == part)
                || transaction
                    .reclaimed
                    .contains(&(part.feeder.clone(), part.window))
        };
        let stage = self.sums.get(&part).map(|row| row.stage);
        match (stage, random.random_range(0..8)) {
            (_, 0) => {
                transaction.times = vec![(feeder(number), START + random.random_range(0..99))]
            }
            (_, 1) => {
                let record = random.random_bool(0.7).then(|| vec![random.random(); 100]);
                transaction.bills = vec![(bill(random.random_range(0..30)), record)];
            }
            (Some(_), 2) if random.random_bool(0.3) && transaction.sums.is_empty() => {
                transaction
                    .reclaimed
                    .push((part.feeder.clone(), part.window));
                self.sums
                    .retain(|key, _| key.feeder != part.feeder || key.window != part.window);
            }
            _ if done(transaction) => {}
            (None | Some(Stage::Open | Stage::Held), 2..6) => {
                self.grow(random, sum_of, &part, transaction);
            }
            (Some(Stage::Open | Stage::Held), _) => {
                let row = sum(&part, 4, Stage::Released);
                transaction.sums.push((row.clone(), Limbs::Gone));
                transaction.releases.push(release(&part));
                self.sums.insert(part, row);
            }
            (Some(Stage::Released), _) => {
                let stages = [Stage::Settled, Stage::Refused, Stage::Divided];
                let row = sum(&part, 4, stages[random.random_range(0..3)]);
                transaction.sums.push((row.clone(), Limbs::Gone));
                transaction.settled.push(part.clone());
                self.sums.insert(part, row);
            }
            _ => {}
        }
    }

    /// A sum takes reports: none, or some.
    fn grow<'a>(
        &mut self,
        random: &mut ChaCha12Rng,
        sum_of: &'a Accumulator,
        part: &SumKey,
        transaction: &mut Transaction<'a>,
    ) {
        let stage = self.sums.get(part).map(|row| row.stage);
        let taking = [Stage::Open, Stage::Open, Stage::Open, Stage::Held];
        let row = sum(
            part,
            random.random_range(1..9),
            taking[random.random_range(0..4)],
        );
        let limbs = match stage.is_some() && random.random_bool(0.2) {
            true => Limbs::Kept,
            false => Limbs::Changed(sum_of),
        };
        transaction.sums.push((row.clone(), limbs));
        self.sums.insert(part.clone(), row);
        for _ in 0..random.random_range(0..3) {
            let (meter, variant) = (random.random_range(0..METERS), random.random_range(0..2));
            let report = contributor(part, meter, variant);
            let again = |row: &ContributorRow| {
                (&row.key.feeder, row.key.window, &row.meter)
                    == (&report.key.feeder, report.key.window, &report.meter)
            };
            // As an engine does: a meter is in one sum of a window, or in a part that replaces one.
            if !self.reports.iter().any(again) || stage == Some(Stage::Held) {
                transaction.contributors.retain(|row| !again(row));
                transaction.contributors.push(report.clone());
                self.reports.push(report);
            }
        }
    }
}

#[test]
fn it_answers_as_a_store_in_memory_does() {
    let cluster = Cluster::start(&[]);
    for seed in 0..12 {
        let settings = cluster.database(&format!("conformance_{seed}"));
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let (mut model, mut memory) = (Model::default(), MemoryStore::default());
        let mut store = open(&settings);
        let ciphertext = Accumulator::new(&ADDITIVE, 96);
        assert_eq!(
            dump(&mut store, &[]).unwrap(),
            dump(&mut memory, &[]).unwrap()
        );
        for step in 0..60 {
            let transaction = model.step(&mut random, &ciphertext);
            memory.commit(&transaction).unwrap();
            for _ in 0..1 + random.random_range(0..2) {
                assert_eq!(store.commit(&transaction).unwrap(), []);
            }
            if random.random_bool(0.1) {
                store = open(&settings);
            }
            let (found, expected) = (
                dump(&mut store, &model.reports).unwrap(),
                dump(&mut memory, &model.reports).unwrap(),
            );
            assert_eq!(found, expected, "seed {seed}, step {step}: {transaction:?}");
        }
    }
}

#[test]
fn another_deployment_layout_grid_or_version_is_refused_by_both_their_names() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("bound");
    let mut store = open(&settings);
    dump(&mut store, &[]).unwrap();
    let found = PostgresStore::examine(&settings).unwrap();
    assert!(found.contains("in use, no synchronous standby"), "{found}");
    let mut other = settings.clone();
    other.deployment.id = "elsewhere".parse().unwrap();
    let error = PostgresStore::open(&other, 1).unwrap_err().to_string();
    assert!(
        error.contains("dev") && error.contains("elsewhere"),
        "{error}"
    );
    let format = analytics::store::StoreFormat {
        grid: wire::Grid::new(900, 4).unwrap(),
        ..crate::rows::format()
    };
    let error = store.load(&format, analytics::store::Scope::All, &mut drop);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("1 × 3600 s") && error.contains("4 × 900 s"),
        "{error}"
    );
    cluster.sql("bound", "UPDATE schema_version SET version = 99");
    let error = PostgresStore::open(&settings, 1).unwrap_err().to_string();
    assert!(
        error.contains("schema version 99, not 2 or less"),
        "{error}"
    );
}

#[test]
fn a_run_that_loaded_the_store_later_has_it_alone() {
    let cluster = Cluster::start(&[]);
    let settings = cluster.database("alone");
    let commit = |store: &mut PostgresStore, time| {
        store.commit(&Transaction {
            times: vec![(feeder(0), time)],
            ..Transaction::default()
        })
    };
    let mut first = PostgresStore::open(&settings, 1).unwrap();
    dump(&mut first, &[]).unwrap();
    commit(&mut first, 1).unwrap();
    let mut second = PostgresStore::open(&settings, 2).unwrap();
    dump(&mut second, &[]).unwrap();
    let error = commit(&mut first, 2).unwrap_err();
    assert!(
        matches!(error, analytics::store::StoreError::InUse { .. }),
        "{error}"
    );
    assert_eq!(second.feeder(&feeder(0), &mut drop).unwrap(), Some(1));
    commit(&mut second, 3).unwrap();
}
