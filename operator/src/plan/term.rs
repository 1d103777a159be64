//! How long a plan is valid.

use std::time::Duration;

use wire::{MAX_UNIX_SECONDS, UnixMillis, UnixSeconds};

/// Renewals are made so many times in the term of a plan. Those in between are the same message again, which nobody has to
/// keep on disk anew.
const RENEWALS: u64 = 24;

/// How long a plan is valid without a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term(pub Duration);

impl Term {
    /// When a plan that is made or renewed `now` ends: after the whole term, less a 24th at most.
    pub(crate) fn end(self, now: UnixMillis) -> UnixSeconds {
        let step = (self.0.as_secs() / RENEWALS).max(1);
        let end = (now.0 / 1000).saturating_add(self.0.as_secs());
        UnixSeconds((end - end % step).min(MAX_UNIX_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_has_24_ends_and_none_is_much_too_soon() {
        let term = Term(Duration::from_secs(86_400));
        let at = |seconds: u64| term.end(UnixMillis(seconds * 1000)).0;
        assert_eq!(at(7_200), 93_600);
        assert_eq!(at(10_799), 93_600, "the same message for an hour");
        assert_eq!(at(10_800), 97_200);
        assert_eq!(Term(Duration::from_secs(60)).end(UnixMillis(1_999)).0, 60);
    }
}
