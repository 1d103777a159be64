//! What the settings of a broker, and of the account there, are called: messages about them name them.

/// The keys of one broker's settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LoginKeys {
    pub address: &'static str,
    pub user: &'static str,
    pub password_file: &'static str,
    pub ca_file: &'static str,
    pub certificate_file: &'static str,
    pub key_file: &'static str,
    pub server_name: &'static str,
    /// What to do where nobody answers.
    pub absent: &'static str,
}

impl LoginKeys {
    /// `[mqtt]`
    pub(crate) const MQTT: Self = Self {
        address: "mqtt.address",
        user: "mqtt.user",
        password_file: "mqtt.password_file",
        ca_file: "mqtt.ca_file",
        certificate_file: "mqtt.certificate_file",
        key_file: "mqtt.key_file",
        server_name: "mqtt.server_name",
        absent: "start one with `cargo run --release -p broker`",
    };

    /// `[meter.feed]`
    pub(crate) const FEED: Self = Self {
        address: "meter.feed.address",
        user: "meter.feed.user",
        password_file: "meter.feed.password_file",
        ca_file: "meter.feed.ca_file",
        certificate_file: "meter.feed.certificate_file",
        key_file: "meter.feed.key_file",
        server_name: "meter.feed.server_name",
        absent: "start the broker of live readings, or correct meter.feed.address",
    };

    pub(crate) fn mqtt() -> &'static Self {
        &Self::MQTT
    }

    pub(crate) fn feed() -> &'static Self {
        &Self::FEED
    }
}
