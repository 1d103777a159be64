//! The journal on disks that die at every step, and on files that are damaged.

mod disk;
mod migration;
mod model;
mod remainder;

use std::fs;
use std::path::PathBuf;

use super::{FILE, Held, Journal, JournalError, Op, WriteError, Writer};
use disk::{Death, Disk};
use model::{Model, script};

fn open(disk: &Disk) -> Result<(Journal, Held), JournalError> {
    Journal::with(PathBuf::from("test"), disk.opener())
}

/// Commits the groups of the script, one after the other, on a disk that dies at `step`. Returns whether it did.
fn survives(step: u64, death: Death) -> bool {
    let disk = Disk::new(step);
    disk.die_at(step, death);
    let mut model = Model::default();
    let mut journal = open(&disk).ok().map(|(journal, _)| journal);
    for (number, group) in script().into_iter().enumerate() {
        let before = model.held();
        let wanted = model.apply(&group);
        let committed = journal
            .as_mut()
            .and_then(|journal| journal.commit(&group).ok());
        if let Some(committed) = committed {
            assert_eq!(committed, wanted, "{death:?} {step}");
        } else {
            assert!(disk.is_dead(), "{death:?} {step}: only a dead disk fails");
            drop(journal.take());
            disk.revive();
            let (mut opened, held) = open(&disk).unwrap();
            assert!(
                held == before || held == model.held(),
                "{death:?} {step}: neither before nor after the commit\n{held:?}\n{before:?}\n{:?}",
                model.held()
            );
            // "Done, but the reply was lost" included: what was not answered is done again.
            assert_eq!(opened.commit(&group).unwrap(), wanted);
            journal = Some(opened);
        }
        if number % 6 != 5 {
            continue;
        }
        drop(journal.take());
        // Closing and opening write too, and may be where it dies.
        let (opened, held) = open(&disk)
            .or_else(|error| {
                assert!(disk.is_dead(), "{death:?} {step}: {error}");
                disk.revive();
                open(&disk)
            })
            .unwrap_or_else(|error| panic!("{death:?} {step}: {error}"));
        assert_eq!(held, model.held(), "{death:?} {step}");
        model.check_places(&held);
        journal = Some(opened);
    }
    disk.steps() >= step
}

fn survives_everywhere(death: Death) {
    let mut step = 1;
    while survives(step, death) {
        step += 1;
    }
    assert!(step > 50, "the script has {step} steps only");
}

#[test]
fn a_write_that_fails_leaves_every_reading_in_one_place() {
    survives_everywhere(Death::Fails);
}

#[test]
fn a_write_that_is_torn_leaves_every_reading_in_one_place() {
    survives_everywhere(Death::Tears);
}

#[test]
fn a_power_failure_leaves_every_reading_in_one_place() {
    survives_everywhere(Death::PowerLoss);
}

#[test]
fn a_file_comes_back_as_it_was_left_and_has_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Model::default();
    for group in script() {
        let (mut journal, held) = Journal::open(folder.path()).unwrap();
        assert_eq!(held, model.held());
        assert_eq!(journal.commit(&group).unwrap(), model.apply(&group));
        let busy = Journal::open(folder.path()).err().unwrap();
        assert!(matches!(busy, JournalError::Busy { .. }), "{busy}");
        assert!(busy.to_string().contains("meter.gateway"), "{busy}");
    }
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let mut model = Model::default();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    for group in script() {
        journal.commit(&group).unwrap();
        model.apply(&group);
    }
    drop(journal);
    let good = fs::read(&path).unwrap();
    let half = good[..good.len() / 2].to_vec();
    for damaged in [Vec::new(), b"not a database".to_vec(), vec![0; 8192], half] {
        fs::write(&path, &damaged).unwrap();
        let error = Journal::open(folder.path()).err().unwrap();
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("is damaged"), "{error}");
        assert!(!error.passes());
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
    let mut refused = 0;
    for at in (0..good.len()).step_by(61) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        match Journal::open(folder.path()) {
            // Where nothing is kept, damage changes nothing.
            Ok((_, held)) => assert_eq!(held, model.held(), "byte {at}"),
            Err(error) => {
                refused += 1;
                assert!(
                    matches!(
                        error,
                        JournalError::Corrupt { .. } | JournalError::Format { .. }
                    ),
                    "{error}"
                );
            }
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn a_file_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let database = redb::Database::create(&path).unwrap();
    drop(database);
    let error = Journal::open(folder.path()).err().unwrap();
    assert!(matches!(error, JournalError::Format { .. }), "{error}");
}

#[test]
fn a_folder_that_is_none_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = Journal::open(&folder.path().join("missing")).err().unwrap();
    assert!(matches!(error, JournalError::Disk { .. }), "{error}");
    assert!(error.to_string().contains(FILE), "{error}");
}

async fn until_durable(writer: &mut Writer, wanted: usize) -> Vec<Op> {
    let mut durable = Vec::new();
    while durable.len() < wanted {
        writer.start();
        let wake = writer.next_wake();
        tokio::select! {
            done = writer.committed() => durable.extend(done.unwrap().ops),
            () = tokio::time::sleep_until(wake.unwrap_or_else(tokio::time::Instant::now)), if wake.is_some() => {}
        }
    }
    durable
}

#[tokio::test(start_paused = true)]
async fn a_writer_goes_on_once_the_disk_does_and_keeps_the_order() {
    let disk = Disk::new(1);
    let (journal, _) = open(&disk).unwrap();
    let mut writer = Writer::new(journal);
    let ops: Vec<Op> = script().into_iter().flatten().collect();
    disk.die_at(disk.steps() + 3, Death::Fails);
    let (first, rest) = ops.split_at(3);
    for op in first {
        writer.push(op.clone());
    }
    writer.start();
    assert!(writer.committed().await.unwrap().ops.is_empty());
    assert!(writer.is_failing() && !writer.is_idle());
    writer.start();
    assert!(
        writer.next_wake().is_some(),
        "it tries again, but not at once"
    );
    for op in rest {
        writer.push(op.clone());
    }
    disk.revive();
    let durable = until_durable(&mut writer, ops.len()).await;
    assert!(!writer.is_failing());
    assert_eq!(format!("{durable:?}"), format!("{ops:?}"));
    writer.close(std::time::Duration::from_secs(60)).await;
    let mut model = Model::default();
    model.apply(&ops);
    assert_eq!(open(&disk).unwrap().1, model.held());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_committed_late_or_at_the_end() {
    let disk = Disk::new(1);
    let (mut journal, _) = open(&disk).unwrap();
    let ops: Vec<Op> = script().into_iter().flatten().collect();
    let (settled, others): (Vec<_>, Vec<_>) = ops.into_iter().partition(|op| !op.is_urgent());
    assert!(settled.len() > 1);
    journal.commit(&others).unwrap();
    let mut writer = Writer::new(journal);
    writer.push(settled[0].clone());
    writer.start();
    assert!(writer.is_idle());
    assert_eq!(until_durable(&mut writer, 1).await.len(), 1);
    for op in &settled[1..] {
        writer.push(op.clone());
    }
    writer.close(std::time::Duration::from_secs(60)).await;
    let mut model = Model::default();
    model.apply(&others);
    model.apply(&settled);
    assert_eq!(open(&disk).unwrap().1, model.held());
}

#[tokio::test]
async fn a_writer_does_not_go_on_with_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    // As after a failure: the next commit opens the file again.
    journal.database = None;
    fs::write(folder.path().join(FILE), b"damaged").unwrap();
    let mut writer = Writer::new(journal);
    for op in script().remove(0) {
        writer.push(op);
    }
    writer.start();
    let error = writer.committed().await.unwrap_err();
    assert!(
        matches!(error, WriteError::Journal(JournalError::Corrupt { .. })),
        "{error:?}"
    );
}
