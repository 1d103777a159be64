//! What a gateway reads: a source, and what must be known of it beyond its readings.

use service::config::{Settings, SourceKind};

use crate::live::Fed;
use readings::{FleetOptions, Mix, ReplayOptions, Simulated, Source, SourceError, open_replay};

/// The readings of a gateway.
pub struct Readings {
    pub(crate) source: Box<dyn Source>,
    pub(crate) identity: String,
    pub(crate) live: bool,
    /// How they come, if meters send them.
    pub(crate) fed: Option<Fed>,
}

impl Readings {
    /// Readings of a source of your own, which can be read at any time, as a recording can.
    ///
    /// `identity` is what decides which readings these are, as text, such as a file's name or a seed. A gateway that is
    /// started again goes on where it stopped if its identity is the same, and begins a new run if not.
    pub fn new(source: impl Source + 'static, identity: impl Into<String>) -> Self {
        Self {
            source: Box::new(source),
            identity: identity.into(),
            live: false,
            fed: None,
        }
    }

    /// Says that the source measures the present once event time has caught up with the clock: intervals that pass while no
    /// gateway runs are then missing, instead of being read later.
    #[must_use]
    pub fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// The readings that the settings name: a simulated fleet, a file, or what meters send.
    ///
    /// # Errors
    /// [`SourceError`] where there is no such file or it cannot be read, and for settings out of bounds.
    pub fn of(settings: &Settings) -> Result<Self, SourceError> {
        let meter = &settings.meter;
        Ok(match meter.source {
            SourceKind::Simulated => Self::new(
                Simulated::new(&simulated(settings))?,
                format!("simulated, seed {}, {:?}", meter.seed, meter.mix),
            )
            .live(),
            SourceKind::Replay => {
                let path = meter.replay.as_deref().ok_or(SourceError::NoFile)?;
                Self::new(
                    open_replay(path, &replayed(settings))?,
                    format!("replay of {path:?} from {:?}", meter.replay_start),
                )
            }
            SourceKind::Lines | SourceKind::Mqtt => {
                let (source, fed) = Fed::open(settings)?;
                Self {
                    fed: Some(fed),
                    ..Self::new(source, "live")
                }
            }
        })
    }
}

/// The simulated fleet of `settings`. Its meters are named after the gateway, so that two gateways have no name in common.
#[must_use]
pub fn simulated(settings: &Settings) -> FleetOptions {
    let meter = &settings.meter;
    FleetOptions {
        meters: meter.meters,
        seed: meter.seed,
        mix: Mix {
            household: meter.mix.household,
            business: meter.mix.business,
            solar: meter.mix.solar,
        },
        time_zone: meter.time_zone.clone(),
        id_prefix: format!("{}-meter", meter.gateway),
        ..FleetOptions::default()
    }
}

/// What is replayed and how it is dated, after `settings`.
#[must_use]
pub fn replayed(settings: &Settings) -> ReplayOptions {
    let default = ReplayOptions::default();
    ReplayOptions {
        start: settings.meter.replay_start.unwrap_or(default.start),
        time_zone: settings.meter.time_zone.clone(),
        ..default
    }
}
