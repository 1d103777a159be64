use super::super::{
    dialect,
    options::{Columns, ReplayOptions},
};
use super::*;

fn found(text: &str, options: &ReplayOptions) -> Result<Roles, FileError> {
    let zone = jiff::tz::TimeZone::UTC;
    let head: Vec<String> = text.lines().map(str::to_owned).collect();
    let with = With {
        options,
        zone: &zone,
    };
    roles(&dialect::sniff(&head, &with)?, &with)
}

fn sniffed(text: &str) -> Roles {
    found(text, &ReplayOptions::default()).unwrap()
}

fn long(meter: usize, time: usize, reading: usize) -> (usize, Shape) {
    let shape = Shape::Long {
        meter: Some(meter),
        readings: vec![(reading, 0)],
    };
    (time, shape)
}

#[test]
fn long_files_are_told_by_their_names_or_by_what_they_have() {
    let row = "MAC000002,Std,2012-12-19 00:00:00.0000000, 0.395 \n";
    for (text, expected) in [
        (
            format!("LCLid,stdorToU,DateTime,KWH/hh (per half hour) \n{row}{row}"),
            long(0, 2, 3),
        ),
        (format!("a,b,c,d\n{row}{row}"), long(0, 2, 3)),
        (format!("{row}{row}"), long(0, 2, 3)),
        (
            "LCLid,tstp,energy(kWh/hh)\nM1,2012-12-19 00:00:00,0.1\n".to_owned(),
            long(0, 1, 2),
        ),
        (
            "meter_id,timestamp,kwh\n7,2012-12-19 00:00,1\n".to_owned(),
            long(0, 1, 2),
        ),
        (
            "kwh,time,meter_id\n1.5,1709510400,7\n1.5,1709514000,7\n".to_owned(),
            long(2, 1, 0),
        ),
    ] {
        let roles = sniffed(&text);
        assert_eq!((roles.time, roles.shape), expected, "{text}");
    }
}

#[test]
fn other_files_have_a_customer_in_each_column_of_numbers() {
    let roles =
        sniffed("Date;Time;home;Status\n04.03.2024;00:00;1,5;ok\n04.03.2024;00:15;1,5;ok\n");
    assert_eq!((roles.time, roles.time_of_day), (0, Some(1)));
    assert_eq!(roles.shape, Shape::Wide(vec![2]));
    assert_eq!(roles.left_out, ["Status"]);
    let household = "Date;Time;Global_active_power;Voltage;Global_intensity\n28/04/2007;00:00:00;2.4;240.1;18.4\n";
    let error = found(household, &ReplayOptions::default())
        .unwrap_err()
        .to_string();
    for part in ["';'", "Voltage", "column for each customer", "at least 15"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn days_of_columns_are_told_by_the_names_of_the_columns() {
    let names: Vec<String> = (0..48).map(|n| format!("hh_{n}")).collect();
    let row = vec!["0.5"; 48].join(",");
    let roles = sniffed(&format!(
        "LCLid,day,{}\nM1,2012-12-19,{row}\n",
        names.join(",")
    ));
    let Shape::Long { meter, readings } = roles.shape else {
        panic!("wide");
    };
    assert_eq!((meter, readings[47]), (Some(0), (49, 47 * 1_800)));
    let names: Vec<String> = (1..=24)
        .map(|hour| format!("{:02}:00", hour % 24))
        .collect();
    let row = vec!["0.5"; 24].join(",");
    let ends = sniffed(&format!(
        "MPAN,Date,{}\nM1,2012-12-19,{row}\n",
        names.join(",")
    ));
    assert_eq!(ends.label, Some(Label::End));
}

#[test]
fn settings_name_columns_and_a_question_names_them_too() {
    let text = "who,when,import,export\n7,2012-12-19 00:00,1,2\n8,2012-12-19 00:00,1,2\n";
    let columns = Columns {
        meter: Some("who".to_owned()),
        ..Columns::default()
    };
    let mut options = ReplayOptions {
        columns,
        ..ReplayOptions::default()
    };
    let question = found(text, &options).unwrap_err().to_string();
    for part in ["\"import\"", "\"export\"", "meter.columns.value"] {
        assert!(question.contains(part), "{question}");
    }
    options.columns.value = Some("import".to_owned());
    let roles = found(text, &options).unwrap();
    assert_eq!((roles.time, roles.shape), long(0, 1, 2));
    options.columns.value = Some("net".to_owned());
    let unknown = found(text, &options).unwrap_err().to_string();
    assert!(
        unknown.contains("\"net\"") && unknown.contains("\"when\""),
        "{unknown}"
    );
}
