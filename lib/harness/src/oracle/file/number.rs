//! Numbers by their digits.
//!
//! The written rules: decimals beyond the twelfth are rounded, a half away from zero; what the number stands for is then
//! rounded in the same way, once, to a millionth of a watt-hour, or power to a billionth of a watt.

use anyhow::{Context as _, Result, ensure};
use readings::Unit;

/// What stands for a missing value besides nothing.
const MISSING: [&str; 15] = [
    "null", "nan", "na", "n/a", "n.a.", "#n/a", "#nv", "-", "--", "---", "?", "missing", "none",
    "nil", ".",
];

/// How a file writes numbers.
pub(super) struct Style<'a> {
    pub(super) decimal: char,
    pub(super) thousands: Option<char>,
    pub(super) missing: &'a [String],
}

impl Style<'static> {
    pub(super) const PLAIN: Self = Self {
        decimal: '.',
        thousands: None,
        missing: &[],
    };
}

/// What a unit is, in Wh or W.
fn of_unit(unit: Unit) -> (i128, bool) {
    match unit {
        Unit::Wh => (1, false),
        Unit::KWh => (1_000, false),
        Unit::MWh => (1_000_000, false),
        Unit::W => (1, true),
        Unit::KW => (1_000, true),
    }
}

impl Style<'_> {
    pub(super) fn is_missing(&self, field: &str) -> bool {
        let field = field.trim();
        if self.missing.is_empty() && field.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        field.is_empty()
            || self.missing.iter().any(|mark| mark == field)
            || MISSING.contains(&field.to_lowercase().as_str())
    }

    /// Millionths of a watt-hour of a field in `unit`, the mean over `interval_s` seconds if it is power; `None` if missing.
    pub(super) fn energy(&self, field: &str, unit: Unit, interval_s: i64) -> Result<Option<i64>> {
        if self.is_missing(field) {
            return Ok(None);
        }
        let trillionths = self
            .trillionths(field)
            .with_context(|| format!("{field:?} is not a number"))?;
        let (scale, power) = of_unit(unit);
        let energy = if power {
            let nanowatts = halves_up(trillionths * scale, 1_000);
            halves_up(nanowatts * i128::from(interval_s), 3_600_000)
        } else {
            halves_up(trillionths * scale, 1_000_000)
        };
        ensure!(
            energy.abs() <= 1_000_000_000_000_000_000,
            "{field:?} is too large"
        );
        Ok(Some(energy as i64))
    }

    /// A number of digits and a decimal mark only, times 10¹²: most are.
    fn simple(&self, field: &str) -> Option<i128> {
        let mut number = 0i128;
        let mut after = None;
        if field.is_empty() || field.len() > 20 {
            return None;
        }
        for byte in field.bytes() {
            match byte {
                b'0'..=b'9' => {
                    number = number * 10 + i128::from(byte - b'0');
                    after = after.map(|after: u32| after + 1);
                }
                mark if char::from(mark) == self.decimal && after.is_none() => after = Some(0),
                _ => return None,
            }
        }
        let zeros = 12u32.checked_sub(after.unwrap_or(0))?;
        (after != Some(0)).then(|| number * 10i128.pow(zeros))
    }

    /// A number times 10¹², by moving the decimal mark through its digits.
    fn trillionths(&self, field: &str) -> Option<i128> {
        if let Some(number) = self.simple(field) {
            return Some(number);
        }
        let plain: String = field
            .trim()
            .replace('\u{2212}', "-")
            .chars()
            .filter(|c| {
                !(c.is_whitespace() || ['\'', '\u{2019}'].contains(c) || Some(*c) == self.thousands)
            })
            .collect();
        let plain = plain.to_lowercase();
        let (mantissa, exponent) = match plain.split_once('e') {
            Some((mantissa, exponent)) => (mantissa.to_owned(), exponent.parse::<i64>().ok()?),
            None => (plain.clone(), 0),
        };
        let negative = mantissa.starts_with('-');
        let unsigned = mantissa.trim_start_matches(['-', '+']);
        let (before, after) = unsigned.split_once(self.decimal).unwrap_or((unsigned, ""));
        let digits = format!("{before}{after}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // Where the mark is, counted from the first digit, once twelve places are moved.
        let mark = before.len() as i64 + exponent + 12;
        let digit = |place: i64| match usize::try_from(place) {
            Ok(place) => digits
                .as_bytes()
                .get(place)
                .map_or(0, |b| i128::from(b - b'0')),
            Err(_) => 0,
        };
        if mark > 36 && digits.bytes().any(|b| b != b'0') {
            return None;
        }
        let first = mark.min(0);
        let whole = (first..mark).try_fold(0i128, |sum, place| {
            sum.checked_mul(10)?.checked_add(digit(place))
        })?;
        let rounded = whole + i128::from(digit(mark) >= 5);
        Some(if negative { -rounded } else { rounded })
    }
}

/// `number / divisor`, a half away from zero.
fn halves_up(number: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (number / divisor, number % divisor);
    quotient
        + if 2 * rest.abs() >= divisor {
            number.signum()
        } else {
            0
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_are_exact_to_a_millionth() {
        let kwh = |field: &str| Style::PLAIN.energy(field, Unit::KWh, 0).unwrap();
        assert_eq!(kwh("0.143000001"), Some(143_000_001));
        assert_eq!(kwh("-0.0000000005"), Some(-1));
        assert_eq!(kwh("1.5e-3"), Some(1_500_000));
        assert_eq!(kwh("Null"), None);
        assert_eq!(
            Style::PLAIN.energy("1.3", Unit::KW, 900).unwrap(),
            Some(325_000_000)
        );
        let german = Style {
            decimal: ',',
            thousands: Some('.'),
            missing: &[],
        };
        assert_eq!(
            german.energy("1.234,5", Unit::Wh, 0).unwrap(),
            Some(1_234_500_000)
        );
        assert!(Style::PLAIN.energy("x", Unit::Wh, 0).is_err());
    }
}
