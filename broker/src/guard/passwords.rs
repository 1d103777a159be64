//! Passwords that clients show, checked a few at a time.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use accounts::Passwords;
use tokio::sync::Semaphore;
use zeroize::{Zeroize as _, Zeroizing};

use super::caps::{counted, lock};

/// Checks passwords. Each check takes 19 MiB and about 20 ms of a processor, so whoever may connect could otherwise use
/// up both.
pub(super) struct Checker {
    at_once: usize,
    checks: Arc<Semaphore>,
    /// Each address queues for itself before it queues with the others, so that it is not in front of them with all its clients.
    queues: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
    right: Mutex<Right>,
}

/// Passwords that were right, so that a thousand gateways that come back do not wait for a thousand checks: of each user a
/// hash over its password and what the file has of it, under keys that nobody knows.
#[derive(Default)]
struct Right {
    keys: [RandomState; 2],
    users: HashMap<String, [u64; 2]>,
}

impl Checker {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            at_once,
            checks: Arc::new(Semaphore::new(at_once)),
            queues: Mutex::default(),
            right: Mutex::default(),
        }
    }

    /// Whether it is the user's password. A user that does not exist takes as long as one that shows a wrong one.
    ///
    /// Cancel safe: a client that leaves while it waits costs nothing.
    pub(super) async fn check(
        &self,
        users: &Passwords,
        (user, password): (&str, &[u8]),
        peer: IpAddr,
    ) -> bool {
        let Some(hash) = users.hash(user) else {
            return false;
        };
        let key = lock(&self.right).key(user, password, &hash.to_string());
        if lock(&self.right).users.get(user) == Some(&key) {
            return true;
        }
        let queue = Queue::of(self, counted(peer));
        let (Ok(_own), Ok(permit)) = (
            queue.own.acquire().await,
            Arc::clone(&self.checks).acquire_owned().await,
        ) else {
            return false;
        };
        let password = Zeroizing::new(password.to_vec());
        let checked = tokio::task::spawn_blocking(move || {
            let matches = accounts::matches(&password, &hash);
            drop(permit);
            matches
        });
        let right = checked.await.unwrap_or(false);
        if right {
            lock(&self.right).users.insert(user.to_owned(), key);
        }
        right
    }

    /// The users were read again.
    pub(super) fn forget(&self) {
        lock(&self.right).clear();
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}

impl Right {
    fn key(&self, user: &str, password: &[u8], hash: &str) -> [u64; 2] {
        let [one, other] = &self.keys;
        [one, other].map(|keys| keys.hash_one((user, password, hash)))
    }

    fn clear(&mut self) {
        self.users.values_mut().for_each(|key| key.zeroize());
        self.users.clear();
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The queue of an address, which is forgotten once nobody is in it.
struct Queue<'a> {
    checker: &'a Checker,
    address: IpAddr,
    own: Arc<Semaphore>,
}

impl<'a> Queue<'a> {
    fn of(checker: &'a Checker, address: IpAddr) -> Self {
        let mut queues = lock(&checker.queues);
        let own = queues.entry(address);
        let own = own.or_insert_with(|| Arc::new(Semaphore::new(checker.at_once)));
        Self {
            checker,
            address,
            own: Arc::clone(own),
        }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        let mut queues = lock(&self.checker.queues);
        // The map has one, and this.
        if Arc::strong_count(&self.own) == 2 {
            queues.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn users() -> Passwords {
        let mut users = Passwords::default();
        users
            .set(&"operator".parse().unwrap(), b"correct horse")
            .unwrap();
        users
    }

    const HERE: &str = "10.0.0.1";

    #[tokio::test]
    async fn a_password_that_was_right_is_not_checked_again_until_the_users_are_read() {
        let (checker, users) = (Checker::new(1), users());
        let check = |password: &'static [u8]| {
            let checked = checker.check(&users, ("operator", password), HERE.parse().unwrap());
            timeout(Duration::from_millis(200), checked)
        };
        let slow = checker.check(
            &users,
            ("operator", b"correct horse"),
            HERE.parse().unwrap(),
        );
        assert!(slow.await);
        let busy = checker.checks.clone().acquire_owned().await;
        assert_eq!(check(b"correct horse").await, Ok(true));
        assert!(
            check(b"correct horsf").await.is_err(),
            "it waits for a check"
        );
        checker.forget();
        assert!(
            check(b"correct horse").await.is_err(),
            "so does the right one"
        );
        drop(busy);
    }

    #[tokio::test]
    async fn one_address_has_no_more_checks_in_front_of_others_than_run_at_once() {
        let (checker, users) = (Arc::new(Checker::new(1)), users());
        let busy = checker.checks.clone().acquire_owned().await.unwrap();
        let wrong = |address: &'static str| {
            let (checker, users) = (checker.clone(), users.clone());
            tokio::spawn(async move {
                let login = ("operator", &b"correct horsf"[..]);
                checker.check(&users, login, address.parse().unwrap()).await
            })
        };
        let crowd: Vec<_> = (0..50).map(|_| wrong(HERE)).collect();
        tokio::task::yield_now().await;
        let other = wrong("10.0.0.2");
        tokio::task::yield_now().await;
        drop(busy);
        assert!(!other.await.unwrap());
        let waiting = crowd.iter().filter(|it| !it.is_finished()).count();
        assert!(waiting > 40, "{waiting} of 50 are behind it");
        crowd.iter().for_each(|it| it.abort());
        for client in crowd {
            let _ = client.await;
        }
        assert!(lock(&checker.queues).is_empty());
    }
}
