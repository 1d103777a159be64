//! The whole path on one machine, and what it measures.
//!
//! # Layout
//! * [`cli`]: the commands · `output`: what each shows and leaves behind
//! * `demo`: one run from start to result · `page`: its live page
//! * `sweep`: one parameter over its values · `results`: the files it leaves · `report`: all of it as one HTML file
//! * `load`: reports of many meters at a stated rate · `capacity`: what a city needs, by what was measured
//! * `peers`: other systems on the same work · `budget`: the design's limits, measured · `ratio`: their figures
//! * `compare`: encrypted comparisons at their margin
//! * `epsilon`: what noise leaves of totals
//! * `attack`: dishonest parties against real processes
//!
//! The services in one process, the truth and the verdict are [`harness`]; killed processes are [`e2e::chaos`].

mod answers;
mod attack;
mod budget;
mod capacity;
pub mod cli;
mod command;
mod compare;
mod demo;
mod epsilon;
mod fixed;
mod load;
mod mqtt;
mod operations;
mod output;
mod page;
mod peers;
mod ratio;
mod report;
mod results;
mod sweep;
