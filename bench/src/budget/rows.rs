//! The rows of the budget, as the design states them.

use clap::ValueEnum;
use serde::Serialize;

/// A step of the path that has a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(crate) enum Row {
    /// Sealing a report in plain Rust over OpenFHE's encryption alone.
    SealPortable,
    /// The same with AVX2.
    SealAvx2,
    /// TenSEAL's encrypt and serialise over sealing a report as fast as the processor allows.
    Tenseal,
    /// Bytes of a report in the smallest profile.
    Bytes,
    /// Bytes of a report in the profile with the largest.
    BytesAny,
    /// Copying ciphertexts over folding them, with AVX-512.
    FoldAvx512,
    /// The same with AVX2.
    FoldAvx2,
    /// Decoding, verifying and folding a report in analytics.
    Admit,
    /// Adding up a contributor's pads in the operator.
    Unmask,
    /// The masks that a meter adds for holders.
    HoldersSeal,
    /// Opening a sum in the operator.
    Open,
    /// The latency of a million meters' reports.
    Load,
    /// Analytics' memory for a million meters.
    Memory,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) step: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) limit: f64,
    pub(crate) side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    AtMost,
    AtLeast,
    Below,
}

const fn promise(step: &'static str, (side, limit, unit): (Side, f64, &'static str)) -> Promise {
    Promise {
        step,
        unit,
        limit,
        side,
    }
}

impl Row {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What the design promises for the step.
    pub(crate) const fn promise(self) -> Promise {
        match self {
            Self::SealPortable => promise(
                "seal (encode, mask, encrypt, sign), portable ÷ OpenFHE's encryption",
                (Side::AtMost, 0.25, "×"),
            ),
            Self::SealAvx2 => promise("the same, AVX2", (Side::AtMost, 0.2, "×")),
            Self::Tenseal => promise(
                "TenSEAL N=8192 encrypt + serialise ÷ seal",
                (Side::AtLeast, 30.0, "×"),
            ),
            Self::Bytes => promise(
                "bytes of a report, 96 readings with presence, additive-small",
                (Side::AtMost, 12_100.0, "B"),
            ),
            Self::BytesAny => promise(
                "the same in the profile with the largest",
                (Side::AtMost, 13_900.0, "B"),
            ),
            Self::FoldAvx512 => promise("memcpy ÷ fold, AVX-512", (Side::AtLeast, 0.8, "×")),
            Self::FoldAvx2 => promise("memcpy ÷ fold, AVX2", (Side::AtLeast, 0.4, "×")),
            Self::Admit => promise(
                "decode + verify + fold in analytics, processor time",
                (Side::AtMost, 20.0, "µs"),
            ),
            Self::Unmask => promise(
                "pads of a contributor, 232 words, processor time",
                (Side::AtMost, 1.5, "µs"),
            ),
            Self::HoldersSeal => promise(
                "masks of 2-of-4 holders in a report of 232 words, processor time",
                (Side::AtMost, 8.0, "µs"),
            ),
            Self::Open => promise(
                "open a sum: lift, decrypt, checks, totals, processor time",
                (Side::AtMost, 250.0, "µs"),
            ),
            Self::Load => promise(
                "1,112 reports/s, durable, generator included: p99",
                (Side::Below, 1_000.0, "ms"),
            ),
            Self::Memory => promise(
                "analytics: 1,000 feeders, a million meters, two windows each",
                (Side::AtMost, 320.0, "MB"),
            ),
        }
    }
}

impl Side {
    pub(crate) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::AtMost => value <= limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
        }
    }

    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::AtMost => "≤",
            Self::AtLeast => "≥",
            Self::Below => "<",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_named_as_on_the_command_line_and_has_its_own_promise() {
        let mut steps = std::collections::BTreeSet::new();
        for row in Row::all() {
            assert_eq!(serde_json::to_value(row).unwrap(), row.name());
            let step = row.promise().step;
            assert!(steps.insert(step), "{step} is promised twice");
        }
    }

    #[test]
    fn a_limit_belongs_to_its_side_unless_it_is_strict() {
        assert!(Side::AtMost.holds(1.15, 1.15) && !Side::AtMost.holds(1.16, 1.15));
        assert!(Side::AtLeast.holds(6.0, 6.0) && !Side::AtLeast.holds(5.9, 6.0));
        assert!(Side::Below.holds(999.0, 1_000.0) && !Side::Below.holds(1_000.0, 1_000.0));
        for side in [Side::AtMost, Side::AtLeast, Side::Below] {
            assert!(!side.holds(f64::NAN, 1.0));
        }
    }
}
