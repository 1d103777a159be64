//! `agreement-N-DIGEST.closed`: one line that says from which window on, and for the sake of which terms, a holder answers nothing
//! under an agreement any more.

use std::path::Path;

use service::files;
use wire::{Digest, Terms, WindowStart};

use super::KeysError;

/// How the file begins: the number is the version of its format.
const HEAD: &str = "cipherwatt closed agreement 1 ";

/// The head, a time and two digests. Bytes.
const MAX_LEN: u64 = 256;

/// From when on a holder answers nothing under an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The first window that it answers nothing for.
    pub(crate) from: WindowStart,
    /// The digest of the terms that follow. A holder closes terms for the sake of one other only.
    pub(crate) next: Digest,
}

impl Closed {
    pub(super) fn to_text(self) -> String {
        format!("{HEAD}{} {}\n", self.from, self.next)
    }

    /// What the file that belongs to `terms` says; none if there is none.
    pub(super) fn load(path: &Path, terms: &Terms) -> Result<Option<Self>, KeysError> {
        let Some(content) = files::read_private(path, MAX_LEN)? else {
            return Ok(None);
        };
        let parsed = str::from_utf8(&content).ok().and_then(parse);
        let parsed = parsed.filter(|closed| closed.from > terms.from);
        parsed.map(Some).ok_or_else(|| KeysError::Part {
            path: path.to_owned(),
            problem: "is not what this program writes",
        })
    }
}

fn parse(text: &str) -> Option<Closed> {
    let (from, next) = text.strip_prefix(HEAD)?.trim_end().split_once(' ')?;
    Some(Closed {
        from: WindowStart(from.parse().ok()?),
        next: next.parse().ok()?,
    })
}
