//! What a person approves: pages of the roster that have other meters than before.
//!
//! The running holder leaves each such page in its folder, as `pending/page-N.json`. `holder approve` leaves the digest of what was
//! shown in `approved/`, and the holder countersigns just that when the operator proposes it again, which it does every second.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use service::files::{self, PRIVATE, private_folder};
use service::trust::Member;
use service::{Chain, Settings};
use wire::{Digest, FeederId, GatewayId, MeterId, RosterPage};

use crate::keys::path_of;
use crate::roster::Change;

/// What a person decides.
#[derive(Debug, Subcommand)]
pub enum ApprovalCommand {
    /// Show the pages of the roster that wait for this holder: who is new, different, back or gone
    #[command(after_help = "Examples:\n  holder pending --set holder.id=association")]
    Pending,
    /// Countersign a page just as `holder pending` showed it
    #[command(
        after_help = "Examples:\n  holder approve 1f0e3dad99908345f7439f8ffabdffc41f0e3dad99908345f7439f8ffabdffc4"
    )]
    Approve {
        /// The digest that it showed
        digest: Digest,
    },
}

/// Why nothing could be decided.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing with this digest waits.
    #[error(
        "no page with digest {0} waits: it may have changed since it was shown; `holder pending` shows it as it is now"
    )]
    Unknown(Digest),
}

/// A page that waits.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    page: u16,
    version: u64,
    digest: Digest,
    new: Vec<Meter>,
    changed: Vec<Meter>,
    back: Vec<MeterId>,
    left: Vec<MeterId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Meter {
    meter: MeterId,
    gateway: GatewayId,
    feeder: FeederId,
    capacity_w: u64,
    billing: bool,
    /// The start of the SHA-256 of what it signs with and its mask key.
    keys: String,
}

impl ApprovalCommand {
    /// Carries it out; what to print.
    ///
    /// # Errors
    /// [`ApprovalError`].
    pub fn run(self, settings: &Settings) -> Result<String, ApprovalError> {
        let folder = path_of(settings);
        match self {
            Self::Pending => show(&waiting(&folder)?),
            Self::Approve { digest } => approve(&folder, digest),
        }
    }
}

/// Whether a person approved what is new in a page; if not, it waits for one.
pub(crate) fn is_approved(folder: &Path, page: &RosterPage, change: &Change) -> bool {
    let digest = page.entries_digest();
    let approved = folder.join("approved").join(digest.to_string());
    let file = file_of(folder, page.page);
    if approved.exists() {
        // What it was about is countersigned; a second time it is known.
        let _ = fs::remove_file(approved);
        let _ = fs::remove_file(file);
        return true;
    }
    if let Err(error) = keep(&file, page, change) {
        tracing::error!(error = %Chain(&error), "a page of the roster cannot be kept for a person to approve");
    }
    false
}

fn file_of(folder: &Path, page: u16) -> PathBuf {
    folder.join("pending").join(format!("page-{page}.json"))
}

fn at(path: &Path) -> impl Fn(io::Error) -> ApprovalError {
    move |source| ApprovalError::File {
        path: path.to_owned(),
        source,
    }
}

fn keep(file: &Path, page: &RosterPage, change: &Change) -> Result<(), ApprovalError> {
    let digest = page.entries_digest();
    if read(file).is_ok_and(|known| known.digest == digest) {
        return Ok(());
    }
    let [new, changed] = change.members().map(|members| {
        let meters = members.iter().map(|(feeder, _, member)| Meter {
            meter: member.meter.clone(),
            gateway: member.gateway.clone(),
            feeder: feeder.clone(),
            capacity_w: member.capacity.watts().0,
            billing: member.billing,
            keys: fingerprint(member),
        });
        meters.collect::<Vec<_>>()
    });
    let [back, left] = change.moved().map(<[MeterId]>::to_vec);
    tracing::warn!(
        page = page.page,
        new = new.len(),
        changed = changed.len(),
        back = back.len(),
        left = left.len(),
        "a page of the roster waits for a person: `holder pending` shows it"
    );
    let pending = Pending {
        page: page.page,
        version: page.version,
        digest,
        new,
        changed,
        back,
        left,
    };
    if let Some(folder) = file.parent() {
        private_folder(folder).map_err(at(folder))?;
    }
    let text = serde_json::to_vec(&pending).map_err(|error| at(file)(error.into()))?;
    files::write_atomic(file, &text, PRIVATE).map_err(at(file))
}

fn read(file: &Path) -> Result<Pending, ApprovalError> {
    let bytes = fs::read(file).map_err(at(file))?;
    serde_json::from_slice(&bytes).map_err(|error| at(file)(error.into()))
}

fn waiting(folder: &Path) -> Result<Vec<Pending>, ApprovalError> {
    let dir = folder.join("pending");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(&dir)(error)),
    };
    let mut waiting = Vec::new();
    for entry in entries {
        let path = entry.map_err(at(&dir))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            waiting.push(read(&path)?);
        }
    }
    waiting.sort_by_key(|pending| pending.page);
    Ok(waiting)
}

fn approve(folder: &Path, digest: Digest) -> Result<String, ApprovalError> {
    if !waiting(folder)?
        .iter()
        .any(|pending| pending.digest == digest)
    {
        return Err(ApprovalError::Unknown(digest));
    }
    let dir = folder.join("approved");
    private_folder(&dir).map_err(at(&dir))?;
    let path = dir.join(digest.to_string());
    files::write_atomic(&path, b"", PRIVATE).map_err(at(&path))?;
    Ok(
        "approved: the holder countersigns it when the operator proposes it next, within seconds\n"
            .to_owned(),
    )
}

fn show(waiting: &[Pending]) -> Result<String, ApprovalError> {
    if waiting.is_empty() {
        return Ok("no page of the roster waits\n".to_owned());
    }
    let mut text = String::new();
    for pending in waiting {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "page {} of roster version {}",
            pending.page, pending.version
        );
        for (what, meters) in [("new", &pending.new), ("different", &pending.changed)] {
            show_meters(&mut text, what, meters);
        }
        for (what, meters) in [("back", &pending.back), ("gone", &pending.left)] {
            if !meters.is_empty() {
                let names: Vec<_> = meters.iter().map(MeterId::as_str).collect();
                let _ = writeln!(text, "  {what}: {}", names.join(", "));
            }
        }
        let _ = writeln!(text, "  holder approve {}", pending.digest);
    }
    Ok(text)
}

/// What a person can compare with what whoever installed the meter knows of its keys.
fn fingerprint(member: &Member) -> String {
    let keys = [member.key.as_bytes(), member.mask_key.as_bytes()].map(<[u8; 32]>::as_slice);
    let digest = Digest::of(&keys.concat()).to_string();
    digest[..16].to_owned()
}

/// By gateway: whoever approves knows these.
fn show_meters(text: &mut String, what: &str, meters: &[Meter]) {
    let mut of_gateway: BTreeMap<(&GatewayId, &FeederId), Vec<String>> = BTreeMap::new();
    for meter in meters {
        let billed = if meter.billing { ", billed" } else { "" };
        let line = format!(
            "{} ({} W{billed}, keys {})",
            meter.meter, meter.capacity_w, meter.keys
        );
        let of = of_gateway
            .entry((&meter.gateway, &meter.feeder))
            .or_default();
        of.push(line);
    }
    for ((gateway, feeder), lines) in of_gateway {
        let _ = writeln!(
            text,
            "  {what}: {} meters of gateway {gateway} on {feeder}: {}",
            lines.len(),
            lines.join(", ")
        );
    }
}

#[cfg(test)]
mod tests;
