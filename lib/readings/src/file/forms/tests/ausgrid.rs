use super::super::ausgrid;
use super::{Of, read, says};

const AUSGRID: Of = (ausgrid::is, ausgrid::read);
/// 1 July 2010, UTC+10.
const START: u64 = 1_277_906_400;

fn file(rows: &[&str]) -> String {
    let times: Vec<String> = (1..=48)
        .map(|n| format!("{}:{:02}", n / 2 % 24, n % 2 * 30))
        .collect();
    let title = "Solar home electricity data,,,\n";
    let header = format!(
        "Customer,Generator Capacity,Postcode,Consumption Category,date,{}",
        times.join(",")
    );
    format!("{title}{header},Row Quality\n{}", rows.concat())
}

fn day(channel: &str, date: &str, value: &str) -> String {
    format!(
        "1,3.78,2076,{channel},{date},{},\n",
        vec![value; 48].join(",")
    )
}

#[test]
fn channels_make_the_net_energy_of_a_customer() {
    let rows = file(&[
        &day("CL", "1-Jul-10", "0.5"),
        &day("GC", "1-Jul-10", "0.303"),
        &day("GG", "1/07/2010", "1"),
    ]);
    let rows = read(AUSGRID, &rows, None).unwrap();
    assert_eq!(rows.len(), 48);
    assert_eq!(rows[0], ("1".to_owned(), START, 1_800, Some(-197_000_000)));
    assert_eq!(rows[47].1, START + 47 * 1_800);
}

#[test]
fn a_day_without_a_channel_is_missing() {
    let rows = file(&[
        &day("GC", "1/07/2010", "1"),
        &day("GG", "1/07/2010", ""),
        &day("GC", "2/07/2010", "1"),
    ]);
    let rows = read(AUSGRID, &rows, None).unwrap();
    assert_eq!(rows.len(), 96);
    assert!(rows.iter().all(|row| row.3.is_none()));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (row, parts) in [
        (
            day("GX", "1-Jul-10", "1"),
            &["line 3", "Consumption Category", "GX"][..],
        ),
        (
            day("GC", "31-Jun-10", "1"),
            &["line 3", "date", "31-Jun-10"],
        ),
        (
            day("GC", "2010-07-01", "1"),
            &["line 3", "date", "2010-07-01"],
        ),
        (day("GC", "1-Jul-10", "one"), &["line 3", "0:30", "one"]),
        (
            "1,3.78,2076,GC,1-Jul-10,1,2\n".to_owned(),
            &["line 3", "7 fields"],
        ),
        (String::new(), &["no day"]),
    ] {
        says(read(AUSGRID, &file(&[&row]), None), parts);
    }
}
