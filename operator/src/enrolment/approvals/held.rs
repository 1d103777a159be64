//! A request that waits, and what a person is shown of it.

use wire::Digest;

use crate::enrolment::message::EnrolmentRequest;

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

    pub(super) fn file_name(&self) -> String {
        format!("{}.{}.{}.{}", self.kind, self.id, self.key, self.chunk)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
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

    pub(super) fn matches(&self, wanted: &str) -> bool {
        let subject = self.subject();
        self.id == wanted
            || subject == wanted
            || subject
                .rsplit_once('/')
                .is_some_and(|(name, _)| name == wanted)
    }
}

/// A request that waits, with all its parts that have come.
#[derive(Clone, Debug)]
pub(crate) struct Waits {
    pub parts: Vec<(Held, Vec<u8>)>,
}

impl Waits {
    /// Who asks: `KIND/ID/KEY`.
    pub(crate) fn subject(&self) -> String {
        self.parts
            .first()
            .map(|(held, _)| held.subject())
            .unwrap_or_default()
    }

    /// What its parts ask for; none of a file that is no message any more.
    pub(crate) fn messages(&self) -> impl Iterator<Item = EnrolmentRequest> + '_ {
        let parts = self.parts.iter();
        parts.filter_map(|(held, bytes)| EnrolmentRequest::claimed(&held.kind, bytes))
    }

    /// The beginning of the SHA-256 of all that it asks for, whenever it was asked: 32 hexadecimal digits.
    pub(crate) fn digest(&self) -> String {
        let content: String = self.messages().map(|message| message.content()).collect();
        let digest = Digest::of(content.as_bytes()).to_string();
        digest.chars().take(32).collect()
    }
}
