//! Subscription filters.

use super::Topics;
use crate::ids::{FeederId, GatewayId, HolderId};
use crate::shard::Shard;

impl Topics {
    /// `roster/+`
    pub fn roster_filter(&self) -> String {
        self.under("roster/+")
    }

    /// `roster/+/proposed`
    pub fn proposed_roster_filter(&self) -> String {
        self.under("roster/+/proposed")
    }

    /// `holder/+/{rest}`: what all holders say, of one of `answer`, `consent` and `countersignature`.
    pub fn holder_filters(&self) -> [String; 3] {
        ["answer", "consent", "countersignature"]
            .map(|rest| self.under(format_args!("holder/+/{rest}")))
    }

    /// `holder/{holder}/audit/+`
    pub fn audited_reports_filter(&self, holder: &HolderId) -> String {
        self.under(format_args!("holder/{holder}/audit/+"))
    }

    /// `gateway/{gateway}/roster/+`
    pub fn own_roster_filter(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/roster/+"))
    }

    /// `shard/+/feeder/+/meter/+/report`
    pub fn report_filter(&self) -> String {
        self.all_feeders("meter/+/report")
    }

    /// `shard/+/feeder/{feeder}/meter/+/report`
    pub fn reports_of(&self, feeder: &FeederId) -> String {
        self.under(format_args!("shard/+/feeder/{feeder}/meter/+/report"))
    }

    /// `shard/{shard}/feeder/+/meter/+/report`
    pub fn reports_in(&self, shard: Shard) -> String {
        self.under(format_args!("shard/{shard}/feeder/+/meter/+/report"))
    }

    /// `gateway/+/enrol`
    pub fn enrol_filter(&self) -> String {
        self.under("gateway/+/enrol")
    }

    /// `analytics/+/enrol`
    pub fn analytics_enrol_filter(&self) -> String {
        self.under("analytics/+/enrol")
    }

    /// `shard/+/feeder/+/sum`
    pub fn sum_filter(&self) -> String {
        self.all_feeders("sum")
    }

    /// `shard/+/feeder/+/sum/receipt`
    pub fn sum_receipt_filter(&self) -> String {
        self.all_feeders("sum/receipt")
    }

    /// `shard/+/feeder/+/sum/closed`
    pub fn closed_sum_filter(&self) -> String {
        self.all_feeders("sum/closed")
    }

    /// `shard/+/feeder/+/bill`
    pub fn bill_filter(&self) -> String {
        self.all_feeders("bill")
    }

    /// `shard/+/feeder/+/bill/receipt`
    pub fn bill_receipt_filter(&self) -> String {
        self.all_feeders("bill/receipt")
    }
}
