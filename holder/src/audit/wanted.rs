//! What persons demand: taken from where `holder audit` leaves it.

use std::io;
use std::path::Path;

use service::Chain;
use service::trust::HeldPlan;

use super::check::parts;
use super::desk::{Audits, usable};
use super::drawn;
use super::records::{self, Wanted};
use super::say::say_unusable;
use crate::answers::Answers;
use crate::ledger::{KeptSum, LedgerError};

impl Audits {
    /// Takes what persons demand.
    pub(super) fn take_wanted(
        &mut self,
        answers: &mut Answers,
        held: &HeldPlan,
    ) -> Result<(), LedgerError> {
        let folder = self.folder.join("wanted");
        let names = records::names(&folder);
        let names = names.inspect_err(|error| {
            tracing::error!(error = %Chain(error), "demands for audits cannot be read");
        });
        for name in names.unwrap_or_default() {
            let path = records::path_of(&folder, &name);
            let wanted = match records::read::<Wanted>(&path) {
                Ok(wanted) => wanted,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), path = %path.display(), "a demand for an audit cannot be read, and goes");
                    Wanted { of: None }
                }
            };
            let sums = find(&wanted, answers)?;
            let mut begun = Vec::new();
            for kept in sums {
                if let Err(reason) = usable(&kept, held) {
                    say_unusable(&kept.key, reason);
                    continue;
                }
                answers.ledger.audit(&kept.key, false)?;
                begun.push(records::name_of(&kept.key));
                // Until it begins, what it came to the last time is not what it comes to now.
                let _ =
                    std::fs::remove_file(records::path_of(&self.folder, &begun[begun.len() - 1]));
                self.queue.push_back(kept);
            }
            if let Err(error) = self.took(&name, &begun, &path) {
                tracing::error!(error = %Chain(&error), "a demand for an audit cannot be answered");
            }
        }
        Ok(())
    }

    fn took(&self, name: &str, begun: &[String], wanted: &Path) -> io::Result<()> {
        let taken = records::path_of(&self.folder.join("taken"), name);
        records::write(&taken, &begun)?;
        std::fs::remove_file(wanted)
    }
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
