//! What an observer of the operator is told: the binary prints it, the bench draws progress from it.

use tokio::sync::mpsc;
use wire::{FeederId, Part, PlanVersion, Reason, WindowStart};

use crate::release::report::FeederReport;

/// The beginning of a ciphertext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Length of the whole, in bytes.
    pub bytes: usize,
    /// The first [`Excerpt::HEAD`] of them.
    pub head: Vec<u8>,
}

impl Excerpt {
    /// Bytes that are kept.
    pub const HEAD: usize = 96;

    /// The beginning of packed limbs.
    pub fn of(limbs: &[u8]) -> Self {
        Self {
            bytes: limbs.len(),
            head: limbs.iter().take(Self::HEAD).copied().collect(),
        }
    }
}

/// Something happened. What was released is durable by the time this is sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Everything is opened; told once, before anything else.
    Opened {
        /// Contributors below which the plan lets no sum be released.
        min_meters: u32,
        /// The last windows released before this start, in the order of release.
        recent: Vec<FeederReport>,
    },
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
    /// The ciphertext of that sum, as whoever can subscribe sees it. Told before it.
    Ciphertext {
        /// The feeder.
        feeder: FeederId,
        /// The window.
        window: WindowStart,
        /// Its part.
        part: Part,
        /// An excerpt.
        excerpt: Excerpt,
    },
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

/// Whoever wants to know what happens, if anybody does.
#[derive(Clone, Debug)]
pub(crate) struct Observer(pub(crate) Option<mpsc::UnboundedSender<Event>>);

impl Observer {
    pub(crate) fn tell(&self, event: Event) {
        if let Some(observer) = &self.0 {
            // An observer that has ended wants no more; the operator goes on without it.
            let _ = observer.send(event);
        }
    }
}
