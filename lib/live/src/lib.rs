//! The live page: one small page on loopback that shows the pipeline as it runs.
//!
//! Only programs that may decrypt link this crate: the operator, and `bench`, which runs one. A page shows decrypted load
//! only if its server was told to ([`About::load`]); otherwise load is dropped before it is kept, so that neither the page
//! nor its stream of events can have any.
//!
//! [`Live`] is the state of a page: enter what happens, [`serve`] it, and let [`watch()`] add the rates of this process.
//!
//! # Layout
//! * `model`: what a page shows, as it is sent
//! * `state`: the newest of all of it, in bounded memory, and who is told of changes
//! * `sample`: this process's metrics at one time · `rates`: rates and latencies between two of them
//! * [`watch()`]: the loop that takes them · `server`: routes, headers, the stream of events
//! * `assets/`: the page itself · `vendor/`: its chart library, as published

mod model;
mod rates;
mod sample;
mod server;
mod state;
mod watch;

pub use model::{
    About, Awaited, Ciphertext, HeldBy, Load, Percentiles, Source, Truth, Verdict, Window,
};
pub use rates::{Metrics, Rates, Step};
pub use server::{LiveError, serve};
pub use state::Live;
pub use watch::watch;

/// The chart library, as published; the report of `bench` draws with the same.
pub const CHART_SCRIPT: &str = include_str!("../vendor/uplot/uPlot.iife.min.js");
/// Its style sheet.
pub const CHART_STYLE: &str = include_str!("../vendor/uplot/uPlot.min.css");
/// Its licence, which goes wherever the script goes.
pub const CHART_LICENCE: &str = include_str!("../vendor/uplot/LICENSE");
