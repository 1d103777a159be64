//! Passwords that clients show, checked a few at a time.

use std::sync::Arc;

use accounts::Passwords;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Checks passwords. Each check takes 19 MiB and about 20 ms of a processor, so whoever may connect could otherwise use
/// up both.
#[derive(Debug)]
pub(super) struct Checker(Arc<Semaphore>);

impl Checker {
    pub(super) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Whether it is the user's password. A user that does not exist takes as long as one that does.
    ///
    /// Cancel safe: a client that leaves while it waits costs nothing.
    pub(super) async fn check(&self, users: &Passwords, user: &str, password: &[u8]) -> bool {
        let Some(hash) = users.hash(user) else {
            return false;
        };
        let Ok(permit) = Arc::clone(&self.0).acquire_owned().await else {
            return false;
        };
        let password = Zeroizing::new(password.to_vec());
        let checked = tokio::task::spawn_blocking(move || {
            let matches = accounts::matches(&password, &hash);
            drop(permit);
            matches
        });
        checked.await.unwrap_or(false)
    }
}
