//! Readings of meters that talk.
//!
//! # Layout
//! * `registers`: reads of a counter become energies of intervals

mod registers;

pub use registers::{
    Counted, Gap, OtherRead, ReadChange, RegisterRead, RegisterRules, Registers, Step, step,
};
