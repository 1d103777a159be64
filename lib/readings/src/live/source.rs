//! A feed as a gateway asks for it: interval by interval.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::UnixSeconds;

use super::feed::Feed;
use crate::{MeterSpec, Reading, Source, SourceError};

/// A [`Feed`] that is fed from one side and read from the other. There is none until the gateway knows the plan's intervals.
#[derive(Debug, Clone, Default)]
pub struct SharedFeed(Arc<Mutex<Option<Feed>>>);

impl SharedFeed {
    /// The feed, for as long as the guard is held.
    pub fn lock(&self) -> MutexGuard<'_, Option<Feed>> {
        // A feed is whole after every call: a panic in between left nothing half done that a later answer depends on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The meters that feed a [`SharedFeed`], as a source of intervals.
#[derive(Debug)]
pub struct LiveSource {
    meters: Vec<MeterSpec>,
    feed: SharedFeed,
}

impl LiveSource {
    /// The source of `feed`, whose meters are these.
    #[must_use]
    pub fn new(meters: Vec<MeterSpec>, feed: SharedFeed) -> Self {
        Self { meters, feed }
    }
}

impl Source for LiveSource {
    fn meters(&self) -> &[MeterSpec] {
        &self.meters
    }

    fn read(
        &mut self,
        interval_start: UnixSeconds,
        _interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError> {
        out.clear();
        if let Some(feed) = &*self.feed.lock() {
            out.extend(feed.interval(interval_start.0).readings);
        }
        // Where there is no feed, nothing was said.
        out.resize(self.meters.len(), Reading::Missing);
        Ok(())
    }
}
