//! Admission: from bytes on a topic to a report that may be folded.
//!
//! Cheap checks come first, and a refusal is answered only once the meter's own signature has been verified: else
//! anybody could make a gateway drop a genuine report by sending a forged one with the same digest.

use bytes::Bytes;
use packed::Profile;
use packed::layout::Shape;
use service::config::Settings;
use service::trust::{EnrolledMeter, Roster};
use wire::{
    DeploymentId, Digest, FeederId, GatewayId, Grid, MeterId, Opened, Plan, Reason, Report, Topics,
    UnixMillis, Unverified, WindowStart, WireError,
};

use crate::assignment::AssignedPlan;

mod checks;

/// What every report is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The deployment, which every signature covers.
    pub(crate) deployment: &'a DeploymentId,
    /// The topics under the configured root.
    topics: &'a Topics,
    /// The newest plan.
    plan: &'a Plan,
    /// The plan again, with the owner of each feeder.
    assigned: &'a AssignedPlan,
    /// The newest roster.
    roster: &'a Roster,
    /// What the coefficients of a report carry.
    shape: Shape,
    /// The plan's intervals and windows.
    grid: Grid,
    /// Longest message taken, in bytes.
    max_len: usize,
    /// The time now.
    now: UnixMillis,
    /// How far a report may lie in the future, in milliseconds.
    future_tolerance_ms: u64,
}

/// A message that came and has not been looked at.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The topic it came on.
    pub topic: String,
    /// The envelope.
    pub payload: Bytes,
}

/// Who is told what became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The feeder the roster has the meter on.
    pub(crate) feeder: FeederId,
    /// The gateway the roster has the meter behind.
    pub(crate) gateway: GatewayId,
    /// The meter.
    pub(crate) meter: MeterId,
    /// The report's window.
    pub(crate) window: WindowStart,
    /// SHA-256 of the report's limbs.
    pub(crate) digest: Digest,
}

/// A report that may be folded.
#[derive(Debug)]
pub struct Admitted {
    /// The signed part.
    pub(crate) report: Report,
    /// The packed ciphertext; its length fits the profile, its limbs are checked by the fold.
    pub limbs: Bytes,
    /// Where the receipt goes.
    pub(crate) address: Address,
    /// The meter's number on the feeder.
    pub(crate) number: u32,
    /// The profile of the feeder setting that holds for the window.
    pub(crate) profile: &'static Profile,
    /// The most meters that a sum of that setting may have.
    pub(crate) max_meters: u32,
    /// Which bill it is in, if its meter is billed.
    pub(crate) billed: Option<Billed>,
}

/// Which bill a report is in, and how.
#[derive(Debug)]
pub(crate) struct Billed {
    /// The first window of the billing period.
    pub(crate) period: WindowStart,
    /// The tariff band of each interval.
    pub(crate) bands: Vec<u8>,
    /// The profile of the report.
    pub(crate) profile: &'static Profile,
}

/// A report that came on its topic from an enrolled meter, if its signature holds.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) unverified: Unverified<Report>,
    pub(crate) entry: EnrolledMeter<'a>,
}

/// A report that may not.
#[derive(Debug)]
pub struct Refusal {
    /// Why, for the counter and the receipt.
    pub reason: Reason,
    /// Why, in words that name the field and the value.
    pub detail: Box<str>,
    /// Where the receipt goes; absent where the sender is not known to be the meter, or should try again as it is.
    pub address: Option<Address>,
    /// The report, where its meter's signature holds.
    pub(crate) signed: Option<Box<Signed>>,
}

/// A report whose meter's signature holds, and that may not be folded into a new sum.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) report: Report,
    pub(crate) limbs: Bytes,
    /// The meter's number on the feeder.
    pub(crate) number: u32,
}

impl Refusal {
    /// A refusal that is counted and not answered.
    pub(crate) fn silent(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into().into(),
            address: None,
            signed: None,
        }
    }
}

impl<'a> Admission<'a> {
    /// Admission under the `assigned` plan and `roster` at `now`.
    #[must_use]
    pub fn new(
        settings: &'a Settings,
        topics: &'a Topics,
        assigned: &'a AssignedPlan,
        roster: &'a Roster,
        now: UnixMillis,
    ) -> Self {
        let held = &assigned.held;
        let tolerance = settings.analytics.future_tolerance.as_millis();
        Self {
            deployment: &settings.deployment.id,
            topics,
            plan: &held.plan,
            assigned,
            roster,
            shape: held.shape,
            grid: held.grid,
            max_len: settings.mqtt.max_packet_bytes,
            now,
            future_tolerance_ms: u64::try_from(tolerance).unwrap_or(u64::MAX),
        }
    }

    /// Checks a message that came on `topic`.
    ///
    /// # Errors
    /// The [`Refusal`] with the first check that failed.
    pub fn admit(&self, topic: &str, payload: &Bytes) -> Result<Admitted, Refusal> {
        let Candidate { unverified, entry } = self.examine(topic, payload)?;
        let opened = unverified.verify(self.deployment, topic, entry.key);
        self.judge(entry, opened)
    }

    /// The bill that a report of a billed meter is in; none where the plan has no tariff for its window.
    fn billed(
        &self,
        entry: &EnrolledMeter<'_>,
        window: WindowStart,
        profile: &'static Profile,
    ) -> Option<Billed> {
        let tariff = self.plan.tariff.as_ref().filter(|_| entry.billing)?;
        Some(Billed {
            bands: tariff.bands_of(&self.grid, window)?,
            period: tariff.period_of(&self.grid, window).0,
            profile,
        })
    }

    /// The checks before the signature's.
    pub(crate) fn examine(&self, topic: &str, payload: &Bytes) -> Result<Candidate<'a>, Refusal> {
        let unverified: Unverified<Report> = wire::decode_shared(payload, self.max_len)
            .map_err(|error| Refusal::silent(error.reason(), service::Chain(&error).to_string()))?;
        let claimed = unverified.claimed();
        self.check_topic(topic, claimed)?;
        self.check_owner(claimed)?;
        match self.roster.meter(&claimed.meter) {
            Some(entry) => Ok(Candidate { unverified, entry }),
            None => {
                let detail = format!("the roster has no meter {}", claimed.meter);
                Err(Refusal::silent(Reason::UnknownMeter, detail))
            }
        }
    }

    /// The checks after the signature's.
    pub(crate) fn judge(
        &self,
        entry: EnrolledMeter<'_>,
        opened: Result<Opened<Report>, WireError>,
    ) -> Result<Admitted, Refusal> {
        let Opened {
            message: report,
            limbs,
            digest,
        } = opened
            .map_err(|error| Refusal::silent(error.reason(), service::Chain(&error).to_string()))?;
        let address = Address {
            feeder: entry.feeder.clone(),
            gateway: entry.gateway.clone(),
            meter: report.meter.clone(),
            window: report.window,
            digest,
        };
        let checked = if report.feeder != *entry.feeder {
            Err((
                Reason::WrongFeeder,
                format!("meter {} is on feeder {}", report.meter, entry.feeder),
            ))
        } else if report.gateway != *entry.gateway {
            Err((
                Reason::WrongGateway,
                format!("meter {} is behind gateway {}", report.meter, entry.gateway),
            ))
        } else {
            self.check_plan(&report).and_then(|setting| {
                self.check_time(&report)?;
                let profile = self.check_ciphertext(setting, &limbs)?;
                let billed = self.billed(&entry, report.window, profile);
                Ok((profile, setting.max_meters, billed))
            })
        };
        match checked {
            Ok((profile, max_meters, billed)) => Ok(Admitted {
                report,
                limbs,
                address,
                number: entry.number,
                profile,
                max_meters,
                billed,
            }),
            Err((reason, detail)) => Err(Refusal {
                reason,
                detail: detail.into(),
                // A gateway with a newer plan than ours is right; it tries again until the plan has come here too.
                address: (reason != Reason::UnknownPlan).then_some(address),
                signed: Some(Box::new(Signed {
                    report,
                    limbs,
                    number: entry.number,
                })),
            }),
        }
    }
}
