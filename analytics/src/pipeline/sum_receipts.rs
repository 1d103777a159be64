//! The operator's receipts that the engine has not been told of.

use std::collections::HashSet;

use wire::{BillReceipt, Digest, SumReceipt};

/// Receipts that wait while the engine is at work, which may take as long as its disk is full. Only those that some release
/// waits for are kept, each once: the operator answers all services on the same topics.
#[derive(Debug, Default)]
pub(super) struct SumReceipts {
    /// Releases that may be answered: those that were unsettled when something was last let out.
    awaited: HashSet<Digest>,
    waiting: Vec<SumReceipt>,
    /// Answers to bills, as many as are kept at most; of those beyond, the bills are sent again.
    bills: Vec<BillReceipt>,
}

/// Answers to bills that are kept.
const MAX_BILLS: usize = 4_096;

impl SumReceipts {
    /// Says which releases may be answered from now on.
    pub(super) fn expect(&mut self, awaited: HashSet<Digest>) {
        self.awaited = awaited;
    }

    /// Keeps a receipt, whose signature has been checked, if a release waits for it.
    pub(super) fn keep(&mut self, receipt: SumReceipt) {
        if self.awaited.contains(&receipt.digest) && !self.waiting.contains(&receipt) {
            self.waiting.push(receipt);
        }
    }

    /// Keeps an answer to a bill, whose signature has been checked.
    pub(super) fn keep_bill(&mut self, receipt: BillReceipt) {
        if self.bills.len() < MAX_BILLS {
            self.bills.push(receipt);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.bills.is_empty()
    }

    pub(super) fn take(&mut self) -> (Vec<SumReceipt>, Vec<BillReceipt>) {
        (
            std::mem::take(&mut self.waiting),
            std::mem::take(&mut self.bills),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{KeyEpoch, Part, SumStatus, WindowStart};

    fn receipt(digest: u8) -> SumReceipt {
        SumReceipt {
            feeder: "feeder-1".parse().unwrap(),
            epoch: KeyEpoch(1),
            window: WindowStart(0),
            part: Part(0),
            digest: Digest([digest; 32]),
            status: SumStatus::Taken,
        }
    }

    #[test]
    fn receipts_that_no_release_waits_for_and_repeated_ones_are_not_kept() {
        let mut receipts = SumReceipts::default();
        receipts.keep(receipt(1));
        assert!(receipts.is_empty());
        receipts.expect(HashSet::from([1, 2].map(|digest| Digest([digest; 32]))));
        for digest in [1, 3, 1, 2, 4, 2] {
            receipts.keep(receipt(digest));
        }
        assert_eq!(receipts.take().0, [receipt(1), receipt(2)]);
        assert!(receipts.is_empty());
    }
}
