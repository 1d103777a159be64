use super::super::{Replay, options::ReplayOptions};
use super::*;

fn doubts(text: &str, options: &ReplayOptions) -> Vec<Subject> {
    let replay = Replay::from_reader(text.as_bytes(), "test.csv".as_ref(), options).unwrap();
    replay.doubts().iter().map(|doubt| doubt.subject).collect()
}

/// A wide file: a header, and what a customer has in an hour.
fn file(names: &[&str], hours: usize, value: impl Fn(usize, usize) -> f64) -> String {
    let mut text = format!("time,{}\n", names.join(","));
    for hour in 0..hours {
        text += &format!("2024-03-{:02} {:02}:00", 4 + hour / 24, hour % 24);
        for customer in 0..names.len() {
            text += &format!(",{:.3}", value(hour, customer));
        }
        text.push('\n');
    }
    text
}

fn uneven(hour: usize, customer: usize) -> f64 {
    0.1 + ((hour * 7 + customer * 3) % 11) as f64 / 10.0
}

#[test]
fn an_ordinary_file_leaves_no_doubt() {
    let text = file(&["a", "b", "c", "d", "e"], 24, uneven);
    assert_eq!(doubts(&text, &ReplayOptions::default()), []);
    let constant = file(&["a", "b", "c", "d", "e"], 24, |_, _| 1.0);
    assert_eq!(doubts(&constant, &ReplayOptions::default()), []);
}

#[test]
fn a_unit_in_a_name_is_taken_and_doubted_until_it_is_set() {
    let text = file(&["a [Wh]", "b [Wh]"], 24, |h, c| 1e3 * uneven(h, c));
    assert_eq!(doubts(&text, &ReplayOptions::default()), [Subject::Unit]);
    let set = ReplayOptions {
        unit: Some(Unit::Wh),
        ..ReplayOptions::default()
    };
    assert_eq!(doubts(&text, &set), []);
    let read = |options| Replay::from_reader(text.as_bytes(), "x".as_ref(), options).unwrap();
    let total = read(&set).account().total_uwh;
    assert_eq!(read(&ReplayOptions::default()).account().total_uwh, total);
}

#[test]
fn customers_who_all_draw_a_thousand_times_too_much_are_doubted() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let text = file(&names, 24, |h, c| 1e3 * uneven(h, c));
    assert_eq!(doubts(&text, &ReplayOptions::default()), [Subject::Unit]);
    let one_works = file(&names, 24, |h, c| if c == 0 { 1e6 } else { uneven(h, c) });
    assert_eq!(doubts(&one_works, &ReplayOptions::default()), []);
}

#[test]
fn values_that_never_fall_are_doubted_also_across_a_swap() {
    let rising = |h: usize, c: usize| (c * 1_000) as f64 + h as f64 * 0.4;
    let text = file(&["a", "b", "c"], 24, |h, c| {
        if c == 1 && h > 12 {
            h as f64
        } else {
            rising(h, c)
        }
    });
    assert_eq!(doubts(&text, &ReplayOptions::default()), [Subject::Values]);
    for values in [Values::Register, Values::Interval] {
        let set = ReplayOptions {
            values: Some(values),
            ..ReplayOptions::default()
        };
        assert!(!doubts(&text, &set).contains(&Subject::Values));
    }
}

#[test]
fn a_column_that_is_the_sum_of_the_others_is_doubted_whatever_its_name() {
    let others = |h: usize| (0..5).map(|c| uneven(h, c)).sum::<f64>();
    let text = file(&["a", "b", "c", "d", "e", "x"], 24, |h, c| {
        if c == 5 { others(h) } else { uneven(h, c) }
    });
    assert_eq!(doubts(&text, &ReplayOptions::default()), [Subject::Columns]);
    let columns = |skip: &[&str], keep: &[&str]| ReplayOptions {
        columns: super::super::options::Columns {
            skip: skip.iter().map(|name| (*name).to_owned()).collect(),
            keep: keep.iter().map(|name| (*name).to_owned()).collect(),
            ..super::super::options::Columns::default()
        },
        ..ReplayOptions::default()
    };
    assert_eq!(doubts(&text, &columns(&["x"], &[])), []);
    assert_eq!(doubts(&text, &columns(&[], &["x"])), []);
    let named = file(&["a", "b", "Total"], 24, uneven);
    assert_eq!(
        doubts(&named, &ReplayOptions::default()),
        [Subject::Columns]
    );
}

#[test]
fn times_that_look_like_ends_or_begin_after_years_are_doubted() {
    let ends = "time,a\n2024-03-04 01:00,1\n2024-03-04 02:00,2\n2024-03-04 03:00,1\n";
    let day: String = (4..24)
        .map(|hour| format!("2024-03-04 {hour:02}:00,1\n"))
        .collect();
    let text = format!("{ends}{day}2024-03-05 00:00,2\n");
    assert_eq!(doubts(&text, &ReplayOptions::default()), [Subject::Label]);
    let set = ReplayOptions {
        label: Some(Label::End),
        ..ReplayOptions::default()
    };
    assert_eq!(doubts(&text, &set), []);
    let late = "hour,a\n20000,1\n20001,2\n20002,1\n";
    assert_eq!(doubts(late, &ReplayOptions::default()), [Subject::Start]);
}

#[test]
fn intervals_that_change_are_doubted_with_the_length_that_holds_both() {
    let mut text = "time,a\n".to_owned();
    for half in 0..16 {
        text += &format!(
            "2024-03-04 {:02}:{:02},{}\n",
            half / 2,
            half % 2 * 30,
            1 + half % 3
        );
    }
    for quarter in 32..48 {
        text += &format!(
            "2024-03-04 {:02}:{:02},{}\n",
            quarter / 4,
            quarter % 4 * 15,
            1 + quarter % 3
        );
    }
    assert_eq!(
        doubts(&text, &ReplayOptions::default()),
        [Subject::Interval(1_800)]
    );
}
