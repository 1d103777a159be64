//! Saying what is waited for, seldom enough.

use std::time::Duration;

use tokio::time::Instant;

/// How long after a text the same one is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Hint(Option<(String, Instant)>);

impl Hint {
    /// Whether the text is to be said now: it is new, or was said long ago.
    pub(super) fn is_due(&mut self, text: &str) -> bool {
        let said = self.0.as_ref();
        if said.is_some_and(|(said, at)| said == text && at.elapsed() < AGAIN) {
            return false;
        }
        self.0 = Some((text.to_owned(), Instant::now()));
        true
    }
}
