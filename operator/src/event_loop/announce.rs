//! Telling what became of a sum: to whoever released it, the observer, the metrics and the log.

use bytes::Bytes;
use service::telemetry::{Line, LogLimits};
use wire::{FeederId, MeterId, Part, Reason, Sum, WindowStart};

use super::EventLoop;
use super::egress::Outgoing;
use crate::event::Event;
use crate::metrics;
use crate::release::take_result::TakeResult;

impl EventLoop {
    /// Tells what became of a sum and returns its answer.
    pub(super) fn announce(&mut self, result: TakeResult) -> Outgoing {
        let after_taking = matches!(result, TakeResult::Taken { .. });
        Outgoing {
            messages: self.answers(result),
            retain: false,
            after_taking,
        }
    }

    fn answers(&mut self, result: TakeResult) -> Vec<(String, Bytes)> {
        match result {
            TakeResult::Taken {
                report,
                excerpt,
                messages,
                ..
            } => {
                metrics::taken(&report);
                self.releases += 1;
                self.feeders.taken(&report);
                self.rotation.released(&report.feeder, report.window_start);
                self.observer.tell(Event::Ciphertext {
                    feeder: report.feeder.clone(),
                    window: report.window_start,
                    part: report.part,
                    excerpt,
                });
                self.observer.tell(Event::Released(report));
                messages
            }
            TakeResult::Duplicate { sum, message } => {
                metrics::duplicate();
                self.observer.tell(Event::Duplicate {
                    feeder: sum.feeder,
                    window: sum.window,
                    part: sum.part,
                });
                vec![message]
            }
            TakeResult::Divided { sum, message } => {
                metrics::divided();
                tracing::warn!(
                    feeder = %sum.feeder, window = sum.window.0, part = sum.part.0, contributors = sum.contributors(),
                    "a sum did not open: analytics is to send it again in disjoint parts, of which the one that does not \
                     open either has the meter that spoils it"
                );
                self.observer.tell(Event::Divided {
                    feeder: sum.feeder,
                    window: sum.window,
                    part: sum.part,
                });
                vec![message]
            }
            TakeResult::Burnt {
                sum,
                meters,
                message,
            } => {
                metrics::burnt(meters.len());
                say_burnt(&sum, &meters);
                self.observer.tell(Event::Rejected {
                    feeder: sum.feeder,
                    window: Some((sum.window, sum.part)),
                    reason: Reason::NotOpened,
                });
                vec![message]
            }
            TakeResult::Rejected {
                feeder,
                window,
                reason,
                message,
            } => {
                metrics::rejected(reason);
                say_rejected(&feeder, window, reason);
                self.observer.tell(Event::Rejected {
                    feeder,
                    window,
                    reason,
                });
                message.into_iter().collect()
            }
            TakeResult::Deferred => Vec::new(),
        }
    }
}

/// Meters that are named in the log; the record beside the totals names all of them.
const NAMED: usize = 100;

fn say_burnt(sum: &Sum, meters: &[MeterId]) {
    let named = meters.iter().take(NAMED).map(MeterId::as_str);
    let named = named.collect::<Vec<_>>().join(" ");
    tracing::error!(
        feeder = %sum.feeder, window = sum.window.0, part = sum.part.0, replaces = ?sum.replaces.map(|part| part.0),
        contributors = meters.len(), meters = named,
        "a sum did not open, which is final: the readings of these meters in this window are lost, and one of them, its \
         gateway or analytics spoils sums. `totals.refused.jsonl` names all of them"
    );
}

/// Says that a sum was not taken, if it is worth a line.
fn say_rejected(feeder: &FeederId, window: Option<(WindowStart, Part)>, reason: Reason) {
    static LINES: LogLimits = LogLimits::new();
    let Some(Line { count, unlogged }) = LINES.line(reason) else {
        return;
    };
    let (start, part) = window.unzip();
    match reason {
        Reason::Conflict | Reason::AlreadyOpened => tracing::error!(
            %feeder, window = ?start, ?part, %reason, count, unlogged,
            "ALARM: a second, different sum for meters and a window that were in one already: the difference could \
             single meters out. It was not decrypted. Find out why analytics released twice"
        ),
        Reason::KeySpent => tracing::error!(
            %feeder, window = ?start, ?part, %reason, count, unlogged,
            "ALARM: as many sums of this key epoch did not open as operator.max_refusals allows, and more such answers could \
             give the key away: no sum of it is opened any more. Find out who spoils sums, then run `operator rotate`"
        ),
        _ => {
            tracing::warn!(%feeder, window = ?start, ?part, %reason, count, unlogged, "a sum was rejected");
        }
    }
}
