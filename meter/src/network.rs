//! An emulated network between a gateway and its broker.
//!
//! For each message that a gateway publishes, the emulator says which copies of it to send, and how long after.
//!
//! # Rules
//! * A message is lost with probability `loss`: no copy of it is sent.
//! * One that is not lost is sent once, and with probability `duplicate` a second time.
//! * Each copy is sent after `latency` plus a time between zero and `jitter`, evenly distributed, so that messages
//!   that follow each other within `jitter` can change places.
//! * The fate of the n-th message follows from the seed and n. It does not depend on the other settings:
//!   a message lost at a loss of 1 % is lost at 2 % too.

use std::{iter, time::Duration};

use crate::source::mix;

/// What the network does to messages. The default is to deliver them at once, all of them, once.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NetworkOptions {
    /// The least time before a copy is sent.
    pub latency: Duration,
    /// What is added to it, at most.
    pub jitter: Duration,
    /// Probability in [0, 1] that a message is lost.
    pub loss: f64,
    /// Probability in [0, 1] that a message that is not lost is sent twice.
    pub duplicate: f64,
    /// Seed of all of these decisions.
    pub seed: u64,
}

/// A setting is not possible.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("network {name} is {value}: a probability is between 0 and 1")]
pub struct NetworkError {
    /// Which setting.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

/// A network that delays, loses and duplicates.
#[derive(Debug, Clone)]
pub struct Network {
    options: NetworkOptions,
    sent: u64,
}

impl Network {
    /// A network on which nothing was sent yet.
    ///
    /// # Errors
    /// A loss or duplication outside [0, 1].
    pub fn new(options: NetworkOptions) -> Result<Self, NetworkError> {
        for (name, value) in [("loss", options.loss), ("duplicate", options.duplicate)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(NetworkError { name, value });
            }
        }
        Ok(Self { options, sent: 0 })
    }

    /// Whether every message is delivered at once and once, so that a caller can go without.
    pub fn is_perfect(&self) -> bool {
        let NetworkOptions {
            latency,
            jitter,
            loss,
            duplicate,
            seed: _,
        } = self.options;
        latency.is_zero() && jitter.is_zero() && loss == 0.0 && duplicate == 0.0
    }

    /// How long after now to send each copy of the next message: nothing if it is lost, two delays if it is
    /// duplicated. The second may be the shorter one.
    pub fn deliveries(&mut self) -> impl Iterator<Item = Duration> + use<> {
        let options = self.options;
        let message = mix::hash(options.seed, self.sent);
        self.sent += 1;
        let draw = move |n| mix::unit(mix::hash(message, n));
        let copies = match (draw(0) < options.loss, draw(1) < options.duplicate) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        iter::successors(Some(2), |n| Some(n + 1))
            .take(copies)
            .map(move |n| options.latency + options.jitter.mul_f64(draw(n)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn fates(options: NetworkOptions, n: usize) -> Vec<Vec<Duration>> {
        let mut network = Network::new(options).unwrap();
        (0..n).map(|_| network.deliveries().collect()).collect()
    }

    #[test]
    fn a_perfect_network_delivers_once_and_at_once() {
        let options = NetworkOptions::default();
        assert!(Network::new(options).unwrap().is_perfect());
        assert!(fates(options, 1_000).iter().all(|f| f == &[Duration::ZERO]));
    }

    #[test]
    fn rates_are_those_asked_for() {
        let options = NetworkOptions {
            latency: 20 * MS,
            jitter: 10 * MS,
            loss: 0.1,
            duplicate: 0.2,
            seed: 7,
        };
        assert!(!Network::new(options).unwrap().is_perfect());
        let n = 100_000;
        let fates = fates(options, n);
        let share = |copies| fates.iter().filter(|f| f.len() == copies).count() as f64 / n as f64;
        assert!((share(0) - 0.1).abs() < 0.005);
        assert!((share(2) - 0.18).abs() < 0.005);
        let delays: Vec<f64> = fates.iter().flatten().map(Duration::as_secs_f64).collect();
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        assert!((mean - 0.025).abs() < 0.000_1, "{mean}");
        assert!(fates.iter().any(|f| matches!(f[..], [a, b] if b < a)));
    }

    #[test]
    fn extremes_are_exact() {
        let lost = NetworkOptions {
            loss: 1.0,
            duplicate: 1.0,
            ..Default::default()
        };
        assert!(fates(lost, 1_000).iter().all(Vec::is_empty));
        let doubled = NetworkOptions { loss: 0.0, ..lost };
        assert!(fates(doubled, 1_000).iter().all(|f| f.len() == 2));
    }

    #[test]
    fn impossible_settings_are_named() {
        for value in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let options = NetworkOptions {
                duplicate: value,
                ..Default::default()
            };
            let error = Network::new(options).unwrap_err();
            assert_eq!(error.name, "duplicate");
            assert!(error.to_string().contains(&value.to_string()));
        }
    }

    proptest! {
        #[test]
        fn a_fate_follows_from_seed_and_place(
            seed: u64,
            loss in 0.0..=1.0,
            more in 0.0..=1.0,
            duplicate in 0.0..=1.0,
            latency_ms in 0u32..1_000,
            jitter_ms in 0u32..1_000,
        ) {
            let options = NetworkOptions {
                latency: latency_ms * MS,
                jitter: jitter_ms * MS,
                loss,
                duplicate,
                seed,
            };
            let first = fates(options, 50);
            prop_assert_eq!(&first, &fates(options, 50));
            for delay in first.iter().flatten() {
                prop_assert!((options.latency..=options.latency + options.jitter).contains(delay));
            }
            let worse = fates(NetworkOptions { loss: f64::max(loss, more), ..options }, 50);
            for (a, b) in first.iter().zip(&worse) {
                prop_assert!(b.is_empty() || a == b);
            }
        }
    }
}
