//! Bills: the energy of one meter by tariff band, over many intervals.
//!
//! A bill is about one meter, which has agreed to it, so no group hides it. What hides a single reading is time: a band is of at
//! least [`Rules::bill_min_intervals`] intervals, and each interval of a meter is in one bill, once. What bills must not do is
//! give away more with the totals: a feeder minus all of its other meters' bills is the household that has none.
//!
//! # Why bills and totals together say nothing finer
//! [`Rules::beside_bills`] asks that of each rest ([the sets that were opened](crate#why-no-combination-isolates-a-smaller-group))
//! in which a meter is billed, at least the minimum has no bill. Take any combination of totals and bills, and one meter's
//! reading in one interval. Totals give it the same number as to every other meter of its rest, to those without a bill too; a
//! bill adds to that of its own meter alone, and adds the same in all intervals of a band. So either
//! * the totals' number is zero in every rest and interval: then only bills are left, and what the combination says of a meter
//!   is a multiple of its own bands; or
//! * it is not zero in some rest and interval. Of that rest the meters without a bill, at least the minimum of them, all have that number.
//!
//! The rest of an area is such a set, too: the minimum is one over all its feeders, and each meter's bill is of its own reports.
//!
//! It would not do to allow rests all of whose meters have bills. Take two windows, meters A, B and C in the first, A and D in the
//! second, all with bills. The first total minus the bills of B and C, which are in no other window, is A's reading of the first window
//! alone. Whoever chooses who is in which sum can arrange that.

use crate::answer::Answer;
use crate::decision::{Decision, Withheld};
use crate::rests::rest;
use crate::rules::{Rule, Rules};
use crate::set::Set;

impl Rules {
    /// Whether bills of the meters `billed` may be open beside the totals `opened`, all of the same interval; `capacity_of` as
    /// for [`judge`](Rules::judge). To be asked of each interval when another bill is asked for, and when another total is.
    pub fn beside_bills<S: Set>(
        &self,
        billed: &S,
        opened: &[Answer<'_, S>],
        capacity_of: impl Fn(S::Member) -> u64,
    ) -> Decision {
        if !self.enforces(Rule::Bills) {
            return Decision::Release;
        }
        for whole in opened {
            let mut unbilled = rest(whole, opened.iter().copied());
            if !unbilled.intersects(billed) {
                continue;
            }
            unbilled.remove(billed);
            let (found, least) = (unbilled.count(), self.min_meters.max(1));
            if found < least {
                return Decision::Withhold(Withheld::FewUnbilled { found, least });
            }
            if !self.dominance.allows(unbilled.members().map(&capacity_of)) {
                return Decision::Withhold(Withheld::Dominated);
            }
        }
        Decision::Release
    }

    /// Whether a bill may be opened whose bands have so many intervals each. A band without any says nothing.
    pub fn bill_bands(&self, intervals: impl IntoIterator<Item = u32>) -> Decision {
        let least = self.bill_min_intervals.max(1);
        let few = |found: &u32| (1..least).contains(found) && self.enforces(Rule::Bills);
        match intervals.into_iter().find(few) {
            Some(found) => Decision::Withhold(Withheld::FewIntervals { found, least }),
            None => Decision::Release,
        }
    }
}
