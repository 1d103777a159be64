//! Settings for an account and for TLS that do not fit each other.

use super::{Conflict, pair};
use crate::config::Mqtt;

/// What would be ignored, or would be asked for in vain.
pub(super) fn login(mqtt: &Mqtt) -> [Option<Conflict>; 6] {
    let keys = mqtt.keys;
    let encrypted = mqtt.is_encrypted();
    let (certificate, key) = (mqtt.certificate_file.is_some(), mqtt.key_file.is_some());
    let plain = |given: bool, key| {
        let mend = "it is only used with TLS: write mqtts:// before the address, or leave it out";
        pair(given && !encrypted, key, keys.address, mend)
    };
    [
        pair(
            mqtt.password_file.is_some() && mqtt.user.is_none(),
            keys.password_file,
            keys.user,
            "MQTT has no password without a user: name the account",
        ),
        pair(
            certificate && !key,
            keys.certificate_file,
            keys.key_file,
            "a certificate cannot be shown without its key: name the file",
        ),
        pair(
            key && !certificate,
            keys.key_file,
            keys.certificate_file,
            "the key of which certificate? Name the file",
        ),
        plain(mqtt.ca_file.is_some(), keys.ca_file),
        plain(certificate, keys.certificate_file),
        plain(mqtt.server_name.is_some(), keys.server_name),
    ]
}
