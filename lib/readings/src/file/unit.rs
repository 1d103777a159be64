//! Units: what they are worth, and how files name them.

use std::str::FromStr;

use super::found::Unit;

impl Unit {
    /// Whether it is power, the mean over an interval.
    pub(super) fn is_power(self) -> bool {
        matches!(self, Self::W | Self::KW)
    }

    /// What a number in units of 10⁻¹² is multiplied by and divided by to be energy in µWh, or power in nW.
    pub(super) fn micro_wh(self) -> (i128, i128) {
        match self {
            Self::Wh => (1, 1_000_000),
            Self::KWh | Self::W => (1, 1_000),
            Self::MWh | Self::KW => (1, 1),
        }
    }

    /// The unit that the name of a column says, such as `Wert (kWh)`, `h1 [Wh]`, `energy_kwh` or `KWH/hh`.
    pub(super) fn in_name(name: &str) -> Option<Self> {
        let words = name.split(|c: char| !c.is_alphanumeric());
        words.filter_map(|word| word.parse().ok()).next()
    }
}

/// Whether a text is the name of a unit and nothing else, brackets aside.
pub(super) fn is_unit(text: &str) -> bool {
    text.trim_matches(['(', ')', '[', ']', ' '])
        .parse::<Unit>()
        .is_ok()
}

impl FromStr for Unit {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "wh" => Self::Wh,
            "kwh" => Self::KWh,
            "mwh" => Self::MWh,
            "w" => Self::W,
            "kw" => Self::KW,
            _ => return Err(()),
        })
    }
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wh => "Wh",
            Self::KWh => "kWh",
            Self::MWh => "MWh",
            Self::W => "W",
            Self::KW => "kW",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_found_in_a_name_as_a_word_of_its_own() {
        for (name, unit) in [
            ("h1 [Wh]", Some(Unit::Wh)),
            ("Wert (kWh)", Some(Unit::KWh)),
            ("energy_kwh", Some(Unit::KWh)),
            ("KWH/hh (per half hour)", Some(Unit::KWh)),
            ("Consumo registado, Ativa (kW)", Some(Unit::KW)),
            ("Puissance W", Some(Unit::W)),
            ("home 1", None),
            ("Wharf", None),
        ] {
            assert_eq!(Unit::in_name(name), unit, "{name}");
        }
    }
}
