//! How holders come to an agreement: each step reads files and writes one, which is passed on to the others.
//!
//! - `proposal`: cards, and what is proposed · `deal`, `wrap`: mask keys are drawn and dealt · `agree`: accepted, closed, assembled
//! - `command`, `files`: the steps on the command line · `show`: what a person is told · `noise`: what goes with the masks · `together`: all steps in one process

mod agree;
mod command;
mod deal;
mod error;
mod files;
mod noise;
mod proposal;
mod show;
mod together;
mod wrap;

pub use command::SetupCommand;
pub use error::SetupError;
pub use noise::terms as noise_terms;
pub use proposal::Numbers;
pub use together::together;

#[cfg(test)]
mod tests;
