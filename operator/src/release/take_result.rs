//! A sum on its way in, and what became of it.

use std::sync::Arc;

use bytes::Bytes;
use wire::{FeederId, MeterId, Part, Plan, Reason, Sum, WindowStart};

use crate::event::Excerpt;
use crate::plan::members::Members;
use crate::release::report::FeederReport;

/// A sum as it arrived, with what it is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The feeder that the topic names.
    pub feeder: FeederId,
    pub payload: Bytes,
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// The meters of the feeder.
    pub members: Arc<Members>,
}

/// What became of a sum.
#[derive(Clone, Debug)]
pub(crate) enum TakeResult {
    /// Taken; the report is durable.
    Taken {
        report: Box<FeederReport>,
        sum: Box<Sum>,
        /// The beginning of its ciphertext.
        excerpt: Excerpt,
        /// Messages to publish: topic and bytes.
        messages: Vec<(String, Bytes)>,
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
    },
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
    /// It could not be made durable. Analytics gets no answer and sends it again.
    Deferred,
}
