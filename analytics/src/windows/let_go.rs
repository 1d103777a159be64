//! Feeders that another process has from now on: nothing of them stays in memory, and nothing is written.

use wire::FeederId;

use super::Windows;

impl Windows {
    /// Forgets all that is known of the feeders, and what changed of them since the last commit.
    pub(crate) fn let_go(&mut self, is_gone: &dyn Fn(&FeederId) -> bool) {
        let gone: Vec<FeederId> = self
            .feeders
            .keys()
            .filter(|id| is_gone(id))
            .cloned()
            .collect();
        gone.iter().for_each(|id| self.forget(id));
        self.away.retain(|id, _| !is_gone(id));
        self.open.retain(|key| !is_gone(&key.feeder));
        self.divided.retain(|key| !is_gone(&key.feeder));
        self.hot.retain(|key| !is_gone(&key.feeder));
        self.changes.let_go(is_gone);
    }
}
