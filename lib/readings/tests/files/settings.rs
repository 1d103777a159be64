//! Settings of how a file is read.

use readings::{DateOrder, Form, Gaps, Label, ReplayOptions, Unit, Values};

/// Settings as the tables write them, such as `unit=kW label=end`.
pub(crate) fn options(settings: &str) -> ReplayOptions {
    let mut options = ReplayOptions::default();
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').unwrap();
        match (name, value) {
            ("unit", "Wh") => options.unit = Some(Unit::Wh),
            ("unit", "kWh") => options.unit = Some(Unit::KWh),
            ("unit", "kW") => options.unit = Some(Unit::KW),
            ("form", "cer") => options.form = Some(Form::Cer),
            ("label", "start") => options.label = Some(Label::Start),
            ("label", "end") => options.label = Some(Label::End),
            ("values", "register") => options.values = Some(Values::Register),
            ("gaps", "missing") => options.gaps = Gaps::Missing,
            ("date_order", "mdy") => options.date_order = Some(DateOrder::MonthFirst),
            ("missing", mark) => options.missing.push(mark.to_owned()),
            ("skip", name) => options.columns.skip.push(name.to_owned()),
            ("zone", zone) => zone.clone_into(&mut options.time_zone),
            _ => panic!("{setting}"),
        }
    }
    options
}
