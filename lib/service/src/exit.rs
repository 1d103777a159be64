//! The exit codes of every process.

/// Everything went as asked.
pub const OK: u8 = 0;
/// The process failed while it ran.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// Ended by SIGINT, after draining.
pub const INTERRUPTED: u8 = 130;
