//! The real binaries in a deployment of their own. For tests: everything here panics where it fails.

#![allow(clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use harness::process::{free_address, signal};

use crate::binaries;

/// Long enough for a loaded machine; nothing is asserted about speed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `bench chaos` with 80 meters; returns how it ended, and what it printed.
#[must_use]
pub fn chaos(arguments: &[&str]) -> (ExitStatus, serde_json::Value) {
    let results = tempfile::tempdir().expect("a folder");
    let output = Command::new(binaries().join("bench"))
        .args(["chaos", "--output", "json", "--meters", "80", "--results"])
        .arg(results.path())
        .args(arguments)
        .output()
        .expect("bench starts");
    let parsed = serde_json::from_slice(&output.stdout);
    let outcome = parsed.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status, outcome)
}

/// A deployment in a folder of its own, on a port of its own.
pub struct Deployment {
    /// Where the processes run.
    pub folder: tempfile::TempDir,
    /// The broker's address.
    pub address: SocketAddr,
}

/// A process of it, which is killed when this is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Deployment {
    /// A new one: nothing runs yet.
    #[allow(clippy::new_without_default, reason = "it makes a folder")]
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            address: free_address().expect("a port"),
        }
    }

    /// Starts a binary.
    #[must_use]
    pub fn start(&self, name: &str, arguments: &[&str]) -> Process {
        self.start_as(name, name, arguments)
    }

    /// Starts a binary whose log is called `label`.
    #[must_use]
    pub fn start_as(&self, label: &str, name: &str, arguments: &[&str]) -> Process {
        self.spawn(label, self.command(name, arguments))
    }

    /// Starts a binary that dies, as by a kill, when it comes to a point of this name for the first time.
    #[must_use]
    pub fn start_to_die(&self, name: &str, arguments: &[&str], point: &str) -> Process {
        let mut command = self.command(name, arguments);
        command.env(service::failpoint::VARIABLE, point);
        self.spawn(&format!("{name}-{point}"), command)
    }

    fn spawn(&self, label: &str, mut command: Command) -> Process {
        let log = self.folder.path().join(format!("{label}.log"));
        let output = self.folder.path().join(format!("{label}.out"));
        let child = command
            .stdout(File::create(output).expect("a file"))
            .stderr(File::create(&log).expect("a file"))
            .spawn()
            .expect("the process starts");
        Process { child, log }
    }

    /// A binary in the deployment's folder, on its broker, without input. What it serves is on a free port.
    #[must_use]
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries().join(name));
        let metrics = format!("CIPHERWATT__{}__METRICS_LISTEN", name.to_uppercase());
        command
            .current_dir(self.folder.path())
            .env("CIPHERWATT__MQTT__ADDRESS", self.address.to_string())
            .env("CIPHERWATT__BROKER__LISTEN", self.address.to_string())
            .env(metrics, "127.0.0.1:0")
            .env("CIPHERWATT__OPERATOR__LIVE_LISTEN", "127.0.0.1:0")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs an operator command to its end, such as `pending`, and returns what it printed.
    pub fn operator(&self, arguments: &[&str]) -> String {
        self.run("operator", arguments)
    }

    /// Runs a command of a binary to its end, and returns what it printed.
    pub fn run(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name, arguments).output();
        let output = output.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Has holders of these names come to an agreement, of whom two have every mask key and all consent. Returns what all processes need
    /// in their settings.
    pub fn agree(&self, ids: &[&str], proposed: &[&str]) -> String {
        // `before`, and then the file with each of these extensions of each holder.
        let step = |id: &str, before: &str, extensions: &[&str]| {
            let mut line: Vec<String> = before.split(' ').map(str::to_owned).collect();
            for extension in extensions {
                line.extend(ids.iter().map(|id| format!("{id}.{extension}")));
            }
            line.extend(["--set".to_owned(), format!("holder.id={id}")]);
            self.run(
                "holder",
                &line.iter().map(String::as_str).collect::<Vec<_>>(),
            )
        };
        let mut pinned = Vec::new();
        for id in ids {
            let (told, own) = (step(id, "init", &[]), format!("{id}:"));
            let mut words = told.split_whitespace();
            let named = words.find(|word| word.starts_with(&own));
            pinned.push(named.expect("its name and key").to_owned());
        }
        let consents = ids.len();
        let propose =
            format!("propose --output first.proposal --threshold 2 --consents {consents}");
        let propose = [&[&*propose], proposed].concat().join(" ");
        step(ids[0], &propose, &["card"]);
        for id in ids {
            step(id, "deal first.proposal", &[]);
        }
        for id in ids {
            step(id, "accept first.proposal", &["deal"]);
        }
        let assemble = "assemble --output first.agreement first.proposal";
        step(ids[0], assemble, &["deal", "acceptance"]);
        format!(
            "[holders]\nagreements = [\"first.agreement\"]\npinned = {pinned:?}\nthreshold = 2\nconsents = {consents}\n"
        )
    }

    /// What a person does who has looked with these settings: runs the command that `operator pending` prints for this peer.
    /// Whether it asks at all.
    pub fn approves(&self, id: &str, settings: &[&str]) -> bool {
        let pending = self.operator(&[&["pending"], settings].concat());
        let is_for = |line: &&str| {
            line.contains("operator approve") && line.split(['/', ' ']).any(|word| word == id)
        };
        let Some(line) = pending.lines().find(is_for) else {
            return false;
        };
        let command: Vec<&str> = line.split_whitespace().skip(1).collect();
        self.operator(&command);
        true
    }

    /// The lines of `totals.jsonl`.
    #[must_use]
    pub fn totals(&self) -> Vec<serde_json::Value> {
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
    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has logged `words`.
    pub fn says(&self, words: &str) {
        wait_for(words, || self.log().contains(words), || self.log());
    }

    /// Sends the signal of this name.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name).expect("it runs");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_some()
    }

    /// Waits until it has ended.
    pub fn ends(&mut self) -> ExitStatus {
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

/// Waits until `holds`; if it never does, the test fails and says what `log` says.
///
/// # Panics
/// If it never does.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool, log: impl Fn() -> String) {
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
