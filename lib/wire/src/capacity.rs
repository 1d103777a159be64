//! Classes of declared capacity.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Watts;

/// A class of declared capacity, on a ladder of 1-2-5 steps: class 0 is up to 100 W, class 1 up to 200 W, class 2 up to
/// 500 W, class 3 up to 1 kW, and so on up to class 27, 100 GW. Serialised as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct CapacityClass(u8);

impl CapacityClass {
    /// The highest class: up to 100 GW.
    pub const MAX: Self = Self(27);

    /// The lowest class that holds `capacity`; `None` above 100 GW.
    pub fn of(capacity: Watts) -> Option<Self> {
        (0..=Self::MAX.0)
            .map(Self)
            .find(|class| capacity <= class.watts())
    }

    /// The greatest capacity of the class.
    pub const fn watts(self) -> Watts {
        let step = match self.0 % 3 {
            0 => 100,
            1 => 200,
            _ => 500,
        };
        Watts(step * 10_u64.pow((self.0 / 3) as u32))
    }

    /// The number of the class, from 0.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The class with this number; `None` above [`CapacityClass::MAX`].
    pub const fn from_number(number: u8) -> Option<Self> {
        match number <= Self::MAX.0 {
            true => Some(Self(number)),
            false => None,
        }
    }
}

impl fmt::Display for CapacityClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "up to {}", self.watts())
    }
}

/// The number is not that of a capacity class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{number} is not a capacity class; they are 0 to {}", CapacityClass::MAX.0)]
pub struct UnknownClass {
    /// The number.
    pub number: u8,
}

impl TryFrom<u8> for CapacityClass {
    type Error = UnknownClass;
    fn try_from(number: u8) -> Result<Self, UnknownClass> {
        Self::from_number(number).ok_or(UnknownClass { number })
    }
}

impl From<CapacityClass> for u8 {
    fn from(class: CapacityClass) -> Self {
        class.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_has_steps_of_1_2_5_from_100_w_to_100_gw() {
        let ladder: Vec<u64> = (0..=CapacityClass::MAX.number())
            .map(|number| CapacityClass(number).watts().0)
            .collect();
        assert_eq!(ladder[..7], [100, 200, 500, 1_000, 2_000, 5_000, 10_000]);
        assert_eq!(ladder.last(), Some(&100_000_000_000));
        assert!(ladder.is_sorted());
    }

    #[test]
    fn a_capacity_is_in_the_lowest_class_that_holds_it() {
        let of = |watts| CapacityClass::of(Watts(watts)).map(CapacityClass::number);
        assert_eq!(of(0), Some(0));
        for number in 0..=CapacityClass::MAX.number() {
            let bound = CapacityClass(number).watts().0;
            assert_eq!(of(bound), Some(number));
            assert_eq!(of(bound + 1), (number < 27).then_some(number + 1));
        }
        assert_eq!(of(u64::MAX), None);
    }

    #[test]
    fn a_number_above_27_is_not_a_class() {
        assert_eq!(CapacityClass::try_from(27), Ok(CapacityClass::MAX));
        let error = CapacityClass::try_from(28).unwrap_err().to_string();
        assert_eq!(error, "28 is not a capacity class; they are 0 to 27");
        assert!(serde_json::from_str::<CapacityClass>("28").is_err());
    }
}
