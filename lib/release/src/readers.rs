//! Who may read what of a feeder: exact totals or noisy ones.
//!
//! Noise hides a household from whoever has only the noisy total of an interval. With the exact one beside it the noise is known;
//! with two noisy ones of the same interval it is known better than either says. So a reader has, of each feeder, exact totals, or
//! those of one recipient.

/// Totals that a reader can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a, F> {
    /// The person or organisation: whoever keeps nothing from itself.
    pub reader: &'a str,
    /// The recipient whose noisy totals they are; none: exact totals.
    pub recipient: Option<&'a str>,
    /// Of which feeders; empty: of all.
    pub feeders: &'a [F],
}

/// Why totals may not reach a reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReaderRefused {
    /// It would have both.
    #[error(
        "{reader} would have exact and noisy totals of one feeder, and the noise would be known"
    )]
    ExactAndNoisy {
        /// The reader.
        reader: String,
    },
    /// It would have two with noise of their own.
    #[error(
        "{reader} would have the totals of {first} and of {second} of one feeder, each with noise of its own"
    )]
    TwoRecipients {
        /// The reader.
        reader: String,
        /// One recipient.
        first: String,
        /// The other.
        second: String,
    },
}

/// Whether somebody may have `asked` beside what is `held`, by whomever.
///
/// # Errors
/// One reader would have more of a feeder than one total with one noise.
pub fn may_read<F: PartialEq>(
    asked: &Reading<'_, F>,
    held: &[Reading<'_, F>],
) -> Result<(), ReaderRefused> {
    let reader = || asked.reader.to_owned();
    let mut held = held.iter().filter(|other| {
        other.reader == asked.reader
            && other.recipient != asked.recipient
            && overlap(asked.feeders, other.feeders)
    });
    match held.next().map(|other| (asked.recipient, other.recipient)) {
        None => Ok(()),
        Some((Some(first), Some(second))) => Err(ReaderRefused::TwoRecipients {
            reader: reader(),
            first: first.to_owned(),
            second: second.to_owned(),
        }),
        Some(_) => Err(ReaderRefused::ExactAndNoisy { reader: reader() }),
    }
}

fn overlap<F: PartialEq>(a: &[F], b: &[F]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|feeder| b.contains(feeder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading<'a>(
        reader: &'a str,
        recipient: &'a str,
        feeders: &'a [&'a str],
    ) -> Reading<'a, &'a str> {
        Reading {
            reader,
            recipient: Some(recipient).filter(|recipient| *recipient != "exact"),
            feeders,
        }
    }

    fn allowed(asked: (&str, &str, &[&str]), held: (&str, &str, &[&str])) -> bool {
        let asked = reading(asked.0, asked.1, asked.2);
        let held = reading(held.0, held.1, held.2);
        let both = [may_read(&asked, &[held]), may_read(&held, &[asked])];
        assert_eq!(both[0].is_ok(), both[1].is_ok(), "whoever comes first");
        both[0].is_ok()
    }

    #[test]
    fn a_reader_has_one_total_of_a_feeder() {
        let (all, north, south): (&[&str], &[&str], &[&str]) = (&[], &["north"], &["south"]);
        assert!(allowed(("a", "exact", all), ("b", "press", all)));
        assert!(!allowed(("a", "exact", all), ("a", "press", all)));
        assert!(!allowed(("a", "exact", all), ("a", "press", north)));
        assert!(allowed(("a", "exact", south), ("a", "press", north)));
        assert!(!allowed(("a", "day", all), ("a", "hour", north)));
        assert!(!allowed(("a", "day", north), ("a", "hour", north)));
        assert!(allowed(("a", "day", south), ("a", "hour", north)));
        assert!(allowed(("a", "day", all), ("b", "hour", all)));
        // The same totals again.
        assert!(allowed(("a", "day", all), ("a", "day", north)));
    }

    #[test]
    fn a_refusal_names_who_and_what() {
        let held = [reading("a", "day", &[]), reading("b", "hour", &[])];
        let refused = may_read(&reading("a", "hour", &["north"]), &held).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a would have the totals of hour and of day of one feeder, each with noise of its own"
        );
    }
}
