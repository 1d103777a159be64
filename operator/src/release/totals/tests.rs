use super::*;
use crate::testing::report;

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| line.to_string()).collect()
}

#[test]
fn lines_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.jsonl");
    let mut totals = Totals::open(&path).unwrap();
    totals.append(&strings(&["one", "two"])).unwrap();
    totals.append(&strings(&["three"])).unwrap();
    drop(totals);
    Totals::open(&path).unwrap();
    assert_eq!(lines(&path), ["one", "two", "three"]);
}

#[test]
fn every_cut_of_the_last_line_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.jsonl");
    for cut in 4..11 {
        std::fs::write(&path, &b"one\nsecond\n"[..cut]).unwrap();
        let mut totals = Totals::open(&path).unwrap();
        assert_eq!(lines(&path), ["one"]);
        totals.append(&strings(&["next"])).unwrap();
        assert_eq!(lines(&path), ["one", "next"]);
    }
}

#[test]
fn a_torn_write_leaves_nothing_behind() {
    for stuck in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("totals.jsonl");
        let mut totals = Totals::open(&path).unwrap().with_medium(|inner| {
            Box::new(faults::Tearing {
                inner,
                writes_until_torn: 2,
                stuck,
            })
        });
        totals.append(&strings(&["one"])).unwrap();
        totals.append(&strings(&["lost line"])).unwrap_err();
        totals.append(&strings(&["two"])).unwrap();
        assert_eq!(lines(&path), ["one", "two"], "stuck: {stuck}");
    }
}

#[test]
fn a_file_that_has_no_lines_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("video");
    std::fs::write(&path, vec![7; TAIL as usize + 1]).unwrap();
    assert!(Totals::open(&path).is_err());
    assert_eq!(
        std::fs::metadata(&path).unwrap().len(),
        TAIL + 1,
        "nothing is cut off"
    );
}

/// What the live page has after a restart.
#[test]
fn the_windows_released_before_a_restart_are_those_this_operator_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.jsonl");
    let json = |report: &FeederReport| serde_json::to_string(report).unwrap();
    let reports = [report("feeder-1", 0), report("feeder-1", 14_400)];
    let mut other = report("feeder-1", 28_800);
    other.by.operator = "of-another-deployment".to_owned();
    let [first, second, other] = [&reports[0], &reports[1], &other].map(json);
    let text = format!("{first}\n{second}\n# a note\n{other}\n{{\"torn\":");
    std::fs::write(&path, text).unwrap();
    let operator = &reports[0].by.operator;
    assert_eq!(recent(&path, operator).unwrap(), reports);
    assert!(recent(&dir.path().join("none"), operator).is_err());
}

/// Otherwise the end of a file would be looked for where no line begins.
#[test]
fn the_tail_holds_a_commit_of_the_longest_lines() {
    let intervals = 1_024;
    let mut longest = report("feeder-1", 0);
    longest.energy_wh = vec![Some(-1_000_000_000); intervals];
    longest.mean_wh = vec![Some(-1_000_000.123); intervals];
    longest.std_wh = Some(vec![Some(1_000_000_000); intervals]);
    longest.present = vec![Some(1_048_575); intervals];
    let line = serde_json::to_string(&longest).unwrap() + "\n";
    assert!(line.len() > 32 * 1024, "{}", line.len());
    assert!(COMMIT_MAX * line.len() < TAIL as usize, "{}", line.len());
}
