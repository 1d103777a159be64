//! One that sends lines over a socket, and is answered.
//!
//! Each line that is not blank has an answer of one line, in their order, once its reading is on disk:
//!
//! ```json
//! {"line":17,"result":"taken"}
//! {"line":18,"result":"refused","reason":"late","why":"line 18: late: the intervals before …"}
//! ```
//!
//! `result` is `taken`, `repeated` (it was there before), `spare` (no interval needs it) or `refused`. Lines count from 1, for each
//! connection.

use std::io::ErrorKind;

use readings::LineError;
use serde::Serialize;
use tokio::net::UnixStream;

use super::text::{Lines, answered};
use super::{Answer, PARCEL, Parcels};

/// Serves a connection until it ends.
pub(super) async fn serve(stream: UnixStream, parcels: Parcels) {
    let mut lines = Lines::default();
    let mut piece = vec![0; 1 << 16];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        let length = match stream.try_read(&mut piece) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let mut read = lines.take(&piece[..length]);
        while !read.is_empty() {
            let rest = read.split_off(read.len().min(PARCEL));
            let Some(answers) = answered(read, &parcels).await else {
                return;
            };
            let text: String = answers.iter().map(shown).collect();
            if !send(&stream, text.as_bytes()).await {
                return;
            }
            read = rest;
        }
    }
}

/// Returns whether all of it was taken.
async fn send(stream: &UnixStream, mut text: &[u8]) -> bool {
    while !text.is_empty() {
        if stream.writable().await.is_err() {
            return false;
        }
        match stream.try_write(text) {
            Ok(length) => text = &text[length..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}

/// An answer as it is sent.
#[derive(Serialize)]
struct Shown {
    line: u64,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

fn shown((line, answer): &(u64, Result<Answer, LineError>)) -> String {
    let result = answer.as_ref().map_or("refused", Answer::result);
    let refused = match answer {
        Ok(Answer::Refused(refusal)) => Some((refusal.reason(), format!("line {line}: {refusal}"))),
        Ok(_) => None,
        Err(error) => Some((error.problem.reason(), error.to_string())),
    };
    let (reason, why) = refused.unzip();
    let shown = Shown {
        line: *line,
        result,
        reason,
        why,
    };
    // Numbers and text always have a form in JSON.
    let mut text = serde_json::to_string(&shown).unwrap_or_default();
    text.push('\n');
    text
}
