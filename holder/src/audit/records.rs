//! What became of audits, and what a person demands: small files of JSON in the holder's folder, under `audits`.
//!
//! - `WINDOW-FEEDER-CONTENT.json`: an audit, from its beginning on
//! - `wanted/ID.json`: what a person demands, until the running holder has taken it · `taken/ID.json`: the audits that it began for that

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use service::Chain;
use service::files::{self, PRIVATE, make_folder};
use wire::{
    AnalyticsId, AreaId, Digest, FeederId, GatewayId, MeterId, Part, UnixMillis, WindowStart,
};

use crate::ledger::SumKey;

/// The most audits that are remembered; those written longest ago go first, so that nobody waits for one that went at once.
const MAX_RECORDS: usize = 1_000;

/// The version of a record.
pub(super) const VERSION: u8 = 1;

/// How long the running holder may take to begin what a person demands.
pub(super) const BEGINS: Duration = Duration::from_secs(30);

/// What an audit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditResult {
    /// The reports that the meters signed add up to the sum.
    Right,
    /// They do not, or one of them is not in the sum.
    Wrong,
    /// Some did not come.
    Incomplete,
}

impl AuditResult {
    /// Its name, as a label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Incomplete => "incomplete",
        }
    }
}

/// A meter, and who it is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) meter: MeterId,
    pub(crate) gateway: GatewayId,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.meter, self.gateway)
    }
}

/// All of them, for people.
pub(super) fn listed(all: &[Named]) -> String {
    let all: Vec<_> = all.iter().map(Named::to_string).collect();
    all.join(", ")
}

/// What an audit came to, and because of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) result: AuditResult,
    /// All reports came, and add up to something else than analytics signed.
    pub(crate) differs: bool,
    /// Whose reports did not come.
    pub(crate) missing: Vec<Named>,
    /// Who signed a report that is not the one in the sum.
    pub(crate) other: Vec<Named>,
    /// Whose report no sum can have.
    pub(crate) unusable: Vec<Named>,
}

impl Verdict {
    /// Of an audit that demanded nothing.
    pub(super) const fn never_begun() -> Self {
        Self {
            result: AuditResult::Incomplete,
            differs: false,
            missing: Vec::new(),
            other: Vec::new(),
            unusable: Vec::new(),
        }
    }
}

/// One audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(super) version: u8,
    pub(crate) feeder: FeederId,
    pub(crate) window: WindowStart,
    pub(crate) part: Part,
    /// Where it is the rest of an area.
    pub(crate) area: Option<AreaId>,
    pub(crate) analytics: AnalyticsId,
    /// SHA-256 of what analytics signed.
    pub(crate) subject: Digest,
    pub(crate) contributors: u32,
    /// When this was written.
    pub(crate) written_at: UnixMillis,
    /// None while it is under way.
    pub(crate) verdict: Option<Verdict>,
}

/// What a person demands: a window of a feeder, or any.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) of: Option<(FeederId, WindowStart)>,
}

/// The folder of a holder's audits.
pub(super) fn folder_in(holder: &Path) -> PathBuf {
    holder.join("audits")
}

/// The name of an audit, in the order of windows.
pub(crate) fn name_of(key: &SumKey) -> String {
    let content = key.content.to_string();
    format!("{:012}-{}-{}", key.window.0, key.feeder, &content[..16])
}

pub(crate) fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// Writes a value down; it is on disk when this returns.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    files::write_atomic(path, &serde_json::to_vec(value)?, PRIVATE)
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Reads one audit.
pub(super) fn read_record(path: &Path) -> io::Result<Record> {
    let bytes = fs::read(path)?;
    let Versioned { version } = serde_json::from_slice(&bytes)?;
    match version == u64::from(VERSION) {
        true => Ok(serde_json::from_slice(&bytes)?),
        false => Err(io::Error::other(OtherVersion { found: version })),
    }
}

/// What every version of a record has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "an audit of version {found}, and this holder reads version {}",
    VERSION
)]
struct OtherVersion {
    found: u64,
}

/// The names of the files of JSON in a folder, ascending; none where there is no folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
        names.extend(name.map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// Drops the records beyond what is remembered.
pub(super) fn trim(folder: &Path) -> io::Result<()> {
    trim_to(folder, MAX_RECORDS)
}

pub(super) fn trim_to(folder: &Path, most: usize) -> io::Result<()> {
    let names = names(folder)?;
    let surplus = names.len().saturating_sub(most);
    if surplus == 0 {
        return Ok(());
    }
    let written = |path: PathBuf| Ok((fs::metadata(&path)?.modified()?, path));
    let all = names.iter().map(|name| written(path_of(folder, name)));
    let mut all = all.collect::<io::Result<Vec<_>>>()?;
    all.sort_unstable();
    let mut surplus = all[..surplus].iter();
    surplus.try_for_each(|(_, path)| fs::remove_file(path))
}

/// All audits that are remembered of the holder whose folder this is, by window. A file that is none is named in the log.
pub(crate) fn read_all(holder: &Path) -> io::Result<Vec<Record>> {
    let folder = folder_in(holder);
    let mut records = Vec::new();
    for name in names(&folder)? {
        let path = path_of(&folder, &name);
        match read_record(&path) {
            Ok(record) => records.push(record),
            // The running holder has forgotten it since, or begins it again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(error = %Chain(&error), path = %path.display(), "what an audit came to cannot be read");
            }
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_stays_whichever_window_it_is_of() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        for (at, name) in ["0002", "0003", "0001"].into_iter().enumerate() {
            let path = path_of(folder, name);
            write(&path, &at).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            let then = std::time::UNIX_EPOCH + Duration::from_secs(at as u64);
            file.set_modified(then).unwrap();
        }
        trim_to(folder, 2).unwrap();
        assert_eq!(names(folder).unwrap(), ["0001", "0003"]);
    }

    #[test]
    fn a_file_that_is_no_audit_of_this_version_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder_in(dir.path());
        let record = Record {
            version: VERSION,
            feeder: "feeder-1".parse().unwrap(),
            window: WindowStart(900),
            part: Part(0),
            area: None,
            analytics: "analytics-1".parse().unwrap(),
            subject: Digest([1; 32]),
            contributors: 3,
            written_at: UnixMillis(1),
            verdict: Some(Verdict::never_begun()),
        };
        let later = Record {
            version: VERSION + 1,
            ..record.clone()
        };
        write(&path_of(&folder, "0001"), &later).unwrap();
        fs::write(path_of(&folder, "0002"), b"{").unwrap();
        write(&path_of(&folder, "0003"), &record).unwrap();
        assert_eq!(read_all(dir.path()).unwrap(), [record]);
        let error = read_record(&path_of(&folder, "0001")).unwrap_err();
        let expected = "an audit of version 2, and this holder reads version 1";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_record_that_goes_while_all_are_read_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder_in(dir.path());
        fs::create_dir(&folder).unwrap();
        // A link to nothing is named and not there, as one that goes in between.
        std::os::unix::fs::symlink(folder.join("gone"), path_of(&folder, "0001")).unwrap();
        assert_eq!(read_all(dir.path()).unwrap(), []);
    }
}
