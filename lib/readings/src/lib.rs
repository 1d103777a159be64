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
//! * `file`: interval data from the files that people have, by its `options`. `text` makes lines of bytes (`container`), `forms` make
//!   rows of lines, `series` takes them (`run`, `ids`), `intervals` and `assemble` make a `column` of a customer's, or `counters` of
//!   registers' reads, and `table` has what is replayed in memory (`compact`) and answers for any multiple of its intervals. Files of
//!   `fields` have a `dialect`, columns in `roles` and times along an `axis` (`clock`, `times`); `number` and `unit` read values.
//!   `found` says what a file was taken to be, `doubts` what may be wrong in that, `account` what became of its rows
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

pub use self::{
    error::SourceError,
    file::{
        Account, Columns, DateOrder, Doubt, FileError, Form, Found, Gaps, Label, Replay,
        ReplayOptions, Subject, Unit, Values, open_replay,
    },
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
