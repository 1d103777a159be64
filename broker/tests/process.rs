//! The broker as a process: start-up, signals, exit codes. Start-up is the same code for all
//! processes, so this stands for them too.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn broker(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broker"));
    command
        .args([
            "--listen",
            "127.0.0.1:0",
            "--set",
            "broker.metrics_listen=127.0.0.1:0",
        ])
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null());
    command
}

fn finish(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = broker(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A broker with JSON logs, read until it is ready.
struct Running {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Running {
    fn start() -> Self {
        let mut child = broker(&["--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self {
            child,
            log,
            address: String::new(),
        };
        loop {
            let line = running.line();
            if line["message"]
                .as_str()
                .unwrap()
                .starts_with("broker ready")
            {
                running.address = line["address"].as_str().unwrap().to_owned();
                return running;
            }
        }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?} is not JSON: {error}"))
    }

    fn signal(self, name: &str) -> Option<i32> {
        self.signals(name, 1)
    }

    /// Sends a signal so many times, waits for the drain and returns the exit code.
    fn signals(mut self, name: &str, times: usize) -> Option<i32> {
        let id = self.child.id().to_string();
        let mut kill = Command::new("kill");
        kill.arg(name).args(std::iter::repeat_n(&id, times));
        assert!(kill.status().unwrap().success());
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("broker stopped"), "{rest}");
        self.child.wait().unwrap().code()
    }
}

/// A test that fails leaves no process behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_ends_it_with_success() {
    assert_eq!(Running::start().signal("-TERM"), Some(0));
}

#[test]
fn sigint_ends_it_as_interrupted() {
    assert_eq!(Running::start().signal("-INT"), Some(130));
}

#[test]
fn a_signal_that_comes_twice_at_once_still_drains() {
    assert_eq!(Running::start().signals("-INT", 2), Some(130));
}

/// A packet that ends rumqttd's router when it comes through rumqttd's own listener.
#[test]
fn a_packet_that_kills_routers_ends_only_its_own_connection() {
    let running = Running::start();
    let connect = || {
        let mut client = TcpStream::connect(&running.address).unwrap();
        client
            .write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01k")
            .unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x20, 2, 0, 0]);
        client
    };
    let mut client = connect();
    client.write_all("\x30\x05\x00\x03é!".as_bytes()).unwrap();
    drop(client);
    connect();
    assert_eq!(running.signal("-TERM"), Some(0));
}

#[test]
fn a_port_in_use_is_a_failure_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stdout, stderr) = finish(&["--set", &format!("broker.metrics_listen={address}")]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("broker.metrics_listen"),
        "{stderr}"
    );

    let mut command = Command::new(env!("CARGO_BIN_EXE_broker"));
    command.args(["--listen", &address, "--set", "broker.metrics_listen="]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("another broker"),
        "{stderr}"
    );
}

#[test]
fn wrong_settings_are_usage_errors_that_name_the_key() {
    for (arguments, expected) in [
        (
            ["--set", "broker.lissten=x"],
            "unknown key `broker.lissten`",
        ),
        (
            ["--set", "broker.max_connections=-1"],
            "broker.max_connections",
        ),
        (["--log-level", "a=b=c"], "log.level"),
        (["--set", "nothing"], "KEY=VALUE"),
        (["--config", "no/such.toml"], "no/such.toml"),
    ] {
        let (code, stdout, stderr) = finish(&arguments);
        assert_eq!(
            (code, stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {stderr}"
        );
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn the_configuration_is_printed_on_standard_output() {
    let (code, stdout, stderr) = finish(&["--print-config"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let listen = stdout
        .lines()
        .find(|line| line.starts_with("broker.listen = "));
    assert!(listen.unwrap().ends_with("# a flag"), "{stdout}");
}
