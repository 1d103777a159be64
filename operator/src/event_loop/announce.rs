//! Telling what became of a sum: to whoever released it, the observer, the metrics and the log.

use bytes::Bytes;
use service::telemetry::{Line, LogLimits};
use wire::{FeederId, Part, Reason, WindowStart};

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

/// Says that a sum was not taken, if it is worth a line.
fn say_rejected(feeder: &FeederId, window: Option<(WindowStart, Part)>, reason: Reason) {
    static LINES: LogLimits = LogLimits::new();
    let Some(Line { count, unlogged }) = LINES.line(reason) else {
        return;
    };
    let (start, part) = window.unzip();
    if reason == Reason::Conflict {
        tracing::error!(
            %feeder, window = ?start, ?part, count, unlogged,
            "ALARM: a second, different sum for a window that was taken: its difference to the first could \
             single meters out. It was not decrypted. Find out why analytics released twice"
        );
    } else {
        tracing::warn!(%feeder, window = ?start, ?part, %reason, count, unlogged, "a sum was rejected");
    }
}
