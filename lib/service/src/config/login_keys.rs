//! What the settings of a broker or a database, and of the account there, are called: messages about them name them.

/// What the address of a broker looks like.
const MQTT_EXAMPLE: &str =
    "expected host:port, such as 127.0.0.1:1883, or with TLS mqtts://host:8883";

/// The keys of one server's settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LoginKeys {
    pub address: &'static str,
    pub user: &'static str,
    pub password_file: &'static str,
    pub ca_file: &'static str,
    pub certificate_file: &'static str,
    pub key_file: &'static str,
    pub server_name: &'static str,
    /// What an address looks like.
    pub example: &'static str,
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
        example: MQTT_EXAMPLE,
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
        example: MQTT_EXAMPLE,
        absent: "start the broker of live readings, or correct meter.feed.address",
    };

    /// `[analytics.postgres]`
    pub(crate) const POSTGRES: Self = Self {
        address: "analytics.postgres.address",
        user: "analytics.postgres.user",
        password_file: "analytics.postgres.password_file",
        ca_file: "analytics.postgres.ca_file",
        certificate_file: "analytics.postgres.certificate_file",
        key_file: "analytics.postgres.key_file",
        server_name: "analytics.postgres.address",
        example: "expected host:port, such as 127.0.0.1:5432",
        absent: "start PostgreSQL, or correct analytics.postgres.address",
    };

    pub(crate) fn mqtt() -> &'static Self {
        &Self::MQTT
    }

    pub(crate) fn feed() -> &'static Self {
        &Self::FEED
    }
}
