//! Sheets of distributors, and what people make of other files.

use super::*;

/// 4 March 2024, 00:00 UTC.
const START: u64 = 1_709_510_400;

fn read(text: &str, change: impl FnOnce(&mut ReplayOptions)) -> Replay {
    let mut options = ReplayOptions::default();
    change(&mut options);
    parse(text, &options).map_err(said).unwrap()
}

#[test]
fn a_german_sheet_has_semicolons_commas_and_points() {
    let text = "\u{feff}Zeitstempel;Zähler 1;Zähler 2\n04.03.2024 00:00;1,366;1.012,5\n04.03.2024 01:00;1,540;0,591\n";
    let mut t = read(text, |_| {});
    assert_eq!(
        at(&mut t, START),
        [Some(1_366_000_000), Some(1_012_500_000_000)]
    );
    let found = t.found();
    assert_eq!(
        (found.separator, found.decimal, found.thousands),
        (';', ',', Some('.'))
    );
    let latin1: Vec<u8> = text
        .trim_start_matches('\u{feff}')
        .chars()
        .map(|c| c as u8)
        .collect();
    let t = Replay::from_reader(&latin1[..], Path::new("x"), &ReplayOptions::default()).unwrap();
    assert_eq!(t.found().encoding, "Windows-1252");
}

#[test]
fn an_enedis_load_curve_is_watts_at_the_end_of_half_hours() {
    let text = "\u{feff}Identifiant PRM;Type de donnees;Date de debut;Date de fin;Unite;Pas en minutes\n\
        12345678901234;Courbe de charge;31/12/2022;31/12/2023;W;\nHorodate;Valeur\n\
        2024-03-04T01:30:00+01:00;500\n2024-03-04T02:00:00+01:00;642\n";
    let mut t = read(text, |_| {});
    assert_eq!(t.meters()[0].id.as_str(), "12345678901234");
    assert_eq!(
        (t.found().unit, t.found().label, t.found().header),
        (Unit::W, Label::End, 3)
    );
    assert_eq!(t.doubts(), []);
    assert_eq!(at(&mut t, START), [Some(250_000_000)]);
}

#[test]
fn a_portuguese_sheet_has_date_and_time_apart_and_ends_at_24() {
    let text = "E-REDES\nCPE;PT0002000012345678AB\n\nData;Hora;Consumo registado, Ativa (kW)\n\
        2024/03/04;23:30;0,4\n2024/03/04;23:45;0,8\n2024/03/04;24:00;1,2\n";
    let mut t = read(text, |_| {});
    assert_eq!((t.found().unit, t.found().label), (Unit::KW, Label::End));
    assert_eq!(t.meters()[0].id.as_str(), "pt0002000012345678ab");
    assert_eq!(at(&mut t, START + 85_500), [Some(300_000_000)]);
}

#[test]
fn the_raw_uci_form_is_kilowatts_at_the_end_of_quarter_hours() {
    let text = "\"\";\"MT_001\";\"MT_002\"\n\"2024-03-04 00:15:00\";3,807106598984772;22,759601706970126\n\
        \"2024-03-04 00:30:00\";5;22\n";
    let mut t = read(text, |_| {});
    assert_eq!((t.found().unit, t.found().label), (Unit::KW, Label::End));
    assert_eq!(at(&mut t, START), [Some(951_776_650), Some(5_689_900_427)]);
    assert_eq!(t.doubts(), []);
}

#[test]
fn reads_of_registers_become_intervals_and_a_swap_is_missing() {
    let text = "time,a,b\n2024-03-04 00:00,100,5\n2024-03-04 01:00,101,6.5\n2024-03-04 02:00,0.25,7\n2024-03-04 03:00,1,NA\n\
        2024-03-04 04:00,2,9\n";
    let mut t = read(text, |options| options.values = Some(Values::Register));
    assert_eq!(at(&mut t, START), [kwh(1), Some(1_500_000_000)]);
    assert_eq!(at(&mut t, START + 3_600), [None, Some(500_000_000)]);
    assert_eq!(at(&mut t, START + 7_200), [Some(750_000_000), None]);
    assert_eq!((t.account().swapped, t.account().missing), (1, 3));
}

#[test]
fn lines_of_separators_and_blank_lines_are_passed_over() {
    let text = "time,a,b\n2024-03-04 00:00,1,2\n\n2024-03-04 01:00,1,2\n,,\n,,\n";
    let t = read(text, |_| {});
    assert_eq!((t.account().rows, t.account().blank), (4, 2));
}

#[test]
fn what_is_kept_in_memory_is_what_is_asked_for() {
    let rows: String = (0..48).map(|hour| format!("{hour},{hour}\n")).collect();
    let text = format!("hour,a\n{rows}");
    let start = ReplayOptions::default().start.0;
    let mut t = read(&text, |options| {
        options.keep = Some((start + 3_600, start + 7_200))
    });
    assert_eq!(t.range().0.0, start + 3_600);
    assert_eq!(at(&mut t, start + 3_600), [kwh(1)]);
    assert_eq!(t.meters()[0].capacity_w.0, 47_000);
    assert_eq!(t.account().readings, 48);
}
