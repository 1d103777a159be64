//! What the marks of two stores say is to be done.

use super::*;

fn side(place: &str, mark: &str, is_empty: bool) -> Side {
    let mark = match mark {
        "" => None,
        mark => Some(mark.parse().unwrap()),
    };
    Side {
        place: place.into(),
        mark,
        is_empty,
    }
}

/// The step, or what is wrong: `=` before what a target with rows of its own makes of it.
fn step(source: &str, target: &str, is_empty: bool) -> String {
    let (source, target) = (side("/file", source, false), side("db", target, is_empty));
    match next(&source, &target, 99) {
        Ok(step) => format!("{step:?}"),
        Err(MigrateError::NotEmpty { place }) => format!("{} has rows", place.display()),
        Err(MigrateError::Other { place, other }) => {
            format!("{} is of {other}", place.display())
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_marks_say_what_is_to_be_done() {
    // Mark of the source, mark of the target; then what is done where the target has rows.
    let cases = [
        ("", "", "db has rows"),
        ("", "filled 1 /file", "db has rows"),
        ("", "filling 1 /file", "Fill(99)"),
        ("", "filling 1 /another", "db is of /another"),
        ("", "left 1 /file", "db is of /file"),
        ("filled 1 db", "left 1 /file", "Fill(99)"),
        ("filled 1 db", "left 2 /file", "db is of /file"),
        ("filled 1 db", "filling 1 /file", "Fill(99)"),
        ("left 1 db", "filling 1 /file", "Fill(1)"),
        ("left 1 db", "filled 1 /file", "None"),
        ("left 1 db", "filled 2 /file", "/file is of db"),
        ("left 1 db", "filling 2 /file", "/file is of db"),
        ("left 1 db", "left 1 /file", "/file is of db"),
        ("left 1 db", "", "/file is of db"),
        ("filling 1 db", "left 1 /file", "TakeBack"),
        ("filling 1 db", "left 2 /file", "/file is of db"),
        ("filling 1 db", "filled 1 /file", "/file is of db"),
        ("filling 1 db", "", "/file is of db"),
    ];
    for (source, target, expected) in cases {
        assert_eq!(step(source, target, false), expected, "{source}; {target}");
        // That it is empty matters only where nothing else says what it is.
        let expected = match expected {
            "db has rows" => "Fill(99)",
            other => other,
        };
        assert_eq!(step(source, target, true), expected, "{source}; {target}");
    }
}

#[test]
fn a_mark_is_read_as_it_was_written() {
    let place = "/a folder/with spaces/sums.redb";
    for state in [State::Filling, State::Filled, State::Left] {
        let mark = Mark {
            state,
            number: u64::MAX - 1,
            other: place.to_owned(),
        };
        assert_eq!(mark.to_string().parse(), Ok(mark));
    }
    for wrong in ["", "left", "left 1", "gone 1 db", "left x db"] {
        assert!(wrong.parse::<Mark>().is_err(), "{wrong}");
    }
}
