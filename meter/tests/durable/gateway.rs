//! A gateway in this process.

use std::sync::Arc;

use meter::{Event, MeterError, Summary};
use service::clock::{MockClock, SharedClock, SystemClock};
use service::{Settings, Stop, StopHandle};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::{UnixMillis, UnixSeconds};

use crate::world::{LIMIT, World, windows};

pub(crate) struct Gateway {
    stop: StopHandle,
    events: mpsc::UnboundedReceiver<Event>,
    running: JoinHandle<Result<Summary, MeterError>>,
}

impl Gateway {
    pub(crate) fn start(settings: &Settings) -> Self {
        Self::start_at(settings, SystemClock::shared())
    }

    pub(crate) fn start_at(settings: &Settings, clock: SharedClock) -> Self {
        let settings = settings.clone();
        let (stop, stopped) = Stop::manual();
        let (observer, events) = mpsc::unbounded_channel();
        let running =
            tokio::spawn(
                async move { meter::run(&settings, clock, stopped, Some(observer)).await },
            );
        Self {
            stop,
            events,
            running,
        }
    }

    pub(crate) async fn until(&mut self, wanted: Event) {
        let search = async {
            while let Some(event) = self.events.recv().await {
                if event == wanted {
                    return;
                }
            }
            panic!("the gateway has ended without {wanted:?}");
        };
        let found = tokio::time::timeout(LIMIT, search).await;
        assert!(found.is_ok(), "{wanted:?} never came");
    }

    /// Waits until so many live readings are on disk.
    pub(crate) async fn until_live(&mut self, wanted: usize) {
        let mut readings = 0;
        let count = async {
            while readings < wanted {
                match self.events.recv().await {
                    Some(Event::Live(more)) => readings += more,
                    Some(_) => {}
                    None => panic!("the gateway has ended"),
                }
            }
        };
        let counted = tokio::time::timeout(LIMIT, count).await;
        assert!(counted.is_ok(), "live readings: {readings} of {wanted}");
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Summary {
        let ended = tokio::time::timeout(LIMIT, self.running).await;
        ended.expect("it never ended").unwrap().unwrap()
    }

    /// Stops it, as SIGTERM does.
    pub(crate) async fn end(self) -> Summary {
        self.stop.stop();
        self.ended().await
    }
}

/// So many seconds after the first window began, by a clock that reads no whole second.
pub(crate) fn at(seconds: u64) -> UnixMillis {
    UnixMillis((windows()[0] + seconds) * 1000 + 17)
}

/// A gateway with readings of the present, beginning with the first window.
pub(crate) async fn live(world: &mut World) -> (Gateway, Arc<MockClock>) {
    let meter = &mut world.settings.meter;
    (meter.start, meter.duration, meter.speed) = (None, None, 1.0);
    let clock = MockClock::new(UnixMillis((windows()[0] - 100) * 1000));
    let mut gateway = Gateway::start_at(&world.settings, clock.clone());
    let first = UnixSeconds(windows()[0]);
    gateway.until(Event::Started(first)).await;
    (gateway, clock)
}
