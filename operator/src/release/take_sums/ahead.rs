//! Mask keys that are agreed on before the first sum of their meters comes.
//!
//! An agreement takes some 35 µs, once a meter and key epoch. Where it waited for the first sum, that of a large feeder would take
//! seconds, and so would the first window of every feeder after a change of epoch.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::SumTaker;
use crate::release::take_result::{Unagreed, Work};
use crate::release::totals::COMMIT_MAX;

/// Meters looked at between two looks for work: about 5 ms.
const AT_ONCE: u32 = 128;

/// Meters whose mask keys are still to be agreed on.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    feeders: VecDeque<Unagreed>,
    /// The number of the next meter of the first feeder.
    next: u32,
}

impl Ahead {
    pub(super) fn new(feeders: Vec<Unagreed>) -> Self {
        Self {
            feeders: feeders.into(),
            next: 0,
        }
    }
}

impl SumTaker {
    /// Waits for work, and agrees on mask keys meanwhile. `false` once there will be none.
    pub(super) fn next_group(
        &mut self,
        queue: &mut mpsc::Receiver<Work>,
        group: &mut Vec<Work>,
    ) -> bool {
        while !self.ahead.feeders.is_empty() {
            match queue.try_recv() {
                Ok(work) => {
                    group.push(work);
                    while group.len() < COMMIT_MAX
                        && let Ok(work) = queue.try_recv()
                    {
                        group.push(work);
                    }
                    return true;
                }
                Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => self.agree_ahead(),
            }
        }
        queue.blocking_recv_many(group, COMMIT_MAX) > 0
    }

    pub(super) fn agree_ahead(&mut self) {
        let Some(unagreed) = self.ahead.feeders.front() else {
            return;
        };
        let numbers = unagreed.members.next_number();
        let end = numbers.min(self.ahead.next + AT_ONCE);
        self.opener.agree(unagreed, self.ahead.next..end);
        self.ahead.next = end;
        if end == numbers {
            self.ahead.feeders.pop_front();
            self.ahead.next = 0;
        }
    }
}
