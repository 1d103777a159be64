//! One that sends lines over a socket and reads the answers.

use std::io::ErrorKind;
use std::path::Path;

use tokio::net::UnixStream;

use crate::world::LIMIT;

pub(crate) struct Sender {
    stream: UnixStream,
    read: Vec<u8>,
}

impl Sender {
    pub(crate) async fn connect(path: &Path) -> Self {
        Self::over(UnixStream::connect(path).await.unwrap())
    }

    pub(crate) fn over(stream: UnixStream) -> Self {
        let read = Vec::new();
        Self { stream, read }
    }

    /// Sends a line; returns its result, or the reason if it was refused. `None` if the connection ends before.
    pub(crate) async fn send(&mut self, text: &str) -> Option<String> {
        self.write(text).await;
        let answer = tokio::time::timeout(LIMIT, self.answer()).await;
        let answer = answer.expect("there is an answer")?;
        let word = |key: &str| {
            let (_, rest) = answer.split_once(&format!("\"{key}\":\""))?;
            rest.split_once('"').map(|(word, _)| word.to_owned())
        };
        word("reason").or_else(|| word("result"))
    }

    pub(crate) async fn write(&mut self, text: &str) {
        let line = format!("{text}\n");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            if self.stream.writable().await.is_err() {
                return;
            }
            match self.stream.try_write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    async fn answer(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            self.stream.readable().await.ok()?;
            let mut piece = [0; 4_096];
            match self.stream.try_read(&mut piece) {
                Ok(0) => return None,
                Ok(length) => self.read.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }
}
