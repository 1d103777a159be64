//! The loop that takes the rates of this process.

use std::collections::VecDeque;
use std::time::Duration;

use service::Stop;
use tokio::time::MissedTickBehavior;

use crate::rates::{Metrics, Rates};
use crate::sample::Sample;
use crate::state::Live;

/// How often rates are taken.
const TICK: Duration = Duration::from_millis(500);

/// What rates and latencies are taken over.
const SPAN: Duration = Duration::from_secs(5);

/// Shows the rates of this process on its page until the stop fires, twice a second.
pub async fn watch(live: Live, metrics: &'static Metrics, stop: Stop) {
    let mut recent: VecDeque<Sample> = VecDeque::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            _ = tick.tick() => {}
        }
        let now = Sample::take();
        while recent
            .front()
            .is_some_and(|oldest| now.at - oldest.at > SPAN)
        {
            recent.pop_front();
        }
        live.rates(Rates::between(recent.front(), &now, metrics));
        recent.push_back(now);
    }
}
