//! Ledgers of earlier formats.
//!
//! | format | file | read by |
//! |---|---|---|
//! | 1 | `releases.ledger`: a header and a line of text a release, each with its checksum | this module, once |
//! | 2 | `releases.redb`: a row a release | `migrate_2`, once |
//! | 3 | `releases.redb`: a row an opened sum, with its contributors | `migrate_3`, once |
//! | 4 | `releases.redb`: noisy totals, too, and what they gave away | `store`, `noise` |
//!
//! The start that finds format 1 adds its releases to a ledger of the present format and then renames the file to
//! `releases.ledger.old`. A kill before the renaming makes the next start do the same again, which changes nothing. The old
//! file is kept for whoever wants to look; nothing reads it, and an operator of the earlier version refuses to start without
//! its ledger, so the two cannot go separate ways.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Place;
use super::error::LedgerError;
use crate::disk::DiskError;
use crate::release::opening::{Opening, Release};
use crate::release::totals::COMMIT_MAX;

const FILE: &str = "releases.ledger";
const OLD: &str = "releases.ledger.old";

/// Hexadecimal digits of the checksum before each line.
const CHECK_LEN: usize = 16;

/// Whether there is a ledger of format 1 in `dir`.
pub(super) fn is_due(dir: &Path) -> bool {
    path(dir).exists()
}

/// The releases of a ledger of format 1; `None` if there is none.
///
/// # Errors
/// It cannot be read, is damaged, or is of another deployment or operator. Damaged lines at its end, as many as one write had,
/// were torn by a kill or a power cut: none of them was answered, and what the totals have of them is added.
pub(super) fn read(place: &Place<'_>) -> Result<Option<Vec<Opening>>, LedgerError> {
    let path = path(place.dir);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read(&path).map_err(DiskError::at("read", &path))?;
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    // What follows the last line's end: nothing, or a line that was cut off.
    lines.pop();
    let expected = format!(
        "cipherwatt releases 1 {} {}",
        place.deployment, place.operator
    );
    let found = lines.first().copied().unwrap_or_default();
    if found != expected.as_bytes() {
        return Err(LedgerError::Header {
            path,
            what: "the first line",
            found: String::from_utf8_lossy(found).chars().take(120).collect(),
            expected,
        });
    }
    let parsed: Vec<Option<Opening>> = lines.iter().skip(1).map(|line| parse(line)).collect();
    let whole = parsed.iter().take_while(|line| line.is_some()).count();
    let torn = &parsed[whole..];
    if torn.len() > COMMIT_MAX || torn.iter().any(Option::is_some) {
        // Lines count from 1, and the first is the header.
        let line = whole + 2;
        return Err(LedgerError::Line { path, line });
    }
    if let [_, ..] = torn {
        tracing::warn!(path = %path.display(), lines = torn.len(), "left out what a torn write damaged at the ledger's end");
    }
    tracing::info!(path = %path.display(), releases = whole, "reading a ledger of format 1");
    Ok(Some(parsed.into_iter().flatten().collect()))
}

/// Renames the ledger of format 1, once all of it is in the present one.
pub(super) fn set_aside(dir: &Path) -> Result<(), LedgerError> {
    let path = path(dir);
    std::fs::rename(&path, dir.join(OLD))
        .and_then(|()| service::files::sync_folder(&path))
        .map_err(DiskError::at("rename", &path))?;
    Ok(())
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// A line that matches its checksum.
fn parse(line: &[u8]) -> Option<Opening> {
    let (sum, rest) = line.split_at_checked(CHECK_LEN)?;
    let json = rest.strip_prefix(b" ")?;
    let check = hex::encode(&Sha256::digest(json)[..CHECK_LEN / 2]);
    (sum == check.as_bytes())
        .then(|| serde_json::from_slice::<Release>(json).ok())
        .flatten()
        .map(Opening::from)
}
