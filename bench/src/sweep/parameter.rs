//! The parameters of a sweep: their default values, and what is varied.

use anyhow::{Result, bail};
use packed::layout::Layout;

use crate::results::schema::{Parameter, Sweep};

/// The values of a parameter unless `--values` names others, by size: all, and those worth it in a quick run.
const fn values(parameter: Parameter) -> (&'static str, &'static str) {
    match parameter {
        Parameter::Meters => ("2 5 10 20 100 1000 10000 100000", "2 5 10 20 100"),
        Parameter::Interval => ("1s 5s 10s 30s 60s", "1s 5s 10s 30s"),
        Parameter::Batch => ("1 5 10 20 48 96", "1 5 10 20"),
        Parameter::Payload => (
            "profile:1 profile:24 profile:96 moments:96 profile:384 moments:384 histogram:96",
            "profile:1 profile:96 moments:96",
        ),
        Parameter::Feeders => ("1 4 10 20", "1 4"),
        Parameter::Latency => ("0ms 10ms 50ms 200ms", "0ms 50ms"),
        Parameter::Loss => ("0 0.01 0.05 0.2", "0 0.05"),
        Parameter::Profile => (
            "additive-small additive-fine additive additive-wide",
            "additive-small additive-wide",
        ),
        Parameter::Operation => (
            "sum maxima squares histogram tariff comparison",
            "sum maxima squares histogram tariff comparison",
        ),
        Parameter::Epsilon => ("0.1 0.3 1 3 10", "0.1 1 10"),
    }
}

pub(crate) fn default_values(parameter: Parameter, quick: bool) -> Vec<&'static str> {
    let (all, quickly) = values(parameter);
    let chosen = if quick { quickly } else { all };
    chosen.split(' ').collect()
}

pub(crate) fn empty(parameter: Parameter) -> Sweep {
    let (unit, varies) = describe(parameter);
    Sweep {
        parameter,
        unit: unit.to_owned(),
        varies: varies.to_owned(),
        points: Vec::new(),
    }
}

/// The unit of a parameter's values, and what is varied, in a sentence.
fn describe(parameter: Parameter) -> (&'static str, &'static str) {
    match parameter {
        Parameter::Meters => (
            "meters",
            "Meters in the fleet, on one feeder below 60 and on four from there on; readings come as fast as the pipeline takes them.",
        ),
        Parameter::Interval => (
            "s",
            "Length of an interval while event time passes at 60 times the clock and a report has 4 intervals: \
             the same meters offer fewer reports a second as the interval grows.",
        ),
        Parameter::Batch => (
            "intervals",
            "Intervals in a report, for the same readings of 20 meters: longer reports are fewer, and little larger.",
        ),
        Parameter::Payload => (
            "coefficients",
            "Coefficients of a ciphertext that carry something, for the same number of reports: N readings (profile:N), with \
             their squares (moments:N) or with a place for each in 16 bins (histogram:N), each reading with its presence, and the \
             zero checks.",
        ),
        Parameter::Feeders => (
            "feeders",
            "Feeders that the same 300 meters are spread over: more sums to keep, close and decrypt.",
        ),
        Parameter::Latency => (
            "s",
            "Emulated delay of every report between gateway and broker; readings come as fast as the pipeline takes them.",
        ),
        Parameter::Loss => (
            "ratio",
            "Probability that a report is lost between gateway and broker; it is sent again because no receipt came.",
        ),
        Parameter::Profile => (
            "",
            "Parameter profile: the scale of the coefficients and the bits left out of each residue, and with them the bytes of a \
             report, the greatest number of meters and the quantum.",
        ),
        Parameter::Operation => ("", "What is computed on encrypted readings."),
        Parameter::Epsilon => (
            "",
            "How much noisy totals give away of a household, and so how much noise is in them.",
        ),
    }
}

pub(crate) fn name(parameter: Parameter) -> String {
    let value = clap::ValueEnum::to_possible_value(&parameter);
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// `profile:96`, `moments:96`, `histogram:96`, or a bare number of readings in the layout `profile`.
pub(super) fn payload(label: &str) -> Result<(Layout, u16)> {
    let (layout, readings) = label.split_once(':').unwrap_or(("profile", label));
    match (layout.parse(), readings.parse()) {
        (Ok(layout), Ok(readings)) => Ok((layout, readings)),
        _ => bail!("readings as profile:N, moments:N or histogram:N"),
    }
}
