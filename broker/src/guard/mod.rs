//! The guard: the only thing that speaks MQTT. rumqttd is the router behind it, in the same process.

pub(crate) mod identity;
mod rules;
mod tls;
