//! `agreement-N-DIGEST.keys`: lines of text. The head, the terms in hexadecimal, then for each stream that this holder has its
//! place in the terms and its secret.

use std::path::Path;
use std::str;

use masks::MaskSecret;
use service::files;
use wire::{Message as _, Terms};
use zeroize::Zeroizing;

use super::{Closed, Folder, KeysError};

/// How the file begins: the number is the version of its format.
const HEAD: &str = "cipherwatt agreement keys 1\n";

/// Terms of five holders and ten streams are 1 kB, and their secrets as much. Bytes.
const MAX_LEN: u64 = 8 << 10;

/// What a holder has of the mask keys of an agreement's terms.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) terms: Terms,
    /// The holder's place in the terms.
    pub(crate) place: usize,
    /// The streams that it has, by their places in the terms.
    pub(crate) secrets: Vec<(usize, MaskSecret)>,
    /// From when on it answers nothing under these terms. `holder close` changes this only while the ledger is not open elsewhere,
    /// so what was read after the ledger was opened holds until it is let go.
    pub(crate) closed: Option<Closed>,
}

impl Part {
    pub(super) fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let terms = hex::encode(self.terms.to_cbor(None));
        // With all its capacity from the start, so that no growth leaves a copy behind.
        let len = HEAD.len() + terms.len() + 1 + 68 * self.secrets.len();
        let mut text = Zeroizing::new(Vec::with_capacity(len));
        text.extend_from_slice(HEAD.as_bytes());
        text.extend_from_slice(terms.as_bytes());
        text.push(b'\n');
        for (place, secret) in &self.secrets {
            let head = format!("{place} ");
            text.extend_from_slice(&files::secret_text(head.as_bytes(), &secret.to_bytes()));
        }
        text
    }

    pub(super) fn load(path: &Path, folder: &Folder) -> Result<Self, KeysError> {
        let problem = |problem| KeysError::Part {
            path: path.to_owned(),
            problem,
        };
        let damaged = || problem("is damaged");
        let content = files::read_private(path, MAX_LEN)?.ok_or_else(damaged)?;
        let text = str::from_utf8(&content).map_err(|_| damaged())?;
        let text = text
            .strip_prefix(HEAD)
            .ok_or_else(|| problem("is not of version 1 of its format"))?;
        let mut lines = text.lines();
        let terms = hex::decode(lines.next().unwrap_or_default()).map_err(|_| damaged())?;
        let (terms, _) = Terms::from_cbor(&terms).map_err(|_| damaged())?;
        let place = terms.place(&folder.id);
        let place = place.filter(|at| terms.holders[*at].key == folder.signing.verifying_key());
        let place = place.ok_or_else(|| problem("is not of this holder and its signing key"))?;
        let mut secrets = Vec::new();
        for stream in terms.streams_of(place) {
            let line = lines.next().ok_or_else(damaged)?;
            let head = format!("{stream} ");
            let secret = files::parse_secret(head.as_bytes(), line.as_bytes(), path)
                .map_err(|_| damaged())?;
            let secret = MaskSecret::from_bytes(&secret);
            if secret.public() != terms.streams[stream].key.0 || secret.has_twin() {
                return Err(problem("has a secret that is not of its stream"));
            }
            secrets.push((stream, secret));
        }
        if lines.next().is_some() || terms.deployment != folder.deployment {
            return Err(problem("is of another deployment, or damaged"));
        }
        let closed = Closed::load(&path.with_extension("closed"), &terms)?;
        Ok(Self {
            terms,
            place,
            secrets,
            closed,
        })
    }
}
