//! The whole path on one machine, and what it measures.
//!
//! # Layout
//! * [`cli`]: the commands · [`scenario`]: what a run is made of, as settings of the real services
//! * [`stack`]: broker, operator, analytics and fleet, started as they are, over TCP
//! * [`oracle`]: the truth, by separate code, straight from the file or the seed
//! * [`watch`]: what the services report while they run · [`verdict`]: whether every total is right
//! * [`demo`]: one run from start to result · [`output`]: tables, JSON and the results folder
//! * [`page`]: the live page of a run
//! * [`load`]: reports of many meters at a stated rate · [`resources`]: what that takes
//! * [`report`]: a run as one HTML file · [`capacity`]: what a city needs, by what was measured
//! * [`peers`]: other systems on the same work · [`budget`]: the design's limits, measured · [`ratio`]: their figures
//! * [`sweep`]: one parameter over its values · [`results`]: the files a run leaves
//! * [`chaos`]: processes of their own that are killed while they work, and three ledgers compared

pub mod budget;
pub mod capacity;
pub mod chaos;
pub mod cli;
pub mod demo;
mod fixed;
pub mod load;
pub mod oracle;
pub mod output;
pub mod page;
pub mod peers;
pub mod ratio;
pub mod report;
pub mod resources;
pub mod results;
pub mod scenario;
pub mod stack;
pub mod sweep;
pub mod verdict;
pub mod watch;
