//! The task that owns the connection.

use rumqttc::QoS;

use super::{Inbox, Publisher};
use crate::config::Mqtt;
use crate::stop::Stop;

pub(super) fn spawn(
    _settings: &Mqtt,
    _client_id: &str,
    _subscriptions: Vec<(String, QoS)>,
    _stop: Stop,
) -> (Publisher, Inbox) {
    unreachable!("being written")
}
