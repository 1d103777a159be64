//! Two ciphertexts that analytics signed as the sum of the same reports. Adding is exact, so whoever signed both lied of one.

use std::path::PathBuf;

use serde::Serialize;
use service::Chain;
use wire::{Ask, Digest, FeederId, Reason, WindowStart};

use super::Answers;
use super::asked::Asked;
use crate::HolderError;
use crate::audit::records;

/// The version of a file of evidence.
const VERSION: u8 = 1;

/// What was signed that contradicts.
#[derive(Debug, Serialize)]
struct Evidence<'a> {
    version: u8,
    feeder: &'a FeederId,
    window: WindowStart,
    /// The COSE_Sign1 of the sum that was consented to, in hexadecimal; none once `holder.keep_sums` has passed.
    consented: Option<String>,
    /// SHA-256 of its ciphertext.
    consented_ciphertext: Digest,
    /// The COSE_Sign1 of the other.
    other: String,
    other_ciphertext: Digest,
}

impl Answers {
    /// Whether a sum of reports that were consented to has the ciphertext that was consented to: audits hold the reports against that one,
    /// so no other may open.
    ///
    /// # Errors
    /// [`Reason::Conflict`]: it has another. Both are kept as evidence.
    pub(super) fn check_ciphertext(
        &self,
        ask: &Ask,
        asked: &Asked,
    ) -> Result<Result<(), Reason>, HolderError> {
        let window = asked.sum.window;
        let before = self.ledger.ciphertext(window, &asked.content)?;
        let Some(before) = before.filter(|before| *before != asked.ciphertext) else {
            return Ok(Ok(()));
        };
        let path = self.evidence_path(asked);
        if path.exists() {
            return Ok(Err(Reason::Conflict));
        }
        let sums = self.ledger.sums_of(window)?;
        let consented = sums.iter().find(|kept| kept.key.content == asked.content);
        let evidence = Evidence {
            version: VERSION,
            feeder: &asked.sum.feeder,
            window,
            consented: consented.map(|kept| hex::encode(&kept.signed)),
            consented_ciphertext: before,
            other: hex::encode(&ask.sum),
            other_ciphertext: asked.ciphertext,
        };
        tracing::error!(
            feeder = %asked.sum.feeder, window = %window, analytics = %asked.sum.analytics, path = %path.display(),
            "two ciphertexts were signed as the sum of the same reports: whoever signed both lied, since adding is exact; the second is refused"
        );
        if let Err(error) = records::write(&path, &evidence) {
            tracing::error!(error = %Chain(&error), "what analytics signed cannot be kept as evidence");
        }
        Ok(Err(Reason::Conflict))
    }

    /// One file for the reports of a sum, however many others are signed.
    fn evidence_path(&self, asked: &Asked) -> PathBuf {
        let key = asked.key();
        records::path_of(&self.evidence, &records::name_of(&key))
    }
}
