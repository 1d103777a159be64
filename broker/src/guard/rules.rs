//! What an identity may publish and subscribe to: pure, without I/O.

use super::identity::Identity;

impl Identity {
    /// Whether it may publish to a topic, which is ASCII, not empty, without wildcards and not below `$`.
    pub(crate) fn may_publish(&self, _topic: &str, _retain: bool) -> bool {
        true
    }

    /// Whether it may subscribe to a filter, which is valid ASCII and not below `$`.
    pub(crate) fn may_subscribe(&self, _filter: &str) -> bool {
        true
    }

    /// Whether messages of this filter wait until this client acknowledges earlier ones, instead of being dropped.
    pub(crate) fn is_required(&self, filter: &str) -> bool {
        filter.ends_with("/report")
    }
}
