//! Why a message was refused: a small fixed set that is also the metric label.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal $label:literal,)*) => {
        /// Why a message was refused. [`Reason::as_str`] is the metric label, [`Reason::code`]
        /// the number on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name = $code,)*
        }

        impl Reason {
            /// Every reason, in the order of their codes.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The label, in snake case. It never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => $label,)*
                }
            }
        }
    };
}

reasons! {
    /// It is not a message of this format.
    InvalidMessage = 10 "invalid_message",
    /// It is longer than the receiver accepts.
    Oversize = 11 "oversize",
    /// Its ciphertext does not have the length that the feeder's profile and the plan's layout give it.
    WrongLength = 12 "wrong_length",
    /// A value of its ciphertext is above the largest that the profile allows.
    LimbOutOfRange = 13 "limb_out_of_range",
    /// Its signature does not verify, or its limbs do not match their signed digest.
    BadSignature = 14 "bad_signature",
    /// It names another feeder, meter or gateway than the topic it came on.
    WrongTopic = 15 "wrong_topic",
    /// The meter is not in the roster.
    UnknownMeter = 16 "unknown_meter",
    /// The feeder is not in the plan.
    UnknownFeeder = 17 "unknown_feeder",
    /// The roster has the meter on another feeder.
    WrongFeeder = 18 "wrong_feeder",
    /// The roster has the meter behind another gateway.
    WrongGateway = 19 "wrong_gateway",
    /// The key epoch is not in the plan.
    UnknownEpoch = 20 "unknown_epoch",
    /// The window belongs to another key epoch.
    WrongEpoch = 21 "wrong_epoch",
    /// It was made under an older feeder setting than the one that holds for its window.
    OutdatedConfig = 22 "outdated_config",
    /// It was made under a plan the receiver has not seen.
    UnknownPlan = 23 "unknown_plan",
    /// The window does not start on the plan's grid.
    MisalignedWindow = 24 "misaligned_window",
    /// The window lies in the future.
    ReportTooEarly = 25 "report_too_early",
    /// The window is older than what is kept.
    ReportTooLate = 26 "report_too_late",
    /// Another report of the same meter and window was taken before.
    Conflict = 27 "conflict",
    /// The sum has as many contributors as the feeder's setting or its profile allows.
    BatchFull = 28 "batch_full",
    /// The window was released and takes no more reports.
    BatchCollected = 29 "batch_collected",
    /// Too many windows are open.
    TooManyOpen = 30 "too_many_open",
    /// The plan has no such analytics service for the feeder.
    UnknownAnalytics = 31 "unknown_analytics",
    /// It is signed by another key than the one known under this name.
    WrongKey = 32 "wrong_key",
    /// A newer version was taken before.
    LowerVersion = 33 "lower_version",
    /// The sum has fewer contributors than the plan's `min_meters`.
    MinMeters = 34 "min_meters",
    /// A declared capacity is above the feeder's reference.
    CapacityAboveReference = 35 "capacity_above_reference",
    /// The receiver has no plan or roster yet.
    NotReady = 36 "not_ready",
    /// The receiver has no room now; try again later.
    Overloaded = 37 "overloaded",
    /// It is of an earlier version of the format: its sender must be upgraded.
    EarlierVersion = 38 "earlier_version",
    /// It fills a field that only a later version uses.
    NotSupported = 39 "not_supported",
    /// The sum did not open: its check coefficients, its grid or its range is wrong.
    NotOpened = 40 "not_opened",
    /// One of the sum's meters is in another opened sum of the window.
    AlreadyOpened = 41 "already_opened",
    /// Its set of contributors, their count and their salts contradict each other or the roster.
    BadSet = 42 "bad_set",
    /// Its ciphertext is not of the profile of the feeder's setting.
    ProfileMismatch = 43 "profile_mismatch",
    /// The key epoch has used up its refusals: no sum of it is opened until `operator.max_refusals` is raised.
    KeySpent = 44 "key_spent",
    /// Another report of its sum has its salt.
    SaltTaken = 45 "salt_taken",
    /// A few large meters can make up more of the sum than the operator allows.
    Dominated = 46 "dominated",
    /// The meter is not enrolled for billing.
    NotBilled = 47 "not_billed",
    /// The windows of the bill are not of one billing period, or those of a group not in the same bands.
    WrongBands = 48 "wrong_bands",
    /// A band of the bill has fewer intervals than `release.bill_min_intervals`.
    FewIntervals = 49 "few_intervals",
    /// Of a total too few meters would be left that have no bill.
    FewUnbilled = 50 "few_unbilled",
    /// A bill, or a total with its noise, can be larger than the feeder's profile can carry.
    BeyondProfile = 51 "beyond_profile",
    /// It is under terms, or about a stream of theirs, that the holder has no keys for.
    UnknownTerms = 52 "unknown_terms",
    /// The holder has closed the window: it answers nothing of it any more.
    WindowClosed = 53 "window_closed",
    /// The holder consented to another sum with one of its meters in the window.
    ConsentedOtherwise = 54 "consented_otherwise",
    /// Too few holders consented to it.
    NotConsented = 55 "not_consented",
    /// Too few holders countersigned the page of the roster, so far: the holder does not know its meters.
    NotCountersigned = 56 "not_countersigned",
    /// The terms of the window have no such holder.
    UnknownHolder = 57 "unknown_holder",
    /// What noisy totals of the feeder may give away in the period is spent.
    BudgetSpent = 58 "budget_spent",
}

impl Reason {
    /// The number on the wire, 10 and up.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this number, if there is one.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a sender may do with a report that was refused, by the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Send it again later, as it is: the reason passes.
    AsItIs,
    /// Seal its readings again under a newer plan; until there is one, send it again as it is.
    UnderNewerPlan,
    /// Seal its readings again at once, under the same plan: what is wrong with it is drawn by chance, or was copied.
    SealedAgain,
    /// Nothing: it is refused for good.
    Never,
}

impl Reason {
    /// Whether, and how, a report that was refused for this reason is worth sending again.
    pub const fn retry(self) -> Retry {
        match self {
            Self::WrongEpoch
            | Self::UnknownEpoch
            | Self::OutdatedConfig
            | Self::ProfileMismatch => Retry::UnderNewerPlan,
            Self::UnknownPlan
            | Self::UnknownFeeder
            | Self::ReportTooEarly
            | Self::TooManyOpen
            | Self::NotReady
            | Self::Overloaded
            | Self::KeySpent => Retry::AsItIs,
            Self::SaltTaken => Retry::SealedAgain,
            _ => Retry::Never,
        }
    }
}

impl Reason {
    /// Whether a *sum* that was refused for this reason is refused for good. The others are sent again as they are, at longer
    /// and longer intervals.
    pub const fn is_final(self) -> bool {
        match self {
            // The operator has not heard yet of what the sum is under: its plan or roster is older, or it is starting.
            Self::NotReady | Self::UnknownPlan | Self::UnknownAnalytics => false,
            // Its clock, or its queue, catches up.
            Self::ReportTooEarly | Self::Overloaded => false,
            // A person allows more refusals, or those that were set aside for other sums come free.
            Self::KeySpent => false,
            // What is wrong with it is in its signed bytes, and those do not change.
            Self::InvalidMessage
            | Self::Oversize
            | Self::WrongLength
            | Self::LimbOutOfRange
            | Self::BadSignature
            | Self::WrongTopic
            | Self::MisalignedWindow
            | Self::BatchFull
            | Self::MinMeters
            | Self::Dominated
            | Self::BadSet
            | Self::ProfileMismatch
            | Self::EarlierVersion
            | Self::NotSupported
            | Self::WrongBands
            | Self::FewIntervals
            | Self::BeyondProfile => true,
            // Plans only grow: a key epoch, a setting or a meter that it has not now is not of this deployment.
            Self::UnknownMeter
            | Self::UnknownFeeder
            | Self::WrongFeeder
            | Self::WrongGateway
            | Self::UnknownEpoch
            | Self::WrongEpoch
            | Self::OutdatedConfig
            | Self::WrongKey
            | Self::LowerVersion
            | Self::CapacityAboveReference
            | Self::NotBilled => true,
            // What was opened of the window stays opened.
            Self::Conflict
            | Self::BatchCollected
            | Self::AlreadyOpened
            | Self::NotOpened
            | Self::FewUnbilled => true,
            // A holder's, whose file of keys or whose consent may still come.
            Self::UnknownTerms
            | Self::UnknownHolder
            | Self::NotConsented
            | Self::NotCountersigned => false,
            Self::WindowClosed | Self::ConsentedOtherwise | Self::BudgetSpent => true,
            // Answers to reports, which no sum gets.
            Self::ReportTooLate | Self::TooManyOpen | Self::SaltTaken => true,
        }
    }
}

/// The text is not the label of a reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a reason")]
pub struct UnknownReason {
    /// The text.
    pub found: String,
}

impl FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        let known = Self::ALL.iter().copied().find(|r| r.as_str() == text);
        known.ok_or_else(|| UnknownReason {
            found: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
