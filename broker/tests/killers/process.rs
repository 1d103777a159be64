//! Brokers as processes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::brokers::Bare;
use crate::wire::serves;

/// Tells the test below that it is the process that it starts.
const SERVE: &str = "CIPHERWATT_SERVE_BARE";

/// What stands before the address of rumqttd in its process's output.
const SERVED: &str = "rumqttd listens on ";

/// Clients that rumqttd takes there.
const CONNECTIONS: usize = 20_000;

/// A broker in a process of its own, with small logs.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Ours, with so many file descriptors, if they are to be few, and with these settings.
    pub(crate) fn start(files: Option<u32>, settings: &[String]) -> Self {
        let small = [
            "segment_bytes=1048576",
            "segment_count=4",
            "metrics_listen=",
        ];
        let small = small.map(|setting| format!("broker.{setting}"));
        let settings = small.iter().chain(settings);
        let mut child = limited(files)
            .arg(env!("CARGO_BIN_EXE_broker"))
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(settings.flat_map(|setting| ["--set", setting]))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = child.stderr.take().unwrap();
        let address = find(log, |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let ready = line["message"].as_str()?.starts_with("broker ready");
            ready.then(|| line["address"].as_str().unwrap().to_owned())
        });
        Self { child, address }
    }

    /// rumqttd alone.
    pub(crate) fn bare(files: Option<u32>) -> Self {
        let mut child = limited(files)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("process::rumqttd_alone_serves_in_a_process_of_its_own")
            .env(SERVE, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let address = find(output, |line| {
            let (_, address) = line.split_once(SERVED)?;
            Some(address.to_owned())
        });
        Self { child, address }
    }

    /// Memory that it has, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let pages = self.of("statm");
        let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4_096
    }

    /// Time that it has used of the processors.
    pub(crate) fn busy(&self) -> Duration {
        let stat = self.of("stat");
        // Behind its name, which may have spaces: the 14th and 15th field, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split(' ').skip(12).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    fn of(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }
}

/// A command in which the program and its arguments are missing. The program ends when its standard input does.
fn limited(files: Option<u32>) -> Command {
    let limit = files.map_or_else(String::new, |files| format!("ulimit -n {files}; "));
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limit}exec \"$0\" \"$@\"")])
        .stdin(Stdio::piped());
    command
}

/// The address in the first line that has one. What comes later is read too, so that the process never waits for it.
fn find(
    output: impl std::io::Read + Send + 'static,
    address: impl Fn(&str) -> Option<String>,
) -> SocketAddr {
    let mut lines = BufReader::new(output).lines();
    let found = loop {
        let line = lines.next().expect("the process has ended").unwrap();
        if let Some(address) = address(&line) {
            break address.parse().unwrap();
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    found
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other half of [`Process::bare`] also: there it is told to serve, until whoever started it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn rumqttd_alone_serves_in_a_process_of_its_own() {
    if std::env::var_os(SERVE).is_none() {
        let process = Process::bare(None);
        assert!(serves(process.address).await);
        return;
    }
    let bare = Bare::with_connections(CONNECTIONS).await;
    println!("{SERVED}{}", bare.address);
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.unwrap().unwrap();
}
