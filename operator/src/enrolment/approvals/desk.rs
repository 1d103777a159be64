//! How many requests wait: those that have not been heard for longest make way for others. Who still wants to join asks every few
//! seconds, and is back at the next time. A file's time of change is when its sender asked last.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use service::failpoint;

use super::{ApprovalError, Approvals, Held, list, remove};
use crate::disk::DiskError;
use crate::enrolment::message::EnrolmentRequest;

/// Bytes of all requests kept at most.
pub(super) const MAX_PENDING_BYTES: u64 = 256 * 1024 * 1024;

/// The most of them that one sender has: a million meters are in 250 parts.
const MAX_SENDER_BYTES: u64 = MAX_PENDING_BYTES / 2;
pub(super) const MAX_SENDER_PARTS: u32 = 256;

/// What may wait for a person.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeskLimits {
    /// Most requests of gateways, and of analytics services.
    pub requests: usize,
    /// How long ago its sender may have asked last.
    pub max_age: Duration,
}

/// What waits of one sender.
struct Waiting {
    /// When it asked last.
    heard: SystemTime,
    /// Each part with its length in bytes.
    files: Vec<(PathBuf, Held, u64)>,
}

impl Waiting {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, _, length)| length).sum()
    }

    fn is_older(&self, max_age: Duration) -> bool {
        self.heard.elapsed().is_ok_and(|age| age > max_age)
    }

    fn evict(self) -> Result<(), ApprovalError> {
        for (path, _, _) in self.files {
            remove(&path)?;
        }
        Ok(())
    }
}

impl Approvals {
    /// Removes what has not been heard for too long, then what has not been heard for longest, until there is room for a message
    /// of so many bytes; and parts of its sender's request that it has not any more.
    pub(super) fn make_room(
        &self,
        request: &EnrolmentRequest,
        bytes: u64,
        limits: &DeskLimits,
    ) -> Result<(), ApprovalError> {
        let held = Held::of(request);
        let mut desk = self.desk()?;
        let own = desk.remove(&(held.kind.clone(), held.subject()));
        let mut own_bytes = bytes;
        for (path, held, length) in own.map(|own| own.files).unwrap_or_default() {
            if held.chunk >= request.chunks() {
                remove(&path)?;
            } else if held.chunk != request.chunk() {
                own_bytes += length;
            }
        }
        if request.chunk() >= MAX_SENDER_PARTS || own_bytes > MAX_SENDER_BYTES {
            return Err(ApprovalError::TooLarge {
                subject: held.subject(),
            });
        }
        let stale: Vec<_> = desk
            .extract_if(.., |_, waiting| waiting.is_older(limits.max_age))
            .collect();
        for (_, waiting) in stale {
            waiting.evict()?;
        }
        loop {
            let of_kind = desk.keys().filter(|(kind, _)| *kind == held.kind).count();
            let total: u64 = desk.values().map(Waiting::bytes).sum();
            let is_crowded = of_kind >= limits.requests;
            if !is_crowded && total + own_bytes <= MAX_PENDING_BYTES {
                return Ok(());
            }
            if failpoint::sabotaged("desk") {
                let subject = held.subject();
                return Err(ApprovalError::TooLarge { subject });
            }
            let makes_way = |name: &&(String, String)| !is_crowded || name.0 == held.kind;
            let oldest = desk
                .keys()
                .filter(makes_way)
                .min_by_key(|name| desk[name].heard);
            let Some(oldest) = oldest.cloned() else {
                return Ok(());
            };
            if let Some(waiting) = desk.remove(&oldest) {
                tracing::warn!(
                    request = oldest.1,
                    "a request that waits for approval makes way: too many wait"
                );
                waiting.evict()?;
            }
        }
    }

    /// What waits, by kind and sender.
    fn desk(&self) -> Result<BTreeMap<(String, String), Waiting>, ApprovalError> {
        let mut desk = BTreeMap::<(String, String), Waiting>::new();
        for (path, held) in list(&self.pending)? {
            // Approved in between.
            let Ok(meta) = path.metadata() else { continue };
            let heard = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let name = (held.kind.clone(), held.subject());
            let waiting = desk.entry(name).or_insert_with(|| Waiting {
                heard,
                files: Vec::new(),
            });
            waiting.heard = waiting.heard.max(heard);
            waiting.files.push((path, held, meta.len()));
        }
        Ok(desk)
    }
}

/// Records that the sender of the request in a file asked again.
pub(super) fn heard_again(path: &Path) -> Result<(), ApprovalError> {
    let file = std::fs::File::options().append(true).open(path);
    let touched = file.and_then(|file| file.set_modified(SystemTime::now()));
    match touched {
        // Approved in between.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        touched => Ok(touched.map_err(DiskError::at("write", path))?),
    }
}
