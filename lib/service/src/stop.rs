//! How a service is told to end.
//!
//! A [`Stop`] is handed to every long-running task. It fires once and stays fired. Services finish
//! what they hold (they *drain*) and return; whoever started them waits for that.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

/// Signals that follow the first one this closely repeat it.
const REPEATS: Duration = Duration::from_millis(500);

/// Why a stop fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT: a person pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor ends the service.
    Terminate,
    /// [`StopHandle::stop`] was called, or the handle was dropped.
    Requested,
}

/// The receiving side: clone it into every task.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Cause>>);

/// The sending side of [`Stop::manual`]. Dropping it stops too, so that nothing outlives its owner.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<Option<Cause>>);

impl Stop {
    /// A stop that fires when its handle says so.
    pub fn manual() -> (StopHandle, Self) {
        let (sender, receiver) = watch::channel(None);
        (StopHandle(sender), Self(receiver))
    }

    /// A stop that fires on SIGINT or SIGTERM. A second signal, half a second later or more, ends the process
    /// at once with exit code 130: nobody has to wait for a drain.
    ///
    /// # Errors
    /// If the signal handlers cannot be installed. Must be called inside a Tokio runtime.
    pub fn from_signals() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = interrupt.recv() => Cause::Interrupt,
                    _ = terminate.recv() => Cause::Terminate,
                }
            };
            let cause = next().await;
            tracing::info!(?cause, "stopping; a second signal ends the process at once");
            sender.send_replace(Some(cause));
            // `timeout` and some supervisors signal the process and its group, so the same signal comes twice.
            let mut repeats = pin!(sleep(REPEATS));
            loop {
                tokio::select! {
                    () = &mut repeats => break,
                    _ = next() => {}
                }
            }
            next().await;
            std::process::exit(130);
        });
        Ok(Self(receiver))
    }

    /// Completes once the stop has fired; immediately if it already has.
    pub async fn stopped(&self) {
        // An error means that the sender is gone, which is a stop as well.
        let _ = self.0.clone().wait_for(Option::is_some).await;
    }

    /// Whether the stop has fired.
    pub fn is_stopped(&self) -> bool {
        self.0.borrow().is_some() || self.0.has_changed().is_err()
    }

    /// Why the stop fired, if it has.
    pub fn cause(&self) -> Option<Cause> {
        let cause = *self.0.borrow();
        cause.or_else(|| self.0.has_changed().is_err().then_some(Cause::Requested))
    }
}

impl StopHandle {
    /// Fires the stop. Doing it again changes nothing.
    pub fn stop(&self) {
        self.0.send_if_modified(|cause| {
            let first = cause.is_none();
            cause.get_or_insert(Cause::Requested);
            first
        });
    }
}

impl Drop for StopHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_stop_fires_once_and_stays_fired() {
        let (handle, stop) = Stop::manual();
        let other = stop.clone();
        assert!(!stop.is_stopped());
        assert_eq!(stop.cause(), None);
        handle.stop();
        stop.stopped().await;
        other.stopped().await;
        assert!(other.is_stopped());
        assert_eq!(stop.cause(), Some(Cause::Requested));
    }

    #[tokio::test]
    async fn dropping_the_handle_stops() {
        let (handle, stop) = Stop::manual();
        drop(handle);
        stop.stopped().await;
        assert!(stop.is_stopped());
        assert_eq!(stop.cause(), Some(Cause::Requested));
    }
}
