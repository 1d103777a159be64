//! What a gateway reads: a source, and what must be known of it beyond its readings.

use std::path::Path;

use service::config::{
    FileColumns, FileDateOrder, FileDecimal, FileForm, FileGaps, FileLabel, FileSeparator,
    FileUnit, FileValues, Mode, Settings, SourceKind,
};

use crate::live::Fed;
use readings::{
    Columns, DateOrder, FleetOptions, Form, Gaps, Label, Mix, ReplayOptions, Simulated, Source,
    SourceError, Unit, Values, open_replay,
};

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
                let replay = open_replay(path, &replayed(settings))?;
                replay.say(path);
                Self::new(replay, replay_identity(settings, path))
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

/// Simulated meters in production, unless the settings say so: nothing invented is to reach a real total.
pub(crate) fn invented(settings: &Settings) -> Option<(&'static str, String)> {
    let meter = &settings.meter;
    let production = settings.deployment.mode == Mode::Production;
    let invented = meter.source == SourceKind::Simulated && !meter.simulated_in_production;
    let mend = "readings would be invented, and these would be in real totals: name where they come from (meter.source = \"replay\", \
                \"lines\" or \"mqtt\"), or set meter.simulated_in_production = true in a deployment that is for trying out";
    (production && invented).then(|| ("meter.source", mend.to_owned()))
}

/// What decides the readings of a replay. As before there were settings of how a file is read, where none is given.
fn replay_identity(settings: &Settings, path: &Path) -> String {
    let default = ReplayOptions::default();
    let options = ReplayOptions {
        keep: None,
        ..replayed(settings)
    };
    let start = settings.meter.replay_start.unwrap_or(default.start);
    let plain = ReplayOptions {
        start: options.start,
        start_said: options.start_said,
        time_zone: options.time_zone.clone(),
        ..default
    };
    let read = match options == plain {
        true => String::new(),
        false => format!(", read as {options:?}"),
    };
    format!("replay of {path:?} from {:?}{read}", Some(start))
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

/// What is replayed and how it is read, after `settings`.
#[must_use]
pub fn replayed(settings: &Settings) -> ReplayOptions {
    let meter = &settings.meter;
    let default = ReplayOptions::default();
    ReplayOptions {
        start: meter.replay_start.unwrap_or(default.start),
        start_said: meter.replay_start.is_some(),
        time_zone: meter.time_zone.clone(),
        form: meter.form.map(form),
        unit: meter.unit.map(unit),
        values: meter.values.map(|values| match values {
            FileValues::Interval => Values::Interval,
            FileValues::Register => Values::Register,
        }),
        label: meter.label.map(|label| match label {
            FileLabel::Start => Label::Start,
            FileLabel::End => Label::End,
        }),
        gaps: match meter.gaps {
            Some(FileGaps::Missing) => Gaps::Missing,
            Some(FileGaps::Refuse) | None => Gaps::Refuse,
        },
        missing: meter.missing.clone(),
        columns: columns(&meter.columns),
        separator: meter.separator.map(separator),
        decimal: meter.decimal.map(|decimal| match decimal {
            FileDecimal::Stop => '.',
            FileDecimal::Comma => ',',
        }),
        date_order: meter.date_order.map(|order| match order {
            FileDateOrder::YearFirst => DateOrder::YearFirst,
            FileDateOrder::DayFirst => DateOrder::DayFirst,
            FileDateOrder::MonthFirst => DateOrder::MonthFirst,
        }),
        keep: kept(settings),
    }
}

/// What of a file is needed, in seconds since the Unix epoch: what is replayed, and two days or a window before and after it.
fn kept(settings: &Settings) -> Option<(u64, u64)> {
    let from = settings.meter.start?.0;
    let duration = settings.meter.duration?.as_secs();
    let grid = settings.plan.grid();
    let window = grid.map_or(0, |grid| grid.longest_window_s());
    let window = window.max(2 * 86_400);
    let until = from.saturating_add(duration).saturating_add(window);
    Some((from.saturating_sub(window), until))
}

fn form(form: FileForm) -> Form {
    match form {
        FileForm::Wide => Form::Wide,
        FileForm::Long => Form::Long,
        FileForm::Nem12 => Form::Nem12,
        FileForm::Espi => Form::Espi,
        FileForm::Cer => Form::Cer,
        FileForm::Ausgrid => Form::Ausgrid,
        FileForm::Dsmr => Form::Dsmr,
    }
}

fn unit(unit: FileUnit) -> Unit {
    match unit {
        FileUnit::Wh => Unit::Wh,
        FileUnit::KWh => Unit::KWh,
        FileUnit::MWh => Unit::MWh,
        FileUnit::W => Unit::W,
        FileUnit::KW => Unit::KW,
    }
}

fn separator(separator: FileSeparator) -> char {
    match separator {
        FileSeparator::Comma => ',',
        FileSeparator::Semicolon => ';',
        FileSeparator::Tab => '\t',
        FileSeparator::Bar => '|',
        FileSeparator::Blanks => ' ',
    }
}

fn columns(columns: &FileColumns) -> Columns {
    let named = |name: &String| (!name.is_empty()).then(|| name.clone());
    Columns {
        meter: named(&columns.meter),
        time: named(&columns.time),
        value: named(&columns.value),
        skip: columns.skip.clone(),
        keep: columns.keep.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_invented_in_production_unless_the_settings_say_so() {
        let mut settings = Settings::defaults();
        assert_eq!(crate::unsupported(&settings), None, "in development");
        settings.deployment.mode = Mode::Production;
        let (key, mend) = crate::unsupported(&settings).unwrap();
        assert_eq!(key, "meter.source");
        assert!(mend.contains("meter.simulated_in_production"), "{mend}");
        settings.meter.source = SourceKind::Replay;
        assert_eq!(crate::unsupported(&settings), None);
        settings.meter.source = SourceKind::Simulated;
        settings.meter.simulated_in_production = true;
        assert_eq!(crate::unsupported(&settings), None);
    }
}
