//! A sum on its way in, and what became of it.

use std::sync::Arc;

use bytes::Bytes;
use release::churn::Churn;
use service::trust::MinMeters;
use wire::{FeederId, KeyEpoch, MeterId, Part, Plan, Reason, Sum, Terms, WindowStart};

use crate::event::Excerpt;
use crate::holders::masks::HolderMasks;
use crate::publish::published::Published;
use crate::release::bills::BillResult;
use crate::release::report::FeederReport;
use crate::search::collect::{Collection, Judged};
use crate::search::found::Found;
use crate::search::searched::Searched;
use service::trust::Members;

/// What the thread that takes sums is given.
#[derive(Debug)]
pub(crate) enum Work {
    Take(Job),
    Bill(Job),
    Search(Box<Collection>),
    /// A search has ended, on the thread that it has to itself.
    Found(Box<(Collection, Found)>),
    /// Mask keys to agree on while there is nothing else to do, in place of those told before.
    Agree(Vec<Unagreed>),
}

/// Meters with which mask keys are agreed on before their first sum comes.
#[derive(Debug)]
pub(crate) struct Unagreed {
    pub feeder: FeederId,
    pub epoch: KeyEpoch,
    pub members: Arc<Members>,
}

impl From<Collection> for Work {
    fn from(collection: Collection) -> Self {
        Self::Search(Box::new(collection))
    }
}

/// A sum as it arrived, with what it is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The feeder that the topic names.
    pub feeder: FeederId,
    pub payload: Bytes,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// The minimum group, window by window.
    pub min_meters: Arc<MinMeters>,
    /// The meters of the feeder.
    pub members: Arc<Members>,
    /// Those of the other feeders of the rest of an area.
    pub others: Vec<(FeederId, Arc<Members>)>,
    /// What holders of mask keys have given for it.
    pub masks: Option<HolderMasks>,
}

impl Job {
    /// The meters of a feeder of the sum.
    pub(crate) fn members_of(&self, feeder: &FeederId) -> Option<&Arc<Members>> {
        if *feeder == self.feeder {
            return Some(&self.members);
        }
        let mut others = self.others.iter();
        others.find_map(|(other, members)| (other == feeder).then_some(members))
    }

    /// Meters that the window is to have, over the feeders of the sum.
    pub(crate) fn expected(&self, sum: &Sum) -> u32 {
        let members = sum
            .shares()
            .filter_map(|share| self.members_of(share.feeder));
        let expected = members.map(|members| members.expected(sum.window));
        expected.fold(0, u32::saturating_add)
    }

    /// The names of all its meters that are in the sum.
    pub(crate) fn names(&self, sum: &Sum) -> Vec<MeterId> {
        let names = sum.shares().flat_map(|share| {
            let members = self.members_of(share.feeder);
            let numbers = share.set.iter();
            numbers.filter_map(move |number| Some(members?.get(number)?.meter.clone()))
        });
        names.collect()
    }

    /// The job with the plan as it holds for `window`: with that window's minimum group, which is not the plan's newest one if
    /// it was changed since.
    pub(crate) fn of_window(mut self, window: WindowStart) -> Self {
        let min_meters = self.min_meters.of(window);
        if min_meters != self.plan.min_meters {
            Arc::make_mut(&mut self.plan).min_meters = min_meters;
        }
        self
    }
}

/// A sum that may be opened, and needs masks of holders for it.
#[derive(Clone, Debug)]
pub(crate) struct Needed {
    pub job: Job,
    /// The COSE_Sign1 of the sum.
    pub sum: Bytes,
    pub terms: Arc<Terms>,
    pub lengths: Lengths,
}

/// How many words holders give of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub checks: usize,
    pub payload: usize,
}

/// What became of a sum.
#[derive(Clone, Debug)]
pub(crate) enum TakeResult {
    /// Taken; the report is durable.
    Taken {
        report: Box<FeederReport>,
        /// Who joined and left since the window before, if that was released and this is the window's first sum.
        churn: Option<Churn>,
        sum: Box<Sum>,
        /// The beginning of its ciphertext.
        excerpt: Excerpt,
        /// Messages to publish: topic and bytes.
        messages: Vec<(String, Bytes)>,
        /// Noisy totals for recipients.
        published: Published,
    },
    /// The same limbs were taken before.
    Duplicate {
        sum: Box<Sum>,
        /// The receipt: topic and bytes.
        message: (String, Bytes),
    },
    /// It did not open, or had not before: analytics is to divide it.
    Divided {
        sum: Box<Sum>,
        /// The receipt: topic and bytes.
        message: (String, Bytes),
        /// What a search needs, the first time and while the key epoch has refusals left.
        judged: Option<Box<Judged>>,
    },
    /// What became of a bill.
    Bill(BillResult),
    /// A search has ended.
    Searched(Box<Searched>),
    /// It did not open, and that is final.
    Burnt {
        sum: Box<Sum>,
        /// Its meters.
        meters: Vec<MeterId>,
        /// The receipt: topic and bytes.
        message: (String, Bytes),
    },
    Rejected {
        /// The feeder that the topic names.
        feeder: FeederId,
        /// The window and part it names, if it could be read.
        window: Option<(WindowStart, Part)>,
        reason: Reason,
        /// The receipt, if the sum was verified.
        message: Option<(String, Bytes)>,
    },
    /// It may be opened, and holders are to be asked first.
    NeedsHolders(Box<Needed>),
    /// It could not be made durable. Analytics gets no answer and sends it again.
    Deferred,
}

impl From<Needed> for TakeResult {
    fn from(needed: Needed) -> Self {
        Self::NeedsHolders(Box::new(needed))
    }
}
