//! Which marks a file's numbers have.

use super::{
    error::FileError,
    look::{Look, look},
    number::Numbers,
    options::With,
};

/// How numbers are written.
pub(super) fn numbers(
    rows: &[(u64, Vec<String>)],
    separator: char,
    with: &With<'_>,
) -> Result<Numbers, FileError> {
    let of = |decimal: char, thousands: bool| Numbers {
        decimal,
        thousands: thousands.then_some(if decimal == '.' { ',' } else { '.' }),
        missing: Vec::new(),
    };
    if let Some(decimal) = with.options.decimal {
        return Ok(of(decimal, true));
    }
    let mut marks = Marks::default();
    for (line, row) in rows {
        for field in row {
            if look(field, &[]) == Look::Number {
                marks.see(*line, field);
            }
        }
    }
    let other = |decimal: char| {
        marks
            .unsure
            .as_ref()
            .is_some_and(|(_, _, mark)| *mark != decimal)
    };
    match (marks.sure, &marks.unsure) {
        (Some(decimal), _) => Ok(of(decimal, marks.thousands || other(decimal))),
        // A comma file of full stops: nobody writes thousands with them there.
        (None, Some((_, _, '.'))) if separator == ',' => Ok(of('.', false)),
        // Other thousands are written without a mark.
        (None, Some((_, _, mark))) if marks.bare => Ok(of(*mark, false)),
        (None, Some((line, field, mark))) => Err(FileError::Ambiguous {
            question: format!(
                "line {line}: {field:?} can be a thousand and more or a number with decimals, and no other number of the first \
                 lines tells whether {mark:?} is the decimal mark"
            ),
            setting: "meter.decimal = \".\" or \",\"",
        }),
        (None, None) => Ok(of('.', false)),
    }
}

/// What the marks in numbers are.
#[derive(Default)]
struct Marks {
    /// The decimal mark, where a number leaves no doubt.
    sure: Option<char>,
    /// Whether there are thousands marks.
    thousands: bool,
    /// Whether there are thousands without a mark.
    bare: bool,
    /// A number that leaves a doubt, its line and its mark.
    unsure: Option<(u64, String, char)>,
}

impl Marks {
    fn see(&mut self, line: u64, field: &str) {
        let (comma, stop) = (field.rfind(','), field.rfind('.'));
        let (mark, other, at) = match (comma, stop) {
            (None, None) => {
                self.bare |= field.len() >= 4 && field.bytes().all(|byte| byte.is_ascii_digit());
                return;
            }
            (Some(comma), Some(stop)) => {
                self.thousands = true;
                self.sure = self.sure.or(Some(if comma > stop { ',' } else { '.' }));
                return;
            }
            (Some(comma), None) => (',', '.', comma),
            (None, Some(stop)) => ('.', ',', stop),
        };
        let whole = field[..at].trim_start_matches(['-', '+']);
        if whole.contains(mark) {
            self.thousands = true;
            self.sure = self.sure.or(Some(other));
        } else if field.len() - at - 1 == 3
            && (1..=3).contains(&whole.len())
            && !whole.starts_with('0')
        {
            if self.unsure.is_none() {
                self.unsure = Some((line, field.to_owned(), mark));
            }
        } else {
            self.sure = self.sure.or(Some(mark));
        }
    }
}
