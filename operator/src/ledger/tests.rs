use super::*;
use crate::journal::faults::Tearing;
use crate::testing::report;

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }
    fn ledger(&self) -> PathBuf {
        self.dir.path().join("releases.ledger")
    }
    fn totals(&self) -> PathBuf {
        self.dir.path().join("totals.jsonl")
    }
    fn open(&self, expected: bool) -> Result<(Ledger, Releases), LedgerError> {
        let deployment = DeploymentId::try_from("dev").unwrap();
        Ledger::open(
            &self.ledger(),
            &self.totals(),
            &deployment,
            "0123456789abcdef",
            expected,
        )
    }
    fn lines(&self) -> usize {
        std::fs::read_to_string(self.totals())
            .unwrap()
            .lines()
            .count()
    }
    fn append(&self, path: PathBuf, bytes: &[u8]) {
        let mut content = std::fs::read(&path).unwrap();
        content.extend_from_slice(bytes);
        std::fs::write(path, content).unwrap();
    }
}

#[test]
fn releases_survive_a_restart() {
    let files = Files::new();
    let (mut ledger, releases) = files.open(false).unwrap();
    assert!(releases.is_empty());
    ledger
        .commit(&[report("feeder-1", 0), report("feeder-2", 0)])
        .unwrap();
    ledger.commit(&[report("feeder-1", 14_400)]).unwrap();
    drop(ledger);
    let (_, releases) = files.open(true).unwrap();
    assert_eq!(releases.len(), 3);
    assert!(releases.contains(&taken(&report("feeder-2", 0))));
    assert_eq!(files.lines(), 3);
}

#[test]
fn a_kill_between_totals_and_ledger_is_completed() {
    let files = Files::new();
    files
        .open(false)
        .unwrap()
        .0
        .commit(&[report("feeder-1", 0)])
        .unwrap();
    files.append(
        files.totals(),
        format!("{}\n", json(&report("feeder-1", 14_400))).as_bytes(),
    );
    for _ in 0..2 {
        let (_, releases) = files.open(true).unwrap();
        assert_eq!(releases.len(), 2);
    }
    assert_eq!(files.lines(), 2);
}

#[test]
fn a_kill_inside_either_line_is_repaired() {
    let files = Files::new();
    files
        .open(false)
        .unwrap()
        .0
        .commit(&[report("feeder-1", 0)])
        .unwrap();
    files.append(files.totals(), b"{\"feeder\":\"feeder-1\",\"win");
    files.append(files.ledger(), b"0123456789abcdef {\"feeder\"\n\0\0\0");
    let (mut ledger, releases) = files.open(true).unwrap();
    assert_eq!((releases.len(), files.lines()), (1, 1));
    ledger.commit(&[report("feeder-1", 14_400)]).unwrap();
    assert_eq!(files.open(true).unwrap().1.len(), 2);
}

#[test]
fn a_failed_ledger_write_takes_the_totals_back() {
    let files = Files::new();
    let (ledger, _) = files.open(false).unwrap();
    let mut ledger = ledger.with_media(|inner| {
        Box::new(Tearing {
            inner,
            writes_until_torn: 1,
            stuck: false,
        })
    });
    ledger.commit(&[report("feeder-1", 0)]).unwrap_err();
    assert_eq!(files.lines(), 0);
    ledger.commit(&[report("feeder-1", 0)]).unwrap();
    drop(ledger);
    assert_eq!((files.open(true).unwrap().1.len(), files.lines()), (1, 1));
}

#[test]
fn damage_before_the_end_a_missing_file_and_a_strange_one_are_refused() {
    let files = Files::new();
    files
        .open(false)
        .unwrap()
        .0
        .commit(&[report("feeder-1", 0), report("feeder-2", 0)])
        .unwrap();
    let good = std::fs::read_to_string(files.ledger()).unwrap();
    std::fs::write(files.ledger(), good.replace("feeder-1", "feeder-9")).unwrap();
    assert!(matches!(
        files.open(true),
        Err(LedgerError::Damaged { line: 2, .. })
    ));
    std::fs::write(files.ledger(), "something else\n").unwrap();
    assert!(matches!(files.open(true), Err(LedgerError::Header { .. })));
    std::fs::remove_file(files.ledger()).unwrap();
    assert!(matches!(files.open(true), Err(LedgerError::Missing { .. })));
}

#[test]
fn lines_of_others_in_totals_are_left_alone() {
    let files = Files::new();
    files
        .open(false)
        .unwrap()
        .0
        .commit(&[report("feeder-1", 0)])
        .unwrap();
    let mut earlier = report("feeder-1", 14_400);
    earlier.by.operator = "of-another-deployment".to_owned();
    files.append(
        files.totals(),
        format!("# a note\n{}\n", json(&earlier)).as_bytes(),
    );
    let (_, releases) = files.open(true).unwrap();
    assert_eq!((releases.len(), files.lines()), (1, 3));
}

/// What the live page has after a restart.
#[test]
fn the_windows_released_before_a_restart_are_those_this_operator_wrote() {
    let files = Files::new();
    let (mut ledger, _) = files.open(false).unwrap();
    let reports = [report("feeder-1", 0), report("feeder-1", 14_400)];
    ledger.commit(&reports).unwrap();
    let mut other = report("feeder-1", 28_800);
    other.by.operator = "of-another-deployment".to_owned();
    let line = format!("# a note\n{}\n{{\"torn\":", json(&other));
    files.append(files.totals(), line.as_bytes());
    let found = recent(&files.totals(), &reports[0].by.operator).unwrap();
    assert_eq!(found, reports);
    assert!(recent(&files.dir.path().join("none"), "x").is_err());
}
