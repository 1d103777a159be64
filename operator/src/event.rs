//! What an observer of the operator is told: the binary prints it, the bench draws progress from it.

use tokio::sync::mpsc;
use wire::{FeederId, HolderId, Part, PlanVersion, Reason, WindowStart};

use crate::release::bills::BillReport;
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
    /// Most bytes in [`Excerpt::head`].
    pub const HEAD: usize = 96;

    /// The beginning of a sum's packed limbs.
    pub fn of(limbs: &[u8]) -> Self {
        Self {
            bytes: limbs.len(),
            head: limbs.iter().take(Self::HEAD).copied().collect(),
        }
    }
}

/// What [`crate::run()`] tells its observer. A released window is durable before it is told.
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
        /// Of the plan; rises with every change.
        version: PlanVersion,
    },
    /// The number of enrolled meters changed, and the roster was handed over for publishing.
    Enrolled {
        /// All meters of the roster.
        meters: usize,
    },
    /// A meter, gateway or analytics service was not enrolled.
    EnrolmentRefused {
        /// Its id; the topic of a message that could not be read.
        id: String,
        /// As `reason` in `cipherwatt_operator_enrolments_refused_total`.
        reason: Reason,
    },
    /// Sums are with the holders of mask keys, and some holders do not answer; told when either changes.
    HoldersAwaited {
        /// How many sums; 0 once nothing waits, or everybody answers.
        sums: usize,
        /// Who does not answer.
        holders: Vec<HolderId>,
    },
    /// A sum was taken and decrypted.
    Released(Box<FeederReport>),
    /// Noisy totals were asked for; told before [`Event::Released`].
    BudgetLeft {
        /// Of the total.
        feeder: FeederId,
        /// The ε that the feeder may still give away in the window's period.
        epsilon: f64,
    },
    /// The ciphertext of a sum that was taken, as every subscriber of its topic sees it; told just before
    /// [`Event::Released`].
    Ciphertext {
        /// Of the sum.
        feeder: FeederId,
        /// Start of the window.
        window: WindowStart,
        /// Which sum of the window, from 0.
        part: Part,
        /// Its length and first bytes.
        excerpt: Excerpt,
    },
    /// A sum came again that had been taken before.
    Duplicate {
        /// Of the sum.
        feeder: FeederId,
        /// Start of the window.
        window: WindowStart,
        /// Which sum of the window, from 0.
        part: Part,
    },
    /// A sum did not open, and analytics was told to divide it.
    Divided {
        /// Of the sum.
        feeder: FeederId,
        /// Start of the window.
        window: WindowStart,
        /// Which sum of the window, from 0.
        part: Part,
    },
    /// A bill was opened; its line is durable.
    Billed(Box<BillReport>),
    /// A sum was not taken.
    Rejected {
        /// The feeder whose topic it came on.
        feeder: FeederId,
        /// The window and part it names, if it could be read.
        window: Option<(WindowStart, Part)>,
        /// As `reason` in `cipherwatt_operator_releases_rejected_total`.
        reason: Reason,
    },
}

/// Where events go, if the operator has an observer.
#[derive(Clone, Debug)]
pub(crate) struct Observer(pub(crate) Option<mpsc::UnboundedSender<Event>>);

impl Observer {
    pub(crate) fn tell(&self, event: Event) {
        if let Some(observer) = &self.0 {
            // The observer may end before the operator.
            let _ = observer.send(event);
        }
    }
}
