//! What `operator ask` and `operator export` say, from the totals and bills that are released already: nothing is decrypted for them.
//!
//! # Layout
//! - [`select`]: which totals · `demand`: the demand of a feeder, interval by interval, of all its parts
//! - [`area`]: transformers and substations
//! - `statistics`: what is computed from it, with the definitions · [`profile`]: printed · [`percentiles`]: across meters
//! - [`export`]: totals as CSV · [`bill`]: bills, as a table and as CSV · [`budget`]: what noisy totals gave away

pub mod area;
pub mod bill;
pub mod budget;
pub mod compared;
mod demand;
pub mod export;
pub mod percentiles;
pub mod profile;
pub mod select;
mod statistics;
