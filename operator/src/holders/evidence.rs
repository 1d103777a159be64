//! What holders signed about one sum, where it contradicts: kept, so that anybody with their keys can see who was wrong.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use service::Chain;
use service::files::private_folder;
use wire::{Digest, Step};

use crate::disk;

/// Answers about one sum that contradict each other.
#[derive(Debug, Serialize)]
pub(crate) struct Evidence {
    /// What the answers name the sum by: SHA-256 of `sum`.
    pub(crate) subject: Digest,
    pub(crate) step: &'static str,
    /// The COSE_Sign1 of the sum, in hexadecimal.
    pub(crate) sum: String,
    /// The messages of the holders, one for each stream of each of them, in hexadecimal.
    pub(crate) answers: Vec<String>,
}

impl Evidence {
    pub(crate) fn new(subject: Digest, step: Step, sum: &Bytes, answers: &[Bytes]) -> Self {
        Self {
            subject,
            step: step.as_str(),
            sum: hex::encode(sum),
            answers: answers.iter().map(hex::encode).collect(),
        }
    }

    /// Writes it into a folder beside the ledger, on a thread of its own: nothing waits for it.
    pub(crate) fn keep(self, folder: PathBuf) {
        tokio::task::spawn_blocking(move || match self.write(&folder) {
            Ok(path) => {
                tracing::warn!(path = %path.display(), "what the holders signed is kept as evidence");
            }
            Err(error) => {
                tracing::error!(error = %Chain(&*error), "what the holders signed cannot be kept as evidence");
            }
        });
    }

    fn write(&self, folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error + Send + Sync>> {
        private_folder(folder)?;
        let path = folder.join(format!("{}-{}.json", self.subject, self.step));
        disk::replace(&path, &serde_json::to_vec(self)?)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_file_of_its_own_with_everything_that_was_signed() {
        let dir = tempfile::tempdir().unwrap();
        let sum = Bytes::from_static(b"sum");
        let subject = Digest::of(&sum);
        let answers = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        let evidence = Evidence::new(subject, Step::Payload, &sum, &answers);
        let path = evidence.write(&dir.path().join("evidence")).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found["answers"], serde_json::json!(["6f6e65", "74776f"]));
        assert_eq!(found["step"], "payload");
    }
}
