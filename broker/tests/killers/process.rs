//! The broker as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A broker in a process of its own, with small logs.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// With so many file descriptors, if they are to be few.
    pub(crate) fn start(files: Option<u32>) -> Self {
        let limit = files.map_or_else(String::new, |files| format!("ulimit -n {files}; "));
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limit}exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_broker"))
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--set", "broker.metrics_listen="])
            .args([
                "--set",
                "broker.segment_bytes=1048576",
                "--set",
                "broker.segment_count=4",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line: serde_json::Value =
                serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if line["message"]
                .as_str()
                .unwrap()
                .starts_with("broker ready")
            {
                break line["address"].as_str().unwrap().parse().unwrap();
            }
        };
        // What it logs later is read, so that it never waits for it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Memory that it has, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4_096
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
