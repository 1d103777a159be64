//! Lines as they come, and what is said of those that are refused.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<LiveReading, String> {
    let read = read_line(7, text.as_bytes()).map_err(|error| error.to_string());
    read.map(|reading| reading.unwrap())
}

#[test]
fn a_line_has_a_register_an_energy_or_a_power() {
    let with = |rest: &str| {
        let text = format!(r#"{{"meter":"home-1","time":1767614400,{rest}}}"#);
        let reading = read(&text).unwrap();
        assert_eq!(
            (reading.meter.as_str(), reading.at),
            ("home-1", 1_767_614_400)
        );
        reading.value
    };
    let import = MicroWattHours(1_234_567_800_001);
    assert_eq!(
        with(r#""register_wh":1234567.800001"#),
        LiveValue::Registers {
            import,
            export: None
        }
    );
    assert_eq!(
        with(r#""register_wh":1234567.800001,"export_register_wh":2"#),
        LiveValue::Registers {
            import,
            export: Some(MicroWattHours(2_000_000))
        }
    );
    assert_eq!(
        with(r#""energy_wh":-0.5,"interval_s":300"#),
        LiveValue::Energy {
            interval_s: Some(300),
            energy: MicroWattHours(-500_000)
        }
    );
    assert_eq!(
        with(r#""power_w":1.5e3"#),
        LiveValue::Power {
            interval_s: None,
            micro_watts: 1_500_000_000
        }
    );
}

#[test]
fn the_time_is_read_in_each_form() {
    for time in [
        "1767614400",
        "1767614400000",
        r#""2026-01-05T12:00:00Z""#,
        r#""2026-01-05T13:00:00+01:00""#,
    ] {
        let text = format!(r#"{{"meter":"a","time":{time},"energy_wh":1}}"#);
        assert_eq!(read(&text).unwrap().at, 1_767_614_400, "{time}");
    }
}

#[test]
fn a_blank_line_is_no_reading() {
    assert_eq!(read_line(1, b" \r"), Ok(None));
    assert_eq!(read_line(1, b""), Ok(None));
}

#[test]
fn what_is_wrong_is_named_with_its_line_its_key_its_value_and_the_mend() {
    for (text, said) in [
        ("[]", "line 7: not a JSON object"),
        ("{", "line 7: not a JSON object"),
        ("{}", r#"no "meter": write {"meter""#),
        (
            r#"{"meter":"a","when":1}"#,
            r#"unknown key "when": the keys are meter, time"#,
        ),
        (r#"{"meter":"a","meter":"b"}"#, r#""meter" comes twice"#),
        (
            r#"{"meter":"A b","time":1,"energy_wh":1}"#,
            r#""meter" is "A b": it must be an id"#,
        ),
        (
            r#"{"meter":"a","time":"noon","energy_wh":1}"#,
            r#""time" is "noon": it must be a time with its offset"#,
        ),
        (
            r#"{"meter":"a","time":"2026-01-05T12:00:00","energy_wh":1}"#,
            "with its offset",
        ),
        (r#"{"meter":"a","time":1}"#, r#"no "register_wh""#),
        (
            r#"{"meter":"a","time":1,"register_wh":-1}"#,
            r#""register_wh" is -1: it must be a number of Wh from 0"#,
        ),
        (
            r#"{"meter":"a","time":1,"energy_wh":"5"}"#,
            r#""energy_wh" is "5": it must be a number"#,
        ),
        (r#"{"meter":"a","time":1,"power_w":2e9}"#, "±1e9"),
        (
            r#"{"meter":"a","time":1,"power_w":2,"interval_s":0}"#,
            r#""interval_s" is 0"#,
        ),
        (
            r#"{"meter":"a","time":1,"power_w":2,"energy_wh":0}"#,
            r#""energy_wh" and "power_w": a line has one"#,
        ),
        (
            r#"{"meter":"a","time":1,"register_wh":2,"interval_s":60}"#,
            r#""register_wh" and "interval_s""#,
        ),
        (
            r#"{"meter":"a","time":1,"energy_wh":2,"export_register_wh":60}"#,
            r#""energy_wh" and "export_register_wh""#,
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
        assert!(error.starts_with("line 7: "), "{error}");
    }
    let long = format!(r#"{{"meter":"{}"}}"#, "a".repeat(MAX_LINE));
    let error = read_line(7, long.as_bytes()).unwrap_err();
    assert_eq!(error.problem, LineProblem::TooLong);
    let long = format!(r#"{{"{}":1}}"#, "ä".repeat(400));
    assert!(read(&long).unwrap_err().len() < 400, "it is shortened");
}

proptest! {
    #[test]
    fn any_bytes_are_a_reading_or_an_error(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_line(1, &text);
    }

    #[test]
    fn what_is_nearly_a_line_is_a_reading_or_an_error(
        meter in "[a-z-]{0,4}", time in any::<f64>(), key in "(energy|register|power|export_register)_wh?", value in any::<f64>(),
    ) {
        let line = serde_json::json!({ "meter": meter, "time": time, key: value }).to_string();
        let _ = read_line(1, line.as_bytes());
    }
}
