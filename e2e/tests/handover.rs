//! A feeder goes from one analytics service to another while gateways report: first as nobody should do it, then as the
//! runbook says, also with two services that swap, and with a person who approves. Every window is in exactly one total,
//! of all its meters.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use e2e::processes::{Deployment, Process, wait_for};

const GATEWAYS: [&str; 2] = ["gateway-1", "gateway-2"];
const FEEDERS: [&str; 2] = ["feeder-1", "feeder-2"];
/// Meters of a gateway on each of two feeders.
const METERS: u64 = 10;
/// Four hours.
const WINDOW_S: u64 = 14_400;
/// The first window: that of `meter.start`.
const FIRST: u64 = 1_736_121_600;

/// The settings of every process: a window closes when all its meters have reported, and for no other reason.
const SETTINGS: &str = r#"
[analytics]
grace = "1000days"
retention = "1000days"
idle_limit = "1h"
release_retry = "1s"
[meter]
start = "2025-01-06T00:00:00Z"
meters = 20
feeders = 2
retry_min = "200ms"
retry_max = "2s"
"#;

/// A broker and an operator.
struct Scene {
    deployment: Deployment,
    broker: Process,
    operator: Process,
}

impl Scene {
    fn start(operator: &[&str]) -> Self {
        let deployment = Deployment::new();
        let broker = deployment.start("broker", &[]);
        let operator = deployment.start("operator", operator);
        // Before, its commands do not find its state.
        operator.says("keys, plan and roster are ready");
        Self {
            broker,
            operator,
            deployment,
        }
    }

    /// Starts a process of its own settings.
    fn service(&self, name: &str, id: &str, own: &str, arguments: &[&str]) -> Process {
        let file = format!("{id}.toml");
        let section = format!("[{name}]");
        let settings = SETTINGS.replace(&section, &format!("{section}\n{own}"));
        std::fs::write(self.deployment.folder.path().join(&file), settings).unwrap();
        let arguments = [&["--config", &file], arguments].concat();
        self.deployment.start_as(id, name, &arguments)
    }

    fn analytics(&self, id: &str, feeders: &str) -> Process {
        let own = format!("id = {id:?}\nfeeders = {feeders}");
        self.service("analytics", id, &own, &[])
    }

    fn analytics_again(&self, mut before: Process, id: &str, feeders: &str) -> Process {
        before.signal("TERM");
        assert!(before.ends().success(), "{}", before.log());
        self.analytics(id, feeders)
    }

    fn gateways(&self, arguments: &[&str]) -> [Process; 2] {
        GATEWAYS.map(|id| self.service("meter", id, &format!("gateway = {id:?}"), arguments))
    }

    fn wait_for(&self, what: &str, holds: impl FnMut() -> bool) {
        let log = || format!("{}\n{}", self.operator.log(), self.broker.log());
        wait_for(what, holds, log);
    }

    /// A person approves what this peer asks for.
    fn approve(&self, id: &str) {
        let approved = || self.deployment.approves(id, &[]);
        self.wait_for(&format!("a request of {id}"), approved);
    }

    /// The windows of a feeder that have a total, each with the service that released it.
    fn windows(&self, feeder: &str) -> BTreeMap<u64, String> {
        let totals = self.deployment.totals();
        let of_feeder = totals.iter().filter(|total| total["feeder"] == feeder);
        let window = |total: &serde_json::Value| {
            let service = total["analytics"].as_str().unwrap().to_owned();
            (total["window_start"].as_u64().unwrap(), service)
        };
        of_feeder.map(window).collect()
    }

    fn released_by(&self, service: &str, feeder: &str) -> usize {
        let windows = self.windows(feeder);
        windows.values().filter(|of| *of == service).count()
    }

    /// Waits until the service has released so many more windows of the feeder.
    fn releases(&self, service: &str, feeder: &str, more: usize) {
        let least = self.released_by(service, feeder) + more;
        let what = format!("{least} windows of {feeder} by {service}");
        self.wait_for(&what, || self.released_by(service, feeder) >= least);
    }

    /// Stops the gateways, however far they had got, and has them settle every report of some more windows. Then every
    /// window up to there is in one total of all its meters.
    fn finish(&self, mut gateways: [Process; 2]) {
        for gateway in &mut gateways {
            gateway.signal("TERM");
            assert!(gateway.ends().success(), "{}", gateway.log());
        }
        let newest = FEEDERS.map(|feeder| *self.windows(feeder).keys().next_back().unwrap());
        let end = newest.into_iter().max().unwrap() + 20 * WINDOW_S;
        let duration = format!("{}s", end - FIRST);
        for mut gateway in self.gateways(&["--speed", "28800", "--duration", &duration]) {
            assert!(gateway.ends().success(), "{}", gateway.log());
        }
        let expected: BTreeSet<u64> = (FIRST..end).step_by(WINDOW_S as usize).collect();
        for feeder in FEEDERS {
            let is_there = |window| self.windows(feeder).contains_key(window);
            let has_all = || expected.iter().all(is_there);
            self.wait_for(&format!("every window of {feeder}"), has_all);
        }
        let mut seen = BTreeSet::new();
        for total in self.deployment.totals() {
            let place = (total["feeder"].to_string(), total["window_start"].as_u64());
            assert_eq!(total["part"], 0, "{total}");
            assert_eq!(total["meters"], METERS * GATEWAYS.len() as u64, "{total}");
            assert!(seen.insert(place), "two totals: {total}");
        }
    }

    /// The feeder changed its owner between two windows, and no release was refused.
    fn changed_once(&self, feeder: &str, [before, after]: [&str; 2], services: [&Process; 2]) {
        let windows = self.windows(feeder);
        let changed = windows.values().position(|of| of == after).unwrap();
        let owners: Vec<_> = windows.into_values().collect();
        assert!(
            owners[..changed].iter().all(|of| of == before),
            "{owners:?}"
        );
        assert!(owners[changed..].iter().all(|of| of == after), "{owners:?}");
        for process in services.into_iter().chain([&self.operator]) {
            let log = process.log();
            assert!(!log.contains("refused a release"), "{log}");
            assert!(!log.contains("a sum was rejected"), "{log}");
        }
    }
}

#[test]
fn a_feeder_changes_its_service_under_load_and_every_window_is_in_one_total() {
    let scene = Scene::start(&[]);
    let first = scene.analytics("analytics-1", "[]");
    // A window takes two seconds.
    let gateways = scene.gateways(&["--speed", "7200"]);
    scene.releases("analytics-1", "feeder-1", 2);

    // As nobody should: the operator refuses it and says what to do, and the owner goes on.
    let second = scene.analytics("analytics-2", r#"["feeder-1"]"#);
    let refused = "feeder feeder-1 belongs to analytics service analytics-1";
    scene.operator.says(refused);
    scene.releases("analytics-1", "feeder-1", 3);
    assert_eq!(scene.released_by("analytics-2", "feeder-1"), 0);

    // As the runbook says: the owner gives the feeder up, and the request that waits is granted.
    let first = scene.analytics_again(first, "analytics-1", r#"["feeder-2"]"#);
    scene.releases("analytics-2", "feeder-1", 3);
    scene.releases("analytics-1", "feeder-2", 2);

    scene.finish(gateways);
    let services = ["analytics-1", "analytics-2"];
    scene.changed_once("feeder-1", services, [&first, &second]);
}

/// Each gives up its only feeder before it can have the other's.
#[test]
fn two_services_swap_their_only_feeders_under_load() {
    let scene = Scene::start(&[]);
    let first = scene.analytics("analytics-1", r#"["feeder-1"]"#);
    let second = scene.analytics("analytics-2", r#"["feeder-2"]"#);
    let gateways = scene.gateways(&["--speed", "14400"]);
    scene.releases("analytics-1", "feeder-1", 2);
    scene.releases("analytics-2", "feeder-2", 1);

    let first = scene.analytics_again(first, "analytics-1", r#"["feeder-2"]"#);
    let second = scene.analytics_again(second, "analytics-2", r#"["feeder-1"]"#);
    scene.releases("analytics-2", "feeder-1", 2);
    scene.releases("analytics-1", "feeder-2", 2);

    scene.finish(gateways);
    let services = ["analytics-1", "analytics-2"];
    scene.changed_once("feeder-1", services, [&first, &second]);
    let [one, two] = services;
    scene.changed_once("feeder-2", [two, one], [&first, &second]);
}

#[test]
fn a_feeder_is_handed_over_by_hand_and_a_request_from_before_takes_nothing() {
    let scene = Scene::start(&["--set", "operator.enrolment=manual"]);
    let first = scene.analytics("analytics-1", r#"["feeder-1", "feeder-2"]"#);
    scene.approve("analytics-1");
    let gateways = scene.gateways(&["--speed", "14400"]);
    for id in GATEWAYS {
        scene.approve(id);
    }
    scene.releases("analytics-1", "feeder-1", 1);

    // It is to give a feeder up, and then to keep it after all: what it asked for must not wait for a hasty approval.
    let asks = || {
        scene
            .deployment
            .operator(&["pending"])
            .contains("analytics-1")
    };
    let first = scene.analytics_again(first, "analytics-1", r#"["feeder-2"]"#);
    scene.wait_for("the request to give it up", asks);
    let first = scene.analytics_again(first, "analytics-1", r#"["feeder-1", "feeder-2"]"#);
    scene.wait_for("the request is void", || !asks());
    scene.releases("analytics-1", "feeder-1", 1);

    // Approved at once, the new owner waits; approved too, the old one gives the feeder up.
    let second = scene.analytics("analytics-2", r#"["feeder-1"]"#);
    scene.approve("analytics-2");
    scene.operator.says("feeder feeder-1 belongs to");
    let first = scene.analytics_again(first, "analytics-1", r#"["feeder-2"]"#);
    scene.approve("analytics-1");
    scene.releases("analytics-2", "feeder-1", 2);

    scene.finish(gateways);
    let services = ["analytics-1", "analytics-2"];
    scene.changed_once("feeder-1", services, [&first, &second]);
}
