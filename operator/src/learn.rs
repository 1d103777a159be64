//! What the command `learn` prints: how much those who know all but a few readings of a group learn of the rest.

use std::fmt::Write as _;

use release::Rules;
use release::moments::{Group, Range, learned};

/// Unknown readings, at most.
const MOST: u32 = 5;

/// The table, for a group of this size whose readings have this mean and standard deviation.
pub fn table(group: &Group, quantum_wh: u64) -> String {
    let step = Rules::new(group.meters).std_step_wh(group.std_wh, quantum_wh);
    let mut text = format!(
        "Of {} meters, whose readings of an interval are {:.0} Wh on average with a standard deviation of {:.0} Wh, all others \
         together know this of the largest of a few readings, in Wh:\n\n\
         {:>8}  {:>18}  {:>18}  {:>18}\n\
         {:>8}  {:>18}  {:>18}  {:>18}\n",
        group.meters,
        group.mean_wh,
        group.std_wh,
        "unknown",
        "from the sum",
        "and the deviation",
        "and the deviation",
        "readings",
        "(layout profile)",
        "if it were exact",
        format!("in steps of {step}"),
    );
    for unknown in 1..=MOST.min(group.meters) {
        let [sum, exact, published] =
            [None, Some(0.0), Some(step as f64)].map(|step| words(&learned(group, unknown, step)));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{unknown:>8}  {sum:>18}  {exact:>18}  {published:>18}"
        );
    }
    text += "\nThe sum alone gives the last reading to all others. It takes a larger minimum group to make that dearer.\n\
             With layout histogram they also know in which bins of consumption the unknown readings are, but not which is in which: \
             fewer plan.histogram_edges say less.\n";
    text
}

fn words(range: &Range) -> String {
    match range.width_wh() < 1.0 {
        true => format!("{:.0}", range.from_wh),
        false => format!("{:.0} to {:.0}", range.from_wh, range.to_wh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_squares_would_give_two_readings_and_those_that_are_published_do_not() {
        let group = Group {
            meters: 50,
            mean_wh: 500.0,
            std_wh: 450.0,
        };
        let table = table(&group, 1);
        let row = |unknown: &str| {
            let mut rows = table.lines();
            let row = rows.find(|row| row.trim_start().starts_with(unknown));
            row.unwrap_or_default()
                .split_whitespace()
                .collect::<String>()
        };
        assert_eq!(row("1 "), "1500500500");
        assert_eq!(row("2 "), "2500to1000950500to1000");
        assert!(table.contains("in steps of 64"), "{table}");
    }
}
