//! Readings of meters that talk.
//!
//! # Layout
//! * `reading`: what a meter says at once · `lines`: one JSON object a line · `mapping`: messages of a plain MQTT broker
//! * `registers`: reads of a counter become energies of intervals · `feed`: readings in any order become intervals of the fleet ·
//!   `source`: the feed as a gateway asks for it · `meters`: the file of the meters that talk

mod feed;
mod lines;
mod mapping;
mod meters;
mod reading;
mod registers;
mod source;

pub use feed::{Accepted, Feed, FeedChange, FeedRules, FleetInterval, Kept, KeptKind, Refusal};
pub use lines::{LineError, LineProblem, MAX_LINE, read_line};
pub use mapping::{MappingError, MappingKind, MappingRule, Mappings, Message, PayloadError, READY};
pub use meters::{MetersError, read_meters};
pub use reading::{LiveReading, LiveValue};
pub use registers::{
    Counted, Gap, OtherRead, ReadChange, RegisterRead, RegisterRules, Registers, Step, step,
};
pub use source::{LiveSource, SharedFeed};
