//! What the values of a reading are.

use super::super::super::{FileError, found::Unit};
use super::super::net::Direction;

/// What a `ReadingType` says.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadingType {
    power_of_ten: i32,
    uom: Option<u32>,
    flow: Option<u32>,
    commodity: Option<u32>,
    accumulation: Option<u32>,
}

impl ReadingType {
    pub(super) fn field(&mut self, line: u64, name: &str, text: &str) -> Result<(), FileError> {
        let number = || {
            text.parse().map_err(|_| {
                FileError::field(line, name, text, "is not a whole number: correct it")
            })
        };
        match name {
            "powerOfTenMultiplier" if !text.is_empty() => {
                let power = text.parse().ok().filter(|power| (-12..=12).contains(power));
                let wrong = || {
                    FileError::field(
                        line,
                        name,
                        text,
                        "is not a power of ten: correct it to one from -12 to 12",
                    )
                };
                self.power_of_ten = power.ok_or_else(wrong)?;
            }
            "uom" => self.uom = Some(number()?),
            "flowDirection" => self.flow = Some(number()?),
            "commodity" => self.commodity = Some(number()?),
            "accumulationBehaviour" => self.accumulation = Some(number()?),
            _ => {}
        }
        Ok(())
    }

    /// What values of this type are; `None` for what is not a customer's electricity in an interval.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        let electricity = matches!(self.commodity, None | Some(0..=2));
        // Counters, whose values are not of an interval: bulk, continuous and cumulative.
        let interval = !matches!(self.accumulation, Some(1..=3));
        let unit = match self.uom.filter(|_| electricity && interval)? {
            72 => Unit::Wh,
            38 => Unit::W,
            _ => return None,
        };
        let flow = match self.flow.unwrap_or(1) {
            0 | 1 => Flow::Drawn,
            19 => Flow::Sent,
            4 => Flow::Net,
            _ => return None,
        };
        Some(Meaning {
            unit,
            power_of_ten: self.power_of_ten,
            flow,
        })
    }
}

/// What a block's values are.
#[derive(Clone, Copy)]
pub(super) struct Meaning {
    pub(super) unit: Unit,
    pub(super) power_of_ten: i32,
    pub(super) flow: Flow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Drawn,
    Sent,
    Net,
}

impl Flow {
    /// The register that counts it.
    pub(super) fn register(self) -> (&'static str, Direction) {
        match self {
            Self::Drawn => ("drawn", Direction::Import),
            Self::Sent => ("sent", Direction::Export),
            Self::Net => ("net", Direction::Import),
        }
    }
}
