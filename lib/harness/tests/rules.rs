//! The broker's default rules against what the processes do: they run behind a proxy that writes down who publishes and
//! subscribes to what. All of it is allowed by the role of who does it, and no role is allowed anything that none of its clients
//! does.

#![allow(clippy::unwrap_used, reason = "tests")]

mod recorder;

use std::collections::BTreeSet;
use std::time::Duration;

use accounts::Folder;
use recorder::{Act, Done, Recorder};
use service::clock::SystemClock;
use service::config::{
    Connections, IdentityKind, PublishMechanism, Rating, Recipient, Role, TariffEntry,
    TopicPattern, Transformer,
};
use service::{Settings, Stop, mqtt, telemetry};
use tokio::time::{Instant, sleep, timeout};
use wire::{PrivacyUnit, SigningKey};

/// Until everything has happened once. Wall time.
const LIMIT: Duration = Duration::from_secs(120);

const IDS: [&str; 5] = [
    "analytics-1",
    "gateway-1",
    "gateway-2",
    "holder-1",
    "holder-2",
];

fn settings() -> Settings {
    let mut settings = Settings::defaults();
    settings.set_min_meters(6);
    settings.operator.publish_totals = true;
    settings.broker.listen = "127.0.0.1:0".parse().unwrap();
    settings.meter.meters = 3;
    settings.meter.feeders = 1;
    // Three meters each, so that there is the rest of an area.
    settings.plan.areas = vec![Transformer {
        transformer: "t-1".parse().unwrap(),
        substation: None,
        feeders: ["feeder-3", "feeder-4"]
            .map(|id| id.parse().unwrap())
            .to_vec(),
    }];
    // Nobody opens its sums.
    settings.plan.over_rating = vec![Rating {
        feeder: "feeder-2".parse().unwrap(),
        watts: 10_000,
    }];
    settings.operator.evaluator_key = Some(SigningKey::generate().verifying_key());
    // Each window is a period. Its bills are refused, since they would leave nobody without one.
    settings.meter.billing = vec!["all".to_owned()];
    settings.release.bill_min_intervals = 1;
    settings.plan.billing_period = "1".to_owned();
    settings.plan.tariffs = vec![TariffEntry {
        from: "1970-01-01".to_owned(),
        otherwise: "all-day".parse().unwrap(),
        holidays: Vec::new(),
        bands: Vec::new(),
    }];
    settings.publish.recipients = vec![Recipient {
        name: "press".parse().unwrap(),
        reader: None,
        feeders: Vec::new(),
        unit: PrivacyUnit::Interval,
        mechanism: PublishMechanism::Laplace,
        epsilon: 0.5,
        delta: None,
    }];
    let event = Duration::from_secs(3 * 4 * 3_600);
    settings.meter.duration = Some(event);
    settings.meter.speed = event.as_secs_f64();
    settings.analytics.idle_limit = Duration::from_secs(2);
    settings
}

/// One of the rules of a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    role: String,
    act: Act,
    pattern: String,
}

fn rules(settings: &Settings, role: &str) -> Vec<Rule> {
    let of = &settings.broker.roles[role];
    let list = |act: Act, patterns: &[TopicPattern]| {
        let rule = |pattern: &TopicPattern| Rule {
            role: role.to_owned(),
            act,
            pattern: pattern.to_string(),
        };
        patterns.iter().map(rule).collect::<Vec<_>>()
    };
    [
        list(Act::Publish, &of.publish),
        list(Act::Retain, &of.retain),
        list(Act::Subscribe, &of.subscribe),
    ]
    .concat()
}

/// The id of a client of this role that connects under this client id: `Some(None)` if the role needs none.
fn id_of(role: &Role, client_id: &str) -> Option<Option<&'static str>> {
    let operator = mqtt::Client::Operator.id(&Settings::defaults().deployment);
    let fits = |id: Option<&str>| {
        role.client_ids.iter().any(|pattern| {
            let pattern = pattern.replace("{deployment}", &operator["operator".len() + 1..]);
            let pattern = pattern.replace("{id}", id.unwrap_or("\0"));
            match pattern.split_once('*') {
                Some((before, after)) => {
                    client_id.starts_with(before) && client_id.ends_with(after)
                }
                None => pattern == client_id,
            }
        })
    };
    let with = IDS.into_iter().find(|id| fits(Some(id)));
    with.map(Some).or_else(|| fits(None).then_some(None))
}

/// Whether the rule allows the topic or filter to the client of this id.
fn allows(rule: &Rule, id: Option<&str>, topic: &str) -> bool {
    let Some(below) = topic.strip_prefix("cipherwatt/v2/") else {
        return false;
    };
    let pattern: Vec<&str> = rule.pattern.split('/').collect();
    let levels: Vec<&str> = below.split('/').collect();
    let fits = |(pattern, level): (&&str, &&str)| match *pattern {
        "+" => *level != "#",
        "{id}" => Some(*level) == id,
        "{meter}" | "{feeder}" => !level.contains(['+', '#']),
        text => text == *level,
    };
    pattern.len() == levels.len() && pattern.iter().zip(&levels).all(fits)
}

/// The rules that somebody made use of; what nobody may do is an error.
fn used(settings: &Settings, done: &BTreeSet<Done>) -> Result<BTreeSet<Rule>, String> {
    let mut used = BTreeSet::new();
    for Done {
        client_id,
        act,
        topic,
    } in done
    {
        let mut roles = settings.broker.roles.iter();
        let role = roles.find_map(|(name, role)| Some((name, id_of(role, client_id)?)));
        let (role, id) = role.ok_or_else(|| format!("{client_id} is a client id of no role"))?;
        let rules = rules(settings, role).into_iter();
        let allowed: Vec<_> = rules
            .filter(|rule| rule.act == *act && allows(rule, id, topic))
            .collect();
        if allowed.is_empty() {
            return Err(format!(
                "role {role} may not {act:?} {topic}, and {client_id} does"
            ));
        }
        used.extend(allowed);
    }
    Ok(used)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_rules_allow_what_the_processes_do_and_nothing_more() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.deployment.state_dir = state.path().to_owned();
    settings.operator.totals_file = state.path().join("totals.jsonl");
    settings.operator.bills_file = state.path().join("bills.jsonl");
    let (_keep, stop) = Stop::manual();
    let broker = broker::bind(&settings).await.unwrap();
    let recorder = Recorder::start(broker.address()).await;
    settings.mqtt.address = recorder.address().to_string();
    tokio::spawn(broker.run(stop.clone()));
    let own = (settings.clone(), stop.clone());
    tokio::spawn(async move { operator::run(&own.0, SystemClock::shared(), own.1, None).await });
    let own = (settings.clone(), stop.clone());
    tokio::spawn(async move { analytics::run(&own.0, SystemClock::shared(), own.1, None).await });
    for (gateway, connections, meters, feeders) in [
        ("gateway-1", Connections::Gateway, 12, 4),
        ("gateway-2", Connections::PerMeter, 6, 2),
    ] {
        let (mut own, stop) = (settings.clone(), stop.clone());
        own.meter.gateway = gateway.try_into().unwrap();
        own.meter.connections = connections;
        (own.meter.meters, own.meter.feeders) = (meters, feeders);
        tokio::spawn(async move { meter::run(&own, SystemClock::shared(), stop, None).await });
    }

    let expected: BTreeSet<Rule> = ["operator", "analytics", "gateway"]
        .iter()
        .flat_map(|role| rules(&settings, role))
        // A search for the meter that spoils a sum begins only if there is one, and only who is not enrolled is told why. The keys of an
        // evaluator, which asks for comparisons, take half a minute to make.
        .filter(|rule| {
            if (rule.act, rule.pattern.as_str()) == (Act::Publish, "evaluator/comparison")
                || is_for_holders(rule)
            {
                return false;
            }
            let by_refusal = rule.role == "operator" && rule.pattern.ends_with("/enrol/answer");
            let searched = operator::doctor::subject(&settings).subscriptions;
            let by_search = rule.role == "operator" && rule.pattern.ends_with("/report");
            let is_searched = || searched.iter().any(|filter| allows(rule, None, filter));
            !by_refusal && (!by_search || !is_searched())
        })
        .collect();
    all_used(&settings, &recorder, &expected).await;
}

/// Starts the operator, analytics and a gateway, each with its own settings.
fn start(settings: &Settings, own: impl Fn(&str, Settings) -> Settings, stop: &Stop) {
    let run = own("operator", settings.clone());
    let stopped = stop.clone();
    tokio::spawn(async move { operator::run(&run, SystemClock::shared(), stopped, None).await });
    let run = own("analytics.analytics-1", settings.clone());
    let stopped = stop.clone();
    tokio::spawn(async move { analytics::run(&run, SystemClock::shared(), stopped, None).await });
    let mut run = own("gateway.gateway-1", settings.clone());
    run.meter.meters = 6;
    let stopped = stop.clone();
    tokio::spawn(async move { meter::run(&run, SystemClock::shared(), stopped, None).await });
}

/// From the first request to the published total, with nothing that the rules refuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_certificates_over_tls_totals_are_made_and_nothing_is_refused() {
    telemetry::install_metrics();
    let state = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.deployment.state_dir = state.path().to_owned();
    settings.operator.totals_file = state.path().join("totals.jsonl");
    settings.operator.bills_file = state.path().join("bills.jsonl");
    let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let folder = Folder::create(&state.path().join("certs"), &hosts).unwrap();
    for name in [
        "operator",
        "analytics.analytics-1",
        "gateway.gateway-1",
        "dashboard.wall",
    ] {
        folder.add(&name.parse().unwrap()).unwrap();
    }
    let file = |name: &str| Some(folder.path().join(name));
    let broker = &mut settings.broker;
    broker.identity = IdentityKind::Certificate;
    broker.certificate_file = file("broker.crt");
    broker.key_file = file("broker.key");
    broker.client_ca_file = file("ca.crt");
    let (_keep, stop) = Stop::manual();
    let broker = broker::bind(&settings).await.unwrap();
    settings.mqtt.address = format!("mqtts://127.0.0.1:{}", broker.address().port());
    settings.mqtt.ca_file = file("ca.crt");
    tokio::spawn(broker.run(stop.clone()));
    let own = |name: &str, mut settings: Settings| {
        settings.mqtt.certificate_file = file(&format!("{name}.crt"));
        settings.mqtt.key_file = file(&format!("{name}.key"));
        settings
    };
    let dashboard = own("dashboard.wall", settings.clone()).mqtt;
    let totals = "cipherwatt/v2/shard/0/feeder/+/total".to_owned();
    let filters = vec![(totals, mqtt::QoS::AtLeastOnce)];
    let (_publisher, mut inbox) =
        mqtt::connect(&dashboard, "dashboard.wall", filters, stop.clone());
    start(&settings, own, &stop);
    let total = async {
        loop {
            if let Some(mqtt::Event::Message(message)) = inbox.recv().await {
                break message.topic.clone();
            }
        }
    };
    let topic = timeout(LIMIT, total).await.unwrap();
    assert_eq!(topic, "cipherwatt/v2/shard/0/feeder/feeder-1/total");
    let metrics = telemetry::render_metrics();
    let refused: Vec<_> = metrics
        .lines()
        .filter(|line| {
            line.starts_with("cipherwatt_broker_refused_total{") && !line.ends_with(" 0")
        })
        .collect();
    assert!(
        metrics.contains("cipherwatt_broker_refused_total{") && refused.is_empty(),
        "{refused:?}"
    );
}

/// What `doctor` asks the broker for is what the process will ask for: see [`service::doctor::Subject`].
#[test]
fn doctor_may_subscribe_to_what_it_tries() {
    let settings = Settings::defaults();
    for (role, id, subject) in [
        ("operator", None, operator::doctor::subject(&settings)),
        (
            "analytics",
            Some("analytics-1"),
            analytics::doctor::subject(&settings),
        ),
        (
            "gateway",
            Some("gateway-1"),
            meter::doctor::subject(&settings),
        ),
    ] {
        let rules = rules(&settings, role);
        assert!(!subject.subscriptions.is_empty());
        for filter in subject.subscriptions {
            let mut subscribe = rules.iter().filter(|rule| rule.act == Act::Subscribe);
            assert!(
                subscribe.any(|rule| allows(rule, id, &filter)),
                "{role}: {filter}"
            );
        }
    }
}

/// What the operator asks holders of mask keys for, and what gateways that pin some hear and show them.
fn is_for_holders(rule: &Rule) -> bool {
    let pattern = rule.pattern.as_str();
    match rule.act {
        Act::Publish => {
            ["holders/ask", "roster/+/proposed", "holder/+/audit/{id}"].contains(&pattern)
        }
        Act::Subscribe => pattern == "gateway/{id}/audit",
        Act::Retain => false,
    }
}

async fn all_used(settings: &Settings, recorder: &Recorder, expected: &BTreeSet<Rule>) {
    let end = Instant::now() + LIMIT;
    loop {
        let used = used(settings, &recorder.done()).unwrap();
        if used.is_superset(expected) {
            break;
        }
        let unused: Vec<_> = expected.difference(&used).collect();
        assert!(Instant::now() < end, "nobody makes use of {unused:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Where there are holders, there are neither bills nor comparisons.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_holders_allow_what_they_and_the_operator_do_and_nothing_more() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.plan.over_rating.clear();
    settings.plan.tariffs.clear();
    settings.meter.billing.clear();
    settings.publish.recipients.clear();
    settings.holder.audit_share = 1.0;
    settings.deployment.state_dir = state.path().to_owned();
    settings.operator.totals_file = state.path().join("totals.jsonl");
    settings.operator.bills_file = state.path().join("bills.jsonl");
    let (_keep, stop) = Stop::manual();
    let broker = broker::bind(&settings).await.unwrap();
    let recorder = Recorder::start(broker.address()).await;
    settings.mqtt.address = recorder.address().to_string();
    tokio::spawn(broker.run(stop.clone()));
    let group: harness::holders::Group = "2of2".parse().unwrap();
    for own in group.set_up(&mut settings, state.path()).unwrap() {
        let stop = stop.clone();
        tokio::spawn(async move { holder::run(&own, SystemClock::shared(), stop).await });
    }
    let own = (settings.clone(), stop.clone());
    tokio::spawn(async move { operator::run(&own.0, SystemClock::shared(), own.1, None).await });
    let own = (settings.clone(), stop.clone());
    tokio::spawn(async move { analytics::run(&own.0, SystemClock::shared(), own.1, None).await });
    let mut own = settings.clone();
    (own.meter.meters, own.meter.feeders) = (12, 1);
    tokio::spawn(async move { meter::run(&own, SystemClock::shared(), stop, None).await });

    let of_others = ["operator", "gateway"].map(|role| rules(&settings, role));
    let of_others = of_others.into_iter().flatten().filter(is_for_holders);
    let expected = rules(&settings, "holder").into_iter().chain(of_others);
    all_used(&settings, &recorder, &expected.collect()).await;
}
