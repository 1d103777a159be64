//! The thread that takes sums.

use service::Chain;
use tokio::sync::mpsc;

use super::SumTaker;
use super::ahead::Ahead;
use crate::release::take_result::{TakeResult, Work};
use crate::release::totals::COMMIT_MAX;

/// Groups after which the sums are counted at the latest. Until then the ledger is ahead of its count, and only the
/// totals show that a copy from in between is older.
pub(super) const COUNT_EVERY: u32 = 16;

impl SumTaker {
    /// Takes sums until `queue` is closed and drained. Blocks: give it a thread. What searches find comes back by `found`, the
    /// queue's other end.
    pub(crate) fn run(
        mut self,
        mut queue: mpsc::Receiver<Work>,
        found: &mpsc::WeakSender<Work>,
        results: &mpsc::Sender<TakeResult>,
    ) {
        let mut group = Vec::with_capacity(COMMIT_MAX);
        let mut uncounted = 0;
        let mut searching = None;
        while self.next_group(&mut queue, &mut group) {
            let (mut jobs, mut searched) = (Vec::with_capacity(group.len()), Vec::new());
            let mut bills = Vec::new();
            for work in group.drain(..) {
                match work {
                    Work::Take(job) => jobs.push(job),
                    Work::Bill(job) => bills.push(job),
                    // The last one has ended: there is one at a time.
                    Work::Search(collection) => {
                        searching = self.start_search(*collection, found.clone());
                    }
                    Work::Agree(unagreed) => self.ahead = Ahead::new(unagreed),
                    Work::Found(found) => searched.push(self.named(&found.0, &found.1)),
                }
            }
            let taken = self.take(jobs);
            let billed = bills
                .iter()
                .map(|job| TakeResult::Bill(self.take_bill(job)));
            let billed: Vec<_> = billed.collect();
            for result in taken.into_iter().chain(searched).chain(billed) {
                // If nobody listens the operator is ending; the sum is durable and its next delivery a duplicate.
                let _ = results.blocking_send(result);
            }
            uncounted += 1;
            // Receipts never wait for it, and other sums seldom.
            if queue.is_empty() || uncounted == COUNT_EVERY {
                uncounted = 0;
                if let Err(error) = self.ledger.count() {
                    tracing::error!(error = %Chain(&error), "cannot write releases.count");
                }
            }
        }
        // It uses the keys, which go with the process.
        if let Some(searching) = searching {
            let _ = searching.join();
        }
    }
}
