//! Topics: where each message is published.
//!
//! All lie under one configurable root, for example `cipherwatt/v2`. A topic is part of what a
//! signature covers, so a message is valid only where it was meant to be.

use std::fmt::Display;

use crate::ids::{AnalyticsId, AreaId, FeederId, GatewayId, MeterId};

/// The most pages of a roster. A broker hands a new wildcard subscriber only its first 100
/// retained messages, so a roster stays below.
pub const MAX_ROSTER_PAGES: u16 = 64;

/// Reports and sums lie under one of a deployment's shards. There is one; a later version divides large deployments.
const SHARD: &str = "shard/0";

/// The longest root, in bytes.
const MAX_ROOT_LEN: usize = 128;

/// The text is not a topic root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{root:?} is not a topic root: it must be 1 to {MAX_ROOT_LEN} characters of [A-Za-z0-9._-] \
     in levels separated by single slashes"
)]
pub struct RootError {
    /// The text.
    pub root: String,
}

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
    Report { feeder: FeederId, meter: MeterId },
    /// Receipts for a gateway's reports (analytics).
    Receipt { gateway: GatewayId },
    /// A gateway asks for its meters to be enrolled.
    Enrol { gateway: GatewayId },
    /// The operator's answer to that request.
    EnrolAnswer { gateway: GatewayId },
    /// An analytics service asks to be enrolled.
    AnalyticsEnrol { analytics: AnalyticsId },
    /// A released sum (analytics to operator).
    Sum { feeder: FeederId },
    /// The operator's answer to a sum.
    SumReceipt { feeder: FeederId },
    /// A decrypted total (operator, opt-in).
    Total { feeder: FeederId },
    /// The total of the rest of an area (operator, opt-in).
    AreaTotal { area: AreaId },
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

    fn feeder(&self, feeder: &FeederId, rest: impl Display) -> String {
        self.under(format_args!("{SHARD}/feeder/{feeder}/{rest}"))
    }

    /// The topic of a [`Topic`].
    pub fn of(&self, topic: &Topic) -> String {
        match topic {
            Topic::Plan => self.under("plan"),
            Topic::Renewal => self.under("plan/renewal"),
            Topic::Roster { page } => self.under(format_args!("roster/{page}")),
            Topic::OwnRoster { gateway, page } => self.own_roster(gateway, *page),
            Topic::Report { feeder, meter } => {
                self.feeder(feeder, format_args!("meter/{meter}/report"))
            }
            Topic::Receipt { gateway } => self.under(format_args!("gateway/{gateway}/receipt")),
            Topic::Enrol { gateway } => self.under(format_args!("gateway/{gateway}/enrol")),
            Topic::EnrolAnswer { gateway } => self.enrol_answer(gateway),
            Topic::AnalyticsEnrol { analytics } => {
                self.under(format_args!("analytics/{analytics}/enrol"))
            }
            Topic::Sum { feeder } => self.feeder(feeder, "sum"),
            Topic::SumReceipt { feeder } => self.feeder(feeder, "sum/receipt"),
            Topic::Total { feeder } => self.feeder(feeder, "total"),
            Topic::AreaTotal { area } => self.area_total(area),
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

    /// `roster/+`
    pub fn roster_filter(&self) -> String {
        self.under("roster/+")
    }

    /// `gateway/{gateway}/roster/{page}`, pages from 0.
    pub fn own_roster(&self, gateway: &GatewayId, page: u16) -> String {
        self.under(format_args!("gateway/{gateway}/roster/{page}"))
    }

    /// `gateway/{gateway}/roster/+`
    pub fn own_roster_filter(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/roster/+"))
    }

    /// `shard/0/feeder/{feeder}/meter/{meter}/report`
    pub fn report(&self, feeder: &FeederId, meter: &MeterId) -> String {
        self.feeder(feeder, format_args!("meter/{meter}/report"))
    }

    /// `shard/0/feeder/+/meter/+/report`
    pub fn report_filter(&self) -> String {
        self.under(format_args!("{SHARD}/feeder/+/meter/+/report"))
    }

    /// `shard/0/feeder/{feeder}/meter/+/report`
    pub fn reports_of(&self, feeder: &FeederId) -> String {
        self.feeder(feeder, "meter/+/report")
    }

    /// `gateway/{gateway}/receipt`
    pub fn receipt(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/receipt"))
    }

    /// `gateway/{gateway}/enrol`
    pub fn enrol(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/enrol"))
    }

    /// `gateway/+/enrol`
    pub fn enrol_filter(&self) -> String {
        self.under("gateway/+/enrol")
    }

    /// `gateway/{gateway}/enrol/answer`
    pub fn enrol_answer(&self, gateway: &GatewayId) -> String {
        self.under(format_args!("gateway/{gateway}/enrol/answer"))
    }

    /// `analytics/{id}/enrol`
    pub fn analytics_enrol(&self, id: &AnalyticsId) -> String {
        self.under(format_args!("analytics/{id}/enrol"))
    }

    /// `analytics/+/enrol`
    pub fn analytics_enrol_filter(&self) -> String {
        self.under("analytics/+/enrol")
    }

    /// `shard/0/feeder/{feeder}/sum`
    pub fn sum(&self, feeder: &FeederId) -> String {
        self.feeder(feeder, "sum")
    }

    /// `shard/0/feeder/+/sum`
    pub fn sum_filter(&self) -> String {
        self.under(format_args!("{SHARD}/feeder/+/sum"))
    }

    /// `shard/0/feeder/{feeder}/sum/receipt`
    pub fn sum_receipt(&self, feeder: &FeederId) -> String {
        self.feeder(feeder, "sum/receipt")
    }

    /// `shard/0/feeder/+/sum/receipt`
    pub fn sum_receipt_filter(&self) -> String {
        self.under(format_args!("{SHARD}/feeder/+/sum/receipt"))
    }

    /// `shard/0/feeder/{feeder}/total`
    pub fn total(&self, feeder: &FeederId) -> String {
        self.feeder(feeder, "total")
    }

    /// `shard/0/area/{area}/total`
    pub fn area_total(&self, area: &AreaId) -> String {
        self.under(format_args!("{SHARD}/area/{area}/total"))
    }

    /// Parses `topic`; `None` if it is not a topic of this deployment.
    ///
    /// A topic is recognised only in the one form [`Topics::of`] writes.
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
            ["shard", "0", "feeder", feeder, "meter", meter, "report"] => Some(Topic::Report {
                feeder: feeder.try_into().ok()?,
                meter: meter.try_into().ok()?,
            }),
            ["gateway", gateway, "receipt"] => Some(Topic::Receipt {
                gateway: gateway.try_into().ok()?,
            }),
            ["gateway", gateway, "roster", page] => Some(Topic::OwnRoster {
                gateway: gateway.try_into().ok()?,
                page: parse_page(page)?,
            }),
            ["gateway", gateway, "enrol"] => Some(Topic::Enrol {
                gateway: gateway.try_into().ok()?,
            }),
            ["gateway", gateway, "enrol", "answer"] => Some(Topic::EnrolAnswer {
                gateway: gateway.try_into().ok()?,
            }),
            ["analytics", id, "enrol"] => Some(Topic::AnalyticsEnrol {
                analytics: id.try_into().ok()?,
            }),
            ["shard", "0", "feeder", feeder, "sum"] => Some(Topic::Sum {
                feeder: feeder.try_into().ok()?,
            }),
            ["shard", "0", "feeder", feeder, "sum", "receipt"] => Some(Topic::SumReceipt {
                feeder: feeder.try_into().ok()?,
            }),
            ["shard", "0", "feeder", feeder, "total"] => Some(Topic::Total {
                feeder: feeder.try_into().ok()?,
            }),
            ["shard", "0", "area", area, "total"] => Some(Topic::AreaTotal {
                area: area.try_into().ok()?,
            }),
            _ => None,
        }
    }
}

/// A page number in its only form: no sign, no leading zero.
fn parse_page(text: &str) -> Option<u16> {
    let page: u16 = text.parse().ok()?;
    (page < MAX_ROSTER_PAGES && page.to_string() == text).then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_the_design() {
        let topics = Topics::new("cipherwatt/v2").unwrap();
        let (feeder, meter) = ("f-1".parse().unwrap(), "m-1".parse().unwrap());
        let (gateway, analytics) = ("g-1".parse().unwrap(), "a-1".parse().unwrap());
        let expected = [
            (topics.plan(), "plan"),
            (topics.renewal(), "plan/renewal"),
            (topics.roster(63), "roster/63"),
            (topics.roster_filter(), "roster/+"),
            (topics.own_roster(&gateway, 2), "gateway/g-1/roster/2"),
            (topics.own_roster_filter(&gateway), "gateway/g-1/roster/+"),
            (
                topics.report(&feeder, &meter),
                "shard/0/feeder/f-1/meter/m-1/report",
            ),
            (topics.report_filter(), "shard/0/feeder/+/meter/+/report"),
            (
                topics.reports_of(&feeder),
                "shard/0/feeder/f-1/meter/+/report",
            ),
            (topics.receipt(&gateway), "gateway/g-1/receipt"),
            (topics.enrol(&gateway), "gateway/g-1/enrol"),
            (topics.enrol_filter(), "gateway/+/enrol"),
            (topics.enrol_answer(&gateway), "gateway/g-1/enrol/answer"),
            (topics.analytics_enrol(&analytics), "analytics/a-1/enrol"),
            (topics.analytics_enrol_filter(), "analytics/+/enrol"),
            (topics.sum(&feeder), "shard/0/feeder/f-1/sum"),
            (topics.sum_filter(), "shard/0/feeder/+/sum"),
            (
                topics.sum_receipt(&feeder),
                "shard/0/feeder/f-1/sum/receipt",
            ),
            (topics.sum_receipt_filter(), "shard/0/feeder/+/sum/receipt"),
            (topics.total(&feeder), "shard/0/feeder/f-1/total"),
            (
                topics.area_total(&"a-2".parse().unwrap()),
                "shard/0/area/a-2/total",
            ),
        ];
        for (topic, rest) in expected {
            assert_eq!(topic, format!("cipherwatt/v2/{rest}"));
        }
    }

    #[test]
    fn only_the_written_form_is_read() {
        let topics = Topics::new("r").unwrap();
        for bad in [
            "",
            "r",
            "r/",
            "plan",
            "r/plans",
            "r/plan/renewals",
            "r/plan/renewal/x",
            "rr/plan",
            "r//plan",
            "r/Plan",
            "r/roster/",
            "r/roster/64",
            "r/roster/01",
            "r/roster/+1",
            "r/roster/+",
            "r/gateway/g/roster",
            "r/gateway/g/roster/64",
            "r/gateway/g/roster/+",
            "r/gateway/+/roster/0",
            "r/gateway/g/enrol/answers",
            "r/shard/0/feeder/f/meter/m",
            "r/shard/0/feeder//meter/m/report",
            "r/shard/0/feeder/F/meter/m/report",
            "r/shard/0/feeder/+/sum",
            "r/shard/0/feeder/f/meter/m/report/x",
            "r/shard/0/feeder/f/sum/receipt/x",
            "r/a/b/c/d/e/f",
            "r/a/b/c/d/e/f/g/h",
            // Format 1, and shards that do not exist yet.
            "r/feeder/f/meter/m/report",
            "r/feeder/f/sum",
            "r/shard/1/feeder/f/sum",
            "r/shard/00/feeder/f/sum",
            "r/shard/+/feeder/f/sum",
            "r/shard/feeder/f/sum",
        ] {
            assert_eq!(topics.parse(bad), None, "{bad:?}");
        }
        assert_eq!(topics.parse("r/roster/0"), Some(Topic::Roster { page: 0 }));
    }

    #[test]
    fn a_root_has_no_wildcards_and_no_empty_levels() {
        for good in ["r", "cipherwatt/v2", "Site_A/x.y-z", &"r".repeat(128)] {
            assert_eq!(Topics::new(good).unwrap().root(), good);
        }
        for bad in [
            "",
            "/",
            "/r",
            "r/",
            "a//b",
            "a/+",
            "#",
            "a b",
            "é",
            "$sys",
            &"r".repeat(129),
        ] {
            assert!(Topics::new(bad).is_err(), "{bad:?}");
        }
    }
}
