//! Journals of earlier formats, and of later ones.

use std::collections::BTreeMap;
use std::fs;

use packed::layout::Entered;
use redb::ReadableDatabase as _;
use wire::WindowStart;

use super::disk::{Death, Disk};
use super::model::{Model, script};
use super::open;
use crate::batch::{Batch, Interval, Taken};
use crate::journal::{
    FILE, Held, Journal, JournalError, MeterRecord, Op, Place, Progress, Spans, tables,
};
use readings::MicroWattHours;

/// A journal as a program of an earlier format left it, with sealed reports and without.
struct Kept {
    format: &'static str,
    file: &'static [u8],
    /// The first window that feeder-1 is behind with, if it is.
    behind: Option<u64>,
    /// Time that was missed, if there is any.
    missed: Option<(u64, u64)>,
}

const KEPT: [Kept; 3] = [
    Kept {
        format: "cipherwatt-outbox-1",
        file: include_bytes!("../kept/outbox-1.redb"),
        behind: None,
        missed: None,
    },
    Kept {
        format: "cipherwatt-outbox-2",
        file: include_bytes!("../kept/outbox-2.redb"),
        behind: Some(1_320),
        missed: None,
    },
    Kept {
        format: "cipherwatt-outbox-3",
        file: include_bytes!("../kept/outbox-3.redb"),
        behind: Some(1_320),
        missed: Some((1_000, 1_060)),
    },
];

/// The sealed reports in each of them, of two windows of three meters.
const SEALED: u64 = 2;

impl Kept {
    /// The file once its sealed reports are delivered.
    fn delivered(&self) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, self.file).unwrap();
        let database = redb::Database::open(&path).unwrap();
        let change = database.begin_write().unwrap();
        let mut sealed = change.open_table(tables::SEALED).unwrap();
        sealed.retain(|_, _| false).unwrap();
        drop(sealed);
        change.commit().unwrap();
        database.close().unwrap();
        fs::read(&path).unwrap()
    }

    /// What is in it then, besides: a batch of the second window, the first interval of the third, and what has been reported.
    fn held(&self) -> Held {
        let mut missed = Spans::default();
        if let Some((from, to)) = self.missed {
            missed.insert(from, to);
        }
        let progress = Progress {
            run: 1,
            settings: "some".to_owned(),
            interval_s: 60,
            batch: 2,
            time_zone: None,
            from: 1_200,
            end: Some(1_560),
            window: 1_440,
            interval: 1,
            live: false,
            behind: BTreeMap::from_iter(self.behind.map(|window| (feeder(1), window))),
            missed,
        };
        let energy = |wh| MicroWattHours(wh * MicroWattHours::PER_WH);
        let taken = [(13, false), (14, true), (15, false)];
        let taken = taken.map(|(wh, clamped)| Taken::Energy(energy(wh), clamped));
        let entered = |(wh, clamped)| Some(Entered { wh, clamped });
        let window = WindowStart(1_320);
        let place = Place {
            window,
            feeder: feeder(2),
            meter: meter(1),
        };
        let batch = Batch {
            meter: 0,
            window,
            // It was the first that was clamped. The format did not say so, and the largest is taken for it.
            readings: [(8, false), (11, true)].map(entered).to_vec(),
        };
        let mut record = MeterRecord::default();
        record.reported.insert(1_200, 1_440);
        Held {
            progress: Some(progress),
            fleet: (0..3)
                .map(|number| (feeder(number % 2 + 1), meter(number)))
                .collect(),
            filling: vec![Interval(taken.to_vec())],
            batches: vec![(place, batch)],
            records: (0..3)
                .map(|number| (meter(number), record.clone()))
                .collect(),
            ..Held::default()
        }
    }
}

fn feeder(number: usize) -> wire::FeederId {
    format!("feeder-{number}").parse().unwrap()
}

fn meter(number: usize) -> wire::MeterId {
    format!("meter-{number}").parse().unwrap()
}

fn format(database: &redb::Database) -> String {
    tables::format(&database.begin_read().unwrap()).unwrap()
}

#[test]
fn a_journal_of_an_earlier_format_is_migrated_and_holds_what_it_held() {
    for kept in KEPT {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, kept.delivered()).unwrap();
        let formats = [kept.format, tables::FORMAT, tables::FORMAT];
        for expected in formats {
            let database = redb::Database::open(&path).unwrap();
            assert_eq!(format(&database), expected);
            drop(database);
            let (_, held) = Journal::open(folder.path()).unwrap();
            assert_eq!(held, kept.held(), "{}", kept.format);
        }
        // It goes on as one that was never migrated.
        let (mut journal, held) = Journal::open(folder.path()).unwrap();
        let mut progress = held.progress.unwrap();
        progress.interval = 0;
        progress.behind.insert(feeder(1), progress.window);
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

#[test]
fn sealed_reports_of_the_earlier_wire_format_are_left_to_the_program_that_sealed_them() {
    for kept in KEPT {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, kept.file).unwrap();
        let error = Journal::open(folder.path()).err().unwrap();
        assert!(
            matches!(&error, JournalError::Undelivered { reports, .. } if *reports == SEALED),
            "{}: {error}",
            kept.format
        );
        assert!(error.to_string().contains("before the upgrade"), "{error}");
        assert!(!error.passes());
        let database = redb::Database::open(&path).unwrap();
        assert_eq!(format(&database), kept.format, "it is left as it was");
    }
}

/// The disk dies at `step` of the migration. Returns whether the migration was done by then.
fn survives(kept: &Kept, file: &[u8], step: u64, death: Death) -> bool {
    let disk = Disk::holding(step, file);
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
        let file = kept.delivered();
        for death in [Death::Fails, Death::Tears, Death::PowerLoss] {
            let mut step = 1;
            while !survives(&kept, &file, step, death) {
                step += 1;
            }
            assert!(step > 5, "the migration has {step} steps only");
        }
    }
}

#[test]
fn a_journal_that_knew_of_no_live_readings_holds_what_it_held() {
    let of_4 = |op: &Op| !matches!(op, Op::Live(_) | Op::LiveForgotten(_) | Op::Released(..));
    holds_what_it_held("cipherwatt-outbox-4", of_4, |change| {
        change.delete_table(tables::LIVE).unwrap();
        change.delete_table(tables::RELEASED).unwrap();
    });
}

#[test]
fn a_journal_that_kept_nothing_of_released_sums_holds_what_it_held() {
    let of_5 = |op: &Op| !matches!(op, Op::Released(..));
    holds_what_it_held("cipherwatt-outbox-5", of_5, |change| {
        change.delete_table(tables::RELEASED).unwrap();
    });
}

fn holds_what_it_held(
    earlier: &str,
    of_it: impl Fn(&Op) -> bool,
    without: impl FnOnce(&redb::WriteTransaction),
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let mut model = Model::default();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    for mut group in script() {
        group.retain(&of_it);
        journal.commit(&group).unwrap();
        model.apply(&group);
    }
    drop(journal);
    let database = redb::Database::open(&path).unwrap();
    let change = database.begin_write().unwrap();
    without(&change);
    let mut meta = change.open_table(tables::META).unwrap();
    meta.insert("format", earlier.as_bytes()).unwrap();
    drop(meta);
    change.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let (journal, held) = Journal::open(folder.path()).unwrap();
        assert_eq!(held, model.held());
        assert_eq!(format(journal.database.as_ref().unwrap()), tables::FORMAT);
    }
}

/// As the next version's may be.
#[test]
fn a_journal_of_a_later_format_is_refused_and_left_alone() {
    let later = "cipherwatt-outbox-7";
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
