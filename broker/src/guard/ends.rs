//! When certificates end, for whoever must make new ones before that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::gauge;
use service::telemetry::register;

use super::caps::lock;

const VALID_UNTIL: &str = "cipherwatt_broker_certificate_valid_until_seconds";

/// Whose certificates: the broker's own with those that lead to its authority, the authorities' that sign its clients', and those
/// of the clients that are connected.
pub(super) const OWN: &str = "broker";
pub(super) const AUTHORITIES: &str = "authorities";
const CLIENTS: &str = "clients";

pub(super) fn describe() {
    register::gauges(
        VALID_UNTIL,
        "When the first certificate ends: the broker's, its clients' authorities', or connected clients'; 0: there is none",
        "certificate",
        [OWN, AUTHORITIES, CLIENTS],
    );
}

/// Says when the first certificate of a kind ends, if there is one.
pub(super) fn announce(whose: &'static str, until: Option<SystemTime>) {
    let since = until.and_then(|until| until.duration_since(UNIX_EPOCH).ok());
    let seconds = since.map_or(0, |since| since.as_secs());
    gauge!(VALID_UNTIL, "certificate" => whose).set(seconds as f64);
}

/// When the certificates of connected clients end, and how many at each time.
#[derive(Default)]
pub(super) struct Ends(Arc<Mutex<BTreeMap<SystemTime, usize>>>);

/// The end of one of them, which counts until it is dropped.
pub(super) struct End {
    all: Arc<Mutex<BTreeMap<SystemTime, usize>>>,
    until: SystemTime,
}

impl Ends {
    pub(super) fn enter(&self, until: SystemTime) -> End {
        let mut all = lock(&self.0);
        *all.entry(until).or_default() += 1;
        show(&all);
        End {
            all: Arc::clone(&self.0),
            until,
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        if let Some(count) = all.get_mut(&self.until) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.until);
            }
        }
        show(&all);
    }
}

fn show(all: &BTreeMap<SystemTime, usize>) {
    let first = all.first_key_value().map(|(until, _)| *until);
    announce(CLIENTS, first);
}
