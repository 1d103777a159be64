//! Which of many reports spoil their sum, by asking of sums of some of them whether they are spoiled.

/// What was found, by the places of the reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bisected {
    /// Reports that spoil a sum alone.
    pub(super) culprits: Vec<usize>,
    /// The smallest groups that are spoiled though neither of their halves is: reports with a little too much each.
    pub(super) together: Vec<Vec<usize>>,
    /// Questions asked.
    pub(super) openings: u32,
    /// There may be more: as many as allowed were found.
    pub(super) is_cut_short: bool,
}

/// Asks `is_spoiled` of all `reports` and of halves of every group that is, until at most `most` culprits and groups are
/// found. Of one culprit among n reports it asks about 2·log2(n) times.
///
/// Culprits that cancel each other out are found once they come to be in different halves, so the order of the reports should
/// be one that nobody can foresee.
pub(super) fn bisect(
    reports: &[usize],
    most: usize,
    mut is_spoiled: impl FnMut(&[usize]) -> bool,
) -> Bisected {
    let mut found = Bisected::default();
    let mut ask = |group: &&[usize]| {
        found.openings += 1;
        is_spoiled(group)
    };
    let mut spoiled: Vec<&[usize]> = Vec::new();
    if most > 0 && !reports.is_empty() {
        spoiled.extend([reports].iter().filter(|group| ask(group)));
    }
    while let Some(group) = spoiled.pop() {
        if found.culprits.len() + found.together.len() == most {
            found.is_cut_short = true;
            break;
        }
        if let [culprit] = group {
            found.culprits.push(*culprit);
            continue;
        }
        let (first, second) = group.split_at(group.len() / 2);
        let before = spoiled.len();
        for half in [second, first] {
            found.openings += 1;
            if is_spoiled(half) {
                spoiled.push(half);
            }
        }
        if spoiled.len() == before {
            found.together.push(group.to_vec());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `reports` with so much too much in them each; a group is spoiled where the sum is too far from 0.
    fn found(excess: &[i64], most: usize) -> Bisected {
        let reports: Vec<usize> = (0..excess.len()).collect();
        bisect(&reports, most, |group| {
            let sum: i64 = group.iter().map(|report| excess[*report]).sum();
            // As noise grows with the root of the reports.
            (sum * sum) as f64 > 9.0 * group.len() as f64
        })
    }

    fn with(reports: usize, culprits: &[(usize, i64)]) -> Vec<i64> {
        let mut excess = vec![0; reports];
        for (culprit, by) in culprits {
            excess[*culprit] = *by;
        }
        excess
    }

    #[test]
    fn one_culprit_of_a_thousand_takes_about_twenty_questions() {
        for culprit in [0, 1, 499, 500, 998, 999] {
            let found = found(&with(1_000, &[(culprit, 1_000)]), 64);
            assert_eq!(found.culprits, [culprit]);
            assert!((17..=21).contains(&found.openings), "{found:?}");
            assert!(found.together.is_empty() && !found.is_cut_short);
        }
    }

    #[test]
    fn several_are_all_found() {
        let culprits = [(3, 900), (4, 5_000), (77, -2_000), (78, 700)];
        let several = found(&with(100, &culprits), 64);
        assert_eq!(several.culprits, [3, 4, 77, 78]);
        let all = found(&[1_000; 8], 64);
        assert_eq!(all.culprits, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn those_that_cancel_each_other_out_are_found_where_they_are_divided() {
        let divided = found(&with(64, &[(5, 900), (50, -900), (60, 2_000)]), 64);
        assert_eq!(divided.culprits, [5, 50, 60]);
        let whole = found(&with(64, &[(5, 900), (50, -900)]), 64);
        assert_eq!((whole.culprits, whole.openings), (vec![], 1));
    }

    #[test]
    fn none_is_one_question_and_nobody_is_none() {
        let nobody = found(&[0; 500], 64);
        let expected = Bisected {
            openings: 1,
            ..Bisected::default()
        };
        assert_eq!(nobody, expected);
        assert_eq!(found(&[], 64), Bisected::default());
    }

    #[test]
    fn many_with_a_little_too_much_are_a_group() {
        // Four times 2: 8 > 3·2, but 4 < 3·√2·…: neither half is spoiled.
        let found = found(&[2, 2, 2, 2], 64);
        assert_eq!(found.together, [[0, 1, 2, 3]]);
        assert_eq!(found.culprits, [0_usize; 0]);
    }

    #[test]
    fn no_more_are_named_than_may_be() {
        let excess = with(64, &[(1, 900), (2, 900), (33, 900)]);
        let two = found(&excess, 2);
        assert_eq!(two.culprits, [1, 2]);
        assert!(two.is_cut_short);
        assert!(!found(&excess, 3).is_cut_short);
        assert_eq!(found(&excess, 0).openings, 0);
    }
}
