//! What `operator ask` and `operator export` say, from the totals that are released already: nothing is decrypted for them.
//!
//! # Layout
//! - [`select`]: which totals · `demand`: the demand of a feeder, interval by interval, of all its parts
//! - `statistics`: what is computed from it, with the definitions · [`ask`]: printed · [`export`]: totals as CSV

pub mod ask;
mod demand;
pub mod export;
pub mod select;
mod statistics;
