//! Journals of earlier formats, and of later ones.

use std::fs;

use redb::ReadableDatabase as _;

use super::disk::{Death, Disk};
use super::model::{Model, script};
use super::open;
use crate::journal::{FILE, Held, Journal, JournalError, Op, tables};

/// A journal as a program of an earlier format left it.
struct Kept {
    format: &'static str,
    file: &'static [u8],
    /// The first window that feeder-1 is behind with, if it is.
    behind: Option<u64>,
}

const KEPT: [Kept; 2] = [
    Kept {
        format: "cipherwatt-outbox-1",
        file: include_bytes!("../kept/outbox-1.redb"),
        behind: None,
    },
    Kept {
        format: "cipherwatt-outbox-2",
        file: include_bytes!("../kept/outbox-2.redb"),
        behind: Some(1_320),
    },
];

impl Kept {
    /// What is in it: two windows of the script with reports in every state, and the first interval of the third.
    fn held(&self) -> Held {
        let mut model = Model::default();
        let groups = script();
        for group in groups[..=10].iter().chain([&groups[13]]) {
            model.apply(group);
        }
        let mut held = model.held();
        let progress = held.progress.as_mut().unwrap();
        let behind = self.behind.map(|window| (feeder(), window));
        progress.behind.extend(behind);
        held
    }
}

fn feeder() -> wire::FeederId {
    "feeder-1".parse().unwrap()
}

fn format(database: &redb::Database) -> String {
    tables::format(&database.begin_read().unwrap()).unwrap()
}

#[test]
fn a_journal_of_an_earlier_format_is_migrated_and_holds_what_it_held() {
    for kept in KEPT {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, kept.file).unwrap();
        let formats = [kept.format, tables::FORMAT, tables::FORMAT];
        for expected in formats {
            let database = redb::Database::open(&path).unwrap();
            assert_eq!(format(&database), expected);
            drop(database);
            let (_, held) = Journal::open(folder.path()).unwrap();
            assert_eq!(held, kept.held());
            assert!(!held.filling.is_empty());
            assert!(!held.batches.is_empty() && !held.sealed.is_empty());
        }
        // It goes on as one that was never migrated.
        let (mut journal, held) = Journal::open(folder.path()).unwrap();
        let mut progress = held.progress.unwrap();
        progress.interval = 0;
        progress.behind.insert(feeder(), progress.window);
        progress.missed.insert(0, progress.window);
        let fleet = held.fleet;
        let begin = Op::Begin {
            progress: progress.clone(),
            fleet,
        };
        journal.commit(&[begin]).unwrap();
        drop(journal);
        let (_, held) = Journal::open(folder.path()).unwrap();
        assert_eq!(held.progress, Some(progress));
    }
}

/// The disk dies at `step` of the migration. Returns whether the migration was done by then.
fn survives(kept: &Kept, step: u64, death: Death) -> bool {
    let disk = Disk::holding(step, kept.file);
    disk.die_at(step, death);
    let survived = open(&disk).is_ok();
    disk.revive();
    let (journal, held) = open(&disk).unwrap();
    assert_eq!(held, kept.held(), "{} {death:?} {step}", kept.format);
    assert_eq!(format(journal.database.as_ref().unwrap()), tables::FORMAT);
    survived && disk.steps() < step
}

#[test]
fn a_migration_that_is_cut_short_at_any_step_leaves_the_old_journal_or_the_new_one() {
    for kept in KEPT {
        for death in [Death::Fails, Death::Tears, Death::PowerLoss] {
            let mut step = 1;
            while !survives(&kept, step, death) {
                step += 1;
            }
            assert!(step > 5, "the migration has {step} steps only");
        }
    }
}

/// As the next version's may be.
#[test]
fn a_journal_of_a_later_format_is_refused_and_left_alone() {
    let later = "cipherwatt-outbox-4";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    drop(Journal::open(folder.path()).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let change = database.begin_write().unwrap();
    change
        .open_table(tables::META)
        .unwrap()
        .insert("format", later.as_bytes())
        .unwrap();
    change.commit().unwrap();
    drop(database);
    let error = Journal::open(folder.path()).err().unwrap();
    assert!(matches!(&error, JournalError::Format { found, .. } if found == later));
    assert!(error.to_string().contains("a later one"), "{error}");
    let database = redb::Database::open(&path).unwrap();
    assert_eq!(format(&database), later);
}
