//! Two transformers under a substation, one feeder of fifteen meters and three of five, with a minimum group of fifteen: the
//! substation's total is exact in every window, also when analytics and the operator are killed in between.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use e2e::processes::{Deployment, Process, wait_for};
use harness::oracle;
use meter::{Scale, feeder_of};
use readings::{Simulated, Source as _};
use serde_json::Value;
use service::Settings;
use wire::{FeederId, Grid, WindowStart};

/// The first window: that of `meter.start`.
const FIRST: u64 = 1_736_121_600;
const WINDOWS: u64 = 12;

/// Each gateway with its meters and its feeders: feeder-1 has ten meters of the second, too.
const GATEWAYS: [(&str, u32, u32); 2] = [("gateway-1", 20, 4), ("gateway-2", 10, 1)];

/// A window closes when all its meters have reported, and for no other reason.
const SETTINGS: &str = r#"
[plan]
areas = [
    { transformer = "t-1", substation = "north", feeders = ["feeder-1", "feeder-2"] },
    { transformer = "t-2", substation = "north", feeders = ["feeder-3", "feeder-4"] },
]
[analytics]
grace = "1000days"
retention = "1000days"
idle_limit = "1h"
release_retry = "1s"
[meter]
start = "2025-01-06T00:00:00Z"
speed = 14400
duration = "48h"
retry_min = "200ms"
retry_max = "2s"
"#;

struct Scene {
    deployment: Deployment,
    broker: Process,
}

impl Scene {
    fn start() -> Self {
        let deployment = Deployment::new();
        std::fs::write(deployment.folder.path().join("areas.toml"), SETTINGS).unwrap();
        let broker = deployment.start("broker", &[]);
        Self { deployment, broker }
    }

    fn service(&self, name: &str) -> Process {
        self.deployment.start(name, &["--config", "areas.toml"])
    }

    fn gateway(&self, (id, meters, feeders): (&str, u32, u32)) -> Process {
        let sets = [
            format!("meter.gateway={id}"),
            format!("meter.meters={meters}"),
            format!("meter.feeders={feeders}"),
        ];
        let mut arguments = vec!["--config", "areas.toml"];
        for set in &sets {
            arguments.extend(["--set", set]);
        }
        self.deployment.start_as(id, "meter", &arguments)
    }

    /// Kills a process and starts it again.
    fn kill(&self, name: &str, mut process: Process) -> Process {
        process.signal("KILL");
        process.ends();
        self.service(name)
    }

    fn rests(&self) -> Vec<Value> {
        let totals = self.deployment.totals().into_iter();
        totals.filter(|total| total["feeder"] == "north").collect()
    }

    fn wait_for(&self, what: &str, holds: impl FnMut() -> bool) {
        wait_for(what, holds, || self.broker.log());
    }
}

/// What the meters of each feeder entered, in Wh by window and interval.
type Truth = BTreeMap<(FeederId, WindowStart), Vec<i64>>;

fn truth() -> Truth {
    let mut truth = BTreeMap::<_, Vec<i64>>::new();
    for (id, meters, feeders) in GATEWAYS {
        let mut settings = Settings::defaults();
        settings.meter.gateway = id.parse().unwrap();
        (settings.meter.meters, settings.meter.feeders) = (meters, feeders);
        let scale = Scale {
            quantum_wh: 1,
            reference_wh: 1 << 20,
        };
        let windows = (WindowStart(FIRST), WINDOWS);
        let grid = Grid::new(3_600, 4).unwrap();
        let entered = oracle::entered(&settings, grid, scale, windows).unwrap();
        let source = Simulated::new(&meter::simulated(&settings)).unwrap();
        let ids = source.meters().iter().map(|spec| spec.id.clone());
        let index: BTreeMap<_, usize> = ids.zip(0..).collect();
        for ((meter, window), energies) in entered {
            let feeder = feeder_of(index[&meter], feeders);
            let sums = truth.entry((feeder, window)).or_insert_with(|| vec![0; 4]);
            for (sum, wh) in sums.iter_mut().zip(energies) {
                *sum += wh;
            }
        }
    }
    truth
}

#[test]
fn a_substation_of_small_feeders_has_exact_totals_whatever_is_killed() {
    let scene = Scene::start();
    let mut operator = scene.service("operator");
    operator.says("keys, plan and roster are ready");
    let mut analytics = scene.service("analytics");
    // Its ten meters alone are held, and wait for the five that are enrolled then.
    let second = scene.gateway(GATEWAYS[1]);
    operator.says("new feeder");
    let mut gateways = [scene.gateway(GATEWAYS[0]), second];
    scene.wait_for("two rests", || scene.rests().len() >= 2);
    analytics = scene.kill("analytics", analytics);
    scene.wait_for("four rests", || scene.rests().len() >= 4);
    operator = scene.kill("operator", operator);
    scene.wait_for("six rests", || scene.rests().len() >= 6);
    analytics = scene.kill("analytics", analytics);
    operator = scene.kill("operator", operator);
    for gateway in &mut gateways {
        assert!(gateway.ends().success(), "{}", gateway.log());
    }
    scene.wait_for("every rest", || scene.rests().len() as u64 >= WINDOWS);

    let truth = truth();
    are_exact(&scene.deployment.totals(), &truth);
    let settings = ["--config", "areas.toml", "--output", "json"];
    let answer = [&settings[..], &["ask", "area", "--area", "north"]].concat();
    let answer: Value = serde_json::from_str(&scene.deployment.operator(&answer)).unwrap();
    let intervals = answer["intervals"].as_array().unwrap();
    let energies = intervals
        .iter()
        .map(|interval| interval["energy_wh"].as_i64().unwrap());
    assert_eq!(energies.sum::<i64>(), truth.values().flatten().sum::<i64>());
    for interval in intervals {
        assert_eq!(
            (&interval["present"], &interval["enrolled"]),
            (&30.into(), &30.into())
        );
    }
    assert_eq!(answer["feeders"]["feeder-1"]["alone"], WINDOWS);
    assert_eq!(answer["feeders"]["feeder-4"]["in_rest"], WINDOWS);
    drop((operator, analytics));
}

/// One total of feeder-1 and one rest of the other three in every window.
fn are_exact(totals: &[Value], truth: &Truth) {
    let mut seen = BTreeSet::new();
    for total in totals {
        let window = WindowStart(total["window_start"].as_u64().unwrap());
        assert!(
            seen.insert((total["feeder"].to_string(), window)),
            "{total}"
        );
        assert_eq!(total["meters"], 15, "{total}");
        let feeders = match total["rest"].as_array() {
            Some(rest) => rest.iter().map(|share| &share["feeder"]).collect(),
            None => vec![&total["feeder"]],
        };
        let expected: &[&str] = match total["feeder"] == "north" {
            true => &["feeder-2", "feeder-3", "feeder-4"],
            false => &["feeder-1"],
        };
        assert_eq!(feeders, expected, "{total}");
        let mut energies = vec![0; 4];
        for feeder in expected {
            let of_feeder = &truth[&(feeder.parse().unwrap(), window)];
            energies
                .iter_mut()
                .zip(of_feeder)
                .for_each(|(sum, wh)| *sum += wh);
        }
        assert_eq!(total["energy_wh"], serde_json::json!(energies), "{total}");
    }
    assert_eq!(seen.len() as u64, 2 * WINDOWS);
}
