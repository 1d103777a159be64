//! Files of fields, such as CSV: their dialect, what their columns are, and their rows.

use super::{
    axis::Axis,
    check,
    dialect::{self, Dialect},
    error::FileError,
    forms::{long, wide},
    found::{Form, Found, Label, Unit},
    options::With,
    roles::{Roles, roles},
    row::Sink,
    shape::Shape,
    style::Style,
    text::Text,
};

/// What a file says besides its rows, for what may be doubtful.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Whether it says its unit.
    pub(super) unit: bool,
    /// The names of the customers' columns, where they are columns.
    pub(super) names: Vec<String>,
    /// Columns that are the sum of the others.
    pub(super) sums: Vec<usize>,
    /// Whether times count hours.
    pub(super) hours: bool,
    /// Whether times are written as a clock shows them, and nothing says whether they are starts or ends.
    pub(super) label_open: bool,
    /// Rows without a value.
    pub(super) blank: u64,
}

/// Writes the rows of a file to `sink`.
pub(super) fn read_fields(
    text: &mut Text<'_>,
    with: &With<'_>,
    found: &mut Found,
    sink: &mut dyn Sink,
) -> Result<Said, FileError> {
    let dialect = dialect::sniff(text.head(), with)?;
    let roles = roles(&dialect, with)?;
    let mut axis = Axis::sniff(text.head(), &dialect, &roles, with)?;
    found.separator = dialect.separator;
    found.decimal = dialect.numbers.decimal;
    found.thousands = dialect.numbers.thousands;
    found.header = dialect.header;
    found.date_order = axis.times.date_order;
    found.left_out = roles.left_out.clone();
    let unit_said = unit(&dialect, &roles, with, found);
    check::of_unit(found)?;
    let label_open = label(&dialect, &roles, &axis, with, found);
    let mut said = Said {
        unit: unit_said,
        hours: axis.times.style == Style::Hours,
        label_open,
        ..Said::default()
    };
    match &roles.shape {
        Shape::Wide(customers) => {
            found.form = Form::Wide;
            said.names = customers
                .iter()
                .map(|place| dialect.columns[*place].clone())
                .collect();
            let (blank, totals) = wide::read(text, (&dialect, customers), &mut axis, found, sink)?;
            (said.blank, said.sums) = (blank, totals.found());
        }
        Shape::Long { meter, readings } => {
            found.form = Form::Long;
            said.blank = long::read(text, (&dialect, *meter, readings), &mut axis, found, sink)?;
        }
    }
    Ok(said)
}

/// The unit, by the settings, the file, or the names of its columns; and whether it was said and is no guess.
fn unit(dialect: &Dialect, roles: &Roles, with: &With<'_>, found: &mut Found) -> bool {
    let names = || match &roles.shape {
        Shape::Wide(customers) => &customers[..],
        Shape::Long { .. } => &[],
    };
    let in_names = || {
        let mut units = names()
            .iter()
            .map(|place| Unit::in_name(&dialect.columns[*place]));
        let first = units.next()??;
        units.all(|unit| unit == Some(first)).then_some(first)
    };
    let raw_uci = || (is_raw_uci(dialect, names())).then_some(Unit::KW);
    let said = with.options.unit.or(roles.unit).or_else(raw_uci);
    found.unit = said.or_else(in_names).unwrap_or(Unit::KWh);
    said.is_some() || in_names() == Some(Unit::KWh)
}

/// Whether the file is UCI's LD2011_2014 as it was published: kW, at the ends of quarter hours.
fn is_raw_uci(dialect: &Dialect, customers: &[usize]) -> bool {
    let uci = |place: &usize| {
        let number = dialect.columns[*place].strip_prefix("MT_");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    dialect.separator == ';'
        && dialect.numbers.decimal == ','
        && !customers.is_empty()
        && customers.iter().all(uci)
}

/// The label, by the settings or the file; and whether it is open.
fn label(
    dialect: &Dialect,
    roles: &Roles,
    axis: &Axis<'_>,
    with: &With<'_>,
    found: &mut Found,
) -> bool {
    let midnight = axis.times.midnight_is_24.then_some(Label::End);
    let raw_uci = match &roles.shape {
        Shape::Wide(customers) => is_raw_uci(dialect, customers).then_some(Label::End),
        Shape::Long { .. } => None,
    };
    let said = with.options.label.or(roles.label).or(midnight).or(raw_uci);
    found.label = said.unwrap_or(Label::Start);
    // The trial's files begin and end where they were cut; by its documents they are starts.
    let london = dialect
        .columns
        .iter()
        .any(|name| name.eq_ignore_ascii_case("LCLid"));
    said.is_none() && !london && axis.times.style == Style::Written
}
