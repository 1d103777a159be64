//! Whether a client that was let in would still be, now that users and certificates were read again.

use tokio::sync::watch;

use super::access::{Access, Proof};
use super::ends::{End, Ends};
use super::tls;

/// How a client stands that was let in.
pub(super) struct Standing {
    access: Access,
    proof: Proof,
    reloads: watch::Receiver<u64>,
    _end: Option<End>,
}

impl Standing {
    /// `reloads` is from before the client was let in, so that nothing is missed that was read meanwhile.
    pub(super) fn new(
        access: &Access,
        proof: Proof,
        reloads: watch::Receiver<u64>,
        ends: &Ends,
    ) -> Self {
        let end = match &proof {
            Proof::Certificates(chain) => tls::expiry(chain).map(|until| ends.enter(until)),
            Proof::Nothing | Proof::User(_) => None,
        };
        Self {
            access: access.clone(),
            proof,
            reloads,
            _end: end,
        }
    }

    /// Returns once the client would not be let in any more.
    pub(super) async fn lost(&self) {
        let mut reloads = self.reloads.clone();
        while reloads.changed().await.is_ok() {
            if !self.access.accepts(&self.proof) {
                return;
            }
        }
        // This has the sender, so it is not reached.
        std::future::pending().await
    }
}
