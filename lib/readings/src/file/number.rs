//! Numbers, and the energy they stand for.
//!
//! # Rules
//! * A number is digits with at most one decimal mark and an exponent (`1.5e-3`); blanks, apostrophes and, where the file has
//!   it, a thousands mark may stand between groups of three digits.
//! * Decimals beyond the twelfth are rounded, a half away from zero. What the number stands for is then rounded in the same way,
//!   once: energy and registers to a millionth of a watt-hour, power to a billionth of a watt.

use super::{
    found::{Unit, Values},
    row::Value,
};

/// Decimals that are kept of a number.
const DECIMALS: i32 = 12;
/// The greatest energy of an interval or mean power, in Wh or W of either sign, and the greatest register in Wh.
pub(super) const LARGEST: i128 = 1_000_000_000;
const LARGEST_REGISTER: i128 = 1_000_000_000_000;

/// What stands for a missing value besides nothing, in any case.
const MISSING: [&str; 15] = [
    "null", "nan", "na", "n/a", "n.a.", "#n/a", "#nv", "-", "--", "---", "?", "missing", "none",
    "nil", ".",
];

/// How a file writes numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbers {
    /// `.` or `,`.
    pub(super) decimal: char,
    /// `.` or `,`, the other one, where it stands between thousands.
    pub(super) thousands: Option<char>,
    /// Further marks of missing values.
    pub(super) missing: Vec<String>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            decimal: '.',
            thousands: None,
            missing: Vec::new(),
        }
    }
}

impl Numbers {
    /// Whether a field, without blanks around it, stands for a missing value.
    pub(super) fn is_missing(&self, field: &str) -> bool {
        field.is_empty()
            || self.missing.iter().any(|mark| mark == field)
            || (!field.as_bytes()[0].is_ascii_digit()
                && MISSING.iter().any(|mark| field.eq_ignore_ascii_case(mark)))
    }

    /// What a field stands for, without blanks around it: none if it is no number, or one that no customer can have.
    pub(super) fn value(&self, field: &str, unit: Unit, values: Values) -> Option<Value> {
        if self.is_missing(field) {
            return Some(Value::Missing);
        }
        let number = self.scaled(field)?;
        let (numerator, divisor) = unit.micro_wh();
        let (largest, divisor) = match (values, unit.is_power()) {
            (Values::Register, _) => (LARGEST_REGISTER * 1_000_000, divisor),
            (_, true) => (LARGEST * 1_000_000_000, divisor),
            (_, false) => (LARGEST * 1_000_000, divisor),
        };
        let value = nearest(number.checked_mul(numerator)?, divisor);
        if value.abs() > largest {
            return None;
        }
        let value = i64::try_from(value).ok()?;
        Some(match (values, unit.is_power()) {
            (Values::Register, _) => Value::Register(value),
            (Values::Interval, true) => Value::Power(value),
            (Values::Interval, false) => Value::Energy(value),
        })
    }

    /// What is wrong with a field that has no value, and the mend.
    pub(super) fn problem(&self, field: &str, unit: Unit, values: Values) -> String {
        let largest = match (values, unit.is_power()) {
            (Values::Register, _) => "a billion kWh",
            (Values::Interval, true) => "a million kW",
            (Values::Interval, false) => "a million kWh",
        };
        match self.scaled(field) {
            Some(_) => format!(
                "is beyond {largest} when read as {unit}, and can be of no customer: correct it (meter.unit says another unit)"
            ),
            None => format!(
                "is not a number of {unit} with the decimal mark {:?} (meter.decimal says which), nor a mark of a missing value \
                 (meter.missing adds one)",
                self.decimal
            ),
        }
    }

    /// A field as a floating-point number, for times.
    pub(super) fn float(&self, field: &str) -> Option<f64> {
        let number = self.scaled(field)?;
        Some(number as f64 / 1e12)
    }

    /// A number in units of 10⁻¹².
    fn scaled(&self, field: &str) -> Option<i128> {
        let (negative, digits) = match field.as_bytes().first()? {
            b'-' => (true, &field[1..]),
            b'+' => (false, &field[1..]),
            _ => match field.strip_prefix('\u{2212}') {
                Some(digits) => (true, digits),
                None => (false, field),
            },
        };
        let (digits, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().ok()?),
            None => (digits, 0),
        };
        let (mantissa, decimals) = self.mantissa(digits)?;
        let shift = DECIMALS.checked_add(exponent)?.checked_sub(decimals)?;
        let number = match u32::try_from(shift) {
            Ok(up) => mantissa.checked_mul(10i128.checked_pow(up)?)?,
            Err(_) => match 10i128.checked_pow(shift.unsigned_abs()) {
                Some(divisor) => nearest(mantissa, divisor),
                None => 0,
            },
        };
        Some(if negative { -number } else { number })
    }

    /// The digits as one number, and how many of them are decimals. Beyond 30 digits decimals are cut.
    fn mantissa(&self, text: &str) -> Option<(i128, i32)> {
        let (whole, fraction) = match text.find(self.decimal) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut number: i128 = 0;
        let mut digit = |byte: u8| {
            byte.is_ascii_digit()
                .then(|| number = number * 10 + i128::from(byte - b'0'))
        };
        if whole.len() <= 18 && whole.bytes().all(|byte| byte.is_ascii_digit()) {
            whole.bytes().try_for_each(&mut digit)?;
        } else {
            self.grouped(whole, &mut digit)?;
        }
        let mut decimals = 0;
        for byte in fraction.bytes() {
            if decimals < 18 {
                digit(byte)?;
                decimals += 1;
            } else if !byte.is_ascii_digit() {
                return None;
            }
        }
        Some((number, decimals))
    }

    /// Groups of three digits, the first of one to three.
    fn grouped(&self, whole: &str, digit: &mut impl FnMut(u8) -> Option<()>) -> Option<()> {
        let mark = whole.chars().find(|c| !c.is_ascii_digit())?;
        let blank = matches!(mark, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '\u{2019}');
        if whole.len() > 24 || !(blank || Some(mark) == self.thousands) {
            return None;
        }
        for (place, group) in whole.split(mark).enumerate() {
            let fits = match place {
                0 => (1..=3).contains(&group.len()) && !group.starts_with('0'),
                _ => group.len() == 3,
            };
            if !fits {
                return None;
            }
            group.bytes().try_for_each(&mut *digit)?;
        }
        Some(())
    }
}

/// `number / divisor` to the nearest, a half away from zero.
pub(super) fn nearest(number: i128, divisor: i128) -> i128 {
    let rounded = (number.abs() + divisor / 2) / divisor;
    rounded * number.signum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(numbers: &Numbers, field: &str, unit: Unit) -> Option<i64> {
        match numbers.value(field, unit, Values::Interval)? {
            Value::Energy(value) | Value::Power(value) | Value::Register(value) => Some(value),
            Value::Missing => Some(i64::MIN),
        }
    }

    #[test]
    fn values_keep_every_decimal_down_to_a_millionth_of_a_watt_hour() {
        let numbers = Numbers::default();
        for (field, expected) in [
            ("14", 14_000_000_000),
            ("0.0625", 62_500_000),
            ("-0.0625", -62_500_000),
            ("\u{2212}0.0625", -62_500_000),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("0.123456789", 123_456_789),
            ("-0.0000000014", -1),
            ("-0.0000000016", -2),
            ("0.0000000005", 1),
            ("1e-3", 1_000_000),
            ("5.5e-05", 55_000),
            ("1E2", 100_000_000_000),
            ("-0", 0),
            ("1 234", 1_234_000_000_000),
            ("1'234.5", 1_234_500_000_000),
            ("999999.999999999", 999_999_999_999_999),
            ("1000000", 1_000_000_000_000_000),
            ("", i64::MIN),
            ("Null", i64::MIN),
            ("N/A", i64::MIN),
            ("?", i64::MIN),
            ("missing", i64::MIN),
        ] {
            assert_eq!(
                energy(&numbers, field, Unit::KWh),
                Some(expected),
                "{field:?}"
            );
        }
        for field in [
            "inf",
            "-inf",
            "1,5",
            "0x10",
            "12 kWh",
            "1000001",
            "-NaN",
            "--1",
            "1.2.3",
            "1 23",
            "e5",
            "1e",
            "1e99999",
            "9999999999999999999999999999999999999999",
            ".",
            "1,234",
        ] {
            let value = energy(&numbers, field, Unit::KWh);
            assert!(value.is_none() || field == ".", "{field:?}");
        }
    }

    #[test]
    fn units_are_rounded_once() {
        let numbers = Numbers::default();
        let of = |field, unit| energy(&numbers, field, unit);
        assert_eq!(of("0.0000005", Unit::Wh), Some(1));
        assert_eq!(of("0.0000004999", Unit::Wh), Some(0));
        assert_eq!(of("0.000000000001", Unit::MWh), Some(1));
        assert_eq!(of("1", Unit::W), Some(1_000_000_000));
        assert_eq!(of("97.149829449949", Unit::KW), Some(97_149_829_449_949));
    }

    #[test]
    fn a_decimal_comma_and_thousands_are_read_as_they_were_found() {
        let numbers = Numbers {
            decimal: ',',
            thousands: Some('.'),
            missing: vec!["k.A.".to_owned(), "-9999".to_owned()],
        };
        let of = |field| energy(&numbers, field, Unit::KWh);
        assert_eq!(of("1.234,5"), Some(1_234_500_000_000));
        assert_eq!(of("1.234"), Some(1_234_000_000_000));
        assert_eq!(of("1.23"), None);
        assert_eq!(of("k.A."), Some(i64::MIN));
        assert_eq!(of("-9999"), Some(i64::MIN));
    }
}
