use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::released::release;
use super::state::State;
use super::*;
use crate::release::opening::Stage;
use crate::release::report::By;
use crate::search::searched::Searched;
use crate::testing::report;
use faults::FailingDisk;
use service::store::Fault;

const OPERATOR: &str = "0123456789abcdef";

/// A ledger of format 1 as the operator wrote it before format 2: feeder-1 with three releases, feeder-2 with one.
const FORMAT_1: &[u8] = include_bytes!("kept/releases-1.ledger");

/// The folder of an operator.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// With a ledger of some releases and its count.
    fn with(releases: &[FeederReport]) -> Self {
        let folder = Self::new();
        folder.take(false, releases);
        folder
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn ledger(&self) -> PathBuf {
        self.path(FILE)
    }

    fn open(&self, expected: bool) -> Result<Ledger, LedgerError> {
        self.open_as("dev", OPERATOR, expected)
    }

    fn open_as(
        &self,
        deployment: &str,
        operator: &str,
        expected: bool,
    ) -> Result<Ledger, LedgerError> {
        let place = Place {
            dir: self.dir.path(),
            totals: &self.path("totals.jsonl"),
            deployment: &deployment.parse().unwrap(),
            operator,
        };
        Ledger::open(&place, expected)
    }

    /// Takes releases in a life of the operator.
    fn take(&self, expected: bool, releases: &[FeederReport]) {
        let mut ledger = self.open(expected).unwrap();
        for commit in releases.chunks(COMMIT_MAX) {
            ledger.settle(commit, &[]).unwrap();
            ledger.count().unwrap();
        }
    }

    /// What `operator doctor` sees.
    fn state(&self) -> Result<Option<State>, LedgerError> {
        state(self.dir.path(), &"dev".parse().unwrap(), true)
    }

    fn totals(&self) -> usize {
        let totals = fs::read_to_string(self.path("totals.jsonl")).unwrap();
        totals.lines().count()
    }

    fn append_totals(&self, text: &str) {
        let path = self.path("totals.jsonl");
        let totals = fs::read_to_string(&path).unwrap();
        fs::write(path, totals + text).unwrap();
    }

    /// Why the operator does not start. Its message names the file, and says what to do.
    fn refusal(&self) -> LedgerError {
        let error = self.open(true).err().expect("the ledger is refused");
        let text = error.to_string();
        assert!(text.contains(&*self.dir.path().to_string_lossy()), "{text}");
        assert!(text.contains("estore"), "{text}");
        error
    }
}

fn reports(windows: std::ops::Range<u64>) -> Vec<FeederReport> {
    let windows = windows.map(|window| report("feeder-1", window * 14_400));
    windows.collect()
}

fn line(report: &FeederReport) -> String {
    json(std::slice::from_ref(report)).remove(0)
}

fn has(ledger: &mut Ledger, report: &FeederReport) -> bool {
    let window = ledger.window(&report.feeder, report.window_start).unwrap();
    window.contains(&release(report))
}

/// A sum of 20 meters that is not a release.
fn opening(window: u64, part: u16, stage: Stage) -> Opening {
    let sum = crate::testing::sum("feeder-1", window * 14_400, part);
    let digest = wire::Digest::of(format!("{window} {part}").as_bytes());
    Opening {
        stage,
        ..Opening::of(&sum, &digest)
    }
}

/// Sums that did not open.
fn refused(openings: &[Opening]) -> Vec<Refused> {
    let openings = openings.iter().cloned();
    let meter = || "meter-1".parse().unwrap();
    let by = || By {
        operator: OPERATOR.to_owned(),
        ..crate::testing::by()
    };
    openings
        .map(|opening| Refused::new(opening, &[], vec![meter()], by()))
        .collect()
}

#[test]
fn releases_survive_a_restart() {
    let folder = Folder::new();
    let mut ledger = folder.open(false).unwrap();
    assert_eq!(ledger.len(), 0);
    let two = [report("feeder-1", 0), report("feeder-2", 0)];
    ledger.settle(&two, &[]).unwrap();
    ledger.settle(&reports(1..2), &[]).unwrap();
    drop(ledger);
    let mut ledger = folder.open(true).unwrap();
    assert_eq!((ledger.len(), folder.totals()), (3, 3));
    assert!(two.iter().all(|report| has(&mut ledger, report)));
    assert!(!has(&mut ledger, &report("feeder-2", 14_400)));
}

#[test]
fn only_the_owner_can_read_what_was_released() {
    let folder = Folder::with(&reports(0..1));
    for file in [FILE, "releases.count", "totals.jsonl"] {
        let mode = fs::metadata(folder.path(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_kill_between_totals_and_ledger_is_completed() {
    let folder = Folder::with(&reports(0..1));
    let second = report("feeder-1", 14_400);
    folder.append_totals(&format!("{}\n", line(&second)));
    for _ in 0..2 {
        let mut ledger = folder.open(true).unwrap();
        assert_eq!(ledger.len(), 2);
        assert!(has(&mut ledger, &second));
    }
    assert_eq!(folder.totals(), 2);
}

#[test]
fn a_kill_inside_a_line_of_totals_is_repaired() {
    let folder = Folder::with(&reports(0..1));
    folder.append_totals("{\"feeder\":\"feeder-1\",\"win");
    let mut ledger = folder.open(true).unwrap();
    assert_eq!((ledger.len(), folder.totals()), (1, 1));
    ledger.settle(&reports(1..2), &[]).unwrap();
    drop(ledger);
    assert_eq!((folder.open(true).unwrap().len(), folder.totals()), (2, 2));
}

#[test]
fn a_kill_between_ledger_and_count_is_no_alarm() {
    let folder = Folder::with(&reports(0..1));
    let mut ledger = folder.open(true).unwrap();
    ledger.settle(&reports(1..2), &[]).unwrap();
    drop(ledger);
    assert_eq!(folder.state().unwrap().unwrap().sums, 2);
    let count = || fs::read_to_string(folder.path("releases.count")).unwrap();
    assert_eq!(count(), "1\n");
    folder.open(true).unwrap();
    assert_eq!(count(), "2\n");
}

/// Each operation of a commit fails once, alone and with all that follow it.
#[test]
fn a_failed_write_of_the_ledger_is_made_good_and_nothing_is_written_twice() {
    let operations = {
        let (folder, disk) = (Folder::with(&reports(0..1)), FailingDisk::default());
        let mut ledger = folder.open(true).unwrap().on(disk.clone());
        ledger
            .window(&"feeder-1".parse().unwrap(), WindowStart(0))
            .unwrap();
        let opened = disk.operations();
        ledger.settle(&reports(1..3), &[]).unwrap();
        disk.operations() - opened
    };
    assert!(operations >= 3, "{operations}");
    for n in 0..operations {
        for count in [1, u64::MAX] {
            let (folder, disk) = (Folder::with(&reports(0..1)), FailingDisk::default());
            let mut ledger = folder.open(true).unwrap().on(disk.clone());
            ledger
                .window(&"feeder-1".parse().unwrap(), WindowStart(0))
                .unwrap();
            disk.fail_after(n, count);
            ledger.settle(&reports(1..3), &[]).unwrap_err();
            disk.fail_after(0, 0);
            // What the totals have is taken before anything else is.
            let known = reports(1..3).iter().all(|report| has(&mut ledger, report));
            assert!(known, "operation {n} of {operations}");
            ledger.settle(&reports(3..4), &[]).unwrap();
            drop(ledger);
            let mut ledger = folder.open(true).unwrap();
            assert_eq!((ledger.len(), folder.totals()), (4, 4), "operation {n}");
            assert!(reports(0..4).iter().all(|report| has(&mut ledger, report)));
        }
    }
}

/// It takes as long as at a start, which a disk that fails now and then must not cost each time.
#[test]
fn after_a_failed_write_the_ledger_is_opened_without_reading_all_of_it() {
    let (folder, disk) = (Folder::with(&reports(0..1)), FailingDisk::default());
    let mut ledger = folder.open(true).unwrap().on(disk.clone());
    ledger.settle(&reports(1..2), &[]).unwrap();
    assert_eq!(disk.full_reads(), 1, "the first opening verifies it");
    for n in 2..10 {
        disk.fail_after(n, 1);
        ledger.settle(&reports(n..n + 1), &[]).unwrap_err();
        assert!(has(&mut ledger, &reports(0..1)[0]));
        assert_eq!(disk.full_reads(), 1, "operation {n}");
    }
    let damaged = || redb::Error::Corrupted("a page".to_owned());
    ledger.store.with(|_| Err::<(), _>(damaged())).unwrap_err();
    assert!(has(&mut ledger, &reports(0..1)[0]));
    assert_eq!(disk.full_reads(), 2, "what looks damaged is verified again");
}

#[test]
fn lines_of_others_in_totals_are_left_alone() {
    let folder = Folder::with(&reports(0..1));
    let mut earlier = report("feeder-1", 14_400);
    earlier.by.operator = "of-another-deployment".to_owned();
    folder.append_totals(&format!("# a note\n{}\n", line(&earlier)));
    assert_eq!((folder.open(true).unwrap().len(), folder.totals()), (1, 3));
}

#[test]
fn an_older_copy_of_the_ledger_is_refused_unless_it_is_accepted_knowingly() {
    let folder = Folder::with(&reports(0..1));
    let copy = fs::read(folder.ledger()).unwrap();
    folder.take(true, &reports(1..4));
    fs::write(folder.ledger(), copy).unwrap();
    fs::remove_file(folder.path("totals.jsonl")).unwrap();
    let error = folder.refusal();
    assert!(
        matches!(
            error,
            LedgerError::Older {
                found: 1,
                known: 4,
                ..
            }
        ),
        "{error}"
    );
    let seen = folder.state().unwrap_err();
    assert_eq!(seen.to_string(), error.to_string(), "doctor says the same");
    assert!(error.to_string().contains("remove"), "{error}");
    fs::remove_file(folder.path("releases.count")).unwrap();
    assert_eq!(folder.open(true).unwrap().len(), 1);
    assert_eq!(folder.state().unwrap().unwrap().sums, 1);
}

/// More than a commit behind, so that the newest lines of totals alone do not do.
#[test]
fn an_older_copy_of_the_ledger_is_completed_from_the_totals() {
    let folder = Folder::with(&reports(0..1));
    let copy = fs::read(folder.ledger()).unwrap();
    let count = fs::read(folder.path("releases.count")).unwrap();
    let last = 1 + 3 * COMMIT_MAX as u64;
    folder.take(true, &reports(1..last));
    let newest = fs::read(folder.path("releases.count")).unwrap();
    // Once with the ledger alone restored, once with the whole state folder and the totals elsewhere.
    for count in [newest, count] {
        fs::write(folder.ledger(), &copy).unwrap();
        fs::write(folder.path("releases.count"), count).unwrap();
        let mut ledger = folder.open(true).unwrap();
        assert!(
            reports(0..last)
                .iter()
                .all(|report| has(&mut ledger, report))
        );
        assert_eq!((ledger.len(), folder.totals() as u64), (last, last));
    }
}

/// The totals of [`COMMIT_MAX`] releases may be ahead of the ledger after a kill; more of them, none of which the ledger
/// has, begin after its end.
#[test]
fn totals_that_begin_after_the_end_of_an_older_ledger_are_refused() {
    let folder = Folder::with(&reports(0..5));
    let ledger = fs::read(folder.ledger()).unwrap();
    let count = fs::read(folder.path("releases.count")).unwrap();
    let lag = COMMIT_MAX as u64;
    let newer = |more| {
        let lines = reports(100..100 + more);
        let lines = lines.iter().map(|report| line(report) + "\n");
        fs::write(folder.path("totals.jsonl"), lines.collect::<String>()).unwrap();
    };
    newer(lag + 1);
    let error = folder.refusal();
    let is_older = matches!(error, LedgerError::OlderThanTotals { sums: 5, .. });
    assert!(is_older, "{error}");
    assert!(error.to_string().contains("totals.jsonl"), "{error}");
    // Nothing was added: the next start refuses it again.
    assert_eq!(folder.state().unwrap().unwrap().sums, 5);
    folder.refusal();
    assert_eq!(fs::read(folder.path("releases.count")).unwrap(), count);

    fs::write(folder.ledger(), ledger).unwrap();
    newer(lag);
    assert_eq!(folder.open(true).unwrap().len(), 5 + lag);
}

/// As above, with totals of which the end alone is read at first.
#[test]
fn totals_are_read_back_to_where_the_ledger_ends() {
    let folder = Folder::with(&reports(0..1));
    let copy = fs::read(folder.ledger()).unwrap();
    folder.take(true, &reports(1..3));
    let note = "#".repeat(1 << 16);
    let notes = 3 * crate::release::totals::TAIL as usize / note.len();
    folder.append_totals(&format!("{note}\n").repeat(notes));
    fs::write(folder.ledger(), copy).unwrap();
    assert_eq!(folder.open(true).unwrap().len(), 3);
}

#[test]
fn an_emptied_ledger_is_refused() {
    let folder = Folder::with(&reports(0..2));
    fs::write(folder.ledger(), b"").unwrap();
    let error = folder.refusal();
    assert_eq!(
        fs::read(folder.ledger()).unwrap(),
        b"",
        "it is left as it is"
    );
    assert!(
        matches!(
            &error,
            LedgerError::Unusable {
                source: Fault::Damaged(_),
                ..
            }
        ),
        "{error}"
    );
    folder.state().unwrap_err();
}

#[test]
fn a_ledger_of_one_byte_is_refused() {
    let folder = Folder::with(&reports(0..2));
    fs::write(folder.ledger(), b"x").unwrap();
    let error = folder.refusal();
    assert_eq!(
        fs::read(folder.ledger()).unwrap(),
        b"x",
        "it is left as it is"
    );
    assert!(matches!(error, LedgerError::Unusable { .. }), "{error}");
    folder.state().unwrap_err();
}

#[test]
fn a_truncated_ledger_is_refused() {
    let folder = Folder::with(&reports(0..2));
    let whole = fs::read(folder.ledger()).unwrap();
    for eighth in 0..8 {
        fs::write(folder.ledger(), &whole[..whole.len() * eighth / 8]).unwrap();
        let error = folder.refusal();
        assert!(matches!(error, LedgerError::Unusable { .. }), "{error}");
    }
}

/// A byte in use is noticed; one that is not changes nothing. Never are other releases read.
#[test]
fn a_damaged_ledger_is_refused_or_harmless() {
    let folder = Folder::with(&reports(0..2));
    let whole = fs::read(folder.ledger()).unwrap();
    // Without them nothing can make good what is damaged.
    fs::remove_file(folder.path("totals.jsonl")).unwrap();
    let (mut refused, mut harmless) = (0, 0);
    for at in (0..512).step_by(3).chain((512..whole.len()).step_by(509)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(folder.ledger(), &damaged).unwrap();
        // Doctor verifies less, and must not fall over what it meets.
        drop(folder.state());
        match folder.open(true) {
            Ok(mut ledger) => {
                let known = reports(0..2).iter().all(|report| has(&mut ledger, report));
                assert!(known && ledger.len() == 2, "byte {at}");
                harmless += 1;
            }
            Err(error) => {
                let plain = matches!(
                    error,
                    LedgerError::Unusable { .. }
                        | LedgerError::Header { .. }
                        | LedgerError::Older { .. }
                );
                assert!(plain, "byte {at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 30 && harmless > 30, "{refused} {harmless}");
}

#[test]
fn a_file_that_is_not_a_ledger_is_refused() {
    let folder = Folder::with(&reports(0..2));
    let other = folder.path("other.redb");
    let table: redb::TableDefinition<u64, u64> = redb::TableDefinition::new("x");
    let fill = |changes: &redb::WriteTransaction| {
        changes.open_table(table)?.insert(1, 2)?;
        Ok(())
    };
    let builder = service::store::builder(1 << 20);
    service::store::create(&other, &builder, fill).unwrap();
    for content in [fs::read(other).unwrap(), vec![0; 100_000]] {
        fs::write(folder.ledger(), content).unwrap();
        let error = folder.refusal();
        assert!(
            matches!(
                &error,
                LedgerError::Unusable {
                    source: Fault::Foreign(_),
                    ..
                }
            ),
            "{error}: {error:?}"
        );
        folder.state().unwrap_err();
    }
    fs::remove_file(folder.ledger()).unwrap();
    fs::create_dir(folder.ledger()).unwrap();
    assert!(folder.open(true).is_err());
}

#[test]
fn a_ledger_of_another_deployment_or_operator_is_refused_by_both_names() {
    let folder = Folder::with(&reports(0..1));
    for (deployment, operator, names) in [
        ("south", OPERATOR, ["dev", "south"]),
        ("dev", "fedcba9876543210", [OPERATOR, "fedcba9876543210"]),
    ] {
        let error = folder.open_as(deployment, operator, true).err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, LedgerError::Header { .. }), "{text}");
        let told = names.iter().all(|name| text.contains(name));
        assert!(told && text.contains(FILE), "{text}");
    }
}

#[test]
fn a_missing_ledger_is_refused_beside_a_plan_or_a_count() {
    let folder = Folder::new();
    let error = folder.refusal();
    assert!(matches!(error, LedgerError::Missing { .. }), "{error}");
    let folder = Folder::with(&reports(0..1));
    fs::remove_file(folder.ledger()).unwrap();
    for expected in [false, true] {
        let missing = folder.open(expected);
        assert!(matches!(missing, Err(LedgerError::Missing { .. })));
    }
    folder.state().unwrap_err();
}

#[test]
fn a_ledger_of_a_later_format_is_refused_by_both_numbers() {
    let folder = Folder::with(&reports(0..1));
    let database = redb::Database::open(folder.ledger()).unwrap();
    let changes = database.begin_write().unwrap();
    let meta: redb::TableDefinition<&str, &str> = redb::TableDefinition::new("meta");
    let format = ("format version", "5");
    (changes.open_table(meta).unwrap().insert(format.0, format.1)).unwrap();
    changes.commit().unwrap();
    drop(database);
    let text = folder.refusal().to_string();
    assert!(text.contains("format version \"5\", not \"4\""), "{text}");
}

#[test]
fn a_count_that_is_not_a_number_is_refused() {
    let folder = Folder::with(&reports(0..1));
    for content in [
        "",
        "x",
        "1",
        "-1\n",
        "1\n2\n",
        "99999999999999999999\n",
        &"1".repeat(99),
    ] {
        fs::write(folder.path("releases.count"), content).unwrap();
        let error = folder.refusal();
        assert!(
            matches!(error, LedgerError::Count { .. }),
            "{content:?}: {error}"
        );
    }
}

#[test]
fn one_process_writes_and_others_can_look_on() {
    let folder = Folder::with(&reports(0..1));
    let mut ledger = folder.open(true).unwrap();
    let error = folder.open(true).err().unwrap();
    assert!(
        matches!(
            &error,
            LedgerError::Unavailable {
                source: Fault::InUse,
                ..
            }
        ),
        "{error}"
    );
    ledger.settle(&reports(1..3), &[]).unwrap();
    let seen = folder.state().unwrap().unwrap();
    assert_eq!(seen.sums, 3);
    let newest = seen.newest.into_iter().collect::<Vec<_>>();
    assert_eq!(newest, [("feeder-1".parse().unwrap(), WindowStart(28_800))]);
}

#[test]
fn what_a_killed_operator_left_is_opened_by_the_next() {
    let folder = Folder::with(&reports(0..1));
    let mut ledger = folder.open(true).unwrap();
    ledger.settle(&reports(1..3), &[]).unwrap();
    // As a kill leaves it: copied while it is open.
    let left = fs::read(folder.ledger()).unwrap();
    drop(ledger);
    fs::write(folder.ledger(), left).unwrap();
    let error = folder.state().unwrap_err();
    assert!(
        matches!(
            &error,
            LedgerError::Unavailable {
                source: Fault::LeftOpen,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(folder.open(true).unwrap().len(), 3);
}

#[test]
fn a_ledger_of_format_1_is_moved_into_the_store() {
    let folder = Folder::new();
    fs::write(folder.path("releases.ledger"), FORMAT_1).unwrap();
    assert_eq!(folder.state().unwrap(), None, "the next start makes it");
    let mut ledger = folder.open(true).unwrap();
    assert_eq!(ledger.len(), 4);
    for known in [
        report("feeder-1", 0),
        report("feeder-2", 0),
        report("feeder-1", 14_400),
    ] {
        // Format 1 does not say which service released it.
        let known = FeederReport {
            analytics: None,
            ..known
        };
        assert!(has(&mut ledger, &known));
    }
    let parts = ledger.window(&"feeder-1".parse().unwrap(), WindowStart(14_400));
    let parts: Vec<(u16, u32)> = (parts.unwrap().iter())
        .map(|opening| (opening.part.0, opening.meters))
        .collect();
    assert_eq!(parts, [(0, 20), (1, 15)]);
    drop(ledger);
    assert!(!folder.path("releases.ledger").exists());
    assert_eq!(
        fs::read(folder.path("releases.ledger.old")).unwrap(),
        FORMAT_1
    );
    assert_eq!(
        fs::read_to_string(folder.path("releases.count")).unwrap(),
        "4\n"
    );
    // A kill before the old file was set aside; and one before the count was written.
    fs::write(folder.path("releases.ledger"), FORMAT_1).unwrap();
    fs::remove_file(folder.path("releases.count")).unwrap();
    assert_eq!(folder.open(true).unwrap().len(), 4);
    assert!(!folder.path("releases.ledger").exists());
}

#[test]
fn a_ledger_of_format_1_that_was_torn_by_a_kill_is_moved_without_its_torn_end() {
    for cut in 1..120 {
        let folder = Folder::new();
        let torn = &FORMAT_1[..FORMAT_1.len() - cut];
        fs::write(folder.path("releases.ledger"), torn).unwrap();
        assert_eq!(folder.open(true).unwrap().len(), 3, "without {cut} bytes");
    }
    let folder = Folder::new();
    let torn = [FORMAT_1, b"0123456789abcdef {\"feeder\"\n\0\0\0"].concat();
    fs::write(folder.path("releases.ledger"), torn).unwrap();
    assert_eq!(folder.open(true).unwrap().len(), 4);
}

/// A group of releases was one write, which a power cut may leave with any of its lines damaged.
#[test]
fn a_ledger_of_format_1_may_lack_one_write_at_its_end_and_no_more() {
    for (torn, is_moved) in [(COMMIT_MAX, true), (COMMIT_MAX + 1, false)] {
        let folder = Folder::new();
        let damaged = [FORMAT_1, "torn\n".repeat(torn).as_bytes()].concat();
        fs::write(folder.path("releases.ledger"), damaged).unwrap();
        if is_moved {
            assert_eq!(folder.open(true).unwrap().len(), 4);
            continue;
        }
        let error = folder.refusal();
        assert!(
            matches!(error, LedgerError::Line { line: 6, .. }),
            "{error}"
        );
        assert!(folder.path("releases.ledger").exists());
    }
}

#[test]
fn a_ledger_of_format_1_that_was_emptied_damaged_or_is_another_is_refused_and_left_alone() {
    let text = String::from_utf8(FORMAT_1.to_vec()).unwrap();
    let header = text.lines().next().unwrap();
    let cases = [
        String::new(),
        "x".to_owned(),
        header.to_owned(),
        "something else\n".to_owned(),
        text.replace(" dev ", " south "),
        text.replace(OPERATOR, "fedcba9876543210"),
        text.replace("releases 1", "releases 7"),
        text.replacen("feeder-2", "feeder-9", 1),
    ];
    for content in cases {
        let folder = Folder::new();
        let old = folder.path("releases.ledger");
        fs::write(&old, &content).unwrap();
        let error = folder.refusal();
        match content.contains("feeder-9") {
            true => assert!(
                matches!(error, LedgerError::Line { line: 3, .. }),
                "{error}"
            ),
            false => assert!(matches!(error, LedgerError::Header { .. }), "{error}"),
        }
        assert_eq!(fs::read_to_string(&old).unwrap(), content);
        assert!(!folder.ledger().exists());
    }
}

#[test]
fn no_ledger_is_right_only_where_none_was_expected_and_nothing_was_counted() {
    let folder = Folder::new();
    let state = |expected| state(folder.dir.path(), &"dev".parse().unwrap(), expected);
    let is_missing = |result| matches!(result, Err(LedgerError::Missing { .. }));
    assert_eq!(state(false).unwrap(), None);
    assert!(is_missing(state(true)));
    fs::write(folder.path("releases.count"), "0\n").unwrap();
    assert!(is_missing(state(false)));
}

#[test]
fn a_count_that_cannot_be_read_is_not_called_damaged() {
    let folder = Folder::with(&reports(0..1));
    fs::remove_file(folder.path("releases.count")).unwrap();
    fs::create_dir(folder.path("releases.count")).unwrap();
    let error = folder.open(true).err().unwrap();
    assert!(matches!(error, LedgerError::Disk(_)), "{error}");
}

#[test]
fn a_ledger_that_a_kill_left_open_is_told_from_one_in_use() {
    let folder = Folder::with(&reports(0..1));
    let ledger = folder.open(true).unwrap();
    assert!(!folder.open(true).err().unwrap().is_left_open());
    let left = fs::read(folder.ledger()).unwrap();
    drop(ledger);
    fs::write(folder.ledger(), left).unwrap();
    assert!(folder.state().unwrap_err().is_left_open());
}

#[test]
fn the_ledger_names_the_newest_window_that_each_feeder_has_released() {
    let folder = Folder::with(&reports(0..3));
    let mut ledger = folder.open(true).unwrap();
    ledger.settle(&[report("feeder-2", 14_400)], &[]).unwrap();
    // What did not open is not released: it would keep epochs from beginning until its window, for ever if that never comes.
    let others = [
        opening(7, 0, Stage::Spent),
        opening(8, 0, Stage::Divided),
        opening(9, 0, Stage::Burnt),
    ];
    ledger.spend(&others[..1]).unwrap();
    ledger.settle(&[], &refused(&others[1..])).unwrap();
    let newest = ledger.newest().unwrap().into_iter().collect::<Vec<_>>();
    let expected = [("feeder-1", 28_800), ("feeder-2", 14_400)];
    assert_eq!(
        newest,
        expected.map(|(feeder, window)| (feeder.parse().unwrap(), WindowStart(window)))
    );
}

#[test]
fn spent_sums_and_what_became_of_them_survive() {
    let folder = Folder::new();
    let feeder = "feeder-1".parse().unwrap();
    let window = |ledger: &mut Ledger, window: u64| {
        ledger
            .window(&feeder, WindowStart(window * 14_400))
            .unwrap()
    };
    let spent = [0, 1, 2, 3].map(|window| opening(window, 0, Stage::Spent));
    let failed = [opening(1, 0, Stage::Divided), opening(2, 0, Stage::Burnt)];
    let mut ledger = folder.open(false).unwrap();
    ledger.spend(&spent).unwrap();
    ledger.settle(&[], &refused(&failed)).unwrap();
    // Again, as after a kill before the answer: it counts once.
    ledger.spend(&spent).unwrap();
    ledger.settle(&[], &refused(&failed)).unwrap();
    let mut part = opening(1, 1, Stage::Spent);
    part.replaces = Some(wire::Part(0));
    ledger.spend(std::slice::from_ref(&part)).unwrap();
    drop(ledger);
    let mut ledger = folder.open(true).unwrap();
    assert_eq!(window(&mut ledger, 0), [spent[0].clone()]);
    assert_eq!(window(&mut ledger, 1), [failed[0].clone(), part]);
    assert_eq!(window(&mut ledger, 2), [failed[1].clone()]);
    assert_eq!(
        (ledger.len(), ledger.refusals(KeyEpoch(1)).unwrap()),
        (5, 2)
    );
    assert_eq!(ledger.refusals(KeyEpoch(2)).unwrap(), 0);
    ledger.count().unwrap();
    let state = folder.state().unwrap().unwrap();
    assert_eq!(
        state.refusals.into_iter().collect::<Vec<_>>(),
        [(KeyEpoch(1), 2)]
    );
}

#[test]
fn a_spent_sum_that_the_totals_have_is_released_with_its_contributors() {
    let folder = Folder::with(&reports(0..1));
    let released = report("feeder-1", 14_400);
    let mut ledger = folder.open(true).unwrap();
    let sum = crate::testing::sum("feeder-1", 14_400, 0);
    let spent = Opening::of(&sum, &released.digest);
    ledger.spend(std::slice::from_ref(&spent)).unwrap();
    drop(ledger);
    folder.append_totals(&format!("{}\n", line(&released)));
    let mut ledger = folder.open(true).unwrap();
    let window = ledger
        .window(&released.feeder, released.window_start)
        .unwrap();
    let expected = Opening {
        stage: Stage::Released,
        ..spent
    };
    assert_eq!(window, [expected]);
}

#[test]
fn an_older_copy_learns_what_did_not_open_and_how_often_from_the_record_of_that() {
    let folder = Folder::with(&reports(0..1));
    let copy = fs::read(folder.ledger()).unwrap();
    let failed = [
        opening(1, 0, Stage::Divided),
        Opening {
            replaces: Some(wire::Part(0)),
            ..opening(1, 1, Stage::Burnt)
        },
        opening(2, 0, Stage::Burnt),
    ];
    let mut ledger = folder.open(true).unwrap();
    ledger.settle(&[], &refused(&failed)).unwrap();
    let searched = two_culprits(&failed[0]);
    let by = By {
        operator: OPERATOR.to_owned(),
        ..crate::testing::by()
    };
    ledger.refuse(&Search::new(&searched, 2, by)).unwrap();
    assert_eq!(ledger.refusals(KeyEpoch(1)).unwrap(), 5);
    ledger.count().unwrap();
    drop(ledger);
    fs::write(folder.ledger(), &copy).unwrap();
    for _ in 0..2 {
        let mut ledger = folder.open(true).unwrap();
        let mut window = |number: u64| {
            let window = WindowStart(number * 14_400);
            ledger.window(&failed[0].feeder, window).unwrap()
        };
        assert_eq!(window(1), failed[..2]);
        assert_eq!(window(2), failed[2..]);
        assert_eq!(
            (ledger.len(), ledger.refusals(KeyEpoch(1)).unwrap()),
            (4, 5)
        );
    }
    // Without the record nothing says what the copy lacks.
    fs::write(folder.ledger(), copy).unwrap();
    fs::remove_file(folder.path("totals.refused.jsonl")).unwrap();
    let error = folder.refusal();
    let is_older = matches!(
        error,
        LedgerError::Older {
            found: 1,
            known: 4,
            ..
        }
    );
    assert!(is_older, "{error}");
}

/// Each operation of a commit fails once. The line is in the record of what did not open by then.
#[test]
fn refusals_that_could_not_be_counted_are_counted_before_anybody_asks_how_many_there_are() {
    let failed = opening(1, 0, Stage::Divided);
    let by = || By {
        operator: OPERATOR.to_owned(),
        ..crate::testing::by()
    };
    for n in 0..3 {
        let (folder, disk) = (Folder::with(&reports(0..1)), FailingDisk::default());
        let mut ledger = folder.open(true).unwrap().on(disk.clone());
        assert_eq!(ledger.refusals(KeyEpoch(1)).unwrap(), 0);
        disk.fail_after(n, u64::MAX);
        let search = Search::new(&two_culprits(&failed), 2, by());
        ledger.refuse(&search).unwrap_err();
        ledger.refusals(KeyEpoch(1)).unwrap_err();
        disk.fail_after(0, 0);
        assert_eq!(ledger.refusals(KeyEpoch(1)).unwrap(), 2, "operation {n}");
        drop(ledger);
        let mut ledger = folder.open(true).unwrap();
        assert_eq!(ledger.refusals(KeyEpoch(1)).unwrap(), 2, "after a restart");
    }
}

/// Else the whole would be divided again.
#[test]
fn a_part_that_only_the_totals_have_still_replaces_the_sum_it_is_a_part_of() {
    let folder = Folder::with(&reports(0..1));
    let whole = opening(1, 0, Stage::Divided);
    let mut ledger = folder.open(true).unwrap();
    ledger.settle(&[], &refused(&[whole])).unwrap();
    drop(ledger);
    let mut part = reports(1..2).remove(0);
    (part.part, part.replaces) = (wire::Part(1), Some(wire::Part(0)));
    OPERATOR.clone_into(&mut part.by.operator);
    folder.append_totals(&format!("{}\n", line(&part)));
    let mut ledger = folder.open(true).unwrap();
    let window = ledger.window(&part.feeder, part.window_start).unwrap();
    let found = window
        .iter()
        .map(|opening| (opening.stage, opening.replaces));
    let expected = [
        (Stage::Divided, None),
        (Stage::Released, Some(wire::Part(0))),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

/// What a search for those who spoiled a sum found.
fn two_culprits(failed: &Opening) -> Searched {
    Searched {
        gateways: Vec::new(),
        silent: Vec::new(),
        feeder: failed.feeder.clone(),
        window_start: failed.window_start,
        part: failed.part,
        epoch: KeyEpoch(1),
        culprits: vec!["meter-1".parse().unwrap(), "meter-2".parse().unwrap()],
        together: Vec::new(),
        reports: 20,
        missing: 0,
        openings: 9,
        is_cut_short: false,
        sum_differs: false,
    }
}

/// It did not say who was in the sum, so every meter of the feeder counts as spent.
#[test]
fn a_line_that_an_earlier_version_wrote_of_what_did_not_open_closes_its_window() {
    let folder = Folder::with(&reports(0..1));
    let line = format!(
        "{{\"feeder\":\"feeder-1\",\"window_start\":14400,\"part\":2,\"replaces\":0,\"epoch\":1,\
         \"meters\":[\"meter-4\",\"meter-5\"],\"operator\":\"{OPERATOR}\",\"taken_at\":5}}\n"
    );
    fs::write(folder.path("totals.refused.jsonl"), line).unwrap();
    let mut ledger = folder.open(true).unwrap();
    let window = ledger.window(&"feeder-1".parse().unwrap(), WindowStart(14_400));
    let [burnt] = &window.unwrap()[..] else {
        panic!("one sum")
    };
    let found = (burnt.stage, burnt.meters, &burnt.set, burnt.part.0);
    assert_eq!(found, (Stage::Burnt, 2, &None, 2));
    assert_eq!(ledger.refusals(KeyEpoch(1)).unwrap(), 1);
}

/// As the version before this one wrote it: without the tables of noisy totals.
#[test]
fn a_ledger_of_format_3_is_brought_to_the_present_one_with_its_rows() {
    let meta: redb::TableDefinition<&str, &str> = redb::TableDefinition::new("meta");
    let folder = Folder::new();
    let mut ledger = folder.open(false).unwrap();
    ledger.settle(&reports(0..3), &[]).unwrap();
    ledger.count().unwrap();
    drop(ledger);
    let database = redb::Database::open(folder.ledger()).unwrap();
    let changes = database.begin_write().unwrap();
    let names: Vec<_> = changes.list_tables().unwrap().collect();
    for table in names {
        let name = redb::TableHandle::name(&table).to_owned();
        if name.contains("noisy") || name.contains("given") {
            changes.delete_table(table).unwrap();
        }
    }
    let mut header = changes.open_table(meta).unwrap();
    header.insert("format version", "3").unwrap();
    drop(header);
    changes.commit().unwrap();
    drop(database);
    assert_eq!(folder.state().unwrap(), None, "the next start brings it");
    for _ in 0..2 {
        let mut ledger = folder.open(true).unwrap();
        assert!(reports(0..3).iter().all(|report| has(&mut ledger, report)));
        assert_eq!(ledger.unwritten_noise().unwrap(), []);
    }
    let state = folder.state().unwrap().unwrap();
    assert_eq!((state.sums, state.given_away.len()), (3, 0));
}

/// As an earlier version wrote it.
#[test]
fn a_ledger_of_format_2_is_brought_to_the_present_one_and_its_windows_are_closed() {
    type Release = (u32, u32, &'static [u8; 32], &'static str);
    let meta: redb::TableDefinition<&str, &str> = redb::TableDefinition::new("meta");
    let releases: redb::TableDefinition<(u64, &str, u16), Release> =
        redb::TableDefinition::new("releases");
    let before = |folder: &Folder, operator: &'static str| {
        let fill = |changes: &redb::WriteTransaction| {
            let mut header = changes.open_table(meta)?;
            for (name, value) in [
                ("format version", "2"),
                ("deployment", "dev"),
                ("operator", operator),
            ] {
                header.insert(name, value)?;
            }
            let mut table = changes.open_table(releases)?;
            for report in reports(0..3) {
                let window = report.window_start.0;
                let columns = (1, 20, &report.digest.0, "analytics-1");
                table.insert((window, "feeder-1", 0), columns)?;
            }
            table.insert((14_400, "feeder-1", 1), (1, 15, &[7; 32], ""))?;
            Ok(())
        };
        let builder = service::store::builder(1 << 20);
        service::store::create(&folder.ledger(), &builder, fill).unwrap();
        fs::write(folder.path("releases.count"), "4\n").unwrap();
    };
    let folder = Folder::new();
    before(&folder, OPERATOR);
    assert_eq!(folder.state().unwrap(), None, "the next start brings it");
    for _ in 0..2 {
        let mut ledger = folder.open(true).unwrap();
        assert_eq!(ledger.len(), 4);
        assert!(reports(0..3).iter().all(|report| has(&mut ledger, report)));
        let window = ledger.window(&"feeder-1".parse().unwrap(), WindowStart(14_400));
        let window = window.unwrap();
        assert!(
            window
                .iter()
                .all(|part| part.set.is_none() && part.stage == Stage::Released)
        );
        assert_eq!((window.len(), window[1].analytics.clone()), (2, None));
    }
    assert_eq!(folder.state().unwrap().unwrap().sums, 4);

    let other = Folder::new();
    before(&other, "fedcba9876543210");
    let error = other.open(true).err().unwrap();
    assert!(matches!(error, LedgerError::Header { .. }), "{error}");
}
