//! Readings: simulated, or from the files that people bring.
//!
//! A [`Source`] is a fixed list of meters and, for any interval, one [`Reading`] for each of them. Time
//! enters only through the interval asked for: a source has no clock, keeps no position, and gives the same
//! answer to the same question however often and in whatever order it is asked.
//!
//! # Layout
//! * `reading`: what a meter says of an interval · `source`: who is asked · `error`: why there is no answer · `zone`: time zones
//! * `simulated`: households, businesses and homes with solar panels; `bdew` holds the load profiles
//!   they follow, `customer`, `curve` and `appliance` what one of them does, `solar` what panels export, `strata` what
//!   makes a fleet of them, `mix` the randomness
//! * `file`: interval data from a CSV file, in the `wide` form or that of Low Carbon London (`lcl`), by its `options`;
//!   `parse` (rows, values, meter ids) and `times` (timestamps, gaps) are what the two forms share; `table` has the readings
//!   in memory, and answers for any multiple of their interval
//! * `live`: meters that talk; `registers` makes intervals of what a counter showed
//!
//! # Rules
//! * Energy is in millionths of a watt-hour, net of export: what a meter sends into the grid is negative and is kept. A source
//!   rounds nothing coarser than that.
//! * A reading is not clamped here. [`clamp`] does it, for the caller to count.
//! * A reading that does not exist is [`Reading::Missing`], never an invented number.
//! * An interval longer than the native one is the sum of the native ones it covers, and is missing if one of
//!   them is. A shorter one, or one that is not a multiple, is [`SourceError::Interval`].

mod error;
mod file;
mod live;
mod reading;
mod simulated;
mod source;
mod zone;

pub use self::{
    error::SourceError,
    file::{CsvError, Gaps, Replay, ReplayOptions, open_replay},
    live::{
        Accepted, Counted, Feed, FeedChange, FeedRules, FleetInterval, Gap, Kept, KeptKind,
        LineError, LineProblem, LiveReading, LiveSource, LiveValue, MAX_LINE, MappingError,
        MappingKind, MappingRule, Mappings, Message, MetersError, OtherRead, PayloadError, READY,
        ReadChange, Refusal, RegisterRead, RegisterRules, Registers, SharedFeed, Step, read_line,
        read_meters, step,
    },
    reading::{MeterSpec, MicroWattHours, Reading, clamp},
    simulated::{FleetOptions, Mix, Simulated},
    source::Source,
};
