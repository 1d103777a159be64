//! Requests that wait for a person: one file each, moved from `pending` to `approved` by `operator approve`.
//!
//! The files hold the messages as they arrived. The running operator is the only one to change the registry: it picks
//! approved requests up, verifies them again and removes them. A file's name is `KIND.ID.KEY.CHUNK`, with the first 16 digits of the
//! key, so requests of different keys for one name do not replace each other.
//!
//! Of each name only the newest message counts: what its sender asked for before, approved or not, is void. An analytics
//! service that asked to give a feeder up may have opened windows of it since it was started with another list.

use std::io;
use std::path::{Path, PathBuf};

use wire::UnixMillis;

pub(crate) use self::error::ApprovalError;
use crate::disk::{self, DiskError};
use crate::enrolment::message::EnrolmentRequest;

/// Requests kept at most, over all names.
pub(crate) const MAX_PENDING: usize = 1_024;

/// Bytes of all requests kept at most.
pub(crate) const MAX_PENDING_BYTES: u64 = 256 * 1024 * 1024;

/// A request that waits, as its file name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    /// `gateway` or `analytics`.
    pub kind: String,
    /// Its name.
    pub id: String,
    /// First 16 hexadecimal digits of its key.
    pub key: String,
    /// Which part of the request.
    pub chunk: u32,
}

impl Held {
    /// The entry for a request.
    pub(crate) fn of(request: &EnrolmentRequest) -> Self {
        let key = request.key().to_string().chars().take(16).collect();
        Self {
            kind: request.kind().to_owned(),
            id: request.id().to_owned(),
            key,
            chunk: request.chunk(),
        }
    }

    fn file_name(&self) -> String {
        format!("{}.{}.{}.{}", self.kind, self.id, self.key, self.chunk)
    }

    fn parse(name: &str) -> Option<Self> {
        let [kind, id, key, chunk] = name.split('.').collect::<Vec<_>>()[..] else {
            return None;
        };
        let chunk = chunk.parse().ok()?;
        let held = Self {
            kind: kind.to_owned(),
            id: id.to_owned(),
            key: key.to_owned(),
            chunk,
        };
        matches!(kind, "gateway" | "analytics").then_some(held)
    }

    /// Who asks, without the part: `KIND/ID/KEY`.
    pub(crate) fn subject(&self) -> String {
        format!("{}/{}/{}", self.kind, self.id, self.key)
    }

    fn matches(&self, wanted: &str) -> bool {
        let subject = self.subject();
        self.id == wanted
            || subject == wanted
            || subject
                .rsplit_once('/')
                .is_some_and(|(name, _)| name == wanted)
    }
}

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
    /// It cannot be written, or too many wait.
    pub(crate) fn hold(
        &self,
        request: &EnrolmentRequest,
        bytes: &[u8],
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
            return remove(&approved).map(|_| false);
        }
        let entries = list(&self.pending)?;
        let size: u64 = entries
            .iter()
            .filter_map(|(path, _)| path.metadata().ok())
            .map(|meta| meta.len())
            .sum();
        if !waiting
            && (entries.len() >= MAX_PENDING || size + bytes.len() as u64 > MAX_PENDING_BYTES)
        {
            return Err(ApprovalError::Full {
                count: entries.len(),
                dir: self.pending.clone(),
            });
        }
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

    /// The messages of the requests that wait, approved or not.
    ///
    /// # Errors
    /// A file or folder cannot be read.
    pub(crate) fn messages(&self) -> Result<Vec<(Held, Vec<u8>)>, ApprovalError> {
        let mut messages = read_all(&self.pending)?;
        messages.extend(read_all(&self.approved)?);
        Ok(messages)
    }

    /// Approves all parts of the request of `wanted`: a name, `KIND/ID`, or `KIND/ID/KEY`.
    ///
    /// # Errors
    /// Nobody or several ask under this name, or a file cannot be moved.
    pub(crate) fn approve(&self, wanted: &str) -> Result<Vec<Held>, ApprovalError> {
        let found: Vec<_> = list(&self.pending)?
            .into_iter()
            .filter(|(_, held)| held.matches(wanted))
            .collect();
        let mut subjects: Vec<_> = found.iter().map(|(_, held)| held.subject()).collect();
        subjects.dedup();
        match subjects.len() {
            0 => {
                return Err(ApprovalError::Unknown {
                    id: wanted.to_owned(),
                    dir: self.pending.clone(),
                });
            }
            1 => {}
            _ => {
                return Err(ApprovalError::Ambiguous {
                    id: wanted.to_owned(),
                    choices: subjects.join(", "),
                });
            }
        }
        disk::create_folder(&self.approved)?;
        for (path, held) in &found {
            std::fs::rename(path, self.approved.join(held.file_name()))
                .map_err(DiskError::at("move", path))?;
        }
        Ok(found.into_iter().map(|(_, held)| held).collect())
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

mod error;
#[cfg(test)]
mod tests;
