//! When nothing is sealed, although there is a plan.
//!
//! * The plan has ended. A broker that withholds a newer one, with another key, would else keep the gateway sealing under the
//!   old key for ever. Nothing is sent either: what was sealed before the end and has not left yet is under that key, too.
//! * The plan's minimum group is below this gateway's own floor.
//! * An analytics service says that reports under the newest plan here are of the wrong key epoch: it has a newer plan.
//!   Nothing is sealed for that service until this gateway has it, too: see `stopped`.
//!
//! The end counts by this machine's clock. One that is late seals for as much longer; one that is early by more than the
//! plan's term seals nothing.

use service::clock::shown;
use service::failpoint;
use wire::Reason;

use super::Gateway;
use crate::metrics;
use crate::notices::Notice;

/// Why nothing is sealed or sent under the plan that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// It has ended.
    Stale,
    /// Its `min_meters` is below `meter.min_meters_floor`.
    MinMeters,
}

impl Pause {
    fn said(self) -> &'static str {
        match self {
            Self::Stale => {
                "nothing is sealed or sent: the plan has ended and was not renewed. Readings wait in the journal. See that the \
                 operator runs and that what it publishes reaches this gateway, and check this machine's clock"
            }
            Self::MinMeters => {
                "nothing is sealed or sent: plan.min_meters is below meter.min_meters_floor. Readings wait in the journal until the \
                 operator raises it"
            }
        }
    }
}

impl Gateway {
    /// Whether nothing is to be sealed or sent now. Says so when that changes.
    pub(super) fn is_paused(&mut self) -> bool {
        let pause = self.pause();
        if pause != self.sealing.pause {
            self.say_pause(pause);
            self.sealing.pause = pause;
        }
        metrics::plan::paused(pause.is_some() || self.outbox.is_stopped());
        pause.is_some()
    }

    fn pause(&self) -> Option<Pause> {
        let held = self.session.keeper.current()?;
        let is_below = held.plan.min_meters < self.settings.meter.min_meters_floor;
        if is_below && !failpoint::sabotaged("min_meters_floor") {
            return Some(Pause::MinMeters);
        }
        let stale = self.session.keeper.is_stale(self.clock.now());
        (stale && !failpoint::sabotaged("plan_expiry")).then_some(Pause::Stale)
    }

    fn say_pause(&mut self, pause: Option<Pause>) {
        let Some(held) = self.session.keeper.current() else {
            return;
        };
        let version = held.plan.version;
        let said = pause.map(|pause| pause.said().to_owned());
        self.notices.say(Notice::Sealing, said);
        match pause {
            None => tracing::info!(%version, "sealing goes on"),
            Some(Pause::Stale) => tracing::error!(
                %version, ended = shown(self.session.keeper.valid_until().unwrap_or_default()),
                "{}", Pause::Stale.said()
            ),
            Some(Pause::MinMeters) => tracing::error!(
                %version, min_meters = held.plan.min_meters, floor = self.settings.meter.min_meters_floor,
                "{}", Pause::MinMeters.said()
            ),
        }
    }

    /// A report that is as the newest plan here asks was refused for that plan.
    pub(super) fn refused_under_newest(&mut self, meter: usize, reason: Reason) {
        if reason != Reason::WrongEpoch || !self.stop_sealing(meter) {
            return;
        }
        let version = self.sealing.sealer.as_ref().map(|one| one.plan().version);
        tracing::error!(
            feeder = %self.fleet.members[meter].feeder, version = version.unwrap_or_default().0, %reason,
            "nothing more is sealed for this feeder's analytics service: it says that there is a newer key than this \
             gateway's plan has. Readings wait in the journal; see that the operator's newest plan reaches this gateway"
        );
    }
}
