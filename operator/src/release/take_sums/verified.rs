//! A sum that is what it says, and for the operator to open.

use std::time::Instant;

use wire::{Opened, Reason, Sum};

use super::SumTaker;
use crate::metrics;
use crate::release::take_result::{Job, TakeResult};
use crate::release::verify::verify;

impl SumTaker {
    /// A sum that can be trusted to come from the feeder's analytics service. No other gets an answer.
    pub(super) fn verified(&self, job: &Job) -> Result<Opened<Sum>, TakeResult> {
        let start = Instant::now();
        let opened = verify(job, &self.settings.deployment, &self.settings.topics);
        let opened = opened.map_err(|(window, reason)| TakeResult::Rejected {
            feeder: job.feeder.clone(),
            window,
            reason,
            message: None,
        })?;
        metrics::verified(start.elapsed());
        let sum = &opened.message;
        let others = sum.rest.iter().flat_map(|rest| &rest.others);
        let mut feeders = others.map(|share| &share.feeder).chain([&sum.feeder]);
        let has_rating = |feeder| {
            let setting = job.plan.feeder(feeder, sum.window);
            setting.is_some_and(|setting| setting.rating_wh.is_some())
        };
        let is_closed = feeders.any(has_rating);
        drop(feeders);
        match is_closed {
            // It is for the evaluator to compare, and for nobody to open.
            true => Err(self.rejected(sum, &opened.digest, Reason::WrongTopic)),
            false => Ok(opened),
        }
    }
}
