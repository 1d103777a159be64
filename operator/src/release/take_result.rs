//! A sum on its way in, and what became of it.

use std::sync::Arc;

use bytes::Bytes;
use wire::{FeederId, Part, Plan, Reason, Sum, WindowStart};

use crate::event::Excerpt;
use crate::release::report::FeederReport;

/// A sum as it arrived on a feeder's topic, with what it is held against.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The feeder of the topic.
    pub feeder: FeederId,
    /// The message.
    pub payload: Bytes,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// Meters enrolled on the feeder.
    pub enrolled: u32,
}

/// What became of a sum.
#[derive(Clone, Debug)]
pub(crate) enum TakeResult {
    /// Taken; the report is durable.
    Taken {
        /// What it says.
        report: Box<FeederReport>,
        /// The beginning of its ciphertext.
        excerpt: Excerpt,
        /// Messages to publish: topic and bytes.
        messages: Vec<(String, Bytes)>,
    },
    /// Taken before.
    Duplicate {
        /// The sum.
        sum: Box<Sum>,
        /// The receipt.
        message: (String, Bytes),
    },
    /// Not taken.
    Rejected {
        /// The feeder of the topic.
        feeder: FeederId,
        /// The window and part it names, if it could be read.
        window: Option<(WindowStart, Part)>,
        /// Why.
        reason: Reason,
        /// The receipt, if the sum was verified.
        message: Option<(String, Bytes)>,
    },
    /// Could not be made durable: no answer, analytics sends it again.
    Deferred,
}

impl TakeResult {
    /// Whether it answers a release of the feeder and window of `sum`.
    pub(super) fn is_about(&self, sum: &Sum) -> bool {
        match self {
            Self::Duplicate { sum: other, .. } => {
                other.feeder == sum.feeder && other.window == sum.window
            }
            Self::Rejected { feeder, window, .. } => {
                *feeder == sum.feeder && window.is_some_and(|(window, _)| window == sum.window)
            }
            Self::Taken { .. } | Self::Deferred => false,
        }
    }
}
