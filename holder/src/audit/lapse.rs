//! Audits that never begin: others had their places until gateways let the reports go, or more wait than may.

use super::check::parts;
use super::desk::Audits;
use super::records::Verdict;
use super::say::say_lapsed;
use crate::answers::Answers;
use crate::ledger::{LedgerError, SumKey};
use crate::metrics;

/// The most of them that end at a time: each is written down.
const LOT: usize = 100;

impl Audits {
    /// Ends those that wait and whose sums are not kept any more, and the first of those that are too many.
    pub(super) fn end_waiting(&mut self, answers: &mut Answers) -> Result<(), LedgerError> {
        let first = answers.first_kept()?;
        let mut surplus = self.queue.len().saturating_sub(self.most_waiting);
        let mut lapsed: Vec<SumKey> = Vec::new();
        self.queue.retain(|key| {
            let is_over = lapsed.len() < LOT && (surplus > 0 || key.window < first);
            if is_over {
                surplus = surplus.saturating_sub(1);
                lapsed.push(key.clone());
            }
            !is_over
        });
        for key in lapsed {
            self.lapse(&key, answers)?;
        }
        Ok(())
    }

    fn lapse(&self, key: &SumKey, answers: &mut Answers) -> Result<(), LedgerError> {
        if let Some(kept) = answers.ledger.sum(key)?
            && let Ok((sum, _)) = parts(&kept)
        {
            let verdict = Verdict::never_begun();
            self.record(&sum, &kept, Some(verdict), answers.clock.now());
        }
        say_lapsed(key);
        metrics::audited(super::AuditResult::Incomplete);
        answers.ledger.audit(key, true)
    }
}
