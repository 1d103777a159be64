//! A process's settings and state folder, and a file that it has left.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use analytics::store::{
    ContributorRow, FileStore, Limbs, PostgresStore, Replaces, Scope, Stage, Store, StoreError,
    Transaction,
};
use packed::{ADDITIVE, Accumulator};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use service::Settings;
use service::trust::PlanKeeper;
use tempfile::TempDir;
use wire::{Part, SigningKey, Topics};

use crate::cluster::Cluster;
use crate::common;
use crate::rows::{Dump, METERS, bill, contributor, dump, feeder, format, key, release, sum};

pub(super) const SHARDS: u16 = 4;

/// What a process is given that is to have the file.
pub(super) const WITH_FILE: &[&str] = &["--set", "analytics.store=file"];

const STAGES: [Stage; 8] = [
    Stage::Open,
    Stage::Held,
    Stage::Released,
    Stage::Pooled,
    Stage::Settled,
    Stage::Refused,
    Stage::Divided,
    Stage::Closed,
];

/// A process's settings and state folder, with the plan that it goes by.
pub(super) struct Scene {
    pub(super) settings: Settings,
    state: Arc<TempDir>,
    operator: String,
    reports: Vec<ContributorRow>,
}

impl Scene {
    pub(super) fn new(cluster: &Cluster, database: &str) -> Self {
        let state = Arc::new(tempfile::tempdir().unwrap());
        let operator = SigningKey::from_bytes(&[1; 32]);
        let mut settings = cluster.database(database);
        settings.deployment.state_dir = state.path().to_owned();
        settings.deployment.operator_key = Some(operator.verifying_key());
        let folder = service::files::state_folder(state.path(), "analytics-1").unwrap();
        let mut plan = common::plan(&settings, operator.verifying_key());
        plan.shards = SHARDS;
        plan.epochs[0].key_len = 64;
        let topic = Topics::new(&settings.deployment.root).unwrap().plan();
        let deployment = &settings.deployment.id;
        let sealed = wire::seal(&plan, Some(&[7; 64]), deployment, &topic, &operator);
        let mut keeper = PlanKeeper::open(&settings, &folder).unwrap();
        keeper.offer(&topic, &sealed.0).unwrap();
        Self {
            operator: operator.verifying_key().to_string(),
            settings,
            state,
            reports: Vec::new(),
        }
    }

    /// The same process with another database.
    pub(super) fn elsewhere(&self, cluster: &Cluster, database: &str) -> Self {
        let mut settings = self.settings.clone();
        settings.analytics.postgres = cluster.database(database).analytics.postgres;
        Self {
            settings,
            state: self.state.clone(),
            operator: self.operator.clone(),
            reports: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.state.path().join("analytics-1/sums.redb")
    }

    pub(super) fn file(&self) -> Result<FileStore, StoreError> {
        FileStore::open(&self.path(), &self.settings.deployment.id)
    }

    pub(super) fn database(&self) -> Result<PostgresStore, StoreError> {
        PostgresStore::open(&self.settings, 1)
    }

    /// Everything in a store, which must be one that can be used.
    pub(super) fn dump<S: Store>(&self, store: Result<S, StoreError>) -> Dump {
        dump(&mut store.unwrap(), &self.reports).unwrap()
    }

    /// Runs `analytics`, which may die at a passage of its failpoint. With a database, but for a process that is to have the file.
    pub(super) fn run(&self, arguments: &[&str], passage: Option<u32>) -> Output {
        let postgres = &self.settings.analytics.postgres;
        let mut settings = vec![
            format!("deployment.state_dir={}", self.state.path().display()),
            format!("deployment.operator_key={}", self.operator),
            "analytics.metrics_listen=".to_owned(),
        ];
        if arguments != WITH_FILE {
            settings.extend([
                "analytics.store=postgres".to_owned(),
                format!("analytics.postgres.address={}", postgres.address),
                format!("analytics.postgres.database={}", postgres.database),
            ]);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_analytics"));
        for setting in settings {
            command.args(["--set", &setting]);
        }
        if let Some(passage) = passage {
            command.env(
                "CIPHERWATT_FAILPOINT",
                format!("analytics.migrate:{passage}"),
            );
        }
        command.args(arguments).output().unwrap()
    }

    /// Carries over; returns what it says.
    pub(super) fn migrate(&self, to: &str) -> String {
        let output = self.run(&["migrate", "--to", to], None);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What keeps it from that.
    pub(super) fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, None);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Windows with sums in every stage, as an engine would have left them, and bills.
    pub(super) fn fill(&mut self, seed: u64) {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut store = self.file().unwrap();
        store.load(&format(), Scope::All, &mut drop).unwrap();
        for (number, window) in (0..8).map(|at| (at % 2, at / 2)) {
            self.fill_window(&mut random, &mut store, (number, window));
        }
        let mut transaction = Transaction {
            times: (0..3)
                .map(|number| (feeder(number), 1_736_200_000 + number))
                .collect(),
            ..Transaction::default()
        };
        for number in 0..random.random_range(1..30) {
            let key = bill(number);
            let record = key.record(&[random.random(); 100]);
            transaction.bills.push((key, Some(record)));
        }
        store.commit(&transaction).unwrap();
    }

    /// Its parts take reports first, and come to their stages then.
    fn fill_window(
        &mut self,
        random: &mut ChaCha12Rng,
        store: &mut dyn Store,
        (number, window): (u64, u64),
    ) {
        let parts = random.random_range(1..=5_u16);
        let mut ciphertexts = Vec::new();
        let mut rows = Vec::new();
        let mut contributors = Vec::new();
        let of: Vec<u16> = (0..METERS)
            .map(|_| random.random_range(0..=parts))
            .collect();
        for part in 0..parts {
            let key = key(number, window, part);
            ciphertexts.push(ciphertext(random));
            let meters = (0..METERS).filter(|meter| of[*meter as usize] == part);
            let reports = meters.map(|meter| contributor(&key, meter, random.random()));
            contributors.extend(reports);
            let count = contributors
                .iter()
                .filter(|row: &&ContributorRow| row.key == key);
            let mut row = sum(&key, count.count() as u32, Stage::Open);
            row.replaces = random.random_bool(0.3).then_some(Replaces {
                part: Part(0),
                ranks: (1, u64::MAX),
                meters: 7,
            });
            rows.push(row);
        }
        let sums = rows
            .iter()
            .cloned()
            .zip(ciphertexts.iter().map(Limbs::Changed));
        let mut transaction = Transaction {
            sums: sums.collect(),
            contributors: contributors.clone(),
            ..Transaction::default()
        };
        store.commit(&transaction).unwrap();
        transaction.contributors.clear();
        transaction.sums.clear();
        for (mut row, ciphertext) in rows.into_iter().zip(&ciphertexts) {
            row.stage = *STAGES.choose(random).unwrap();
            let limbs = match row.stage {
                Stage::Open | Stage::Held => Limbs::Changed(ciphertext),
                _ => Limbs::Gone,
            };
            if row.stage == Stage::Released {
                transaction.releases.push(release(&row.key));
            }
            transaction.sums.push((row, limbs));
        }
        store.commit(&transaction).unwrap();
        self.reports.extend(contributors);
    }
}

fn ciphertext(random: &mut ChaCha12Rng) -> Accumulator {
    let coefficients = format().shape.coefficients();
    let mut sum = Accumulator::new(&ADDITIVE, coefficients);
    let mut report = vec![0; ADDITIVE.packed_len(coefficients)];
    report[0] = random.random();
    sum.add(&report).unwrap();
    sum
}
