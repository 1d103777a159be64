//! The brokers of `mqtt.address`, tried in turn.

use rumqttc::MqttOptions;

use super::{LinkError, credentials};
use crate::Chain;
use crate::config::{Endpoint, Mqtt};

/// Packet ids beyond those in flight, so that an acknowledgement out of order does not make rumqttc wait
/// for a free one.
const SPARE_IDS: u16 = 32;

/// For one client: the brokers, and which of them it is connected to or tries next.
#[derive(Debug)]
pub(super) struct Brokers {
    settings: Mqtt,
    client_id: String,
    all: Vec<Endpoint>,
    at: usize,
    /// Connections that were lost or did not come about since the last long pause.
    lost: usize,
}

impl Brokers {
    pub(super) fn new(settings: &Mqtt, client_id: &str) -> Self {
        // Validated when the settings were loaded; a wrong address is then one that nobody answers at.
        let all = settings.endpoints().unwrap_or_else(|_| {
            let host = settings.address.clone();
            let (port, tls) = (1883, false);
            vec![Endpoint { host, port, tls }]
        });
        Self {
            settings: settings.clone(),
            client_id: client_id.to_owned(),
            all,
            at: 0,
            lost: 0,
        }
    }

    /// One of its own for each address.
    pub(super) fn each(settings: &Mqtt, client_id: &str) -> Vec<Self> {
        let all = Self::new(settings, client_id);
        let one = |endpoint| Self {
            settings: settings.clone(),
            client_id: client_id.to_owned(),
            all: vec![endpoint],
            at: 0,
            lost: 0,
        };
        all.all.into_iter().map(one).collect()
    }

    fn endpoint(&self) -> &Endpoint {
        &self.all[self.at]
    }

    /// The address in use, for people.
    pub(super) fn address(&self) -> String {
        self.endpoint().to_string()
    }

    /// Counts the address in use.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next broker's turn. Returns whether each had one since the last time that this was said.
    pub(super) fn next(&mut self) -> bool {
        self.at = (self.at + 1) % self.all.len();
        self.lost = (self.lost + 1) % self.all.len();
        self.lost == 0
    }

    /// How to connect to the broker in use, without what is read from files.
    pub(super) fn options(&self) -> MqttOptions {
        let Endpoint { host, port, .. } = self.endpoint();
        let settings = &self.settings;
        // Without brackets an IPv6 address is found too, and only so is it a name for TLS.
        let mut options = MqttOptions::new(&self.client_id, host, *port);
        options
            .set_keep_alive(settings.keep_alive)
            .set_max_packet_size(settings.max_packet_bytes, settings.max_packet_bytes)
            .set_clean_session(false)
            .set_inflight(settings.in_flight.max(1).saturating_add(SPARE_IDS))
            .set_manual_acks(true);
        options
    }

    /// How to connect to the broker in use, and to log in there.
    ///
    /// # Errors
    /// [`LinkError::Credentials`].
    pub(super) fn login(&self) -> Result<MqttOptions, LinkError> {
        let mut options = self.options();
        let applied = credentials::apply(&self.settings, self.endpoint().tls, &mut options);
        applied.map_err(|error| LinkError::Credentials {
            detail: Chain(&error).to_string(),
        })?;
        Ok(options)
    }

    /// What an error of the connection to the broker in use is.
    pub(super) fn error(&self, error: rumqttc::ConnectionError, was_up: bool) -> LinkError {
        LinkError::new(error, &self.address(), &self.settings, was_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[test]
    fn every_broker_has_its_turn_before_a_long_pause() {
        let mut mqtt = Settings::defaults().mqtt;
        mqtt.address = "a:1, mqtts://[::1]:2,c:3".to_owned();
        let mut brokers = Brokers::new(&mqtt, "client");
        let mut turns = Vec::new();
        for _ in 0..7 {
            turns.push((brokers.address(), brokers.next()));
        }
        let expected = [
            ("a:1", false),
            ("mqtts://[::1]:2", false),
            ("c:3", true),
            ("a:1", false),
            ("mqtts://[::1]:2", false),
            ("c:3", true),
            ("a:1", false),
        ];
        assert_eq!(turns, expected.map(|(at, long)| (at.to_owned(), long)));
        mqtt.address = "a:1".to_owned();
        assert!(Brokers::new(&mqtt, "client").next());
    }
}
