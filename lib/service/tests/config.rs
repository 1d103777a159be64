//! The schema, its documentation, and what happens to settings that are wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service::Settings;
use service::config::{ConfigError, DEFAULTS, Loaded, Origin, Overrides, load_layers};
use toml::{Table, Value};
use wire::SigningKey;

fn load(
    files: &[PathBuf],
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Loaded, ConfigError> {
    let variables = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    let variables = variables.collect::<Vec<(OsString, OsString)>>();
    let overrides = flags
        .iter()
        .fold(Overrides::new(), |overrides, (key, value)| {
            overrides.set(key, value)
        });
    load_layers(files, variables.into_iter(), &overrides)
}

fn keys(table: &Table, prefix: &str, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => keys(inner, &format!("{prefix}{key}."), found),
            _ => {
                found.insert(format!("{prefix}{key}"));
            }
        }
    }
}

fn keys_of(table: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    keys(table, "", &mut found);
    found
}

#[test]
fn the_defaults_and_the_schema_have_the_same_keys() {
    let schema = Table::try_from(Settings::defaults()).unwrap();
    let defaults = DEFAULTS.parse::<Table>().unwrap();
    assert_eq!(keys_of(&defaults), keys_of(&schema));
}

/// A key follows a comment, or another key that shares it.
#[test]
fn every_key_is_documented() {
    let mut documented = false;
    for line in DEFAULTS.lines() {
        let line = line.trim();
        let is_key = !line.is_empty() && !line.starts_with(['#', '[']);
        assert!(!is_key || documented, "no comment before `{line}`");
        documented = line.starts_with('#') || is_key && documented;
    }
}

#[test]
fn every_file_in_config_can_be_loaded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            // The one setting that production.toml leaves to whoever deploys it. This one is RFC 8032's first test key.
            let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
            let flags = [("deployment.operator_key", key)];
            if let Err(error) = load(std::slice::from_ref(&path), &[], &flags) {
                panic!("{}: {error}", path.display());
            }
            count += 1;
        }
    }
    assert!(count >= 1);
}

#[test]
fn layers_win_in_order_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first.toml");
    let second = folder.path().join("second.toml");
    fs::write(
        &first,
        "[meter]\nmeters = 1\nfeeders = 1\nseed = 1\nspeed = 10\n",
    )
    .unwrap();
    fs::write(
        &second,
        "meter.meters = 20\nmeter.seed = 2\nmeter.feeders = 2\n",
    )
    .unwrap();
    let environment = [
        ("CIPHERWATT__METER__METERS", "300"),
        ("CIPHERWATT__METER__SEED", "3"),
        ("PATH", "/"),
    ];
    let loaded = load(
        &[first.clone(), second.clone()],
        &environment,
        &[("meter.meters", "4000")],
    )
    .unwrap();
    let meter = &loaded.settings.meter;
    assert_eq!((meter.meters, meter.seed, meter.feeders), (4_000, 3, 2));
    assert_eq!(meter.speed, 10.0);
    let origins = [
        "meter.meters",
        "meter.seed",
        "meter.feeders",
        "meter.speed",
        "meter.gateway",
    ];
    let expected = [
        Origin::Flag,
        Origin::Environment("CIPHERWATT__METER__SEED".to_owned()),
        Origin::File(second),
        Origin::File(first),
        Origin::Default,
    ];
    assert_eq!(
        origins.map(|key| loaded.origin(key).cloned().unwrap()),
        expected
    );
}

#[test]
fn text_takes_the_type_of_the_default() {
    let flags = [
        ("meter.speed", "900"),
        ("meter.duration", "2days"),
        ("meter.start", "2025-01-06T00:00:00Z"),
        ("operator.publish_totals", "true"),
        ("analytics.feeders", "north, south"),
        ("broker.metrics_listen", ""),
        ("meter.retry_min", "20ms"),
        ("meter.max_unreceipted", "1_000"),
        // As a file has it.
        ("deployment.id", "\"north\""),
        ("broker.segment_count", "0x10"),
    ];
    let settings = load(&[], &[], &flags).unwrap().settings;
    assert_eq!(settings.meter.speed, 900.0);
    assert_eq!(settings.meter.duration, Some(Duration::from_secs(172_800)));
    assert_eq!(settings.meter.start, Some(wire::UnixSeconds(1_736_121_600)));
    assert!(settings.operator.publish_totals);
    let feeders = settings.analytics.feeders.iter().map(AsRef::as_ref);
    assert_eq!(feeders.collect::<Vec<&str>>(), ["north", "south"]);
    assert_eq!(settings.broker.metrics_listen, None);
    assert_eq!(settings.meter.retry_min, Duration::from_millis(20));
    assert_eq!(settings.meter.max_unreceipted, 1_000);
    assert_eq!(settings.deployment.id.as_ref(), "north");
    assert_eq!(settings.broker.segment_count, 16);
}

/// Whatever stands after `key = ` in a file may stand there in a flag or a variable.
#[test]
fn a_value_is_taken_from_a_flag_as_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    for (key, value) in [
        ("analytics.feeders", "[\"a\"]"),
        ("analytics.feeders", "['a', \"b\"]"),
        ("analytics.feeders", "[]"),
        ("deployment.id", "\"north\""),
        ("meter.speed", "1e3"),
        ("meter.meters", "1_000"),
        ("operator.publish_totals", "true"),
        ("meter.mix", "{ household = 0.25, solar = 0.75 }"),
        ("meter.mix.solar", "1"),
    ] {
        fs::write(&file, format!("{key} = {value}\n")).unwrap();
        let expected = load(std::slice::from_ref(&file), &[], &[])
            .unwrap()
            .settings;
        let flag = load(&[], &[], &[(key, value)]).unwrap().settings;
        assert_eq!(flag, expected, "{key} = {value}");
        let name = format!("CIPHERWATT__{}", key.to_uppercase().replace('.', "__"));
        let variable = load(&[], &[(&name, value)], &[]).unwrap().settings;
        assert_eq!(variable, expected, "{name}={value}");
    }
    for (key, value, problem) in [
        ("analytics.feeders", "[\"a\"", "array"),
        ("analytics.feeders", "[1]", "expected"),
        ("meter.meters", "\"7\"", "expected u32"),
        (
            "meter.mix",
            "{ solars = 1 }",
            "unknown key `meter.mix.solars`",
        ),
    ] {
        let text = load(&[], &[], &[(key, value)]).unwrap_err().to_string();
        assert!(text.contains(problem), "{key} = {value}: {text}");
    }
}

#[test]
fn unknown_keys_are_refused_by_name_in_every_layer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    fs::write(&file, "[mqtt]\nadress = \"127.0.0.1:1\"\n").unwrap();
    let quoted = folder.path().join("quoted.toml");
    fs::write(&quoted, "[meter]\n\"mix.solar\" = 0.5\n").unwrap();
    let cases = [
        (
            load(&[file], &[], &[]),
            "unknown key `mqtt.adress` from",
            "mine.toml; did you mean `mqtt.address`?",
        ),
        (
            load(&[quoted], &[], &[]),
            "unknown key `meter.\"mix.solar\"` from",
            "quoted.toml; did you mean `meter.mix.solar`?",
        ),
        (
            load(&[], &[("CIPHERWATT__METER__METER", "1")], &[]),
            "unknown key `meter.meter` from CIPHERWATT__METER__METER",
            "did you mean `meter.meters`?",
        ),
        (
            load(&[], &[], &[("mqtt.username", "north")]),
            "unknown key `mqtt.username` from a flag",
            "did you mean `mqtt.user`?",
        ),
        (
            load(&[], &[], &[("mqtt.password", "secret")]),
            "unknown key `mqtt.password` from a flag",
            "did you mean `mqtt.password_file`?",
        ),
        (
            load(&[], &[], &[("nonsense", "1")]),
            "unknown key `nonsense` from a flag",
            "a flag",
        ),
        (
            load(&[], &[], &[("meter.mix", "1")]),
            "unknown key `meter.mix` from a flag",
            "",
        ),
    ];
    refused_as(&cases);
}

#[test]
fn a_key_of_an_earlier_version_says_what_became_of_it() {
    let quantum = ("CIPHERWATT__OPERATOR__PUBLISH_QUANTUM_WH", "10");
    refused_as(&[
        (
            load(&[], &[quantum], &[]),
            "unknown key `operator.publish_quantum_wh` from CIPHERWATT__OPERATOR__PUBLISH_QUANTUM_WH; it was removed, because",
            "which the plan says; leave it out",
        ),
        (
            load(&[], &[], &[("plan.moments_min_meters", "60")]),
            "unknown key `plan.moments_min_meters` from a flag",
            "it is `plan.detail_min_meters` now, of layouts moments and histogram",
        ),
    ]);
}

/// Each of these is refused in words that start and end like this.
fn refused_as(cases: &[(Result<Loaded, ConfigError>, &str, &str)]) {
    for (outcome, start, end) in cases {
        let text = outcome.as_ref().unwrap_err().to_string();
        assert!(text.starts_with(start) && text.ends_with(end), "{text}");
    }
}

/// Each of these values of a key is refused, with the key and the reason.
fn refused(cases: &[(&str, &str, &str)]) {
    for &(key, value, problem) in cases {
        let Err(error) = load(&[], &[], &[(key, value)]) else {
            panic!("{key} = {value} was accepted");
        };
        let text = error.to_string();
        assert!(text.contains(key), "{key} = {value}: {text}");
        assert!(text.contains(problem), "{key} = {value}: {text}");
        assert!(matches!(error, ConfigError::Value { .. }), "{text}");
    }
}

#[test]
fn wrong_values_that_every_process_reads_are_refused_with_key_value_and_reason() {
    refused(&[
        ("deployment.id", "Not An Id", "Not An Id"),
        ("deployment.root", "/a", "single slashes"),
        ("deployment.root", "a/+/b", "single slashes"),
        ("deployment.operator_key", "12", "hex"),
        ("mqtt.address", "localhost", "expected host:port"),
        ("mqtt.address", "localhost:0", "not a port"),
        ("mqtt.address", "::1:1883", "in brackets"),
        ("mqtt.address", "http://broker", "is not spoken here"),
        ("mqtt.address", "a:1,,b:1", "expected host:port"),
        (
            "mqtt.address",
            "mqtts://a,b:1",
            "some with TLS and some without",
        ),
        ("mqtt.keep_alive", "-3s", "duration"),
        ("mqtt.keep_alive", "0s", "between 1s and 18h"),
        ("mqtt.max_packet_bytes", "10", "a number between 1024"),
        ("plan.interval", "1500ms", "whole seconds"),
        ("plan.interval", "7s", "divide a day, such as 6s or 8s"),
        ("plan.interval", "2days", "such as 1day"),
        ("plan.interval", "0s", "such as 1s or 2s"),
        ("plan.batch", "0", "expected a number between 1"),
        ("plan.layout", "maximum", "profile, maxima, moments"),
        (
            "plan.profile",
            "wide",
            "known are additive-small, additive-fine, additive, additive-wide, or \"auto\"",
        ),
        ("plan.min_meters", "1", "expected a number between 2"),
        ("plan.detail_min_meters", "0", "expected a number between 2"),
        ("plan.histogram_edges", "[]", "expected 1 to 13 numbers"),
        ("plan.histogram_edges", "[0, 5]", "watts above 0"),
        (
            "plan.histogram_edges",
            "[5, 5]",
            "larger than the one before",
        ),
        (
            "plan.histogram_edges",
            "[1,2,3,4,5,6,7,8,9,10,11,12,13,14]",
            "expected 1 to 13 numbers",
        ),
        ("release.min_cell", "1", "expected a number between 2"),
        ("publish.budget_epsilon", "0", "expected a number above 0"),
        ("publish.budget_period", "0s", "above zero"),
        ("publish.budget_period", "1500ms", "whole seconds"),
        ("publish.household_day_min_meters", "1", "between 2"),
        (
            "release.dominance_largest",
            "0",
            "expected a number between 1",
        ),
        ("release.dominance_share", "0", "1 is no bound"),
        ("release.dominance_share", "1.5", "1 is no bound"),
        ("log.format", "xml", "unknown variant `xml`"),
    ]);
}

#[test]
fn areas_that_contradict_themselves_are_refused_with_the_mend() {
    refused(&[
        (
            "plan.areas",
            r#"[{transformer="t", feeders=[]}]"#,
            "no feeder is under the transformer t",
        ),
        (
            "plan.areas",
            r#"[{transformer="t", feeders=["f", "g"]}, {transformer="u", feeders=["g"]}]"#,
            "the feeder g is under t and under u; expected it under one",
        ),
        (
            "plan.areas",
            r#"[{transformer="t", feeders=["f"]}, {transformer="t", feeders=["g"]}]"#,
            "t is there twice",
        ),
        (
            "plan.areas",
            r#"[{transformer="t", feeders=["f"]}, {transformer="u", substation="t", feeders=["g"]}]"#,
            "t is a transformer and a substation",
        ),
        (
            "plan.areas",
            r#"[{transformer="t", substation="f", feeders=["f"]}]"#,
            "f is an area and a feeder; expected another name for the area",
        ),
        (
            "plan.areas",
            r#"[{transformer="t", substation="s", region="r", feeders=["f"]}]"#,
            "unknown field `region`",
        ),
    ]);
}

#[test]
fn wrong_values_that_one_process_reads_are_refused_with_key_value_and_reason() {
    refused(&[
        ("meter.meters", "-5", "integer `-5`, expected u32"),
        ("meter.meters", "0", "expected a number between 1"),
        ("meter.meters", "many", "expected a whole number"),
        ("meter.feeders", "0", "expected a number between 1"),
        ("meter.speed", "-1", "expected a number above 0"),
        ("meter.speed", "nan", "expected a number above 0"),
        ("meter.start", "yesterday", "expected an instant in UTC"),
        ("meter.duration", "0s", "expected a duration above zero"),
        ("meter.source", "guess", "unknown variant `guess`"),
        ("broker.listen", "broker:1883", "expected address:port"),
        (
            "broker.listen",
            "mqtt://127.0.0.1:1883",
            "leave out what is before",
        ),
        ("operator.max_refusals", "0", "expected a number between 1"),
        (
            "operator.max_refusals",
            "257",
            "between 1 and 256: each refusal answers a question about the key",
        ),
        ("operator.max_refusals", "1.5", "expected u32"),
        (
            "operator.search_timeout",
            "0s",
            "expected a duration above zero",
        ),
        ("operator.search_max_bytes", "65535", "between 65536 and"),
        (
            "operator.feeder_meters_max",
            "1048576",
            "between 1 and 1048575",
        ),
        ("meter.keep_folded", "two hours", "duration"),
        ("operator.live_listen", "9470", "such as 127.0.0.1:1883"),
        ("broker.segment_bytes", "1", "a number between 1024"),
        ("operator.enrolment", "never", "unknown variant"),
        ("operator.live_intervals", "0", "between 1 and"),
        ("analytics.feeders", "a,B!", "B!"),
    ]);
}

/// A file says its types, so nothing in it is converted.
#[test]
fn values_of_another_type_in_a_file_are_refused_with_key_value_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("meter.meters", "1.7", "expected u32"),
        ("meter.meters", "\"7\"", "expected u32"),
        ("meter.meters", "-7", "expected u32"),
        ("meter.meters", "true", "expected u32"),
        ("meter.meters", "{}", "expected u32"),
        ("deployment.root", "7", "expected a string"),
        ("operator.publish_totals", "\"yes\"", "expected a boolean"),
        ("operator.publish_totals", "1", "expected a boolean"),
        ("analytics.feeders", "\"north\"", "expected a sequence"),
    ];
    for (number, (key, value, problem)) in cases.into_iter().enumerate() {
        let file = folder.path().join(format!("{number}.toml"));
        fs::write(&file, format!("{key} = {value}\n")).unwrap();
        let text = match load(std::slice::from_ref(&file), &[], &[]) {
            Ok(_) => panic!("{key} = {value} was accepted"),
            Err(error) => error.to_string(),
        };
        let start = format!("`{key} = {value}` from {}: ", file.display());
        assert!(text.starts_with(&start) && text.contains(problem), "{text}");
    }
}

#[test]
fn a_file_needs_no_extension_and_its_empty_sections_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine");
    fs::write(&file, "[meter]\n[meter.mix]\n[mqtt]\nin_flight = 7\n").unwrap();
    let loaded = load(std::slice::from_ref(&file), &[], &[]).unwrap();
    assert_eq!(loaded.settings.mqtt.in_flight, 7);
    assert_eq!(loaded.settings.meter, Settings::defaults().meter);
    fs::write(&file, "[metre]\n").unwrap();
    let text = load(&[file], &[], &[]).unwrap_err().to_string();
    assert!(text.starts_with("unknown key `metre` from"), "{text}");
}

#[test]
fn text_that_looks_like_a_number_stays_text_where_text_is_expected() {
    let environment = [
        ("CIPHERWATT__DEPLOYMENT__ID", "123"),
        ("CIPHERWATT__analytics__feeders", "1, 2"),
        ("CIPHERWATT__METER__GATEWAY", "true"),
        (
            "cipherwatt__meter__seed",
            "not a setting: the prefix is in capitals",
        ),
    ];
    let loaded = load(&[], &environment, &[("deployment.root", "007")]).unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.deployment.id.as_ref(), "123");
    assert_eq!(settings.deployment.root, "007");
    assert_eq!(settings.meter.gateway.as_ref(), "true");
    let feeders = settings.analytics.feeders.iter().map(AsRef::as_ref);
    assert_eq!(feeders.collect::<Vec<&str>>(), ["1", "2"]);
    let named = Origin::Environment("CIPHERWATT__analytics__feeders".to_owned());
    assert_eq!(loaded.origin("analytics.feeders"), Some(&named));
}

/// It would be ignored otherwise, and the defaults used instead.
#[test]
fn a_variable_of_a_section_with_single_underscores_is_refused_with_its_right_spelling() {
    for (name, expected) in [
        ("CIPHERWATT_METER_METERS", "CIPHERWATT__METER__METERS"),
        ("CIPHERWATT_METER__METERS", "CIPHERWATT__METER__METERS"),
        (
            "CIPHERWATT_METER_MIX_SOLAR",
            "CIPHERWATT__METER__MIX__SOLAR",
        ),
        ("CIPHERWATT_MQTT_USER", "CIPHERWATT__MQTT__USER"),
    ] {
        let text = load(&[], &[(name, "1")], &[]).unwrap_err().to_string();
        let wrong = format!("the environment variable {name} is not a setting");
        assert!(
            text.starts_with(&wrong) && text.contains(expected),
            "{text}"
        );
    }
    for name in [
        "CIPHERWATT_CACHE",
        "CIPHERWATT_CACHE_SIZE",
        "CIPHERWATT",
        "MY_METER",
    ] {
        load(&[], &[(name, "1")], &[]).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn only_a_setting_must_be_unicode() {
    use std::os::unix::ffi::OsStringExt as _;

    let load = |name: &str| {
        let variable = (name.into(), OsString::from_vec(vec![0xff]));
        load_layers(&[], std::iter::once(variable), &Overrides::new())
    };
    load("PATH").unwrap();
    let text = load("CIPHERWATT__METER__SEED").unwrap_err().to_string();
    assert!(text.contains("CIPHERWATT__METER__SEED"), "{text}");
}

/// The settings `before` are accepted from a file; with `fault` behind them they are refused, with that and the setting
/// `other` that it contradicts. In a file, so that no flag of a command hides it.
fn contradictions(cases: &[(&str, &str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    for (before, fault, other) in cases {
        fs::write(&file, before).unwrap();
        if let Err(error) = load(std::slice::from_ref(&file), &[], &[]) {
            panic!("{before}: {error}");
        }
        fs::write(&file, format!("{before}{fault}\n")).unwrap();
        let Err(error) = load(std::slice::from_ref(&file), &[], &[]) else {
            panic!("{before}{fault} was accepted");
        };
        assert!(matches!(error, ConfigError::Conflict { .. }), "{error}");
        let text = error.to_string();
        let given = fault.replace("11_000_000", "11000000");
        let given = format!("`{given}` from {}", file.display());
        assert!(text.contains(&given), "{fault}: {text}");
        assert!(text.contains(&format!("`{other} = ")), "{fault}: {text}");
        let (_, mend) = text.split_once(": ").unwrap();
        assert!(!mend.is_empty());
    }
}

#[test]
fn settings_of_meter_and_plan_that_contradict_each_other_are_named_with_their_origins() {
    let start = "meter.replay_start = \"2020-01-01T00:00:00Z\"";
    let replay = "meter.source = \"replay\"\nmeter.replay = \"pv.csv\"\n";
    contradictions(&[
        ("", "meter.replay = \"pv.csv\"", "meter.source"),
        ("", "meter.source = \"replay\"", "meter.replay"),
        ("", start, "meter.source"),
        (replay, "meter.meters = 7", "meter.source"),
        (replay, "meter.mix.solar = 0.5", "meter.source"),
        ("", "meter.feeders = 101", "meter.meters"),
        ("", "meter.outbox_max_reports = 99", "meter.meters"),
        ("", "meter.retry_max = \"1s\"", "meter.retry_min"),
        ("", "plan.batch = 5", "plan.interval"),
        (
            "plan.interval = \"2m\"\nplan.layout = \"moments\"\n",
            "plan.batch = 720",
            "plan.layout",
        ),
        ("", "release.supplement_min_meters = 149", "plan.min_meters"),
        (
            "plan.interval = \"2m\"\nplan.layout = \"histogram\"\n",
            "plan.batch = 120",
            "plan.layout",
        ),
        (
            "plan.interval = \"1m\"\nplan.layout = \"histogram\"\n",
            "plan.histogram_edges = [100, 110]",
            "plan.interval",
        ),
        (
            "plan.layout = \"moments\"\n",
            "release.supplement_min_meters = 499",
            "plan.min_meters",
        ),
    ]);
}

#[test]
fn settings_of_live_readings_that_contradict_each_other_are_named_with_their_origins() {
    let lines = "meter.source = \"lines\"\nmeter.meters_file = \"m.csv\"\n";
    let mqtt = "meter.source = \"mqtt\"\nmeter.meters_file = \"m.csv\"\nmeter.feed.address = \"127.0.0.1:1\"\nmeter.feed.mappings = [\"esphome\"]\n";
    contradictions(&[
        ("", "meter.source = \"lines\"", "meter.meters_file"),
        ("", "meter.meters_file = \"m.csv\"", "meter.source"),
        ("", "meter.lines = \"unix:l\"", "meter.source"),
        ("", "meter.live_grace = \"1h\"", "meter.source"),
        ("", "meter.feed.mappings = [\"esphome\"]", "meter.source"),
        (lines, "meter.live_grace = \"1s\"", "meter.live_tolerance"),
        (lines, "meter.speed = 2.5", "meter.source"),
        (lines, "meter.feeders = 2", "meter.source"),
        (lines, "meter.seed = 2", "meter.source"),
        (mqtt, "meter.lines = \"unix:l\"", "meter.source"),
        (mqtt, "meter.feed.password_file = \"p\"", "meter.feed.user"),
        (mqtt, "meter.feed.ca_file = \"ca\"", "meter.feed.address"),
        (
            mqtt,
            "meter.feed.key_file = \"k\"",
            "meter.feed.certificate_file",
        ),
        (lines, "meter.feed.user = \"house\"", "meter.source"),
    ]);
}

#[test]
fn a_recipient_is_a_table_of_known_keys_and_a_reader_has_one_noise_of_a_feeder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let with = |recipients: &[&str]| {
        let sections = recipients.iter().map(|lines| {
            let (unit, lines) = ("unit = \"interval\"", lines.replace("; ", "\n"));
            format!("[[publish.recipients]]\n{unit}\n{lines}\n")
        });
        fs::write(&file, sections.collect::<String>()).unwrap();
        load(std::slice::from_ref(&file), &[], &[])
    };
    let laplace = "mechanism = \"laplace\"; epsilon = 0.5";
    let gaussian = "mechanism = \"gaussian\"; epsilon = 0.5";
    let loaded = with(&[
        &format!("name = \"press\"; {laplace}; feeders = [\"north\"]"),
        &format!(
            "name = \"town\"; reader = \"press\"; {gaussian}; delta = 1e-9; feeders = [\"south\"]"
        ),
    ])
    .unwrap();
    let recipients = &loaded.settings.publish.recipients;
    assert_eq!(recipients[0].epsilon, 0.5);
    assert_eq!(recipients[1].reader(), recipients[0].reader());
    for (recipients, problem) in [
        (
            vec![format!("name = \"a\"; {laplace}; epsilons = 1")],
            "epsilons",
        ),
        (vec![format!("name = \"A b\"; {laplace}")], "a-z"),
        (
            vec!["name = \"a\"; mechanism = \"laplace\"; epsilon = 0".to_owned()],
            "above 0, such as 0.5",
        ),
        (
            vec![format!("name = \"a\"; {laplace}; delta = 1e-9")],
            "leave it out",
        ),
        (vec![format!("name = \"a\"; {gaussian}")], "such as 1e-9"),
        (
            vec![format!("name = \"a\"; {laplace}"); 2],
            "two recipients are called a",
        ),
        (
            vec![
                format!("name = \"a\"; {laplace}"),
                format!("name = \"b\"; {laplace}; reader = \"a\"; feeders = [\"north\"]"),
            ],
            "each with noise of its own: give each reader one recipient",
        ),
    ] {
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let text = with(&recipients).unwrap_err().to_string();
        assert!(
            text.contains("publish.recipients") && text.contains(problem),
            "{text}"
        );
    }
    let press = format!("name = \"press\"; {laplace}");
    with(&[&press]).unwrap();
    for (pattern, problem) in [
        (
            "#",
            "clients of the role all could read exact totals beside noisy ones",
        ),
        (
            "recipient/+/feeder/+/total",
            "could read the totals of several recipients",
        ),
    ] {
        let set = [("broker.roles.all.subscribe", pattern)];
        let error = load(std::slice::from_ref(&file), &[], &set).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn a_mapping_is_a_name_or_a_table_of_known_keys() {
    let live = "meter.source = \"mqtt\"\nmeter.meters_file = \"m.csv\"\nmeter.feed.address = \"127.0.0.1:1\"\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let with = |mappings: &str| {
        fs::write(&file, format!("{live}meter.feed.mappings = {mappings}\n")).unwrap();
        load(std::slice::from_ref(&file), &[], &[])
    };
    let loaded =
        with("[\"esphome\", { topic = \"a/+\", value = [\"/e\"], factor = 2.0 }]").unwrap();
    let mappings = &loaded.settings.meter.feed.mappings;
    assert_eq!(mappings[0].ready.as_deref(), Some("esphome"));
    assert_eq!(mappings[1].topic.as_deref(), Some("a/+"));
    assert_eq!(mappings[1].factor, Some(2.0));
    let text = with("[{ topics = \"a\" }]").unwrap_err().to_string();
    assert!(text.contains("topics"), "{text}");
    let set = [("meter.feed.mappings", "esphome, vzlogger")];
    let loaded = load(std::slice::from_ref(&file), &[], &set).unwrap();
    assert_eq!(loaded.settings.meter.feed.mappings.len(), 2);
}

#[test]
fn settings_of_broker_and_analytics_that_contradict_each_other_are_named_with_their_origins() {
    let packet = "mqtt.max_packet_bytes = 11_000_000";
    let delay = "analytics.commit_max_delay = \"1ms\"";
    let one = "analytics.max_feeders = 1\n";
    let feeders = "analytics.feeders = [\"a\", \"b\"]";
    let listen = "broker.metrics_listen = \"127.0.0.1:1883\"";
    let [connect, statement, idle] = [
        "analytics.postgres.connect_timeout = \"1s\"",
        "analytics.postgres.statement_timeout = \"1m\"",
        "analytics.postgres.idle_in_transaction_timeout = \"1m\"",
    ];
    contradictions(&[
        ("", "mqtt.backoff_max = \"1ms\"", "mqtt.backoff_min"),
        ("", packet, "broker.max_payload_bytes"),
        ("", listen, "broker.listen"),
        ("", delay, "analytics.commit_min_delay"),
        (
            "analytics.store = \"postgres\"\n",
            "analytics.postgres.commit_max_delay = \"1ms\"",
            "analytics.commit_min_delay",
        ),
        ("", "analytics.retention = \"1m\"", "analytics.grace"),
        (one, feeders, "analytics.max_feeders"),
        ("", "analytics.lease_ttl = \"20s\"", "analytics.pool"),
        ("", "analytics.lease_renew = \"1s\"", "analytics.pool"),
        ("", connect, "analytics.store"),
        ("", statement, "analytics.store"),
        ("", idle, "analytics.store"),
        (
            "",
            "analytics.max_open_windows = 2047",
            "analytics.max_feeders",
        ),
    ]);
}

#[test]
fn a_broker_that_others_can_reach_has_tls_and_identities_or_says_that_it_has_not() {
    let manual = "operator.enrolment = \"manual\"\n";
    let tls = "broker.certificate_file = \"b.crt\"\nbroker.key_file = \"b.key\"\n";
    let users = "broker.identity = \"password\"\nbroker.password_file = \"users\"\n";
    let authority = "broker.client_ca_file = \"ca.crt\"\n";
    let listen = "broker.listen = \"0.0.0.0:8883\"";
    let certificate = "broker.identity = \"certificate\"";
    let with = |parts: &[&str]| parts.concat();
    contradictions(&[
        (manual, listen, "broker.certificate_file"),
        (&with(&[manual, users]), listen, "broker.certificate_file"),
        (&with(&[manual, tls]), listen, "broker.identity"),
        ("", "broker.certificate_file = \"b.crt\"", "broker.key_file"),
        ("", "broker.identity = \"password\"", "broker.password_file"),
        ("", "broker.password_file = \"users\"", "broker.identity"),
        ("", certificate, "broker.certificate_file"),
        (tls, certificate, "broker.client_ca_file"),
        ("", "broker.client_ca_file = \"ca.crt\"", "broker.identity"),
        (
            "",
            "broker.client_crl_file = \"crl.pem\"",
            "broker.identity",
        ),
        ("", "broker.insecure_remote = true", "broker.listen"),
        (users, "broker.insecure_local = true", "broker.identity"),
    ]);
    let file = |text: String| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.toml");
        fs::write(&file, text).unwrap();
        load(&[file], &[], &[])
    };
    file(with(&[manual, tls, users, listen])).unwrap();
    file(with(&[manual, tls, authority, certificate, "\n", listen])).unwrap();
    file(with(&[manual, "broker.insecure_remote = true\n", listen])).unwrap();
}

#[test]
fn a_role_may_be_changed_or_new_and_says_what_is_wrong_with_it() {
    let set = |key: &str, value: &str| load(&[], &[], &[(key, value)]);
    let loaded = set("broker.roles.billing.subscribe", "shard/0/feeder/+/total").unwrap();
    let billing = &loaded.settings.broker.roles["billing"];
    assert_eq!(billing.subscribe[0].to_string(), "shard/0/feeder/+/total");
    assert!(billing.publish.is_empty());
    assert!(loaded.settings.broker.roles.contains_key("gateway"));
    let error = set("broker.roles.gateway.publish", "a{id}")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("broker.roles.gateway.publish") && error.contains("pattern"),
        "{error}"
    );
    for unknown in ["broker.roles.gateway.publishes", "broker.roles.publish"] {
        let error = set(unknown, "a").unwrap_err().to_string();
        assert!(error.contains("unknown key"), "{error}");
    }
}

#[test]
fn settings_of_operator_and_holders_that_contradict_each_other_are_named_with_their_origins() {
    let key = SigningKey::generate().verifying_key();
    let key = format!("deployment.operator_key = \"{key}\"\n");
    let production = "deployment.mode = \"production\"";
    let remote = "mqtt.address = \"192.0.2.1:1883\"";
    let keys = "operator.credentials_dir = \"state/operator\"";
    let open = "operator.live_listen = \"0.0.0.0:9470\"";
    let same = "operator.live_listen = \"127.0.0.1:9465\"";
    let scraped = "operator.metrics_listen = \"0.0.0.0:9465\"";
    let (load, export) = ("operator.live_load = true", "operator.export_load = true");
    let no_page = "operator.live_listen = \"\"\n";
    let no_metrics = "operator.metrics_listen = \"\"\n";
    contradictions(&[
        ("", "holder.audit_wait = \"30s\"", "holder.audit_again"),
        ("", production, "deployment.operator_key"),
        (&key, production, "operator.enrolment"),
        ("", remote, "operator.enrolment"),
        ("", "broker.listen = \"0.0.0.0:1883\"", "operator.enrolment"),
        ("", keys, "deployment.state_dir"),
        ("", open, "operator.live_remote"),
        ("", "operator.live_remote = true", "operator.live_listen"),
        ("", scraped, "metrics.remote"),
        (no_page, load, "operator.live_listen"),
        (no_metrics, export, "operator.metrics_listen"),
        ("", same, "operator.metrics_listen"),
    ]);
}

/// A household's readings are not replaced by invented ones because a file forgot to say that it replays.
#[test]
fn a_replay_without_its_source_is_refused_in_every_layer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dso.toml");
    fs::write(&file, "[meter]\nreplay = \"pv.csv\"\n").unwrap();
    let named = file.display().to_string();
    let outcomes = [
        (load(std::slice::from_ref(&file), &[], &[]), named.as_str()),
        (
            load(&[], &[("CIPHERWATT__METER__REPLAY", "pv.csv")], &[]),
            "CIPHERWATT__METER__REPLAY",
        ),
        (load(&[], &[], &[("meter.replay", "pv.csv")]), "a flag"),
    ];
    for (outcome, origin) in outcomes {
        let expected = format!(
            "`meter.replay = \"pv.csv\"` from {origin} contradicts `meter.source = \"simulated\"` from the defaults: "
        );
        let text = outcome.unwrap_err().to_string();
        assert!(text.starts_with(&expected), "{text}");
    }
    // Two layers together are as good as one.
    load(&[file], &[], &[("meter.source", "replay")]).unwrap();
}

#[test]
fn a_window_divides_a_day_or_is_whole_days() {
    let with = |interval: &str, batch: &str| {
        load(
            &[],
            &[],
            &[("plan.interval", interval), ("plan.batch", batch)],
        )
    };
    for (interval, batch) in [
        ("1s", "1"),
        ("15m", "96"),
        ("15m", "8"),
        ("1h", "48"),
        ("1day", "7"),
        ("45m", "32"),
    ] {
        with(interval, batch).unwrap();
    }
    for (interval, batch, mend) in [
        ("15m", "7", "such as 6 or 8"),
        ("1h", "25", "such as 24 or 48"),
        ("1h", "65535", "such as 65520"),
    ] {
        let text = with(interval, batch).unwrap_err().to_string();
        assert!(text.ends_with(mend), "{text}");
    }
}

#[test]
fn where_windows_are_local_days_the_batch_is_that_of_the_longest() {
    let with = |flags: &[(&str, &str)]| load(&[], &[], flags);
    let berlin = ("plan.time_zone", "Europe/Berlin");
    for (interval, batch) in [("1h", 25), ("15m", 100), ("30m", 50), ("5m", 300)] {
        let loaded = with(&[berlin, ("plan.interval", interval)]).unwrap();
        assert_eq!(loaded.settings.plan.grid().unwrap().batch(), batch);
    }
    with(&[berlin, ("plan.interval", "15m"), ("plan.batch", "100")]).unwrap();
    let refused = |flags: &[(&str, &str)]| with(flags).unwrap_err().to_string();
    let batch = refused(&[berlin, ("plan.interval", "15m"), ("plan.batch", "96")]);
    for said in ["`plan.batch = 96`", "plan.time_zone", "expected 100"] {
        assert!(batch.contains(said), "{batch}");
    }
    let hours = refused(&[("plan.time_zone", "Asia/Kathmandu")]);
    for said in ["plan.interval", "Asia/Kathmandu", "divides 15m"] {
        assert!(hours.contains(said), "{hours}");
    }
    with(&[
        ("plan.time_zone", "Asia/Kathmandu"),
        ("plan.interval", "15m"),
    ])
    .unwrap();
    let minutes = refused(&[berlin, ("plan.interval", "1m")]);
    assert!(
        minutes.contains("no more than 1004 intervals; expected a longer interval"),
        "{minutes}"
    );
    let seconds = refused(&[berlin, ("plan.interval", "1s")]);
    assert!(seconds.contains("expected a longer interval"), "{seconds}");
    let unknown = refused(&[("plan.time_zone", "Mars/Olympus")]);
    assert!(
        unknown.contains("plan.time_zone") && unknown.contains("Mars/Olympus"),
        "{unknown}"
    );
}

#[test]
fn a_batch_fits_a_report_of_its_layout() {
    let with = |layout: &str, batch: &str| {
        let flags = [
            ("plan.layout", layout),
            ("plan.interval", "2m"),
            ("plan.batch", batch),
        ];
        load(&[], &[], &flags)
    };
    with("profile", "720").unwrap();
    with("moments", "360").unwrap();
    with("histogram", "90").unwrap();
    for (layout, batch, mend) in [
        (
            "moments",
            "720",
            "no more than 669 intervals; expected a smaller batch, or layout \"profile\"",
        ),
        (
            "histogram",
            "120",
            "no more than 111 intervals; expected a smaller batch, or fewer edges in plan.histogram_edges",
        ),
        (
            "profile",
            "1440",
            "no more than 1004 intervals; expected a smaller batch",
        ),
    ] {
        let text = with(layout, batch).unwrap_err().to_string();
        assert!(text.ends_with(mend), "{text}");
    }
}

/// From sums of squares, and from counts, all but two meters of a small group learn more of both.
#[test]
fn squares_and_counts_need_a_larger_group_and_the_defaults_have_neither() {
    let minimum = |flags: &[(&str, &str)]| {
        let plan = load(&[], &[], flags).unwrap().settings.plan;
        (plan.layout.as_str(), plan.minimum_group())
    };
    assert_eq!(minimum(&[]), ("profile", 15));
    let moments = ("plan.layout", "moments");
    assert_eq!(minimum(&[moments]), ("moments", 50));
    assert_eq!(
        minimum(&[moments, ("plan.min_meters", "60")]),
        ("moments", 60)
    );
    assert_eq!(minimum(&[("plan.layout", "histogram")]), ("histogram", 50));
}

/// In watts, so that they mean the same whatever the interval is; readings are whole watt-hours.
#[test]
fn edges_of_bins_are_whole_watt_hours_of_an_interval_and_only_a_histogram_has_them() {
    let edges = |layout: &str, interval: &str| {
        let flags = [
            ("plan.layout", layout),
            ("plan.interval", interval),
            ("plan.histogram_edges", "[50, 100, 2000]"),
        ];
        load(&[], &[], &flags)
            .unwrap()
            .settings
            .plan
            .histogram_edges_wh()
    };
    assert_eq!(edges("histogram", "15m"), [12, 25, 500]);
    assert_eq!(edges("histogram", "1h"), [50, 100, 2_000]);
    assert_eq!(edges("profile", "15m"), [0_u64; 0]);
}

#[test]
fn late_reports_are_released_in_no_supplement_unless_that_is_configured() {
    let sizes = |flags: &[(&str, &str)]| {
        let settings = load(&[], &[], flags).unwrap().settings;
        let rules = settings.release.rules(settings.plan.minimum_group());
        let size = |meters| rules.size(meters, true) == release::Decision::Release;
        [149, 150, u32::MAX].map(size)
    };
    assert_eq!(sizes(&[]), [false; 3]);
    let allowed = ("release.supplement_min_meters", "150");
    assert_eq!(sizes(&[allowed]), [false, true, true]);
}

#[test]
fn a_profile_is_chosen_for_each_feeder_or_named_for_all() {
    let profile = |name: &str| load(&[], &[], &[("plan.profile", name)]).unwrap();
    assert_eq!(Settings::defaults().plan.profile, None);
    for named in packed::Profile::all() {
        assert_eq!(profile(named.name).settings.plan.profile, Some(*named));
    }
    let printed = profile("auto").print();
    assert!(printed.contains("plan.profile = \"auto\""), "{printed}");
}

#[test]
fn variables_that_make_a_process_fail_are_for_development_only() {
    let key = SigningKey::generate().verifying_key().to_string();
    let production = [
        ("deployment.mode", "production"),
        ("deployment.operator_key", key.as_str()),
        ("operator.enrolment", "manual"),
    ];
    load(&[], &[], &production).unwrap();
    for name in ["CIPHERWATT_SABOTAGE", "CIPHERWATT_FAILPOINT"] {
        let variable = [(name, "dedup")];
        load(&[], &variable, &[]).unwrap();
        let text = load(&[], &variable, &production).unwrap_err().to_string();
        assert!(
            text.contains(name) && text.contains("deployment.mode"),
            "{text}"
        );
    }
}

#[test]
fn trust_without_a_key_stays_on_loopback() {
    let remote = load(&[], &[], &[("mqtt.address", "192.0.2.1:1883")]).unwrap_err();
    assert!(
        remote.to_string().contains("operator.enrolment"),
        "{remote}"
    );
    let manual = [
        ("mqtt.address", "192.0.2.1:1883"),
        ("operator.enrolment", "manual"),
    ];
    load(&[], &[], &manual).unwrap();
    for address in ["localhost:1883", "[::1]:1883", "127.8.8.8:1883"] {
        load(&[], &[], &[("mqtt.address", address)]).unwrap();
    }
}

#[test]
fn localhost_is_an_address_to_listen_on() {
    let listen = load(&[], &[], &[("broker.listen", "localhost:21884")]);
    let listen = listen.unwrap().settings.broker.listen;
    assert_eq!(listen.to_string(), "127.0.0.1:21884");
}

#[test]
fn addresses_are_one_text_or_a_list_in_every_layer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    fs::write(&file, "[mqtt]\naddress = [\"a:1\", \"mqtt://b\"]\n").unwrap();
    let manual = ("operator.enrolment", "manual");
    let address = |files: &[PathBuf], value: &str| {
        let flags = [manual, ("mqtt.address", value)];
        let flags = if value.is_empty() {
            &flags[..1]
        } else {
            &flags
        };
        load(files, &[], flags).unwrap().settings.mqtt.address
    };
    assert_eq!(address(&[file], ""), "a:1, mqtt://b");
    for value in ["a:1, mqtt://b", r#"["a:1", "mqtt://b"]"#] {
        assert_eq!(address(&[], value), "a:1, mqtt://b");
    }
}

#[test]
fn an_account_within_an_address_is_refused_and_not_repeated() {
    for broker in ["mqtt", "meter.feed"] {
        let address = format!("{broker}.address");
        let given = (address.as_str(), "mqtt://north:secret@broker");
        let text = load(&[], &[], &[given]).unwrap_err().to_string();
        assert!(text.contains(&format!("{broker}.password_file")), "{text}");
        assert!(
            text.contains("…@broker") && !text.contains("secret"),
            "{text}"
        );
    }
}

#[test]
fn what_a_login_lacks_or_would_not_use_is_refused() {
    let tls = ("mqtt.address", "mqtts://localhost");
    for (given, first, second) in [
        (
            &[("mqtt.password_file", "f")][..],
            "mqtt.password_file",
            "mqtt.user",
        ),
        (&[("mqtt.ca_file", "f")], "mqtt.ca_file", "mqtts://"),
        (&[("mqtt.server_name", "f")], "mqtt.server_name", "mqtts://"),
        (
            &[tls, ("mqtt.key_file", "f")],
            "mqtt.key_file",
            "mqtt.certificate_file",
        ),
        (
            &[tls, ("mqtt.certificate_file", "f")],
            "mqtt.certificate_file",
            "mqtt.key_file",
        ),
    ] {
        let error = load(&[], &[], given).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(first) && text.contains(second), "{text}");
        assert!(matches!(error, ConfigError::Conflict { .. }), "{text}");
    }
    let pair = [tls, ("mqtt.certificate_file", "f"), ("mqtt.key_file", "g")];
    load(&[], &[], &pair).unwrap();
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let missing = load(&[PathBuf::from("no/such.toml")], &[], &[]).unwrap_err();
    assert!(missing.to_string().contains("no/such.toml"), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.toml");
    fs::write(&file, "[mqtt\n").unwrap();
    let broken = load(&[file], &[], &[]).unwrap_err();
    assert!(
        broken.to_string().contains("broken.toml is not valid TOML"),
        "{broken}"
    );
}

#[test]
fn the_printed_configuration_is_complete_and_can_be_loaded() {
    let flags = [
        ("meter.gateway", "7"),
        ("analytics.feeders", "north"),
        ("meter.source", "replay"),
        ("meter.replay", "a\"b.csv"),
    ];
    let loaded = load(&[], &[], &flags).unwrap();
    let printed = loaded.print();
    let line = printed
        .lines()
        .find(|line| line.starts_with("meter.gateway = \"7\""));
    assert!(line.unwrap().ends_with("# a flag"), "{printed}");
    let line = printed
        .lines()
        .find(|line| line.starts_with("mqtt.address = "));
    assert!(line.unwrap().ends_with("# the defaults"), "{printed}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("printed.toml");
    fs::write(&file, printed).unwrap();
    assert_eq!(load(&[file], &[], &[]).unwrap().settings, loaded.settings);
}
