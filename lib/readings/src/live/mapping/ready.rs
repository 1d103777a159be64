//! Mappings by name, of programs that many houses have.

use super::{MappingKind, MappingRule};

/// A name, and what makes its mapping.
type Ready = (&'static str, fn() -> MappingRule);

/// Each name, with its mapping. All are of registers, in the form that the program has by default.
pub const READY: [Ready; 6] = [
    // The JSON telegram of DSMR-reader: two tariffs each way. It is of one meter, which must be named.
    ("dsmr-reader", || MappingRule {
        time: "/timestamp".to_owned(),
        value: texts(["/electricity_delivered_1", "/electricity_delivered_2"]),
        export: texts(["/electricity_returned_1", "/electricity_returned_2"]),
        ..register("dsmr/json", "kWh")
    }),
    // Tasmota with an optical head, as its descriptors of meters name the registers; local time.
    ("tasmota-sml", || MappingRule {
        time: "/Time".to_owned(),
        value: texts(["/SML/Total_in"]),
        export: texts(["/SML/Total_out"]),
        ..register("tele/+/SENSOR", "kWh")
    }),
    // A sensor "Total energy" of ESPHome, a number without a time.
    ("esphome", || register("+/sensor/total_energy/state", "kWh")),
    // What Home Assistant's `mqtt_statestream` publishes of each sensor.
    ("home-assistant", || {
        register("homeassistant/sensor/+/state", "kWh")
    }),
    // A plug that counts; it says no time unless `last_seen` is on.
    ("zigbee2mqtt", || MappingRule {
        value: texts(["/energy"]),
        ..register("zigbee2mqtt/+", "kWh")
    }),
    // A channel of vzlogger with `timestamp` on, in Wh as a meter's SML has it.
    ("vzlogger", || MappingRule {
        time: "/timestamp".to_owned(),
        value: texts(["/value"]),
        ..register("vzlogger/data/+/raw", "Wh")
    }),
];

fn register(topic: &str, unit: &str) -> MappingRule {
    MappingRule {
        topic: topic.to_owned(),
        meter: None,
        time: String::new(),
        value: Vec::new(),
        export: Vec::new(),
        kind: MappingKind::Register,
        unit: unit.to_owned(),
        factor: 1.0,
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}
