//! The section on which sums are released. Analytics asks these rules first, the operator decides by them.

use ::release::{Dominance, Rule, Rules};
use serde::{Deserialize, Serialize};

use crate::failpoint;

/// `[release]`: which sums are released, beyond the plan's minimum group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Meters that a sum of late reports needs; 0: late reports are in no sum.
    pub supplement_min_meters: u32,
    /// How many of a sum's largest meters are looked at together.
    pub dominance_largest: u32,
    /// The most of a sum's declared capacity that they may be, above 0 and up to 1; 1: no bound.
    pub dominance_share: f64,
    /// The least meters that are published to be in a range of consumption.
    pub min_cell: u32,
    /// The least intervals of a tariff band in a bill.
    pub bill_min_intervals: u32,
}

impl Release {
    /// The rules under a plan of this minimum group.
    pub fn rules(&self, min_meters: u32) -> Rules {
        let mut rules = Rules::new(min_meters);
        rules.supplement_min_meters = self.supplement_min_meters;
        rules.dominance = Dominance {
            largest: self.dominance_largest,
            share: self.dominance_share,
        };
        rules.min_cell = self.min_cell;
        rules.bill_min_intervals = self.bill_min_intervals;
        // How an attack is shown to succeed without its rule: in development only, and said in the log.
        let is_left_out = |rule: &Rule| failpoint::sabotaged(rule.as_str());
        rules.left_out = Rule::ALL.into_iter().find(is_left_out);
        rules
    }
}
