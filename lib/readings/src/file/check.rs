//! Settings that contradict each other, or what the file says.

use super::{
    error::FileError,
    found::{Form, Found, Values},
    options::{Columns, ReplayOptions},
};

/// Settings that cannot both hold, whatever the file is.
pub(super) fn of_each_other(options: &ReplayOptions) -> Result<(), FileError> {
    if let (Some(Values::Register), Some(unit)) = (options.values, options.unit)
        && unit.is_power()
    {
        return refused(format!(
            "meter.values = \"register\" and meter.unit = \"{unit}\" contradict each other, for a register counts energy: set \
             meter.unit to \"Wh\", \"kWh\" or \"MWh\", or leave meter.values out"
        ));
    }
    let columns = &options.columns;
    let one = [("meter", &columns.meter), ("value", &columns.value)];
    for (setting, name) in one {
        if let (Some(Form::Wide), Some(name)) = (options.form, name) {
            return refused(format!(
                "meter.form = \"wide\" and meter.columns.{setting} = {name:?} contradict each other, for a wide file has a column for \
                 each customer: set meter.form = \"long\", or leave one of them out"
            ));
        }
    }
    match columns.twice() {
        Some((name, first, second)) => refused(format!(
            "meter.columns.{first} and meter.columns.{second} both name {name:?}: a column is only one of them, so leave one out"
        )),
        None => Ok(()),
    }
}

/// Settings that a file of `form`, which says all of it itself, would not use.
pub(super) fn of_form(options: &ReplayOptions, form: Form) -> Result<(), FileError> {
    let unused = [
        ("unit", options.unit.is_some() && form != Form::Espi),
        ("values", options.values.is_some()),
        ("label", options.label.is_some()),
        ("missing", !options.missing.is_empty()),
        ("columns", options.columns != Columns::default()),
        ("separator", options.separator.is_some()),
        ("decimal", options.decimal.is_some()),
        ("date_order", options.date_order.is_some()),
    ];
    match unused.into_iter().find(|(_, said)| *said) {
        Some((setting, _)) => refused(format!(
            "meter.{setting} is for files with columns, and this one is {form}, which says that itself: leave meter.{setting} out (or \
             set meter.form, if the file is of another form)"
        )),
        None => Ok(()),
    }
}

/// A file of columns whose unit is power has no reads of registers.
pub(super) fn of_unit(found: &Found) -> Result<(), FileError> {
    let unit = found.unit;
    match found.values {
        Values::Register if unit.is_power() => refused(format!(
            "the file says {unit}, which is power, and meter.values = \"register\" that its values are reads of a register, which \
             counts energy: set meter.unit to \"Wh\", \"kWh\" or \"MWh\", or leave meter.values out"
        )),
        _ => Ok(()),
    }
}

fn refused(problem: String) -> Result<(), FileError> {
    Err(FileError::Whole(problem))
}

impl Columns {
    /// A name that two settings have, and the settings.
    fn twice(&self) -> Option<(&str, &'static str, &'static str)> {
        let one = [
            ("meter", &self.meter),
            ("time", &self.time),
            ("value", &self.value),
        ];
        let one = one
            .into_iter()
            .filter_map(|(setting, name)| Some((setting, name.as_deref()?)));
        let skip = self.skip.iter().map(|name| ("skip", name.as_str()));
        let keep = self.keep.iter().map(|name| ("keep", name.as_str()));
        let all: Vec<(&'static str, &str)> = one.chain(skip).chain(keep).collect();
        all.iter().enumerate().find_map(|(place, (first, name))| {
            let mut later = all[place + 1..].iter();
            let (second, _) = later.find(|(second, other)| other == name && second != first)?;
            Some((*name, *first, *second))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::found::Unit;
    use super::super::tests::{parse, said};
    use super::*;

    const WIDE: &str = "time,a,b\n2024-03-04 00:00,1,2\n2024-03-04 01:00,1,2\n";
    const CER: &str = "1392 19503 0.14\n1392 19504 0.138\n";

    type Set = fn(&mut ReplayOptions);

    /// What is said of `text` with settings that differ from the defaults in what `set` does.
    fn refusal(text: &str, set: Set) -> String {
        let mut options = ReplayOptions::default();
        set(&mut options);
        parse(text, &options).map_or_else(said, |replay| replay.found().to_string())
    }

    #[test]
    fn a_register_is_not_of_power() {
        for unit in [Unit::W, Unit::KW] {
            let options = ReplayOptions {
                unit: Some(unit),
                values: Some(Values::Register),
                ..ReplayOptions::default()
            };
            let words = said(parse(WIDE, &options).unwrap_err());
            let unit = format!("meter.unit = \"{unit}\"");
            for part in ["test.csv", "meter.values = \"register\"", &unit, "kWh"] {
                assert!(words.contains(part), "{words}");
            }
        }
        let said_by_file = WIDE.replace(",a,b", ",a (kW),b (kW)");
        let words = refusal(&said_by_file, |options| {
            options.values = Some(Values::Register);
        });
        assert!(words.contains("the file says kW"), "{words}");
        let energy = |options: &mut ReplayOptions| {
            (options.unit, options.values) = (Some(Unit::Wh), Some(Values::Register));
        };
        assert!(refusal(WIDE, energy).contains("reads of registers"));
        assert!(refusal(&said_by_file, energy).contains("reads of registers"));
    }

    #[test]
    fn columns_are_one_thing_each() {
        let words = refusal(WIDE, |options| {
            options.columns.skip = vec!["b".to_owned()];
            options.columns.keep = vec!["b".to_owned()];
        });
        let both = "meter.columns.skip and meter.columns.keep both name \"b\"";
        assert!(words.contains(both), "{words}");
        let words = refusal(WIDE, |options| {
            options.columns.time = Some("time".to_owned());
            options.columns.value = Some("time".to_owned());
        });
        assert!(words.contains("meter.columns.time"), "{words}");
        let words = refusal(WIDE, |options| {
            options.form = Some(Form::Wide);
            options.columns.value = Some("a".to_owned());
        });
        assert!(words.contains("meter.form = \"wide\""), "{words}");
        for setting in ["skip", "keep"] {
            let mut options = ReplayOptions::default();
            match setting {
                "skip" => options.columns.skip.push("Totl".to_owned()),
                _ => options.columns.keep.push("Totl".to_owned()),
            }
            let words = said(parse(WIDE, &options).unwrap_err());
            let setting = format!("meter.columns.{setting}");
            for part in ["line 1", "\"Totl\"", &setting, "\"a\", \"b\""] {
                assert!(words.contains(part), "{words}");
            }
        }
    }

    #[test]
    fn a_form_that_says_all_itself_takes_no_setting_for_it() {
        let settings: [(&str, Set); 8] = [
            ("unit", |options| options.unit = Some(Unit::Wh)),
            ("values", |options| options.values = Some(Values::Interval)),
            ("label", |options| {
                options.label = Some(super::super::Label::End);
            }),
            ("missing", |options| options.missing.push("x".to_owned())),
            ("columns", |options| {
                options.columns.skip.push("x".to_owned());
            }),
            ("separator", |options| options.separator = Some(',')),
            ("decimal", |options| options.decimal = Some(',')),
            ("date_order", |options| {
                options.date_order = Some(super::super::DateOrder::DayFirst);
            }),
        ];
        for (name, set) in settings {
            let words = refusal(CER, set);
            let leave = format!("leave meter.{name} out");
            assert!(
                words.contains(&leave) && words.contains("Irish CER"),
                "{words}"
            );
        }
    }
}
