//! Topics: where each message is published.
//!
//! All lie under one configurable root, for example `cipherwatt/v2`. A topic is part of what a
//! signature covers, so a message is valid only where it was meant to be.

mod filters;
mod parse;
mod root;

use std::fmt::Display;

use crate::ids::{AnalyticsId, AreaId, FeederId, GatewayId, HolderId, MeterId, RecipientId};
use crate::shard::Shard;

use root::MAX_ROOT_LEN;
pub use root::RootError;

/// The most pages of a roster. A broker hands a new wildcard subscriber only its first 100
/// retained messages, so a roster stays below.
pub const MAX_ROSTER_PAGES: u16 = 64;

/// The topics and subscription filters of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    root: String,
}

/// A parsed topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the types say what the fields are")]
pub enum Topic {
    /// The plan (operator, retained).
    Plan,
    /// A later end of the plan (operator, retained).
    Renewal,
    /// One page of the roster, counted from 0 (operator, retained).
    Roster { page: u16 },
    /// One page of the part of the roster that a gateway is told: its own meters (operator, retained).
    OwnRoster { gateway: GatewayId, page: u16 },
    /// A meter's report.
    Report {
        shard: Shard,
        feeder: FeederId,
        meter: MeterId,
    },
    /// Receipts for a gateway's reports (analytics).
    Receipt { gateway: GatewayId },
    /// A gateway asks for its meters to be enrolled.
    Enrol { gateway: GatewayId },
    /// The operator's answer to that request.
    EnrolAnswer { gateway: GatewayId },
    /// An analytics service asks to be enrolled.
    AnalyticsEnrol { analytics: AnalyticsId },
    /// A released sum (analytics to operator).
    Sum { shard: Shard, feeder: FeederId },
    /// The operator's answer to a sum.
    SumReceipt { shard: Shard, feeder: FeederId },
    /// A sum that nobody opens (analytics to evaluator).
    ClosedSum { shard: Shard, feeder: FeederId },
    /// The evaluator asks to compare a sum.
    Question,
    /// What a sum is compared with (operator to evaluator).
    Comparison,
    /// The encrypted bits of a comparison (evaluator to operator).
    Bits,
    /// What a meter's reports of a billing period come to (analytics to operator).
    Bill { shard: Shard, feeder: FeederId },
    /// The operator's answer to a bill.
    BillReceipt { shard: Shard, feeder: FeederId },
    /// A decrypted total (operator, opt-in).
    Total { shard: Shard, feeder: FeederId },
    /// The total of the rest of an area (operator, opt-in).
    AreaTotal { shard: Shard, area: AreaId },
    /// A page of the roster that the holders are to countersign (operator).
    ProposedRoster { page: u16 },
    /// What the operator asks the holders for.
    Ask,
    /// What a holder answers.
    HolderAnswer { holder: HolderId },
    /// A holder's consent to opening a sum.
    Consent { holder: HolderId },
    /// A holder's countersignature under a page of the roster.
    Countersignature { holder: HolderId },
    /// A holder demands reports behind a sum of a gateway.
    AuditDemand { gateway: GatewayId },
    /// A report that a holder demanded, as it was sent (gateway).
    AuditedReport {
        holder: HolderId,
        gateway: GatewayId,
    },
    /// A total with noise (operator, opt-in).
    NoisyTotal {
        recipient: RecipientId,
        feeder: FeederId,
    },
}

impl Topics {
    /// The topics under `root`.
    ///
    /// # Errors
    /// `root` is empty, too long, has an empty level, or a character outside `[A-Za-z0-9._-]`
    /// (which excludes MQTT wildcards).
    pub fn new(root: &str) -> Result<Self, RootError> {
        let level = |level: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            !level.is_empty() && level.bytes().all(allowed)
        };
        if root.len() > MAX_ROOT_LEN || !root.split('/').all(level) {
            return Err(RootError {
                root: root.to_owned(),
            });
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The root.
    pub fn root(&self) -> &str {
        &self.root
    }

    fn under(&self, rest: impl Display) -> String {
        format!("{}/{rest}", self.root)
    }

    fn feeder(&self, shard: Shard, feeder: &FeederId, rest: impl Display) -> String {
        self.under(format_args!("shard/{shard}/feeder/{feeder}/{rest}"))
    }

    fn all_feeders(&self, rest: &str) -> String {
        self.under(format_args!("shard/+/feeder/+/{rest}"))
    }

    fn holder(&self, holder: &HolderId, rest: &str) -> String {
        self.under(format_args!("holder/{holder}/{rest}"))
    }

    /// The topic of a [`Topic`].
    pub fn of(&self, topic: &Topic) -> String {
        match topic {
            Topic::Plan => self.under("plan"),
            Topic::Renewal => self.under("plan/renewal"),
            Topic::Roster { page } => self.under(format_args!("roster/{page}")),
            Topic::OwnRoster { gateway, page } => self.own_roster(gateway, *page),
            Topic::Report {
                shard,
                feeder,
                meter,
            } => self.report(*shard, feeder, meter),
            Topic::Receipt { gateway } => self.under(format_args!("gateway/{gateway}/receipt")),
            Topic::Enrol { gateway } => self.under(format_args!("gateway/{gateway}/enrol")),
            Topic::EnrolAnswer { gateway } => self.enrol_answer(gateway),
            Topic::AnalyticsEnrol { analytics } => {
                self.under(format_args!("analytics/{analytics}/enrol"))
            }
            Topic::Sum { shard, feeder } => self.feeder(*shard, feeder, "sum"),
            Topic::SumReceipt { shard, feeder } => self.feeder(*shard, feeder, "sum/receipt"),
            Topic::ClosedSum { shard, feeder } => self.closed_sum(*shard, feeder),
            Topic::Question => self.under("evaluator/question"),
            Topic::Comparison => self.under("evaluator/comparison"),
            Topic::Bits => self.under("evaluator/bits"),
            Topic::Bill { shard, feeder } => self.feeder(*shard, feeder, "bill"),
            Topic::BillReceipt { shard, feeder } => self.feeder(*shard, feeder, "bill/receipt"),
            Topic::Total { shard, feeder } => self.feeder(*shard, feeder, "total"),
            Topic::AreaTotal { shard, area } => self.area_total(*shard, area),
            Topic::ProposedRoster { page } => self.under(format_args!("roster/{page}/proposed")),
            Topic::Ask => self.under("holders/ask"),
            Topic::HolderAnswer { holder } => self.holder(holder, "answer"),
            Topic::Consent { holder } => self.holder(holder, "consent"),
            Topic::Countersignature { holder } => self.holder(holder, "countersignature"),
            Topic::AuditDemand { gateway } => self.audit_demand(gateway),
            Topic::AuditedReport { holder, gateway } => {
                self.under(format_args!("holder/{holder}/audit/{gateway}"))
            }
            Topic::NoisyTotal { recipient, feeder } => self.noisy_total(recipient, feeder),
        }
    }

    /// `plan`
    pub fn plan(&self) -> String {
        self.of(&Topic::Plan)
    }

    /// `plan/renewal`
    pub fn renewal(&self) -> String {
        self.of(&Topic::Renewal)
    }

    /// `roster/{page}`, pages from 0.
    pub fn roster(&self, page: u16) -> String {
        self.of(&Topic::Roster { page })
    }

    /// `gateway/{gateway}/roster/{page}`, pages from 0.
    pub fn own_roster(&self, gateway: &GatewayId, page: u16) -> String {
        self.under(format_args!("gateway/{gateway}/roster/{page}"))
    }

    /// `shard/{shard}/feeder/{feeder}/meter/{meter}/report`
    pub fn report(&self, shard: Shard, feeder: &FeederId, meter: &MeterId) -> String {
        self.feeder(shard, feeder, format_args!("meter/{meter}/report"))
    }

    /// `gateway/{gateway}/receipt`
    pub fn receipt(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/receipt"))
    }

    /// `gateway/{gateway}/enrol`
    pub fn enrol(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/enrol"))
    }

    /// `gateway/{gateway}/enrol/answer`
    pub fn enrol_answer(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/enrol/answer"))
    }

    /// `gateway/{gateway}/audit`
    pub fn audit_demand(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/audit"))
    }

    /// `analytics/{id}/enrol`
    pub fn analytics_enrol(&self, id: &AnalyticsId) -> String {
        self.under(format_args!("analytics/{id}/enrol"))
    }

    /// `shard/{shard}/feeder/{feeder}/sum`
    pub fn sum(&self, shard: Shard, feeder: &FeederId) -> String {
        self.feeder(shard, feeder, "sum")
    }

    /// `shard/{shard}/feeder/{feeder}/sum/receipt`
    pub fn sum_receipt(&self, shard: Shard, feeder: &FeederId) -> String {
        self.feeder(shard, feeder, "sum/receipt")
    }

    /// `shard/{shard}/feeder/{feeder}/sum/closed`
    pub fn closed_sum(&self, shard: Shard, feeder: &FeederId) -> String {
        self.feeder(shard, feeder, "sum/closed")
    }

    /// `shard/{shard}/feeder/{feeder}/bill`
    pub fn bill(&self, shard: Shard, feeder: &FeederId) -> String {
        self.feeder(shard, feeder, "bill")
    }

    /// `shard/{shard}/feeder/{feeder}/bill/receipt`
    pub fn bill_receipt(&self, shard: Shard, feeder: &FeederId) -> String {
        self.feeder(shard, feeder, "bill/receipt")
    }

    /// `shard/{shard}/feeder/{feeder}/total`
    pub fn total(&self, shard: Shard, feeder: &FeederId) -> String {
        self.feeder(shard, feeder, "total")
    }

    /// `recipient/{recipient}/feeder/{feeder}/total`
    pub fn noisy_total(&self, recipient: &RecipientId, feeder: &FeederId) -> String {
        self.under(format_args!("recipient/{recipient}/feeder/{feeder}/total"))
    }

    /// `shard/{shard}/area/{area}/total`
    pub fn area_total(&self, shard: Shard, area: &AreaId) -> String {
        self.under(format_args!("shard/{shard}/area/{area}/total"))
    }
}

#[cfg(test)]
mod tests;
