//! Which of many reports spoil their sum, by asking of sums of some of them whether they are spoiled.

/// Culprits behind one gateway after which the gateway is named and its other reports are left aside: each costs a refusal,
/// and a gateway that spoils three can spoil all of its reports.
pub(super) const OF_ONE_GATEWAY: usize = 3;

/// What was found, by the places of the reports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bisected<G> {
    /// Reports that spoil a sum alone.
    pub(super) culprits: Vec<usize>,
    /// The smallest groups that are spoiled though neither of their halves is: reports with a little too much each.
    pub(super) together: Vec<Vec<usize>>,
    /// Gateways of several culprits, whose other reports were not looked at.
    pub(super) gateways: Vec<G>,
    /// Questions asked.
    pub(super) openings: u32,
    /// There may be more: as many as allowed were found.
    pub(super) is_cut_short: bool,
}

/// Asks `is_spoiled` of all reports, of each of which the gateway is given, and of halves of every group that is, until at most
/// `most` culprits and groups are found. Of one culprit among n reports it asks about 2·log2(n) times.
///
/// Culprits that cancel each other out are found once they come to be in different halves, so the order of the reports should
/// be one that nobody can foresee.
pub(super) fn bisect<G: Clone + PartialEq>(
    gateways: &[G],
    most: usize,
    is_spoiled: impl FnMut(&[usize]) -> bool,
) -> Bisected<G> {
    let mut search = Search {
        gateways,
        is_spoiled,
        spoiled: Vec::new(),
        found: Bisected {
            culprits: Vec::new(),
            together: Vec::new(),
            gateways: Vec::new(),
            openings: 0,
            is_cut_short: false,
        },
    };
    if most > 0 {
        search.ask((0..gateways.len()).collect());
    }
    while let Some(group) = search.spoiled.pop() {
        if search.found.culprits.len() + search.found.together.len() == most {
            search.found.is_cut_short = true;
            break;
        }
        search.divide(group);
    }
    search.found
}

struct Search<'a, G, F> {
    gateways: &'a [G],
    is_spoiled: F,
    /// Groups that are, and have not been looked into.
    spoiled: Vec<Vec<usize>>,
    found: Bisected<G>,
}

impl<G: Clone + PartialEq, F: FnMut(&[usize]) -> bool> Search<'_, G, F> {
    /// Keeps a group if it is spoiled.
    fn ask(&mut self, group: Vec<usize>) {
        if group.is_empty() {
            return;
        }
        self.found.openings += 1;
        if (self.is_spoiled)(&group) {
            self.spoiled.push(group);
        }
    }

    /// Looks into a spoiled group.
    fn divide(&mut self, mut group: Vec<usize>) {
        if let [culprit] = group[..] {
            self.found.culprits.push(culprit);
            self.leave_aside(culprit);
            return;
        }
        let before = self.spoiled.len();
        let whole = group.clone();
        let second = group.split_off(group.len() / 2);
        self.ask(second);
        self.ask(group);
        if self.spoiled.len() == before {
            self.found.together.push(whole);
        }
    }

    /// Leaves the reports of a culprit's gateway aside, if it has several culprits.
    fn leave_aside(&mut self, culprit: usize) {
        let gateway = &self.gateways[culprit];
        let culprits = self.found.culprits.iter();
        if culprits
            .filter(|other| self.gateways[**other] == *gateway)
            .count()
            < OF_ONE_GATEWAY
        {
            return;
        }
        self.found.gateways.push(gateway.clone());
        for mut group in std::mem::take(&mut self.spoiled) {
            let before = group.len();
            group.retain(|report| self.gateways[*report] != *gateway);
            match group.len() == before {
                true => self.spoiled.push(group),
                false => self.ask(group),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `reports` with so much too much in them each; a group is spoiled where the sum is too far from 0.
    fn found(excess: &[i64], most: usize) -> Bisected<usize> {
        // Each behind a gateway of its own.
        let gateways: Vec<usize> = (0..excess.len()).collect();
        behind(&gateways, excess, most)
    }

    fn behind(gateways: &[usize], excess: &[i64], most: usize) -> Bisected<usize> {
        bisect(gateways, most, |group| {
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
        assert_eq!(
            (nobody.openings, nobody.culprits, nobody.together),
            (1, vec![], vec![])
        );
        assert_eq!(found(&[], 64).openings, 0);
    }

    #[test]
    fn many_with_a_little_too_much_are_a_group() {
        // Four times 2: 8 > 3·2, but 4 < 3·√2·…: neither half is spoiled.
        let found = found(&[2, 2, 2, 2], 64);
        assert_eq!(found.together, [[0, 1, 2, 3]]);
        assert_eq!(found.culprits, [0_usize; 0]);
    }

    /// Every second of a thousand reports is of a gateway that spoils all of them, and another gateway spoils one.
    #[test]
    fn of_a_gateway_that_spoils_all_its_reports_three_are_looked_at() {
        let gateways: Vec<usize> = (0..1_000).map(|report| report % 2).collect();
        let mut excess: Vec<i64> = gateways
            .iter()
            .map(|gateway| *gateway as i64 * 900)
            .collect();
        excess[500] = 2_000;
        let several = behind(&gateways, &excess, 8);
        assert_eq!(several.gateways, [1]);
        assert_eq!(several.culprits.len(), OF_ONE_GATEWAY + 1, "{several:?}");
        assert!(several.culprits.contains(&500), "{several:?}");
        assert!(
            several.openings < 80 && !several.is_cut_short,
            "{several:?}"
        );
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
