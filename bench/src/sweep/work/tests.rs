//! What the values mean, and which cannot be.

use super::super::parameter::default_values;
use super::*;
use clap::ValueEnum as _;

fn options() -> Options {
    Options::default()
}

#[test]
fn default_values_begin_with_those_of_the_earlier_demo() {
    let starts = |parameter, values: &[&str]| {
        for quick in [true, false] {
            let all = default_values(parameter, quick);
            assert!(all.starts_with(values), "{parameter:?}");
        }
    };
    starts(Parameter::Meters, &["2", "5", "10", "20"]);
    starts(Parameter::Interval, &["1s", "5s", "10s", "30s"]);
    starts(Parameter::Batch, &["1", "5", "10", "20"]);
    let meters = default_values(Parameter::Meters, false);
    assert_eq!(meters.last(), Some(&"100000"));
}

#[test]
fn every_default_value_is_work_and_values_that_are_numbers_rise() {
    let all = Parameter::value_variants().iter();
    for parameter in
        all.filter(|parameter| ![Parameter::Operation, Parameter::Epsilon].contains(parameter))
    {
        for quick in [true, false] {
            let options = Options { quick, ..options() };
            let of = |label: &&str| Work::of(*parameter, label, &options).unwrap();
            let works: Vec<Work> = default_values(*parameter, quick).iter().map(of).collect();
            assert!(works.is_sorted_by(|a, b| a.value <= b.value), "{works:?}");
            let mut works = works.iter();
            assert!(works.all(|work| work.windows >= 1 && work.reports() > 1));
        }
    }
}

#[test]
fn batches_report_the_same_readings_and_payloads_the_same_reports() {
    let works = |parameter, labels: &[&str]| -> Vec<Work> {
        let of = |label: &&str| Work::of(parameter, label, &options()).unwrap();
        labels.iter().map(of).collect()
    };
    for work in works(Parameter::Batch, &["1", "5", "10", "20", "48", "96"]) {
        assert_eq!(u32::from(work.batch) * work.windows, BATCH_INTERVALS.0);
    }
    let labels = ["1", "profile:96", "moments:512", "histogram:96"];
    let payloads = works(Parameter::Payload, &labels);
    let reports = payloads[0].reports();
    assert!(payloads.iter().all(|work| work.reports() == reports));
    assert_eq!(payloads[2].value, Some(512.0 * 3.0 + 8.0 + 32.0));
    assert_eq!(payloads[3].value, Some(96.0 * 18.0 + 8.0 + 32.0));
}

#[test]
fn the_minimum_group_is_lowered_only_where_a_feeder_has_fewer_meters_and_says_so() {
    let minimum = |label| {
        let work = Work::of(Parameter::Meters, label, &options()).unwrap();
        let settings = work.settings(15, 1).unwrap();
        (settings.min_meters, settings.min_meters_lowered_from)
    };
    assert_eq!(minimum("5"), (5, Some(15)));
    assert_eq!(minimum("100"), (15, None));
}

#[test]
fn a_longer_interval_offers_less() {
    let offered = |label| {
        let work = Work::of(Parameter::Interval, label, &options()).unwrap();
        work.settings(15, 1).unwrap().offered_reports_per_s.unwrap()
    };
    assert_eq!(offered("1s"), 1500.0);
    assert_eq!(offered("30"), 50.0);
}

#[test]
fn a_value_that_cannot_be_names_the_flag() {
    for (parameter, label) in [
        (Parameter::Meters, "1"),
        (Parameter::Meters, "many"),
        (Parameter::Interval, "0s"),
        (Parameter::Interval, "1.5s"),
        (Parameter::Batch, "0"),
        (Parameter::Payload, "moments:700"),
        (Parameter::Payload, "histogram:112"),
        (Parameter::Payload, "squares:5"),
        (Parameter::Feeders, "0"),
        (Parameter::Feeders, "151"),
        (Parameter::Loss, "1"),
        (Parameter::Latency, "-1s"),
        (Parameter::Profile, "none"),
    ] {
        let error = format!("{:#}", Work::of(parameter, label, &options()).unwrap_err());
        assert!(error.contains(label), "{error}");
        assert!(error.contains(&name(parameter)), "{error}");
    }
}
