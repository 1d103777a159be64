//! How a connection ends: what was accepted is flushed, and nobody waits for long.

use tokio::time::{Duration, Instant};

use super::Link;
use crate::mqtt::CLOSE_GRACE;

/// How long the broker may take to close its end.
const LAST_PACKET: Duration = Duration::from_secs(1);

/// How far the end of the connection has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// In use.
    Open,
    /// The stop has fired: the inbox has ended, publishers may finish.
    Stopped { until: Instant },
    /// Nothing more is accepted; what was accepted awaits its acknowledgement.
    Flushing { until: Instant },
    /// The last packet is on its way.
    Disconnecting { until: Instant },
    /// Nothing is left to do.
    Ended,
}

impl Phase {
    /// When this phase ends at the latest.
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Open | Self::Ended => None,
            Self::Stopped { until } | Self::Flushing { until } | Self::Disconnecting { until } => {
                Some(until)
            }
        }
    }

    /// Whether nothing more is accepted and no new connection is worth an attempt.
    pub(super) fn is_ending(self) -> bool {
        !matches!(self, Self::Open | Self::Stopped { .. })
    }
}

impl Link {
    /// Moves the end of the connection on as far as it can go now.
    pub(super) async fn wind_down(&mut self) {
        let now = Instant::now();
        if self.phase == Phase::Open && self.stop.is_stopped() {
            self.shared.end();
            self.phase = Phase::Stopped {
                until: now + CLOSE_GRACE,
            };
        }
        let unused = self.publishers_gone && self.inbox_gone;
        let finished = match self.phase {
            Phase::Open => unused || *self.closed.borrow(),
            Phase::Stopped { until } => {
                self.publishers_gone || *self.closed.borrow() || now >= until
            }
            _ => false,
        };
        if finished {
            self.shared.end();
            self.outgoing.close();
            self.phase = Phase::Flushing {
                until: now + CLOSE_GRACE,
            };
        }
        if let Phase::Flushing { until } = self.phase {
            let flushed =
                self.in_flight.is_empty() && self.outgoing.is_empty() && self.acks.is_empty();
            if !self.up {
                self.phase = Phase::Ended;
            } else if flushed || now >= until {
                // There is always room for a request.
                let _ = self.client.disconnect().await;
                self.phase = Phase::Disconnecting {
                    until: now + LAST_PACKET,
                };
            }
        }
        // A broker that was told to stop at the same time may have closed its end first.
        if let Phase::Disconnecting { until } = self.phase
            && (now >= until || !self.up)
        {
            self.phase = Phase::Ended;
        }
    }
}
