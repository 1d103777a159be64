use proptest::prelude::*;

use super::rule::check;
use super::*;

const NOW: u64 = 1_767_614_465;

fn ready(name: &str) -> MappingRule {
    let found = READY.iter().find(|(ready, _)| *ready == name);
    found.unwrap().1()
}

fn mappings(rule: MappingRule) -> Mappings {
    Mappings::new(vec![rule], "Europe/Berlin").unwrap()
}

fn read(rule: MappingRule, topic: &str, payload: &str) -> Result<LiveReading, PayloadError> {
    mappings(rule).read(Message {
        topic,
        payload: payload.as_bytes(),
        retained: false,
        now_s: NOW,
    })
}

fn registers(reading: &LiveReading) -> (&str, u64, i64, Option<i64>) {
    let LiveValue::Registers { import, export } = reading.value else {
        panic!("{reading:?}");
    };
    let export = export.map(|export| export.0);
    (reading.meter.as_str(), reading.at, import.0, export)
}

const KWH: i64 = 1_000_000_000;

/// The samples are of the form that each program's documentation or source shows.
#[test]
fn a_telegram_of_dsmr_reader_is_a_read_of_both_registers() {
    let rule = MappingRule {
        meter: Some("home-1".parse().unwrap()),
        ..ready("dsmr-reader")
    };
    let payload = r#"{"id": 4711, "timestamp": "2026-01-05T12:00:03Z", "electricity_delivered_1": "1073.079",
        "electricity_returned_1": "0.000", "electricity_delivered_2": "1263.199", "electricity_returned_2": "3.500",
        "electricity_currently_delivered": "0.143", "electricity_currently_returned": "0.000",
        "phase_currently_delivered_l1": "0.143", "extra_device_timestamp": null, "extra_device_delivered": null}"#;
    let reading = read(rule, "dsmr/json", payload).unwrap();
    let expected = (
        "home-1",
        1_767_614_403,
        2_336_278_000_000,
        Some(3_500_000_000),
    );
    assert_eq!(registers(&reading), expected);
}

#[test]
fn a_telemetry_message_of_tasmota_is_a_read_at_its_local_time() {
    let payload = r#"{"Time":"2026-01-05T13:00:05","SML":{"Total_in":12345.6789,"Total_out":12.5,"Power_curr":-250,"Meter_number":"0a01484c59"}}"#;
    let reading = read(ready("tasmota-sml"), "tele/House_1/SENSOR", payload).unwrap();
    let expected = (
        "house-1",
        1_767_614_405,
        12_345_678_900_000,
        Some(12_500_000_000),
    );
    assert_eq!(registers(&reading), expected);
    // A meter that does not export.
    let payload = r#"{"Time":"2026-01-05T13:00:05","SML":{"Total_in":1}}"#;
    let reading = read(ready("tasmota-sml"), "tele/House_1/SENSOR", payload).unwrap();
    assert_eq!(registers(&reading).3, None);
}

#[test]
fn a_state_of_esphome_or_home_assistant_is_a_read_at_the_moment_it_came() {
    let reading = read(
        ready("esphome"),
        "attic/sensor/total_energy/state",
        "817.25",
    )
    .unwrap();
    assert_eq!(registers(&reading), ("attic", NOW, 817_250_000_000, None));
    let topic = "homeassistant/sensor/house_energy_total/state";
    let reading = read(ready("home-assistant"), topic, "817.25\n").unwrap();
    assert_eq!(registers(&reading).0, "house-energy-total");
    for nothing in ["unavailable", "unknown", "", "NaN"] {
        let error = read(ready("home-assistant"), topic, nothing).unwrap_err();
        assert_eq!(error.reason(), "no_value", "{nothing:?}");
    }
}

#[test]
fn a_message_of_zigbee2mqtt_is_a_read_of_its_energy() {
    let payload = r#"{"current":11.12,"energy":10.48,"last_seen":"2026-01-05T13:00:12+01:00","linkquality":39,"power":2441,
        "power_outage_memory":"restore","state":"ON","voltage":223}"#;
    let topic = "zigbee2mqtt/Plug kitchen";
    let reading = read(ready("zigbee2mqtt"), topic, payload).unwrap();
    assert_eq!(
        registers(&reading),
        ("plug-kitchen", NOW, 10 * KWH + 480_000_000, None)
    );
    // With `last_seen` on, it can be told when that was.
    let timed = MappingRule {
        time: "/last_seen".to_owned(),
        ..ready("zigbee2mqtt")
    };
    assert_eq!(read(timed, topic, payload).unwrap().at, 1_767_614_412);
}

#[test]
fn a_channel_of_vzlogger_is_a_read_in_watt_hours() {
    let payload = r#"{ "timestamp": 1767614401731, "value": 14219936.660600001 }"#;
    let reading = read(ready("vzlogger"), "vzlogger/data/chn0/raw", payload).unwrap();
    let expected = ("chn0", 1_767_614_401, 14_219_936_660_600, None);
    assert_eq!(registers(&reading), expected);
}

#[test]
fn a_retained_message_counts_only_if_it_says_when_it_was() {
    let read = |name: &str, topic, payload: &str| {
        mappings(ready(name)).read(Message {
            topic,
            payload: payload.as_bytes(),
            retained: true,
            now_s: NOW,
        })
    };
    let error = read("esphome", "attic/sensor/total_energy/state", "1").unwrap_err();
    assert_eq!(error.reason(), "retained");
    let payload = r#"{"timestamp":1767614401731,"value":1}"#;
    assert!(read("vzlogger", "vzlogger/data/chn0/raw", payload).is_ok());
}

#[test]
fn what_is_wrong_with_a_message_is_named_with_its_topic() {
    for (topic, payload, reason, said) in [
        (
            "tele/a/STATE",
            "{}",
            "no_mapping",
            "topic tele/a/STATE: no mapping",
        ),
        ("tele/a/b/SENSOR", "{}", "no_mapping", "no mapping"),
        ("tele/--/SENSOR", "{}", "name", "\"--\" makes no meter id"),
        ("tele/a/SENSOR", "off", "not_json", "not JSON: off"),
        ("tele/a/SENSOR", "{}", "nothing", "nothing at /Time, in {}"),
        (
            "tele/a/SENSOR",
            r#"{"Time":"noon"}"#,
            "time",
            "\"noon\" is not a time",
        ),
        (
            "tele/a/SENSOR",
            r#"{"Time":1767614401,"SML":{"Total_in":null}}"#,
            "no_value",
            "no value: null",
        ),
        (
            "tele/a/SENSOR",
            r#"{"Time":1767614401,"SML":{"Total_in":"x"}}"#,
            "number",
            "\"x\" is not a number",
        ),
        (
            "tele/a/SENSOR",
            r#"{"Time":1767614401,"SML":{"Total_in":-1}}"#,
            "number",
            "that a meter can show",
        ),
    ] {
        let error = read(ready("tasmota-sml"), topic, payload).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(PayloadError::REASONS.contains(&reason));
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn every_ready_mapping_can_be_used_once_its_meter_is_known() {
    for (name, rule) in READY {
        let meter = Some("a".parse().unwrap());
        let rule = MappingRule { meter, ..rule() };
        assert!(check(&rule).is_ok(), "{name}");
    }
    let (number, error) = Mappings::new(vec![ready("dsmr-reader")], "UTC").unwrap_err();
    assert_eq!(number, 1);
    assert!(error.contains("names no meter"), "{error}");
}

#[test]
fn what_is_wrong_with_a_mapping_is_named_with_the_mend() {
    let with = |change: fn(&mut MappingRule)| {
        let mut rule = ready("vzlogger");
        change(&mut rule);
        check(&rule).unwrap_err().to_string()
    };
    for (error, said) in [
        (
            with(|rule| rule.topic = "a/#".to_owned()),
            "topic is \"a/#\"",
        ),
        (
            with(|rule| rule.topic = "a/b+".to_owned()),
            "some may be \"+\"",
        ),
        (with(|rule| rule.topic = "a/b".to_owned()), "names no meter"),
        (
            with(|rule| rule.time = "timestamp".to_owned()),
            "time is \"timestamp\": a JSON pointer begins",
        ),
        (
            with(|rule| rule.unit = "W".to_owned()),
            "unit is \"W\": of this kind it must be \"Wh\"",
        ),
        (
            with(|rule| rule.kind = MappingKind::Power),
            "must be \"W\" or \"kW\"",
        ),
        (with(|rule| rule.factor = 0.0), "factor is 0"),
        (
            with(|rule| {
                rule.kind = MappingKind::Energy;
                rule.export = vec!["/e".to_owned()];
            }),
            "only a register",
        ),
    ] {
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn unit_and_factor_make_watt_hours_and_watts() {
    let rule = MappingRule {
        unit: "MWh".to_owned(),
        factor: 0.5,
        ..ready("esphome")
    };
    let reading = read(rule, "a/sensor/total_energy/state", "0.25").unwrap();
    assert_eq!(registers(&reading).2, 125 * KWH);
    let rule = MappingRule {
        unit: "kW".to_owned(),
        kind: MappingKind::Power,
        ..ready("vzlogger")
    };
    let reading = read(
        rule,
        "vzlogger/data/a/raw",
        r#"{"timestamp":900,"value":-1.5}"#,
    );
    let power = LiveValue::Power {
        interval_s: None,
        micro_watts: -1_500_000_000,
    };
    assert_eq!(reading.unwrap().value, power);
}

proptest! {
    #[test]
    fn any_message_is_a_reading_or_an_error(topic in ".{0,30}", payload in proptest::collection::vec(any::<u8>(), 0..80)) {
        for (_, rule) in READY {
            let rule = MappingRule { meter: Some("a".parse().unwrap()), ..rule() };
            let pattern = rule.topic.replace('+', &topic.replace('/', ""));
            for topic in [&topic, &pattern] {
                let message = Message { topic, payload: &payload, retained: false, now_s: NOW };
                let _ = mappings(rule.clone()).read(message);
            }
        }
    }
}
