//! Folders of state and the secrets in them.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::Findings;
use crate::Chain;
use crate::files;

/// Free space below which a process cannot be expected to run, and below which somebody should look. The store of
/// analytics grows to 16 kB an open window, a gateway's journal to 14 kB a report without a receipt, and to what
/// `meter.keep_folded_bytes` allows.
const SPACE_NEEDED: u64 = 64 << 20;
const SPACE_WANTED: u64 = 1 << 30;

/// A commit waits for one of these; at 50 ms a second has twenty commits.
const SLOW_SYNC: Duration = Duration::from_millis(50);
const SYNCS: usize = 5;

/// Largest file of secrets that is read: the keys of some millions of meters.
const MAX_SECRET: u64 = 1 << 30;

pub(super) fn folder(path: &Path, findings: &mut Findings) {
    const CHECK: &str = "state folder";
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            let remedy = "remove it, or choose another deployment.state_dir";
            findings.fail(CHECK, format!("{shown} is not a folder"), remedy);
            return;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return missing(path, findings);
        }
        Err(error) => {
            let remedy = "run as the user of the process, or choose another deployment.state_dir";
            findings.fail(CHECK, format!("{shown}: {error}"), remedy);
            return;
        }
    };
    let mode = metadata.mode() & 0o7777;
    let me = rustix::process::geteuid().as_raw();
    if mode & 0o077 != 0 {
        findings.fail(
            CHECK,
            format!("{shown} has mode {mode:04o}: others can open it"),
            format!("`chmod 700 {shown}`"),
        );
    } else if metadata.uid() != me {
        findings.warn(
            CHECK,
            format!(
                "{shown} belongs to user {}, and you are {me}",
                metadata.uid()
            ),
            "run doctor as the user of the process",
        );
    } else {
        findings.ok(CHECK, format!("{shown}, mode {mode:04o}"));
    }
    newest(path, findings);
    disk(path, findings);
}

/// A process makes its folder at its first start; until then what counts is the folder it will be made in.
fn missing(path: &Path, findings: &mut Findings) {
    const CHECK: &str = "state folder";
    let shown = path.display();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let parent = absolute.ancestors().skip(1).find(|parent| parent.exists());
    match parent {
        Some(parent) if parent.is_dir() => {
            findings.ok(CHECK, format!("{shown} is made at the first start"));
            disk(parent, findings);
        }
        _ => findings.fail(
            CHECK,
            format!("{shown} cannot be made: a file is in its way"),
            "choose another deployment.state_dir",
        ),
    }
}

/// Nothing in the folder can be from the future, unless the clock was set back.
fn newest(path: &Path, findings: &mut Findings) {
    const CHECK: &str = "clock past";
    let files = fs::read_dir(path).into_iter().flatten().flatten();
    let times = files.filter_map(|file| file.metadata().ok()?.modified().ok());
    let Some(newest) = times.max() else {
        return;
    };
    // Two seconds are what coarse file systems round to.
    let ahead = newest.duration_since(SystemTime::now()).unwrap_or_default();
    let shown = humantime::format_rfc3339_seconds(newest);
    if ahead > Duration::from_secs(2) {
        findings.fail(
            CHECK,
            format!("the state was last written at {shown}, which is in the future"),
            "set the clock; it has been ahead, or is behind now",
        );
    } else {
        findings.ok(
            CHECK,
            format!("not behind the state, last written at {shown}"),
        );
    }
}

fn disk(path: &Path, findings: &mut Findings) {
    const CHECK: &str = "disk";
    let shown = path.display();
    let space = match rustix::fs::statvfs(path) {
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize),
        Err(error) => {
            findings.fail(
                CHECK,
                format!("{shown}: {error}"),
                "choose another deployment.state_dir",
            );
            return;
        }
    };
    let sync = match sync_time(path) {
        Ok(sync) => sync,
        Err(error) => {
            findings.fail(
                CHECK,
                format!("{shown} cannot be written: {error}"),
                "run as the user of the process, `chmod u+rwx` the folder, or choose another deployment.state_dir",
            );
            return;
        }
    };
    let figures = format!(
        "{shown} has {} MiB free and takes {:.1} ms until 4 KiB are written and synchronised",
        space >> 20,
        sync.as_secs_f64() * 1e3
    );
    if space < SPACE_NEEDED {
        findings.fail(
            CHECK,
            figures,
            format!("free some space: {} MiB at least", SPACE_NEEDED >> 20),
        );
    } else if space < SPACE_WANTED {
        findings.warn(
            CHECK,
            figures,
            "free some space: it fills while the operator or analytics is away",
        );
    } else if sync > SLOW_SYNC {
        findings.warn(
            CHECK,
            figures,
            "each commit waits for that: put deployment.state_dir on a faster disk",
        );
    } else {
        findings.ok(CHECK, figures);
    }
}

/// The median time until 4 KiB are on the disk. The file is removed.
fn sync_time(folder: &Path) -> io::Result<Duration> {
    let mut file = tempfile::Builder::new()
        .prefix(".doctor-")
        .tempfile_in(folder)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0; 4096])?;
        file.as_file().sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

pub(super) fn secrets(paths: &[PathBuf], findings: &mut Findings) {
    const CHECK: &str = "secret";
    for path in paths {
        let shown = path.display();
        match files::read_private(path, MAX_SECRET) {
            Ok(Some(_)) => findings.ok(CHECK, format!("{shown} can be read by its owner only")),
            Ok(None) => findings.ok(CHECK, format!("{shown} is made at the first start")),
            Err(error @ files::KeyFileError::Exposed { .. }) => {
                findings.fail(
                    CHECK,
                    Chain(&error).to_string(),
                    format!("`chmod 600 {shown}`"),
                );
            }
            Err(error) => findings.fail(
                CHECK,
                Chain(&error).to_string(),
                "run as the user of the process, or restore it from a backup",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::doctor::Status;

    fn of(path: &Path) -> Findings {
        let mut findings = Findings::default();
        folder(path, &mut findings);
        findings
    }

    fn status(findings: &Findings, check: &str) -> Status {
        let found = findings.all.iter().find(|finding| finding.check == check);
        found.unwrap().status
    }

    #[test]
    fn a_private_folder_is_well_and_left_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let path = files::state_folder(root.path(), "operator").unwrap();
        let findings = of(&path);
        assert!(
            status(&findings, "state folder") == Status::Ok,
            "{findings:?}"
        );
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_folder_is_not_made() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state/operator");
        assert_eq!(status(&of(&path), "state folder"), Status::Ok);
        assert!(!root.path().join("state").exists());
    }

    #[test]
    fn a_folder_that_others_can_enter_or_that_is_none_fails() {
        let root = tempfile::tempdir().unwrap();
        let path = files::state_folder(root.path(), "operator").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        let findings = of(&path);
        assert_eq!(status(&findings, "state folder"), Status::Fail);
        assert!(
            findings.all[0]
                .remedy
                .as_ref()
                .unwrap()
                .contains("chmod 700")
        );
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(status(&of(&file), "state folder"), Status::Fail);
        assert_eq!(
            status(&of(&file.join("operator")), "state folder"),
            Status::Fail
        );
    }

    #[test]
    fn state_from_the_future_is_a_clock_that_was_set_back() {
        let root = tempfile::tempdir().unwrap();
        let path = files::state_folder(root.path(), "operator").unwrap();
        let file = fs::File::create(path.join("plan.cbor")).unwrap();
        assert_eq!(status(&of(&path), "clock past"), Status::Ok);
        file.set_modified(SystemTime::now() + Duration::from_secs(3_600))
            .unwrap();
        assert_eq!(status(&of(&path), "clock past"), Status::Fail);
    }

    #[test]
    fn a_secret_that_others_can_read_fails_and_is_not_shown() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("signing.key");
        files::load_or_create_signing_key(&path).unwrap();
        let content = fs::read_to_string(&path).unwrap();
        let mut findings = Findings::default();
        secrets(&[path.clone(), root.path().join("none.key")], &mut findings);
        assert_eq!(findings.worst(), Status::Ok);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        secrets(std::slice::from_ref(&path), &mut findings);
        assert_eq!(findings.worst(), Status::Fail);
        assert!(!format!("{findings:?}").contains(content.trim()));
    }
}
