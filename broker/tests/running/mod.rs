//! The broker as a process, read by its log.

#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A broker in a folder, with its log.
pub(crate) struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = command(folder)
            .args(["--set", "broker.listen=127.0.0.1:0", "--log-format", "json"])
            .args(["--set", "broker.metrics_listen=127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// The next line of the log that begins so.
    pub(crate) fn line(&mut self, beginning: &str) -> Value {
        loop {
            let mut line = String::new();
            let read = self.log.read_line(&mut line).unwrap();
            assert!(read > 0, "the broker has ended");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"].as_str().unwrap().starts_with(beginning) {
                return line;
            }
        }
    }

    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.line("broker ready");
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// Where its metrics are. They are announced before it is ready.
    pub(crate) fn metrics_address(&mut self) -> SocketAddr {
        let line = self.line("metrics at");
        line["address"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn hang_up(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status().unwrap();
        assert!(sent.success());
    }
}

/// A test that fails leaves no process behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The broker's program in a folder.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broker"));
    command.current_dir(folder).env_remove("RUST_BACKTRACE");
    command
}

/// What `/metrics` has.
pub(crate) async fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The value of a metric, with its labels as they are printed.
pub(crate) async fn metric(address: SocketAddr, name: &str) -> f64 {
    let metrics = metrics(address).await;
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("{name} is missing: {metrics}"));
    value.parse().unwrap()
}
