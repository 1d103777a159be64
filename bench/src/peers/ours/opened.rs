//! What the sum of all rounds says, held against what was entered.

use anyhow::{Result, ensure};
use packed::layout::{Encoding, Entered};

use super::Ours;

impl Ours {
    /// The sum of all rounds, opened: each interval in watt-hours, and which reports are in it.
    ///
    /// # Errors
    /// Where it cannot be opened, or is not the sum of what was entered.
    pub(crate) fn opened(&self) -> Result<(Vec<i64>, Vec<usize>)> {
        let totals = self.open(&self.packed_sum(), &self.pads())?;
        let included: Vec<usize> = self.included.iter().map(|(index, _)| *index).collect();
        for (k, total) in totals.energy_wh.iter().enumerate() {
            let entered = |index: &usize| self.deployment.members[*index].entered[k];
            let entered = included
                .iter()
                .filter_map(entered)
                .map(|entered| entered.wh);
            let entered: i64 = entered.sum();
            ensure!(
                *total == entered,
                "interval {k} is {total} Wh, and {entered} Wh were entered"
            );
        }
        Ok((totals.energy_wh, included))
    }

    /// What was entered in each report of the sum.
    pub(crate) fn entered(&self) -> impl Iterator<Item = &[Option<Entered>]> {
        let members = &self.deployment.members;
        self.included
            .iter()
            .map(|(index, _)| members[*index].entered.as_slice())
    }

    /// Units and scale of the coefficients.
    pub(crate) fn encoding(&self) -> &Encoding {
        &self.deployment.encoding
    }

    /// What every reading is a whole multiple of, in Wh.
    pub(crate) fn quantum_wh(&self) -> u64 {
        self.deployment.encoding.quantum_wh
    }
}
