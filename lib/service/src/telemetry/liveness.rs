//! Whether a process does its work: what `/health` asks before it answers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// Of the process, as its endpoint is.
static ASKED: Asked = Asked(Mutex::new(Vec::new()));

/// Whoever may be asked.
struct Asked(Mutex<Vec<mpsc::Sender<Question>>>);

/// Where the answer goes: what is wrong, if something is.
pub type Question = oneshot::Sender<Result<(), String>>;

/// Questions whether the caller still does its work, until this is dropped. One that is not answered counts as a no.
#[must_use]
pub fn questions() -> mpsc::Receiver<Question> {
    ASKED.questions()
}

/// What is wrong, as one of those that are asked says.
pub(super) async fn problem() -> Option<String> {
    ASKED.problem().await
}

impl Asked {
    fn questions(&self) -> mpsc::Receiver<Question> {
        let (ask, asked) = mpsc::channel(8);
        self.lock().push(ask);
        asked
    }

    async fn problem(&self) -> Option<String> {
        let all = {
            let mut all = self.lock();
            all.retain(|asked| !asked.is_closed());
            all.clone()
        };
        for asked in all {
            let (question, answer) = oneshot::channel();
            // Closed meanwhile: it ends, and says so elsewhere.
            if asked.try_send(question).is_err() && asked.is_closed() {
                continue;
            }
            match timeout(PATIENCE, answer).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(problem))) => return Some(problem),
                Ok(Err(_)) | Err(_) => return Some("nobody answers".to_owned()),
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<mpsc::Sender<Question>>> {
        // Valid at every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_is_well_only_while_everybody_asked_says_so() {
        let all = Asked(Mutex::default());
        let problem = async || all.problem().await;
        assert_eq!(problem().await, None);
        let mut asked = all.questions();
        let answers = tokio::spawn(async move {
            let first = asked.recv().await.unwrap();
            first.send(Ok(())).unwrap();
            let second = asked.recv().await.unwrap();
            second.send(Err("no way through".to_owned())).unwrap();
            // The third is dropped without an answer, the fourth kept.
            drop(asked.recv().await.unwrap());
            let fourth = asked.recv().await.unwrap();
            (asked, fourth)
        });
        assert_eq!(problem().await, None);
        assert_eq!(problem().await.as_deref(), Some("no way through"));
        assert_eq!(problem().await.as_deref(), Some("nobody answers"));
        assert_eq!(problem().await.as_deref(), Some("nobody answers"));
        drop(answers.await.unwrap());
        assert_eq!(problem().await, None, "who is gone is not asked");
    }
}
