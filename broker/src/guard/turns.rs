//! Whose turn it is to hand messages on that waited: publishers stand in line, and each hands on a share before the next does.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

/// What one publisher hands on before others that wait; one message at least. Bytes.
pub(super) const SHARE: u64 = 256 << 10;

/// A publisher's place among those whose messages wait.
#[derive(Default)]
pub(super) struct Turn {
    /// Lower ones are first. Nothing while none of its messages waits, and after its share.
    pub(super) number: Option<u64>,
    /// Bytes of its share that it has handed on.
    pub(super) passed: u64,
    /// Whether it stands in line, so that nobody passes it: never while anything else than room keeps it from going on.
    pub(super) stands: bool,
    /// Called once there is room for its message, and it is first.
    pub(super) called: Arc<Notify>,
}

/// Those who wait for room in one log, by their number: how large their next message is, and whom to call.
#[derive(Default)]
pub(super) struct Line(BTreeMap<u64, (u64, Arc<Notify>)>);

impl Line {
    /// Whether nobody is in front.
    pub(super) fn lets_pass(&self, turn: &Turn) -> bool {
        let first = self.0.first_key_value();
        first.is_none_or(|(first, _)| turn.number.is_some_and(|own| own <= *first))
    }

    /// Whether it did not stand here.
    pub(super) fn enter(&mut self, number: u64, size: u64, called: &Arc<Notify>) -> bool {
        let before = self.0.insert(number, (size, Arc::clone(called)));
        before.is_none()
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.0.remove(&number);
    }

    /// Calls the first, if there is room for its message.
    pub(super) fn call(&self, has_room: impl FnOnce(u64) -> bool) {
        if let Some((_, (size, called))) = self.0.first_key_value()
            && has_room(*size)
        {
            called.notify_one();
        }
    }

    /// Calls all of them: nobody has to wait here any more.
    pub(super) fn dissolve(&self) {
        self.0.values().for_each(|(_, called)| called.notify_one());
    }
}
