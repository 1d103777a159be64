//! What the services tell while they work: metrics that follow the rules and are documented, and logs in which a report
//! can be followed from its seal to its total.
//!
//! All processes are real, in this process and over TCP, so one export has the metrics of all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::LazyLock;
use std::time::Duration;

use harness::network::Network;
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::watch::Seen;
use serde_json::Value;
use service::config::{Log, LogFormat, PublishMechanism, Recipient, Transformer};
use service::{Settings, Stop, telemetry};

/// Far above what anything here takes; reaching it is a failure, not a measurement.
const LIMIT: Duration = Duration::from_secs(120);

const METERS: u32 = 40;
const FEEDERS: u32 = 2;
/// A day in windows of four hours.
const WINDOWS: usize = 6;

/// What was seen of one day of two feeders.
struct Observed {
    metrics: String,
    log: Vec<Value>,
}

static OBSERVED: LazyLock<Observed> = LazyLock::new(|| {
    // Tests may be on a runtime of their own, which must not be blocked by another.
    std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(run()))
        .join()
        .unwrap()
});

async fn run() -> Observed {
    let state = tempfile::tempdir().unwrap();
    let log = state.path().join("log");
    let format = Log {
        level: "debug".to_owned(),
        format: LogFormat::Json,
    };
    telemetry::log_to_file(&format, File::create(&log).unwrap()).unwrap();
    telemetry::install_metrics();
    telemetry::build_info("observe");
    // There is none in the stack: it would take evaluation keys.
    evaluator::metrics::register();
    // Nor holders, who would change what gateways and the operator do.
    holder::metrics::register();
    let mut settings = Settings::defaults();
    settings.operator.export_load = true;
    // What of percentiles is exported, in groups as small as the others.
    settings.plan.layout = "histogram".parse().unwrap();
    settings.plan.detail_min_meters = settings.plan.min_meters;
    settings.plan.areas = vec![Transformer {
        transformer: "transformer-1".parse().unwrap(),
        substation: None,
        feeders: vec!["feeder-1".parse().unwrap()],
    }];
    settings.publish.recipients = vec![Recipient {
        name: "press".parse().unwrap(),
        reader: None,
        feeders: Vec::new(),
        unit: wire::PrivacyUnit::Interval,
        mechanism: PublishMechanism::Laplace,
        epsilon: 0.5,
        delta: None,
    }];
    settings.operator.live_listen = None;
    settings.meter.meters = METERS;
    settings.meter.feeders = FEEDERS;
    settings.meter.speed = 28_800.0;
    settings.meter.duration = Some(Duration::from_secs(86_400));
    let state = state.path().join("state");
    let mut stack = Stack::services(&settings, &state, &On::here())
        .await
        .unwrap();
    stack.add_fleet(Network::default()).await.unwrap();
    let day = tokio::time::timeout(LIMIT, day(&mut stack));
    assert_eq!(day.await.unwrap(), u64::from(METERS) * WINDOWS as u64);
    let metrics = telemetry::render_metrics();
    stack.stop().await.unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    Observed {
        metrics,
        log: (log.lines())
            .map(|line| serde_json::from_str(line).expect(line))
            .collect(),
    }
}

/// Waits for the end of the fleet and all totals; returns how many reports were folded.
async fn day(stack: &mut Stack) -> u64 {
    let (_keep, stop) = Stop::manual();
    let mut folded = None;
    let mut released = 0;
    loop {
        if let Some(folded) = folded.filter(|_| released == WINDOWS * FEEDERS as usize) {
            return folded;
        }
        match stack.next(&stop).await.unwrap() {
            Next::FleetEnded(summary) => folded = Some(summary.folded),
            Next::Seen(Seen::Operator(operator::Event::Released(_))) => released += 1,
            Next::Seen(_) => {}
        }
    }
}

/// A metric as it is exported, or documented.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Metric {
    name: String,
    kind: String,
    unit: String,
    labels: BTreeSet<String>,
    meaning: String,
}

/// Our metrics in an export, and its samples.
fn exported(text: &str) -> (Vec<Metric>, Vec<(String, f64)>) {
    let header = |prefix: &'static str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
        let split = lines.map(|line| line.split_once(' ').unwrap());
        split
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect()
    };
    let help = header("# HELP ");
    let kinds = header("# TYPE ");
    let mut labels: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut samples = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, rest) = series.split_once('{').unwrap_or((series, ""));
        let family = kinds.keys().rfind(|known| {
            let rest = name.strip_prefix(known.as_str());
            rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        });
        let family = family.unwrap_or_else(|| panic!("{name} has no type"));
        let of_family = labels.entry(family).or_default();
        let pairs = rest
            .trim_end_matches('}')
            .split("\",")
            .filter(|pair| !pair.is_empty());
        of_family.extend(pairs.map(|pair| pair.split_once('=').unwrap().0.to_owned()));
        of_family.remove("le");
        samples.push((series.to_owned(), value.parse().unwrap()));
    }
    let metrics = kinds.iter().map(|(name, kind)| Metric {
        name: name.clone(),
        kind: kind.clone(),
        unit: unit(name).to_owned(),
        labels: labels.remove(name.as_str()).unwrap_or_default(),
        meaning: help
            .get(name)
            .cloned()
            .unwrap_or_else(|| panic!("{name} has no help")),
    });
    (metrics.collect(), samples)
}

fn unit(name: &str) -> &'static str {
    let base = name.strip_suffix("_total").unwrap_or(name);
    let ends = |unit: &&&str| {
        base.strip_suffix(**unit)
            .is_some_and(|rest| rest.ends_with('_'))
    };
    ["seconds", "bytes", "ratio", "watts"]
        .iter()
        .find(ends)
        .copied()
        .unwrap_or("")
}

fn is_ours(metric: &Metric) -> bool {
    metric.name.starts_with("cipherwatt_")
}

#[test]
fn metrics_follow_the_rules() {
    const LABELS: [&str; 12] = [
        "reason",
        "step",
        "status",
        "why",
        "result",
        "certificate",
        "feeder",
        "area",
        "percentile",
        "service",
        "version",
        "commit",
    ];
    let (metrics, samples) = exported(&OBSERVED.metrics);
    for metric in &metrics {
        let Metric {
            name, kind, labels, ..
        } = metric;
        assert!(!metric.meaning.trim().is_empty(), "{name} says nothing");
        assert_eq!(
            kind == "counter",
            name.ends_with("_total"),
            "{name} is a {kind}"
        );
        assert!(
            ["counter", "gauge", "histogram"].contains(&kind.as_str()),
            "{name} is a {kind}"
        );
        assert!(is_ours(metric) || name.starts_with("process_"), "{name}");
        assert!(
            labels.iter().all(|label| LABELS.contains(&label.as_str())),
            "{name} {labels:?}"
        );
        for unit in ["milli", "micro", "_ms", "_us", "kilo", "_wh", "percent"] {
            assert!(!name.contains(unit), "{name} has no base unit");
        }
        assert_eq!(
            labels.contains("feeder"),
            name.contains("_feeder_"),
            "{name} {labels:?}"
        );
    }
    for (series, value) in &samples {
        assert!(value.is_finite(), "{series} is {value}");
    }
}

#[test]
fn metrics_are_those_documented() {
    let documented = include_str!("../../docs/metrics.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, unit, labels, meaning] = cells[..] else {
                return None;
            };
            let name = name.strip_prefix("`cipherwatt_")?.strip_suffix('`')?;
            Some(Metric {
                name: format!("cipherwatt_{name}"),
                kind: kind.to_owned(),
                unit: unit.to_owned(),
                labels: labels
                    .split(' ')
                    .map(|label| label.trim_matches('`').to_owned())
                    .filter(|label| !label.is_empty())
                    .collect(),
                meaning: meaning.to_owned(),
            })
        });
    let documented: BTreeSet<Metric> = documented.collect();
    let (exported, _) = exported(&OBSERVED.metrics);
    let exported: BTreeSet<Metric> = exported.into_iter().filter(is_ours).collect();
    let undocumented: Vec<_> = exported.difference(&documented).collect();
    assert!(
        undocumented.is_empty(),
        "not in docs/metrics.md: {undocumented:#?}"
    );
    let gone: Vec<_> = documented.difference(&exported).collect();
    assert!(
        gone.is_empty(),
        "in docs/metrics.md, not exported: {gone:#?}"
    );
}

/// The figures of a service, without the `cipherwatt_` of all names. Where a name ends in `*`, it is the count of a
/// histogram of durations.
fn assert_figures(figures: &[(&str, f64)]) {
    let (_, samples) = exported(&OBSERVED.metrics);
    let samples: BTreeMap<String, f64> = samples.into_iter().collect();
    for (name, expected) in figures {
        let name = format!(
            "cipherwatt_{}",
            name.replace('*', "_duration_seconds_count")
        );
        let found = samples.get(&name);
        assert_eq!(found, Some(expected), "{name}");
    }
}

const REPORTS: f64 = METERS as f64 * WINDOWS as f64;
const SUMS: f64 = FEEDERS as f64 * WINDOWS as f64;

#[test]
fn every_step_of_a_report_is_counted_and_timed_at_its_gateway() {
    assert_figures(&[
        ("meter_meters", f64::from(METERS)),
        ("meter_reports_accepted_total", REPORTS),
        ("meter_reports_settled_total{status=\"folded\"}", REPORTS),
        ("meter_reports_lost_total", 0.0),
        ("meter_outbox_reports", 0.0),
        ("meter_encode*", REPORTS),
        ("meter_encrypt*", REPORTS),
        ("meter_sign*", REPORTS),
        ("meter_seal*", REPORTS),
        ("meter_receipt*", REPORTS),
    ]);
}

#[test]
fn every_step_from_a_report_to_a_total_is_counted_and_timed_at_analytics_and_the_operator() {
    assert_figures(&[
        ("analytics_reports_folded_total", REPORTS),
        ("analytics_report_age_seconds_count", REPORTS),
        ("analytics_releases_total", SUMS),
        ("analytics_release*", SUMS),
        ("analytics_open_sums", 0.0),
        ("operator_releases_taken_total", SUMS),
        ("operator_reports_covered_total", REPORTS),
        ("operator_decrypt*", SUMS),
        ("operator_end_to_end*", SUMS),
        ("operator_oldest_report_seconds_count", SUMS),
        ("operator_completeness_ratio_sum", SUMS),
        (
            "operator_feeder_completeness_ratio{feeder=\"feeder-2\"}",
            1.0,
        ),
        ("operator_feeders_unlabelled", 0.0),
        ("broker_up", 1.0),
    ]);
}

#[test]
fn what_depends_on_the_machine_is_measured_too() {
    let (_, samples) = exported(&OBSERVED.metrics);
    let samples: BTreeMap<String, f64> = samples.into_iter().collect();
    // A report that was sent twice because the machine is slow is counted twice in the queue of its commit.
    assert!(samples["cipherwatt_analytics_commit_reports_sum"] >= REPORTS);
    for name in [
        "cipherwatt_mqtt_connections",
        "cipherwatt_mqtt_messages_published_total",
        "cipherwatt_analytics_store_bytes",
        "cipherwatt_operator_feeder_load_watts{feeder=\"feeder-1\"}",
        "cipherwatt_operator_feeder_quantum_watts{feeder=\"feeder-1\"}",
        "process_resident_memory_bytes",
    ] {
        assert!(samples[name] > 0.0, "{name}");
    }
}

fn lines<'a>(trace: &'a str, message: &'a str) -> impl Iterator<Item = &'a Value> {
    let log = OBSERVED.log.iter();
    log.filter(move |line| line["trace_id"] == trace && line["message"] == message)
}

#[test]
fn a_report_can_be_followed_from_seal_to_total_by_one_id() {
    let sealed = OBSERVED
        .log
        .iter()
        .find(|line| line["message"] == "sealed")
        .unwrap();
    assert!(
        sealed["target"].as_str().unwrap().starts_with("meter"),
        "{sealed}"
    );
    let trace = sealed["trace_id"].as_str().unwrap();
    let report = &sealed["report"];
    let digits = |text: &str| text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    assert!(trace.len() == 32 && digits(trace), "{sealed}");
    let is_logged = |of: (&str, &Value), process: &str, message: &str| {
        let mut lines = lines(trace, message).filter(|line| line[of.0] == *of.1);
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("{message} of {}", of.1));
        let target = line["target"].as_str().unwrap();
        assert!(target.starts_with(process), "{line}");
    };
    for (process, message) in [
        ("meter", "sealed"),
        ("meter", "published"),
        ("analytics", "folded"),
        ("analytics", "committed"),
        ("meter", "receipt"),
    ] {
        is_logged(("report", report), process, message);
    }
    let released = lines(trace, "released").next().unwrap();
    for (process, message) in [
        ("analytics", "released"),
        ("operator", "received"),
        ("operator", "decrypted"),
        ("operator", "total written"),
        ("analytics", "settled"),
    ] {
        is_logged(("sum", &released["sum"]), process, message);
    }
    // Everybody of the same window and feeder is on the trace, and nobody else.
    let of_trace: BTreeSet<String> = lines(trace, "folded")
        .map(|line| line["report"].to_string())
        .collect();
    assert_eq!(of_trace.len(), (METERS / FEEDERS) as usize);
}

#[test]
fn what_is_logged_of_a_report_has_nothing_of_its_contents() {
    const FIELDS: [&str; 18] = [
        "timestamp",
        "level",
        "target",
        "message",
        "trace_id",
        "report",
        "sum",
        "meter",
        "feeder",
        "window",
        "part",
        "bytes",
        "again",
        "status",
        "contributors",
        "joined",
        "left",
        "threadId",
    ];
    let traced = OBSERVED
        .log
        .iter()
        .filter(|line| !line["trace_id"].is_null());
    let mut count = 0;
    for line in traced {
        count += 1;
        for (field, value) in line.as_object().unwrap() {
            assert!(FIELDS.contains(&field.as_str()), "{field} in {line}");
            assert!(!value.is_array() && !value.is_object(), "{field} in {line}");
            assert!(
                value.as_str().is_none_or(|text| text.len() <= 64),
                "{field} in {line}"
            );
        }
    }
    assert!(count > 0);
    // Nor has any other line a list of numbers, or a text as long as a ciphertext.
    for line in &OBSERVED.log {
        assert!(line.to_string().len() < 2_000, "{line}");
        assert!(
            line.as_object()
                .unwrap()
                .values()
                .all(|value| !value.is_array()),
            "{line}"
        );
    }
}
