//! Requests that wait for a person: one file each, moved from `pending` to `approved` by `operator approve`.
//!
//! The files hold the messages as they arrived. The running operator is the only one to change the registry: it picks
//! approved requests up, verifies them again and removes them. A file's name is `KIND.ID.KEY.CHUNK`, with the first 16 digits of the
//! key, so requests of different keys for one name do not replace each other.
//!
//! An approval names the digest of what the person was shown. Of each name only the newest message counts: what its sender asked
//! for before, approved or not, is void. An analytics service that asked to give a feeder up may have opened windows of it since
//! it was started with another list.
//!
//! Anybody can ask, so only so many wait: see `desk`. What a request is to a person: `held`.

use std::io;
use std::path::{Path, PathBuf};

use service::failpoint;
use wire::UnixMillis;

pub(crate) use self::desk::DeskLimits;
use self::desk::{MAX_PENDING_BYTES, heard_again};
pub(crate) use self::error::ApprovalError;
pub(crate) use self::held::{Held, Waits};
use crate::disk::{self, DiskError};
use crate::enrolment::message::EnrolmentRequest;

/// The folders of waiting and of approved requests.
#[derive(Clone, Debug)]
pub(crate) struct Approvals {
    pending: PathBuf,
    approved: PathBuf,
}

impl Approvals {
    /// The folders under `dir`, which need not exist yet.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            pending: dir.join("pending"),
            approved: dir.join("approved"),
        }
    }

    /// Keeps a request until a person decides, instead of an older one of the same name. `false` if it waits already, or is
    /// approved.
    ///
    /// # Errors
    /// It cannot be written, or is too large.
    pub(crate) fn hold(
        &self,
        request: &EnrolmentRequest,
        bytes: &[u8],
        limits: &DeskLimits,
    ) -> Result<bool, ApprovalError> {
        let name = Held::of(request).file_name();
        let approved = self.approved.join(&name);
        let same = |stored: &[u8]| EnrolmentRequest::ask_the_same(request.kind(), stored, bytes);
        if std::fs::read(&approved).is_ok_and(|stored| same(&stored)) {
            return Ok(false);
        }
        let path = self.pending.join(name);
        let waiting = path.exists();
        if waiting && std::fs::read(&path).is_ok_and(|stored| same(&stored)) {
            heard_again(&path)?;
            return remove(&approved).map(|_| false);
        }
        self.make_room(request, bytes.len() as u64, limits)?;
        // First this: an approval meanwhile would move the older request out of here, and it would count as approved.
        disk::replace(&path, bytes)?;
        remove_unless(&approved, same)?;
        Ok(!waiting)
    }

    /// When the message that waits under a request's name was made, approved or not.
    pub(crate) fn newest(&self, request: &EnrolmentRequest) -> Option<UnixMillis> {
        let name = Held::of(request).file_name();
        let folders = [&self.pending, &self.approved];
        let stored = folders.into_iter().filter_map(|folder| {
            let bytes = std::fs::read(folder.join(&name)).ok()?;
            EnrolmentRequest::claimed(request.kind(), &bytes)
        });
        stored.map(|held| held.issued_at()).max()
    }

    /// Removes what waits under a request's name: its sender asks for something else by now. Returns whether anything did.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(crate) fn forget(&self, request: &EnrolmentRequest) -> Result<bool, ApprovalError> {
        let name = Held::of(request).file_name();
        let pending = remove(&self.pending.join(&name))?;
        let approved = remove(&self.approved.join(&name))?;
        Ok(pending || approved)
    }

    /// Requests that wait, in order of kind, name, key and part.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn waiting(&self) -> Result<Vec<Held>, ApprovalError> {
        Ok(list(&self.pending)?
            .into_iter()
            .map(|(_, held)| held)
            .collect())
    }

    /// The requests that wait, each with its parts and the digest that an approval names.
    ///
    /// # Errors
    /// A file or folder cannot be read.
    pub(crate) fn requests(&self) -> Result<Vec<Waits>, ApprovalError> {
        let mut requests: Vec<Waits> = Vec::new();
        for (held, message) in read_all(&self.pending)? {
            match requests.last_mut() {
                Some(last) if last.subject() == held.subject() => {
                    last.parts.push((held, message));
                }
                _ => requests.push(Waits {
                    parts: vec![(held, message)],
                }),
            }
        }
        Ok(requests)
    }

    /// Approves the request of `wanted`: a name, `KIND/ID`, or `KIND/ID/KEY`, if it is the one with this digest.
    ///
    /// # Errors
    /// Nobody asks under this name, or for just this; or a file cannot be moved.
    pub(crate) fn approve(&self, wanted: &str, digest: &str) -> Result<Vec<Held>, ApprovalError> {
        let mut found = self.requests()?;
        found.retain(|request| request.parts.iter().any(|(held, _)| held.matches(wanted)));
        if found.is_empty() {
            return Err(ApprovalError::Unknown {
                id: wanted.to_owned(),
                dir: self.pending.clone(),
            });
        }
        let is_shown =
            |request: &Waits| request.digest() == digest || failpoint::sabotaged("approval_digest");
        let shown = found.into_iter().find(is_shown);
        let shown = shown.ok_or_else(|| ApprovalError::Changed {
            id: wanted.to_owned(),
        })?;
        for (held, message) in &shown.parts {
            let name = held.file_name();
            // What was read, whatever the file has by now.
            disk::replace(&self.approved.join(&name), message)?;
            remove_unless(&self.pending.join(&name), |stored| stored != message)?;
        }
        Ok(shown.parts.into_iter().map(|(held, _)| held).collect())
    }

    /// Approved requests that are not in the registry yet: each with its message.
    ///
    /// # Errors
    /// A file or folder cannot be read.
    pub(crate) fn approved(&self) -> Result<Vec<(Held, Vec<u8>)>, ApprovalError> {
        read_all(&self.approved)
    }

    /// Removes an approved request, once it is in the registry or turned out to be void. Another one of the same name stays.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(crate) fn remove_approved(&self, held: &Held, message: &[u8]) -> Result<(), ApprovalError> {
        remove_unless(&self.approved.join(held.file_name()), |stored| {
            stored != message
        })
    }
}

/// Removes a file unless its content is to stay.
fn remove_unless(path: &Path, stays: impl Fn(&[u8]) -> bool) -> Result<(), ApprovalError> {
    match std::fs::read(path) {
        Ok(stored) if stays(&stored) => Ok(()),
        _ => remove(path).map(drop),
    }
}

/// Removes a file; returns whether there was one.
fn remove(path: &Path) -> Result<bool, ApprovalError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DiskError::at("remove", path)(error).into()),
    }
}

fn read_all(dir: &Path) -> Result<Vec<(Held, Vec<u8>)>, ApprovalError> {
    let mut requests = Vec::new();
    for (path, held) in list(dir)? {
        match disk::read(&path, MAX_PENDING_BYTES as usize) {
            Ok(bytes) => requests.push((held, bytes)),
            // Granted, or approved, in between.
            Err(_) if !path.exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(requests)
}

fn list(dir: &Path) -> Result<Vec<(PathBuf, Held)>, ApprovalError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DiskError::at("read", dir)(error).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(DiskError::at("read", dir))?.path();
        if let Some(held) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(Held::parse)
        {
            found.push((path, held));
        }
    }
    found.sort_by(|(_, a), (_, b)| a.cmp(b));
    Ok(found)
}

mod desk;
mod error;
mod held;
#[cfg(test)]
mod tests;
