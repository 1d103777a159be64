//! Readings that meters send: where they come from, and the way from there to the gateway.
//!
//! Whoever reads them hands the gateway a [`Parcel`] and waits for its answers, which come once the readings are on disk: then a line of a
//! socket is answered, and a message of a broker acknowledged. So a kill at any moment loses none that was acknowledged, and one that is sent
//! again because no answer came is known to be there.
//!
//! # Layout
//! * [`Fed`]: what the settings name · `lines`: standard input, a FIFO or a socket · `socket`: one that connects there · `text`: their lines · `subscribed`: a plain MQTT
//!   broker · `configured`: its mappings

mod configured;
mod lines;
mod socket;
mod subscribed;
mod text;

use std::fs::File;
use std::path::Path;

use readings::{
    Accepted, LiveReading, LiveSource, Mappings, Refusal, SharedFeed, SourceError, read_meters,
};
use service::clock::SharedClock;
use service::config::{Mqtt, Settings, SourceKind};
use service::stop::Stop;
use tokio::sync::{mpsc, oneshot};
use wire::FeederId;

/// Parcels that wait for the gateway; beyond, nothing more is read.
const PARCELS: usize = 4;

/// Most readings in a parcel.
const PARCEL: usize = 1_024;

/// Why live readings cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A FIFO or a socket cannot be used.
    #[error("meter.lines {place}: {problem}")]
    Place {
        /// As it is configured.
        place: String,
        /// What is wrong with it, and the mend.
        problem: &'static str,
    },
    /// A FIFO or a socket cannot be opened.
    #[error("meter.lines {place} cannot be opened")]
    Open {
        /// As it is configured.
        place: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}

/// What became of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Taken,
    Repeated,
    Spare,
    Refused(Refusal),
}

impl Answer {
    /// A word for it, as it is sent and counted.
    pub(crate) fn result(&self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Repeated => "repeated",
            Self::Spare => "spare",
            Self::Refused(_) => "refused",
        }
    }
}

impl From<&Result<Accepted, Refusal>> for Answer {
    fn from(taken: &Result<Accepted, Refusal>) -> Self {
        match taken {
            Ok(Accepted::Taken(_)) => Self::Taken,
            Ok(Accepted::Repeated) => Self::Repeated,
            Ok(Accepted::Spare) => Self::Spare,
            Err(refusal) => Self::Refused(refusal.clone()),
        }
    }
}

/// Readings that came together, and who waits for what becomes of them.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) readings: Vec<LiveReading>,
    pub(crate) answers: oneshot::Sender<Vec<Answer>>,
}

/// The broker that `settings` subscribe to for live readings, and the topics; `None` if they do not, or not rightly.
pub(crate) fn subscribed(settings: &Settings) -> Option<(Mqtt, Vec<String>)> {
    let meter = &settings.meter;
    let mappings = (meter.source == SourceKind::Mqtt).then(|| configured::mappings(settings));
    let filters = mappings?.ok()?.filters();
    Some((meter.feed.mqtt(&settings.mqtt), filters))
}

/// Where parcels go.
type Parcels = mpsc::Sender<Parcel>;

/// Hands readings to the gateway and waits for what becomes of them; `None` if it has ended.
async fn hand_over(parcels: &Parcels, readings: Vec<LiveReading>) -> Option<Vec<Answer>> {
    if readings.is_empty() {
        return Some(Vec::new());
    }
    let (answers, answered) = oneshot::channel();
    parcels.send(Parcel { readings, answers }).await.ok()?;
    answered.await.ok()
}

/// Readings that meters send.
pub(crate) struct Fed {
    pub(crate) feed: SharedFeed,
    /// The feeder of each meter.
    pub(crate) feeders: Vec<FeederId>,
    input: Input,
}

enum Input {
    Lines(String),
    Messages(Mappings),
}

impl Fed {
    /// The meters of `meter.meters_file`, and how they send.
    pub(crate) fn open(settings: &Settings) -> Result<(LiveSource, Self), SourceError> {
        let meter = &settings.meter;
        let path = meter.meters_file.as_deref().unwrap_or(Path::new(""));
        let io = |error| SourceError::Io {
            path: path.to_owned(),
            error,
        };
        let refused = |error| SourceError::Meters {
            path: path.to_owned(),
            error: Box::new(error),
        };
        let meters = read_meters(File::open(path).map_err(io)?).map_err(refused)?;
        let (meters, feeders) = meters.into_iter().unzip();
        let input = match meter.source {
            SourceKind::Mqtt => Input::Messages(configured::mappings(settings)?),
            _ => Input::Lines(meter.lines.clone()),
        };
        let feed = SharedFeed::default();
        let source = LiveSource::new(meters, feed.clone());
        Ok((
            source,
            Self {
                feed,
                feeders,
                input,
            },
        ))
    }

    /// Begins to read; what comes is taken from the returned end. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// A FIFO or a socket that cannot be opened.
    pub(crate) fn begin(
        self,
        settings: &Settings,
        clock: SharedClock,
        stop: &Stop,
    ) -> Result<mpsc::Receiver<Parcel>, LiveError> {
        let (parcels, received) = mpsc::channel(PARCELS);
        match self.input {
            Input::Lines(place) => lines::begin(&place, parcels, stop)?,
            Input::Messages(mappings) => {
                subscribed::begin(settings, mappings, (parcels, clock), stop.clone());
            }
        }
        Ok(received)
    }
}
