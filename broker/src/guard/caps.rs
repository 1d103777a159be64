//! How much of everything there may be, and permits that are given back when they are dropped.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use service::config::Broker;

/// What has permits. Each is counted under its name in the metric of refusals.
pub(super) struct Caps {
    connections: usize,
    per_address: usize,
    per_identity: usize,
    rate: u32,
    handshakes: usize,
    handshakes_per_address: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
    handshakes: usize,
    /// Of these, by address.
    shaking: HashMap<IpAddr, usize>,
    identities: HashMap<String, Use>,
}

struct Use {
    connections: usize,
    bucket: Arc<Mutex<Bucket>>,
}

/// A connection that counts until it is dropped.
pub(super) struct Connection {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
}

/// A client that has not said who it is, which counts until it is dropped.
pub(super) struct Handshake {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
}

/// A connection of an identity, which counts until it is dropped, and the rate it shares with the others of that identity.
pub(super) struct Share {
    open: Arc<Mutex<Open>>,
    identity: String,
    bucket: Arc<Mutex<Bucket>>,
    rate: u32,
}

impl Caps {
    pub(super) fn new(settings: &Broker) -> Self {
        Self {
            connections: settings.max_connections,
            per_address: settings.max_connections_per_address,
            per_identity: settings.max_connections_per_identity,
            rate: settings.max_messages_per_second,
            handshakes: settings.max_handshakes,
            handshakes_per_address: settings.max_handshakes_per_address,
            open: Arc::default(),
        }
    }

    /// A permit for a connection from an address, or the reason why there is none.
    pub(super) fn connect(&self, address: IpAddr) -> Result<Connection, &'static str> {
        let address = counted(address);
        let mut open = lock(&self.open);
        if open.total >= self.connections {
            return Err("connections");
        }
        let here = open.addresses.entry(address).or_default();
        if *here >= self.per_address {
            return Err("address");
        }
        *here += 1;
        open.total += 1;
        Ok(Connection {
            open: self.open.clone(),
            address,
        })
    }

    /// A permit for one more client that has not said who it is.
    pub(super) fn handshake(&self, address: IpAddr) -> Result<Handshake, &'static str> {
        let address = counted(address);
        let mut open = lock(&self.open);
        if open.handshakes >= self.handshakes {
            return Err("handshakes");
        }
        let here = open.shaking.entry(address).or_default();
        if *here >= self.handshakes_per_address {
            return Err("handshakes_of_address");
        }
        *here += 1;
        open.handshakes += 1;
        Ok(Handshake {
            open: self.open.clone(),
            address,
        })
    }

    /// A permit for one more connection of an identity.
    pub(super) fn identify(&self, identity: &str) -> Result<Share, &'static str> {
        let mut open = lock(&self.open);
        let used = open
            .identities
            .entry(identity.to_owned())
            .or_insert_with(|| Use {
                connections: 0,
                bucket: Arc::new(Mutex::new(Bucket::full(self.rate))),
            });
        if used.connections >= self.per_identity {
            return Err("identity");
        }
        used.connections += 1;
        Ok(Share {
            open: self.open.clone(),
            identity: identity.to_owned(),
            bucket: used.bucket.clone(),
            rate: self.rate,
        })
    }

    pub(super) fn connected(&self) -> usize {
        lock(&self.open).total
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.total -= 1;
        one_less(&mut open.addresses, &self.address);
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.handshakes -= 1;
        one_less(&mut open.shaking, &self.address);
    }
}

/// Counts one less; what there is none of is forgotten.
pub(super) fn one_less<K: Hash + Eq>(counts: &mut HashMap<K, usize>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}

impl Share {
    /// Takes so many messages out of what the identity may publish, and says how long to wait before the next.
    pub(super) fn published(&self, messages: u32) -> Duration {
        lock(&self.bucket).take(messages, self.rate, Instant::now())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(used) = open.identities.get_mut(&self.identity) {
            used.connections -= 1;
            if used.connections == 0 {
                open.identities.remove(&self.identity);
            }
        }
    }
}

/// A second's messages at once, and then so many a second.
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: u32) -> Self {
        Self {
            left: f64::from(rate),
            at: Instant::now(),
        }
    }

    fn take(&mut self, messages: u32, rate: u32, now: Instant) -> Duration {
        let rate = f64::from(rate);
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate).min(rate) - f64::from(messages);
        self.at = now;
        Duration::from_secs_f64((-self.left).max(0.0) / rate)
    }
}

/// Whoever has one address of IPv6 has all of its /64.
pub(super) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// A panic elsewhere leaves counts that are right: each is changed in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps() -> Caps {
        let mut settings = service::Settings::defaults().broker;
        settings.max_connections = 3;
        settings.max_connections_per_address = 2;
        settings.max_connections_per_identity = 1;
        (settings.max_handshakes, settings.max_handshakes_per_address) = (2, 1);
        Caps::new(&settings)
    }

    #[test]
    fn each_permit_has_its_limit_and_comes_back() {
        let caps = caps();
        let [one, two]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|it| it.parse().unwrap());
        let first = caps.connect(one).ok();
        let _second = caps.connect(one).ok();
        assert_eq!(caps.connect(one).err(), Some("address"));
        let _third = caps.connect(two).ok();
        assert_eq!(caps.connect(two).err(), Some("connections"));
        drop(first);
        assert!(caps.connect(one).is_ok());

        let share = caps.identify("a").ok();
        assert_eq!(caps.identify("a").err(), Some("identity"));
        assert!(caps.identify("b").is_ok());
        drop(share);
        assert!(caps.identify("a").is_ok());

        let handshake = caps.handshake(one).ok();
        assert_eq!(caps.handshake(one).err(), Some("handshakes_of_address"));
        let _other = caps.handshake(two).ok();
        let third = "127.0.0.1".parse().unwrap();
        assert_eq!(caps.handshake(third).err(), Some("handshakes"));
        drop(handshake);
        assert!(caps.handshake(one).is_ok());
    }

    #[test]
    fn addresses_of_one_subnet_of_ipv6_share_their_limit() {
        let caps = caps();
        let at = |address: &str| caps.connect(address.parse().unwrap());
        let _held = [at("2001:db8::1"), at("2001:db8::2")];
        assert_eq!(at("2001:db8::3").err(), Some("address"));
        assert!(at("2001:db8:0:1::1").is_ok());
    }

    #[test]
    fn a_second_of_messages_passes_at_once_and_more_must_wait() {
        let mut bucket = Bucket::full(100);
        let start = bucket.at;
        assert_eq!(bucket.take(100, 100, start), Duration::ZERO);
        assert_eq!(bucket.take(50, 100, start), Duration::from_millis(500));
        let later = start + Duration::from_secs(1);
        assert_eq!(bucket.take(50, 100, later), Duration::ZERO);
        assert_eq!(bucket.take(1, 100, later), Duration::from_millis(10));
    }
}
