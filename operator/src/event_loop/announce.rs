//! Telling what became of a sum: to whoever released it, the observer, the metrics and the log.

use bytes::Bytes;
use tokio::time::Instant;
use wire::{FeederId, MeterId, Part, Reason, Sum, WindowStart};

use super::EventLoop;
use super::egress::Outgoing;
use super::say;
use crate::event::{Event, Excerpt};
use crate::metrics;
use crate::publish::line::Content;
use crate::publish::published::Published;
use crate::release::bills::{BillResult, BillVerdict};
use crate::release::report::FeederReport;
use crate::release::take_result::TakeResult;
use crate::search::collect::Judged;
use crate::search::searched::Searched;

impl EventLoop {
    /// Tells what became of a sum and returns its answer.
    pub(super) fn announce(&mut self, result: TakeResult) -> Outgoing {
        let after_taking = matches!(result, TakeResult::Taken { .. });
        Outgoing::answers(self.answers(result), after_taking)
    }

    fn answers(&mut self, result: TakeResult) -> Vec<(String, Bytes)> {
        match result {
            TakeResult::Taken {
                report,
                excerpt,
                messages,
                published,
                ..
            } => {
                self.published_of(&report, &published);
                self.taken(report, excerpt);
                messages
            }
            TakeResult::Duplicate { sum, message } => {
                self.duplicate(*sum);
                vec![message]
            }
            TakeResult::Divided {
                sum,
                message,
                judged,
            } => self.divided(*sum, message, judged).into_iter().collect(),
            TakeResult::Bill(result) => self.billed(result),
            TakeResult::Searched(searched) => {
                metrics::searched(&searched);
                say::searched(&searched);
                self.found(&searched);
                Vec::new()
            }
            TakeResult::Burnt {
                sum,
                meters,
                message,
            } => {
                metrics::burnt(meters.len());
                say::burnt(&sum, &meters);
                self.burnt(&sum, &meters);
                let window = Some((sum.window, sum.part));
                self.tell_rejected(sum.feeder, window, Reason::NotOpened);
                vec![message]
            }
            TakeResult::Rejected {
                feeder,
                window,
                reason,
                message,
            } => {
                metrics::rejected(reason);
                say::rejected(&feeder, window, reason);
                self.tell_rejected(feeder, window, reason);
                message.into_iter().collect()
            }
            TakeResult::NeedsHolders(needed) => {
                self.holders.ask(*needed, Instant::now());
                Vec::new()
            }
            TakeResult::Deferred => Vec::new(),
        }
    }

    fn duplicate(&self, sum: Sum) {
        metrics::duplicate();
        self.observer.tell(Event::Duplicate {
            feeder: sum.feeder,
            window: sum.window,
            part: sum.part,
        });
    }

    fn billed(&self, result: BillResult) -> Vec<(String, Bytes)> {
        match result.verdict {
            BillVerdict::Released(report) => {
                metrics::billed();
                tracing::info!(
                    feeder = %report.feeder, period = report.period_start.0, windows = report.windows, "bill written"
                );
                self.observer.tell(Event::Billed(report));
            }
            BillVerdict::Rejected(reason) => {
                metrics::bill_rejected(reason);
                service::warn_limited!(reason = reason; "a bill was rejected");
            }
            BillVerdict::Duplicate | BillVerdict::Deferred => {}
        }
        result.message.into_iter().collect()
    }

    /// Who spoils sums is out of service until a person decides.
    fn found(&mut self, searched: &Searched) {
        if !searched.culprits.is_empty() || !searched.together.is_empty() || searched.sum_differs {
            let (feeder, window) = (&searched.feeder, searched.window_start);
            self.suspects.explained(feeder, window);
        }
        self.enrolment.put_out(&searched.feeder, &searched.culprits);
    }

    /// The meters of a part that did not open stay, but for one that the parts of several windows isolate.
    fn burnt(&mut self, sum: &Sum, meters: &[MeterId]) {
        // It has the same meters in every window, so that windows isolate nobody.
        if sum.rest.is_some() {
            return;
        }
        let members = self.enrolment.registry.roster.members(&sum.feeder);
        let of = members.expected(sum.window);
        let isolated = self.suspects.burnt(&sum.feeder, sum.window, meters, of);
        if !isolated.is_empty() {
            tracing::error!(
                feeder = %sum.feeder, window = sum.window.0, meters = say::named(&isolated),
                "these meters were in every part that did not open, over so many windows that it is hardly chance"
            );
            self.enrolment.put_out(&sum.feeder, &isolated);
        }
    }

    fn taken(&mut self, report: Box<FeederReport>, excerpt: Excerpt) {
        metrics::taken(&report);
        self.releases += 1;
        self.feeders.taken(&report);
        let of_rest = report.rest.iter().map(|share| &share.feeder);
        let alone = report.rest.is_empty().then_some(&report.feeder);
        for feeder in of_rest.chain(alone) {
            self.rotation.released(feeder, report.window_start);
        }
        self.observer.tell(Event::Ciphertext {
            feeder: report.feeder.clone(),
            window: report.window_start,
            part: report.part,
            excerpt,
        });
        self.observer.tell(Event::Released(report));
    }

    /// What recipients get of a total, and what is left for them.
    fn published_of(&mut self, report: &FeederReport, published: &Published) {
        for stored in &published.lines {
            metrics::noisy(&stored.line);
            if let Content::Refused { refused } = stored.line.content {
                let (feeder, window, part) = (&report.feeder, report.window_start.0, report.part.0);
                tracing::warn!(
                    %feeder, window, part, recipient = %stored.key.recipient, reason = refused.as_str(),
                    "no noisy total is published of this window"
                );
            }
        }
        if let Some(left) = published.left {
            // What holders let pass they say themselves.
            if report.noise().is_none() {
                self.feeders.budget_left(&report.feeder, left);
            }
            self.observer.tell(Event::BudgetLeft {
                feeder: report.feeder.clone(),
                epsilon: left,
            });
        }
    }

    fn tell_rejected(&self, feeder: FeederId, window: Option<(WindowStart, Part)>, reason: Reason) {
        self.observer.tell(Event::Rejected {
            feeder,
            window,
            reason,
        });
    }

    /// Returns the answer, unless it waits until somebody listens to the reports that it brings.
    fn divided(
        &mut self,
        sum: Sum,
        message: (String, Bytes),
        judged: Option<Box<Judged>>,
    ) -> Option<(String, Bytes)> {
        if judged.is_none() && self.searches.holds(&sum) {
            return None;
        }
        let (feeder, window, part) = (&sum.feeder, sum.window.0, sum.part.0);
        if let Some(replaces) = sum.replaces {
            tracing::warn!(
                %feeder, window, part, replaces = replaces.0,
                "a part has meters that spoil sums: it is not opened, and analytics is to send it again without them"
            );
        } else {
            metrics::divided();
            tracing::warn!(
                %feeder, window, part, contributors = sum.contributors(),
                "a sum did not open: analytics is to send it again in disjoint parts, without whoever is found to spoil it; a part that \
                 does not open either has the meter that does"
            );
        }
        let message = match judged {
            Some(judged) => self.searches.ask(*judged, message),
            None => Some(message),
        };
        self.observer.tell(Event::Divided {
            feeder: sum.feeder,
            window: sum.window,
            part: sum.part,
        });
        message
    }
}
