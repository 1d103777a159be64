//! The search for the meter that spoiled a sum, once the reports have come: found, counted, and only then named.

use service::Chain;
use wire::MeterId;

use super::SumTaker;
use crate::metrics;
use crate::release::refused::Search;
use crate::release::take_result::{Searched, TakeResult};
use crate::search::collect::Collection;
use crate::search::find::{Found, find};

impl SumTaker {
    /// Looks for the meters that spoil the sum of `collection`.
    pub(super) fn search(&mut self, collection: &Collection) -> TakeResult {
        let sum = &collection.judged.sum;
        let refusals = match self.ledger.refusals(sum.epoch) {
            Ok(refusals) => self.settings.max_refusals.saturating_sub(refusals),
            Err(error) => return not_counted(&error),
        };
        let found = find(&mut self.opener, collection, refusals).unwrap_or_else(|reason| {
            tracing::error!(feeder = %sum.feeder, window = sum.window.0, %reason, "a search had nothing to open sums with");
            Found::default()
        });
        let searched = searched(collection, &found);
        if !found.culprits.is_empty() || !found.together.is_empty() {
            let search = Search::new(&searched, found.refusals, self.by());
            // An answer that is not counted may not be given.
            if let Err(error) = self.ledger.refuse(&search) {
                return not_counted(&error);
            }
        }
        TakeResult::Searched(Box::new(searched))
    }
}

fn not_counted(error: &(dyn std::error::Error + 'static)) -> TakeResult {
    metrics::commit_failed();
    tracing::error!(error = %Chain(error), "a search ends without a name: what it says about the key could not be counted");
    TakeResult::Deferred
}

fn searched(collection: &Collection, found: &Found) -> Searched {
    let judged = &collection.judged;
    let names = |numbers: &[u32]| -> Vec<MeterId> {
        let members = numbers
            .iter()
            .filter_map(|number| judged.members.get(*number));
        members.map(|member| member.meter.clone()).collect()
    };
    Searched {
        feeder: judged.sum.feeder.clone(),
        window_start: judged.sum.window,
        part: judged.sum.part,
        epoch: judged.sum.epoch,
        culprits: names(&found.culprits),
        together: names(&found.together),
        reports: collection.reports.len(),
        missing: collection.missing(),
        openings: found.openings,
        is_cut_short: found.is_cut_short,
        sum_differs: found.sum_differs,
    }
}
