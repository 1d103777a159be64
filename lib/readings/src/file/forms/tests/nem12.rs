use super::super::nem12;
use super::{Of, read};

const NEM12: Of = (nem12::is, nem12::read);
/// 1 June 2020 in NEM time: 14:00 UTC of the day before.
const START: u64 = 1_590_933_600;

/// A day of `value` in every interval of `minutes`.
fn day(date: &str, value: &str, minutes: usize, rest: &str) -> String {
    let values = vec![value; 24 * 60 / minutes].join(",");
    format!("300,{date},{values},{rest}\n")
}

#[test]
fn registers_of_a_connection_point_make_its_net_energy() {
    let file = format!(
        "100,NEM12,202007010000,MDP1,RETAIL1\n200,NMI1,E1E2B1,1,E1,N1,M1,kWh,30,\n{}\
         200,NMI1,E1E2B1,2,E2,N1,M1,Wh,30,\n{}200,NMI1,E1E2B1,3,B1,N1,M1,KWH,30,\n{}\
         200,NMI1,,4,Q1,N1,M1,KVARH,30,\n{}400,1,48,N,,\n500,O,S1,20200602,\n900\n",
        day("20200601", "1.5", 30, "A,,,20200602,"),
        day("20200601", "250", 30, "S14,,,20200602,"),
        day("20200601", "2", 30, "A,,,20200602,"),
        day("20200601", "x", 30, "V,,,20200602,"),
    );
    let rows = read(NEM12, &file, None).unwrap();
    assert_eq!(rows.len(), 48);
    assert_eq!(
        rows[0],
        ("NMI1".to_owned(), START, 1_800, Some(-250_000_000))
    );
    assert_eq!(rows[47].1, START + 47 * 1_800);
}

#[test]
fn null_values_and_ranges_are_missing_and_one_missing_register_makes_the_interval_missing() {
    let file = format!(
        "200,A,E1,1,E1,N1,M1,KWH,5,\n{}400,1,10,A,,\n400,11,288,N,,\n200,A,B1,1,B1,N1,M1,KWH,5,\n{}{}",
        day("20200601", "1", 5, "V,,"),
        day("20200601", "0.25", 5, "E52"),
        day("20200602", "0.25", 5, "A"),
    );
    let rows = read(NEM12, &file, None).unwrap();
    assert_eq!(rows.len(), 576);
    assert_eq!(rows[9].3, Some(750_000_000));
    assert!(rows[10..].iter().all(|row| row.3.is_none()));
    let null = format!(
        "200,A,E1,1,E1,N1,M1,KWH,15,\n{}",
        day("20200601", "0", 15, "N")
    );
    assert!(
        read(NEM12, &null, None)
            .unwrap()
            .iter()
            .all(|row| row.3.is_none())
    );
}

#[test]
fn power_is_energy_over_its_interval_and_repeats_are_passed_over() {
    let once = day("20200601", "0.1", 15, "A");
    let file = format!("200,A,E1,1,E1,N1,M1,kW,15,\n{once}{once}900\n");
    let rows = read(NEM12, &file, None).unwrap();
    assert_eq!((rows.len(), rows[0].3), (96, Some(25_000_000)));
}
