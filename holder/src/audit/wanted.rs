//! What persons demand: taken from where `holder audit` leaves it.

use std::io;
use std::path::Path;

use service::trust::HeldPlan;
use service::{Chain, warn_limited};

use super::check::parts;
use super::desk::{Audits, usable};
use super::drawn;
use super::records::{self, BEGINS, Wanted};
use super::say::say_unusable;
use crate::answers::Answers;
use crate::ledger::{KeptSum, LedgerError};

/// The most answers that nobody has fetched: whoever is there fetches one at once.
const MAX_TAKEN: usize = 100;

impl Audits {
    /// Takes what persons demand.
    pub(super) fn take_wanted(
        &mut self,
        answers: &mut Answers,
        held: &HeldPlan,
    ) -> Result<(), LedgerError> {
        let folder = self.folder.join("wanted");
        let names = match records::names(&folder) {
            Ok(names) => names,
            Err(error) => {
                warn_limited!(error = %Chain(&error), path = %folder.display(), "demands for audits cannot be read");
                return Ok(());
            }
        };
        for name in names {
            let path = records::path_of(&folder, &name);
            let is_awaited = is_awaited(&path);
            let wanted = records::read(&path);
            // It goes first: what cannot be removed would be demanded again and again.
            if let Err(error) = std::fs::remove_file(&path) {
                warn_limited!(error = %Chain(&error), path = %path.display(), "a demand for an audit cannot be taken");
                continue;
            }
            let sums = match wanted {
                Ok(wanted) if is_awaited => find(&wanted, answers)?,
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), path = %path.display(), "a demand for an audit cannot be read");
                    Vec::new()
                }
            };
            self.take_sums(&name, sums, (answers, held))?;
        }
        Ok(())
    }

    /// Tells a person which audits begin, and has them begin.
    fn take_sums(
        &mut self,
        name: &str,
        mut sums: Vec<KeptSum>,
        (answers, held): (&mut Answers, &HeldPlan),
    ) -> Result<(), LedgerError> {
        sums.retain(|kept| {
            let usable = usable(kept, held);
            usable
                .inspect_err(|reason| say_unusable(&kept.key, *reason))
                .is_ok()
        });
        let names: Vec<_> = sums
            .iter()
            .map(|kept| records::name_of(&kept.key))
            .collect();
        for name in &names {
            // Until it begins, what it came to the last time is not what it comes to now.
            let _ = std::fs::remove_file(records::path_of(&self.folder, name));
        }
        if let Err(error) = self.tell(name, &names) {
            tracing::error!(error = %Chain(&error), "a demand for an audit cannot be answered");
            return Ok(());
        }
        for kept in sums {
            answers.ledger.audit(&kept.key, false)?;
            if !self.queue.contains(&kept.key) {
                self.queue.push_back(kept.key);
            }
        }
        Ok(())
    }

    fn tell(&self, name: &str, begun: &[String]) -> io::Result<()> {
        let folder = self.folder.join("taken");
        records::write(&records::path_of(&folder, name), &begun)?;
        // What stays goes the next time.
        let _ = records::trim_to(&folder, MAX_TAKEN);
        Ok(())
    }
}

/// Whether whoever demands it may still wait for it to begin.
fn is_awaited(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    // A clock that was set back says nothing.
    let waited = written.map(|written| written.elapsed().unwrap_or_default());
    waited.is_ok_and(|waited| waited <= BEGINS)
}

/// The sums that a person demands an audit of.
fn find(wanted: &Wanted, answers: &Answers) -> Result<Vec<KeptSum>, LedgerError> {
    let Some((feeder, window)) = &wanted.of else {
        return Ok(answers.ledger.any_sum(drawn())?.into_iter().collect());
    };
    let mut sums = answers.ledger.sums_of(*window)?;
    sums.retain(|kept| {
        let sum = parts(kept).map(|(sum, _)| sum);
        sum.is_ok_and(|sum| sum.shares().any(|share| share.feeder == feeder))
    });
    Ok(sums)
}
