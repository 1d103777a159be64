//! What an observer of the operator is told: the binary prints it, the bench draws progress from it.

use wire::{FeederId, Part, PlanVersion, Reason, WindowStart};

use crate::report::FeederReport;

/// Something happened. What was released is durable by the time this is sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A plan was made durable and handed over for publishing.
    PlanPublished {
        /// Its version.
        version: PlanVersion,
    },
    /// The number of enrolled meters changed, and the roster was handed over for publishing.
    Enrolled {
        /// All meters of the roster.
        meters: usize,
    },
    /// A meter, gateway or analytics service was not enrolled.
    EnrolmentRefused {
        /// Its name.
        id: String,
        /// Why.
        reason: Reason,
    },
    /// A sum was taken and decrypted.
    Released(Box<FeederReport>),
    /// A sum was sent again that had been taken before.
    Duplicate {
        /// The feeder.
        feeder: FeederId,
        /// The window.
        window: WindowStart,
        /// Its part.
        part: Part,
    },
    /// A sum was not taken.
    Rejected {
        /// The feeder whose topic it came on.
        feeder: FeederId,
        /// The window and part it names, if it could be read.
        window: Option<(WindowStart, Part)>,
        /// Why.
        reason: Reason,
    },
}
