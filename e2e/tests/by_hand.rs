//! The four processes as a newcomer starts them: in any order, each saying what it waits for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use e2e::binaries;
use harness::process::{free_address, signal};

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

impl Deployment {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            address: free_address().expect("a port"),
        }
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Process {
        let log = self.folder.path().join(format!("{name}.log"));
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
            .stdout(File::create(self.folder.path().join(format!("{name}.out"))).expect("a file"))
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
        signal(self.child.id(), name).expect("it runs");
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
