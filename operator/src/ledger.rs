//! What the operator remembers of releases: two files that a kill at any moment leaves consistent.
//!
//! `totals.jsonl` is for people and other programs: one line a released window. `releases.ledger` is for the
//! operator: one short checksummed line a release taken. They are written in this order, each synced, and the receipt goes out after
//! both. A kill between the two leaves totals without a ledger line; opening adds the missing lines, so that the release, which
//! analytics sends again, is a duplicate and not a second line of totals.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use service::failpoint;
use sha2::{Digest as _, Sha256};
use wire::DeploymentId;

use crate::journal::Journal;
use crate::release::{Releases, Taken};
use crate::report::FeederReport;

/// Most releases written in one commit. Opening looks at so many lines of totals.
pub const COMMIT_MAX: usize = 64;

/// The ledger's name in the operator's folder.
pub const FILE: &str = "releases.ledger";

/// Bytes at the end of `totals.jsonl` that hold at least [`COMMIT_MAX`] lines: a line of 1,024 intervals with statistics
/// has less than 64 KB.
const TOTALS_TAIL: u64 = COMMIT_MAX as u64 * 64 * 1024;

/// Hexadecimal digits of the checksum before each ledger line.
const CHECK_LEN: usize = 16;

/// Why the records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file cannot be opened, read or written.
    #[error("{path}: {cause}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The ledger is gone although releases may have been taken.
    #[error(
        "{path} is missing although this operator has published a plan before. Without it a window could be \
         released twice. Restore it from a backup, or start a new deployment in another deployment.state_dir",
        path = path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The ledger belongs to another deployment or is none.
    #[error("{path} starts with {found:?}, not {expected:?}: it is not the ledger of this deployment", path = path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
        /// What its first line should be.
        expected: String,
    },
    /// A line before the end does not match its checksum.
    #[error("{path}, line {line}, is damaged: restore the file from a backup", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The operator's durable record of releases.
pub struct Ledger {
    ledger: Journal,
    totals: Journal,
}

impl Ledger {
    /// Opens both files, repairs what a kill left behind and returns the record with every release taken.
    ///
    /// `expected` says that the ledger must exist: it is created before the first plan is published. `operator` is what this
    /// operator writes into [`By::operator`](crate::report::By::operator): totals of another one, say of an earlier deployment, are not its own.
    ///
    /// # Errors
    /// A file cannot be read or written, is missing, damaged before its end, or of another deployment.
    pub fn open(
        ledger: &Path,
        totals: &Path,
        deployment: &DeploymentId,
        operator: &str,
        expected: bool,
    ) -> Result<(Self, Releases), LedgerError> {
        if expected && !ledger.exists() {
            return Err(LedgerError::Missing {
                path: ledger.to_owned(),
            });
        }
        let io = |path: &Path, cause| LedgerError::Io {
            path: path.to_owned(),
            cause,
        };
        let (mut file, lines) = Journal::open(ledger, |_| 0).map_err(|error| io(ledger, error))?;
        let mut releases = Releases::default();
        let header = format!("cipherwatt releases 1 {deployment} {operator}");
        match lines.split_first() {
            None => file.append(&[header]).map_err(|error| io(ledger, error))?,
            Some((first, rest)) => {
                let found = String::from_utf8_lossy(first).into_owned();
                if found != header {
                    return Err(LedgerError::Header {
                        path: ledger.to_owned(),
                        found,
                        expected: header,
                    });
                }
                replay(&mut file, rest, &mut releases)?;
            }
        }
        let tail = |len: u64| len.saturating_sub(TOTALS_TAIL);
        let (totals_file, lines) =
            Journal::open(totals, tail).map_err(|error| io(totals, error))?;
        let mut record = Self {
            ledger: file,
            totals: totals_file,
        };
        record.adopt(&lines, operator, &mut releases)?;
        Ok((record, releases))
    }

    /// Makes `reports` durable, in both files. At most [`COMMIT_MAX`] at once.
    ///
    /// # Errors
    /// One of the files could not be written; then none of the reports counts.
    pub fn commit(&mut self, reports: &[FeederReport]) -> Result<(), LedgerError> {
        debug_assert!(reports.len() <= COMMIT_MAX);
        let lines: Vec<String> = reports.iter().map(json).collect();
        let entries: Vec<String> = reports.iter().map(|report| entry(&taken(report))).collect();
        let before = self.totals.size();
        let io = |path: &Path, cause| LedgerError::Io {
            path: path.to_owned(),
            cause,
        };
        self.totals
            .append(&lines)
            .map_err(|error| io(self.totals.path(), error))?;
        failpoint::hit("operator.between_records");
        if let Err(error) = self.ledger.append(&entries) {
            // The release will be sent again and must not find its totals there.
            let _ = self.totals.retract(self.totals.size() - before);
            return Err(io(self.ledger.path(), error));
        }
        Ok(())
    }

    /// Adds to the ledger what only the last lines of totals know.
    fn adopt(
        &mut self,
        lines: &[Vec<u8>],
        operator: &str,
        releases: &mut Releases,
    ) -> Result<(), LedgerError> {
        let skip = lines.len().saturating_sub(COMMIT_MAX);
        let mut entries = Vec::new();
        for line in &lines[skip..] {
            // A line somebody else wrote into the file is theirs.
            let Ok(report) = serde_json::from_slice::<FeederReport>(line) else {
                continue;
            };
            if report.by.operator != operator {
                continue;
            }
            let taken = taken(&report);
            if releases.record(&taken) {
                entries.push(entry(&taken));
            }
        }
        if !entries.is_empty() {
            tracing::info!(
                releases = entries.len(),
                "completed the ledger from totals written just before the last end"
            );
        }
        self.ledger
            .append(&entries)
            .map_err(|cause| LedgerError::Io {
                path: self.ledger.path().to_owned(),
                cause,
            })
    }

    #[cfg(test)]
    pub(crate) fn with_media(
        self,
        ledger: impl FnOnce(Box<dyn crate::journal::Medium>) -> Box<dyn crate::journal::Medium>,
    ) -> Self {
        Self {
            ledger: self.ledger.with_medium(ledger),
            totals: self.totals,
        }
    }
}

/// The windows at the end of `totals` that this `operator` wrote, in the order of release.
///
/// # Errors
/// The file cannot be read.
pub fn recent(totals: &Path, operator: &str) -> Result<Vec<FeederReport>, LedgerError> {
    let read = || {
        let mut file = File::open(totals)?;
        let start = file.metadata()?.len().saturating_sub(TOTALS_TAIL);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = read().map_err(|cause| LedgerError::Io {
        path: totals.to_owned(),
        cause,
    })?;
    // The rest of a line at the beginning is no report, nor need be what somebody else wrote.
    let reports = tail
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok());
    Ok(reports
        .filter(|report: &FeederReport| report.by.operator == operator)
        .collect())
}

/// Reads the ledger's lines. A bad last line was torn; a bad one before it is damage.
fn replay(
    file: &mut Journal,
    lines: &[Vec<u8>],
    releases: &mut Releases,
) -> Result<(), LedgerError> {
    for (index, line) in lines.iter().enumerate() {
        if let Some(taken) = parse(line) {
            releases.record(&taken);
            continue;
        }
        let damaged = LedgerError::Damaged {
            path: file.path().to_owned(),
            line: index + 2,
        };
        if lines[index..].iter().any(|line| parse(line).is_some()) {
            return Err(damaged);
        }
        let torn: u64 = lines[index..]
            .iter()
            .map(|line| line.len() as u64 + 1)
            .sum();
        tracing::warn!(path = %file.path().display(), bytes = torn, "removed the torn end of the ledger");
        let path = file.path().to_owned();
        return file
            .retract(torn)
            .map_err(|cause| LedgerError::Io { path, cause });
    }
    Ok(())
}

fn taken(report: &FeederReport) -> Taken {
    Taken {
        feeder: report.feeder.clone(),
        window_start: report.window_start,
        part: report.part,
        epoch: report.epoch,
        meters: report.meters,
        digest: report.digest,
    }
}

/// A ledger line: checksum, space, JSON.
fn entry(taken: &Taken) -> String {
    let json = json(taken);
    format!("{} {json}", check(json.as_bytes()))
}

/// A ledger line that matches its checksum.
pub(crate) fn parse(line: &[u8]) -> Option<Taken> {
    let (sum, rest) = line.split_at_checked(CHECK_LEN)?;
    let json = rest.strip_prefix(b" ")?;
    (sum == check(json).as_bytes())
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}

fn check(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..CHECK_LEN / 2])
}

fn json(value: &impl serde::Serialize) -> String {
    // The types written here have string keys and finite numbers only, which serde_json always writes.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
