//! A peer as a process of its own: a line of JSON for each request, a line for each answer.
//!
//! [`super::protocol`] is what both sides say. Each measures its own processor time, so that
//! neither the pipes nor this process are in the figures.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use harness::usage::Usage;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::protocol::{Measured, Request};

/// Longest wait for an answer: Paillier's keys and slow machines are within it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Libraries that start threads unless told otherwise.
const ONE_THREAD: [(&str, &str); 4] = [
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
    ("MKL_NUM_THREADS", "1"),
    ("RAYON_NUM_THREADS", "1"),
];

/// A peer that runs. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    complaints: JoinHandle<String>,
}

impl Process {
    /// The most memory that it has had; none where the kernel does not say.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        Usage::of(self.child.id()?).peak_bytes
    }

    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .envs(ONE_THREAD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot be started")?;
        let requests = child.stdin.take().context("no standard input")?;
        let answers = child.stdout.take().context("no standard output")?;
        let mut errors = child.stderr.take().context("no standard error")?;
        let complaints = tokio::spawn(async move {
            let mut text = Vec::new();
            // What cannot be read is not said.
            let _ = errors.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self {
            child,
            requests,
            answers: BufReader::new(answers).lines(),
            complaints,
        })
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, request: &Request<'_>) -> Result<T> {
        let line = serde_json::to_string(request)? + "\n";
        // A process that has ended says why below.
        let sent = self.requests.write_all(line.as_bytes()).await;
        let answer = timeout(PATIENCE, self.answers.next_line())
            .await
            .with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?;
        match answer.context("reading its answer")? {
            Some(line) => {
                sent.context("writing a request")?;
                let shown: String = line.chars().take(200).collect();
                serde_json::from_str(&line).with_context(|| format!("it answered {shown:?}"))
            }
            None => bail!("{}", self.last_words().await),
        }
    }

    async fn last_words(&mut self) -> String {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let text = (&mut self.complaints).await.unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        match last {
            Some(line) => format!("it ended ({status}): {}", line.trim()),
            None => format!("it ended ({status})"),
        }
    }
}

impl Measured {
    /// Whether the figures can be divided by.
    pub(crate) fn checked(self) -> Result<Self> {
        let positive = self.reports.is_finite() && self.reports > 0.0;
        ensure!(positive, "it measured {} reports", self.reports);
        for (stage, seconds) in self.client.iter().chain(&self.server) {
            let possible = seconds.is_finite() && *seconds >= 0.0;
            ensure!(possible, "stage {stage} took {seconds} s");
        }
        Ok(self)
    }

    /// Processor time of the client for a report, in microseconds.
    pub(crate) fn client_us(&self) -> f64 {
        self.client.values().sum::<f64>() * 1e6 / self.reports
    }

    /// Processor time of the server for a report, in microseconds.
    pub(crate) fn server_us(&self) -> f64 {
        self.server.values().sum::<f64>() * 1e6 / self.reports
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::protocol::{Opened, Prepared};
    use super::*;

    fn fake(script: &str) -> Process {
        let mut command = Command::new("sh");
        Process::start(command.args(["-c", script])).unwrap()
    }

    const PREPARE: Request<'_> = Request::Prepare {
        readings: Cow::Borrowed(&[]),
        reference_wh: 1,
    };

    #[tokio::test]
    async fn a_peer_is_prepared_measured_and_opened() {
        let mut peer = fake(
            r#"read request; case "$request" in *'"do":"prepare"'*'"reference_wh":8'*) ;; *) exit 9;; esac
            echo '{"describe":"fake 1.0"}'
            read request; case "$request" in '{"do":"round","reports":[0,1]}') ;; *) exit 9;; esac
            echo '{"reports":2,"client":{"encrypt":0.004,"serialise":0.002},"server":{"add":0.001},"bytes":300}'
            read request; case "$request" in '{"do":"finish"}') ;; *) exit 9;; esac
            echo '{"totals_wh":[3.0],"included":[0,1]}'"#,
        );
        let request = Request::Prepare {
            readings: vec![vec![1], vec![2]].into(),
            reference_wh: 8,
        };
        let prepared: Prepared = peer.ask(&request).await.unwrap();
        assert_eq!(prepared.describe, "fake 1.0");
        let measured: Measured = peer
            .ask(&Request::Round {
                reports: vec![0, 1].into(),
            })
            .await
            .unwrap();
        let measured = measured.checked().unwrap();
        assert!((measured.client_us() - 3000.0).abs() < 1e-9);
        assert!((measured.server_us() - 500.0).abs() < 1e-9);
        let opened: Opened = peer.ask(&Request::Finish).await.unwrap();
        assert_eq!(opened.totals_wh, [3.0]);
    }

    #[tokio::test]
    async fn a_peer_that_ends_says_why() {
        let mut peer = fake("echo 'Traceback' >&2; echo 'ImportError: no tenseal' >&2; exit 1");
        let error = peer.ask::<Prepared>(&PREPARE).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "it ended (exit status: 1): ImportError: no tenseal"
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_shown() {
        let mut peer = fake("read request; echo hello; read rest");
        let error = peer.ask::<Prepared>(&PREPARE).await.unwrap_err();
        assert_eq!(error.to_string(), "it answered \"hello\"");
    }

    #[test]
    fn figures_that_cannot_be_divided_by_are_refused() {
        let none = Measured::default().checked().unwrap_err();
        assert_eq!(none.to_string(), "it measured 0 reports");
        let measured = Measured {
            reports: 1.0,
            server: [("add".to_owned(), -1.0)].into(),
            ..Measured::default()
        };
        assert_eq!(
            measured.checked().unwrap_err().to_string(),
            "stage add took -1 s"
        );
    }
}
