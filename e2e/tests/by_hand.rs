//! The four processes as a newcomer starts them: in any order, each saying what it waits for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use e2e::binaries;

/// Long enough for a loaded machine; nothing is asserted about speed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A deployment in a folder of its own, on a port of its own.
struct Deployment {
    folder: tempfile::TempDir,
    address: SocketAddr,
}

struct Process {
    child: Child,
    log: PathBuf,
}

/// A free port that nobody else is given: below those the system hands out by itself, for listening or for an outgoing
/// connection, since nobody holds this one until the broker starts.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 11;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(port < 32_000, "no free port from {first} on");
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("an address");
        }
    }
}

impl Deployment {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            address: free_address(),
        }
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Process {
        self.start_as(name, name, arguments)
    }

    /// Starts a binary whose log is called `label`.
    fn start_as(&self, label: &str, name: &str, arguments: &[&str]) -> Process {
        let log = self.folder.path().join(format!("{label}.log"));
        let child = Command::new(binaries().join(name))
            .current_dir(self.folder.path())
            .env("CIPHERWATT__MQTT__ADDRESS", self.address.to_string())
            .env("CIPHERWATT__BROKER__LISTEN", self.address.to_string())
            .env(
                format!("CIPHERWATT__{}__METRICS_LISTEN", name.to_uppercase()),
                "127.0.0.1:0",
            )
            .env("CIPHERWATT__OPERATOR__LIVE_LISTEN", "127.0.0.1:0")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(self.folder.path().join(format!("{label}.out"))).expect("a file"))
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("the process starts");
        Process { child, log }
    }

    fn totals(&self) -> Vec<serde_json::Value> {
        let find = |folder: &Path| std::fs::read_to_string(folder.join("totals.jsonl")).ok();
        let text =
            find(self.folder.path()).or_else(|| find(&self.folder.path().join("state/operator")));
        text.unwrap_or_default()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Process {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn says(&self, words: &str) {
        wait_for(words, || self.log().contains(words), || self.log());
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    fn ends(&mut self) -> ExitStatus {
        let log = self.log.clone();
        let mut status = None;
        wait_for(
            "the process ends",
            || {
                status = self.child.try_wait().expect("a status");
                status.is_some()
            },
            || std::fs::read_to_string(&log).unwrap_or_default(),
        );
        status.expect("it has ended")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool, log: impl Fn() -> String) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < PATIENCE,
            "waited in vain: {what}\n{}",
            log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn in_any_order_each_says_what_it_waits_for_and_totals_come() {
    let deployment = Deployment::new();
    let arguments = [
        "--meters",
        "40",
        "--feeders",
        "2",
        "--speed",
        "28800",
        "--duration",
        "1day",
    ];
    let mut meter = deployment.start("meter", &arguments);
    meter.says("cargo run --release -p broker");
    let mut analytics = deployment.start("analytics", &[]);
    analytics.says("cargo run --release -p broker");
    let mut broker = deployment.start("broker", &[]);
    meter.says("cargo run --release -p operator");
    let mut operator = deployment.start("operator", &[]);
    assert!(meter.ends().success(), "{}", meter.log());

    // A day in windows of four hours on two feeders.
    wait_for(
        "12 totals",
        || deployment.totals().len() >= 12,
        || operator.log(),
    );
    let totals = deployment.totals();
    assert_eq!(totals.len(), 12);
    for total in &totals {
        assert_eq!(total["meters"], 20);
        assert_eq!(total["interval_s"], 3600);
        assert_eq!(total["energy_wh"].as_array().map(Vec::len), Some(4));
    }
    for process in [&mut analytics, &mut operator, &mut broker] {
        process.signal("TERM");
        assert_eq!(process.ends().code(), Some(0), "{}", process.log());
    }
}

#[test]
fn an_analytics_service_that_is_killed_stops_no_feeder_of_another() {
    const WINDOWS: usize = 8;
    let deployment = Deployment::new();
    let analytics = |id: &str, feeders: &str| {
        let settings = format!("[analytics]\nid = \"{id}\"\nfeeders = {feeders}\n");
        let file = format!("{id}.toml");
        std::fs::write(deployment.folder.path().join(&file), settings).expect("a file");
        deployment.start_as(id, "analytics", &["--config", &file])
    };
    let _broker = deployment.start("broker", &[]);
    let operator = deployment.start("operator", &[]);
    let _first = analytics("analytics-1", r#"["feeder-1", "feeder-2"]"#);
    let second = analytics("analytics-2", r#"["feeder-3", "feeder-4"]"#);
    for id in ["analytics-1", "analytics-2"] {
        let enrolled = || operator.log().matches(id).count() > 0;
        wait_for(id, enrolled, || operator.log());
    }
    // A window of four hours every second.
    let arguments = "--meters 200 --feeders 4 --speed 14400 --duration 32h";
    let mut meter = deployment.start("meter", &arguments.split(' ').collect::<Vec<_>>());
    let totals = |feeders: [&str; 2]| {
        let of = |total: &serde_json::Value| {
            feeders.contains(&total["feeder"].as_str().unwrap_or_default())
        };
        deployment.totals().iter().filter(|total| of(total)).count()
    };
    let (first_two, last_two) = (["feeder-1", "feeder-2"], ["feeder-3", "feeder-4"]);
    let began = || totals(last_two) > 0;
    wait_for("the second service works", began, || meter.log());
    second.signal("KILL");
    let whole = || totals(first_two) == 2 * WINDOWS;
    wait_for("all windows of the first service", whole, || meter.log());
    assert!(totals(last_two) < 2 * WINDOWS, "it was killed too late");

    let _second = analytics("analytics-2", r#"["feeder-3", "feeder-4"]"#);
    assert!(meter.ends().success(), "{}", meter.log());
    let all = || totals(first_two) + totals(last_two) == 4 * WINDOWS;
    wait_for("all windows of both", all, || operator.log());
    assert!(
        deployment
            .totals()
            .iter()
            .all(|total| total["meters"] == 50)
    );
}

#[test]
fn a_port_in_use_is_an_error_exit_that_names_it() {
    let deployment = Deployment::new();
    let _taken = TcpListener::bind(deployment.address).expect("the port");
    let mut broker = deployment.start("broker", &[]);
    assert_eq!(broker.ends().code(), Some(1));
    assert!(
        broker.log().contains(&deployment.address.to_string()),
        "{}",
        broker.log()
    );
}

#[test]
fn an_interrupt_is_130_and_a_bad_setting_2() {
    let deployment = Deployment::new();
    let mut analytics = deployment.start("analytics", &[]);
    analytics.says("cargo run --release -p broker");
    analytics.signal("INT");
    assert_eq!(analytics.ends().code(), Some(130));
    let mut meter = deployment.start("meter", &["--set", "meter.metres=3"]);
    assert_eq!(meter.ends().code(), Some(2));
    assert!(meter.log().contains("metres"), "{}", meter.log());
    let mut meter = deployment.start("meter", &["--set", "meter.speed=-1"]);
    assert_eq!(meter.ends().code(), Some(2));
    assert!(
        meter.log().contains("meter.speed") && meter.log().contains("-1"),
        "{}",
        meter.log()
    );
}

const PRODUCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/production.toml");

impl Deployment {
    /// A day of quarter hours of 20 homes, as a file to replay.
    fn readings(&self) -> PathBuf {
        let mut text = "time".to_owned();
        text.extend((1..=20).map(|home| format!(",home-{home}")));
        for quarter in 0..96 {
            let (hour, minute) = (quarter / 4, quarter % 4 * 15);
            text += &format!("\n2025-01-06 {hour:02}:{minute:02}");
            text.extend(
                (1..=20).map(|home| format!(",0.{:03}", (quarter * 7 + home * 31) % 1_000)),
            );
        }
        let path = self.folder.path().join("readings.csv");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Runs an operator command to its end, such as `pending`, and returns what it printed.
    fn operator(&self, arguments: &[&str]) -> String {
        let output = Command::new(binaries().join("operator"))
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn the_production_configuration_needs_a_key_and_approvals_and_then_totals_come() {
    let deployment = Deployment::new();
    let readings = deployment.readings();
    let replay = [
        "--config",
        PRODUCTION,
        "--replay",
        readings.to_str().expect("UTF-8"),
    ];

    let mut analytics = deployment.start("analytics", &replay[..2]);
    assert_eq!(analytics.ends().code(), Some(2));
    assert!(
        analytics.log().contains("deployment.operator_key"),
        "{}",
        analytics.log()
    );

    // The operator makes its key at a first start without one, as docs/operations.md has it.
    let development = ["--set", "deployment.mode=development"];
    let mut operator = deployment.start("operator", &[&replay[..2], &development].concat());
    let key_file = deployment.folder.path().join("state/operator/signing.pub");
    operator.says("operator_key");
    operator.signal("TERM");
    assert_eq!(operator.ends().code(), Some(0), "{}", operator.log());
    let key = std::fs::read_to_string(key_file).expect("the verifying key");
    let key = format!("deployment.operator_key={}", key.trim());
    let settings = [&replay[..2], &["--set", &key]].concat();

    let meter = deployment.start(
        "meter",
        &[
            &replay[..],
            &["--set", &key, "--speed", "1000000", "--feeders", "1"],
        ]
        .concat(),
    );
    meter.says("cargo run --release -p broker");
    let analytics = deployment.start("analytics", &settings);
    analytics.says("cargo run --release -p broker");
    let _broker = deployment.start("broker", &settings);
    let operator = deployment.start("operator", &settings);
    operator.says("operator approve");
    for id in ["analytics/analytics-1", "gateway-1"] {
        let waits = || {
            deployment
                .operator(&[&["pending"], &settings[..]].concat())
                .contains(id)
        };
        wait_for(id, waits, || operator.log());
        deployment.operator(&[&["approve", id], &settings[..]].concat());
    }
    wait_for(
        "the day's total",
        || !deployment.totals().is_empty(),
        || operator.log(),
    );
    assert_eq!(deployment.totals()[0]["meters"], 20);
}
