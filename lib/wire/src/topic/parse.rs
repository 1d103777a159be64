//! From a topic to what it is of.

use super::{MAX_ROSTER_PAGES, Topic, Topics};
use crate::shard::Shard;

impl Topics {
    /// Parses `topic`; `None` if it is not a topic of this deployment.
    ///
    /// A topic is recognised only in the one form [`Topics::of`] writes. Whether its shard is that of the feeder is for the plan to
    /// say: see [`crate::Plan::shard`].
    pub fn parse(&self, topic: &str) -> Option<Topic> {
        let rest = topic.strip_prefix(&self.root)?.strip_prefix('/')?;
        let mut levels = [""; 7];
        let mut count = 0;
        for level in rest.split('/') {
            *levels.get_mut(count)? = level;
            count += 1;
        }
        match levels[..count] {
            ["plan"] => Some(Topic::Plan),
            ["plan", "renewal"] => Some(Topic::Renewal),
            ["roster", page] => Some(Topic::Roster {
                page: parse_page(page)?,
            }),
            ["roster", page, "proposed"] => Some(Topic::ProposedRoster {
                page: parse_page(page)?,
            }),
            ["holders", "ask"] => Some(Topic::Ask),
            ["analytics", id, "enrol"] => Some(Topic::AnalyticsEnrol {
                analytics: id.try_into().ok()?,
            }),
            ["evaluator", "question"] => Some(Topic::Question),
            ["evaluator", "comparison"] => Some(Topic::Comparison),
            ["evaluator", "bits"] => Some(Topic::Bits),
            ["recipient", recipient, "feeder", feeder, "total"] => Some(Topic::NoisyTotal {
                recipient: recipient.try_into().ok()?,
                feeder: feeder.try_into().ok()?,
            }),
            ["holder", ref rest @ ..] => of_holder(rest),
            ["gateway", ref rest @ ..] => of_gateway(rest),
            ["shard", ref rest @ ..] => of_shard(rest),
            _ => None,
        }
    }
}

fn of_holder(rest: &[&str]) -> Option<Topic> {
    match *rest {
        [holder, "answer"] => Some(Topic::HolderAnswer {
            holder: holder.try_into().ok()?,
        }),
        [holder, "consent"] => Some(Topic::Consent {
            holder: holder.try_into().ok()?,
        }),
        [holder, "countersignature"] => Some(Topic::Countersignature {
            holder: holder.try_into().ok()?,
        }),
        [holder, "audit", gateway] => Some(Topic::AuditedReport {
            holder: holder.try_into().ok()?,
            gateway: gateway.try_into().ok()?,
        }),
        _ => None,
    }
}

fn of_gateway(rest: &[&str]) -> Option<Topic> {
    match *rest {
        [gateway, "audit"] => Some(Topic::AuditDemand {
            gateway: gateway.try_into().ok()?,
        }),
        [gateway, "receipt"] => Some(Topic::Receipt {
            gateway: gateway.try_into().ok()?,
        }),
        [gateway, "roster", page] => Some(Topic::OwnRoster {
            gateway: gateway.try_into().ok()?,
            page: parse_page(page)?,
        }),
        [gateway, "enrol"] => Some(Topic::Enrol {
            gateway: gateway.try_into().ok()?,
        }),
        [gateway, "enrol", "answer"] => Some(Topic::EnrolAnswer {
            gateway: gateway.try_into().ok()?,
        }),
        _ => None,
    }
}

fn of_shard(rest: &[&str]) -> Option<Topic> {
    match *rest {
        [shard, "feeder", feeder, "meter", meter, "report"] => Some(Topic::Report {
            shard: Shard::parse(shard)?,
            feeder: feeder.try_into().ok()?,
            meter: meter.try_into().ok()?,
        }),
        [shard, "feeder", feeder, "sum"] => Some(Topic::Sum {
            shard: Shard::parse(shard)?,
            feeder: feeder.try_into().ok()?,
        }),
        [shard, "feeder", feeder, "sum", "receipt"] => Some(Topic::SumReceipt {
            shard: Shard::parse(shard)?,
            feeder: feeder.try_into().ok()?,
        }),
        [shard, "feeder", feeder, "bill"] => Some(Topic::Bill {
            shard: Shard::parse(shard)?,
            feeder: feeder.try_into().ok()?,
        }),
        [shard, "feeder", feeder, "bill", "receipt"] => Some(Topic::BillReceipt {
            shard: Shard::parse(shard)?,
            feeder: feeder.try_into().ok()?,
        }),
        [shard, "feeder", feeder, "sum", "closed"] => Some(Topic::ClosedSum {
            shard: Shard::parse(shard)?,
            feeder: feeder.try_into().ok()?,
        }),
        [shard, "feeder", feeder, "total"] => Some(Topic::Total {
            shard: Shard::parse(shard)?,
            feeder: feeder.try_into().ok()?,
        }),
        [shard, "area", area, "total"] => Some(Topic::AreaTotal {
            shard: Shard::parse(shard)?,
            area: area.try_into().ok()?,
        }),
        _ => None,
    }
}

/// A page number in its only form: no sign, no leading zero.
fn parse_page(text: &str) -> Option<u16> {
    let page: u16 = text.parse().ok()?;
    (page < MAX_ROSTER_PAGES && page.to_string() == text).then_some(page)
}
