//! The search for the meter that spoiled a sum, once the reports have come: found on a thread of its own, counted, and only then
//! named.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use service::Chain;
use tokio::sync::mpsc;
use wire::MeterId;

use super::SumTaker;
use crate::metrics;
use crate::open::Opener;
use crate::release::ledger::LedgerError;
use crate::release::refused::Search;
use crate::release::take_result::{TakeResult, Work};
use crate::search::collect::Collection;
use crate::search::find::find;
use crate::search::found::Found;
use crate::search::searched::Searched;

impl SumTaker {
    /// Starts a search of the reports in `collection`. What it finds comes back by `found`, unless the operator ends before.
    pub(super) fn start_search(
        &mut self,
        collection: Collection,
        found: mpsc::WeakSender<Work>,
    ) -> Option<JoinHandle<()>> {
        let refusals = match self.refusals_for(&collection) {
            Ok(refusals) => refusals,
            Err(error) => {
                not_counted(&error);
                return None;
            }
        };
        let mut opener = Opener::new(self.keyring.clone(), self.settings.deployment.clone());
        let searching = std::thread::Builder::new().name("search".to_owned());
        let searching = searching.spawn(move || {
            let result = searched_by(&mut opener, &collection, refusals);
            if let Some(found) = found.upgrade() {
                let _ = found.blocking_send(Work::Found(Box::new((collection, result))));
            }
        });
        searching
            .inspect_err(|error| tracing::error!(%error, "no thread for a search"))
            .ok()
    }

    /// How many answers a search may give; they are set aside.
    fn refusals_for(&mut self, collection: &Collection) -> Result<u32, LedgerError> {
        let sum = &collection.judged.sum;
        let counted = self.counted(sum, &[])?;
        Ok(self.budget.search(sum, counted))
    }

    /// Counts what a search found, and names it.
    pub(super) fn named(&mut self, collection: &Collection, found: &Found) -> TakeResult {
        let sum = &collection.judged.sum;
        let searched = searched(collection, found);
        if searched.names_somebody() {
            let search = Search::new(&searched, found.refusals, self.by());
            // An answer that is not counted may not be given.
            if let Err(error) = self.ledger.refuse(&search) {
                not_counted(&error);
                return TakeResult::Deferred;
            }
        }
        let now = self.clock.now();
        self.searches.name(sum, &found.culprits, now);
        self.budget.searched(sum);
        TakeResult::Searched(Box::new(searched))
    }

    /// A whole search, here.
    #[cfg(test)]
    pub(super) fn search(&mut self, collection: &Collection) -> TakeResult {
        let refusals = self.refusals_for(collection).unwrap();
        let found = searched_by(&mut self.opener, collection, refusals);
        self.named(collection, &found)
    }
}

/// What a search comes to: nothing where it fails.
fn searched_by(opener: &mut Opener, collection: &Collection, refusals: u32) -> Found {
    let judged = &collection.judged;
    let (feeder, window) = (&judged.sum.feeder, judged.sum.window.0);
    match catch_unwind(AssertUnwindSafe(|| find(opener, collection, refusals))) {
        Ok(Ok(found)) => found,
        Ok(Err(reason)) => {
            tracing::error!(%feeder, window, %reason, "a search had nothing to open sums with");
            Found::default()
        }
        Err(_) => {
            tracing::error!(%feeder, window, "a search failed: this is an error in the operator, please report it");
            Found::default()
        }
    }
}

fn not_counted(error: &(dyn std::error::Error + 'static)) {
    metrics::commit_failed();
    tracing::error!(error = %Chain(error), "a search ends without a name: what it says about the key could not be counted");
}

impl Searched {
    /// Whether the record is to have it.
    fn names_somebody(&self) -> bool {
        let named = [&self.culprits, &self.together, &self.silent];
        named.iter().any(|meters| !meters.is_empty())
    }
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
        gateways: found.gateways.clone(),
        silent: names(&collection.silent()),
        reports: collection.reports.len(),
        missing: collection.missing(),
        openings: found.openings,
        is_cut_short: found.is_cut_short,
        sum_differs: found.sum_differs,
    }
}
