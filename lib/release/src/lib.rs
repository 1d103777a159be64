//! The rules of release: which sums may be opened, so that no combination of them says what a few meters consumed.
//!
//! Pure: no files, no clock, no messages. Analytics asks before it releases a sum; the operator asks again, and its answer
//! counts.
//!
//! # The rules
//! | [`Rule`] | what it keeps back |
//! |---|---|
//! | `MinimumGroup` | a sum over fewer meters than the minimum; an interval in which fewer of them had a reading |
//! | `Late` | a further sum of a feeder's window, of reports that came late, unless it is over a group of a size of its own |
//! | `NoSecondRelease` | an answer that the answers of its kind already give: the same set again, or what others add up to |
//! | `Disjoint` | two sums of feeders that have a meter in common; any two sets that overlap without one inside the other |
//! | `Differencing` | a sum that differs from what was opened inside it, or around it, by fewer meters than the minimum |
//! | `Dominance` | a sum, or such a difference, most of which can be a few large meters' |
//! | `Bills` | a bill, or a total beside bills, that would leave fewer meters without a bill than the minimum; a band of few intervals |
//! | `Quantum` | a finer number than the quantum of the feeder, and a finer standard deviation than its [step](Rules::std_step_wh) |
//!
//! # Why no combination isolates a smaller group
//! Look at one interval, and at everything that was opened of it: totals of feeders, of areas, of parts, of every kind. Take the
//! sets of meters of these answers. By `Disjoint` any two are nested or have nobody in common, so they form a forest: inside
//! each set lie those that were opened inside it, and what is left over is the set's *rest*. By `MinimumGroup` and
//! `Differencing` a rest is empty or has at least the minimum of meters.
//!
//! Whoever knows the answers can compute linear combinations of them: answers times numbers, added up. Two meters of one rest are
//! in exactly the same sets, so every combination has the same number for both: it is constant on each rest, and what it is about
//! is a union of whole rests. It remains that this union is not empty, even if a meter's report was sealed twice and
//! differs. Among the answers of one kind whose numbers are not zero take one whose set lies in no other's. By
//! `NoSecondRelease` it has meters in no other answer of its kind, and these come with its number. So a combination is about at least one
//! rest that is not empty, and that has at least the minimum of meters.
//!
//! The same argument serves sums of squares (layout `moments`) and every other number that is added up: it never used what is added.
//! What is *computed* from sums of squares is not linear, though. How much that says is in [`moments`], and why those need a larger
//! group. Counts of meters by consumption (layout `histogram`) are such numbers too; that they are about a few meters where few are in
//! a bin is for [`cells`]. And in an interval in which some meters had no reading, the argument is about those that had one: so
//! [`Rules::shows`] asks the same of the rests' readings.
//!
//! # Areas
//! The total of a transformer or a substation is no answer of its own here: it is added up from answers, so it says nothing
//! that they do not say. What is opened of a tree of areas are sums of feeders, and sums over several feeders that are each too
//! small (*rests*). All of these are asked for at [`Level::Feeder`], at which any two sets have no meter in common: the forest above is
//! then one of roots alone, each its own rest, with the minimum of meters by `MinimumGroup`; and a combination of answers is about a
//! union of opened sets. `tests/areas` tries random trees. Sets that lie inside each other, at [`Level::Area`], nothing asks for.
//!
//! # What the rules do not keep
//! - A group in which all but one meter collude: they subtract their own readings. A larger minimum makes that dearer.
//! - [`churn`]: sets differ from window to window. Between two windows that differ by one household, the difference of the totals is
//!   that household's reading *plus* what all the others changed by. No rule on sets can prevent that.
//!
//! # Layout
//! * `answer`: [`Answer`], what is asked for · `rules`: [`Rules`] · `decision`: [`Decision`], with its reason
//! * `bills`: the energy of one meter by tariff band, beside totals · `dominance`: large meters · `rests`: nested sets · `set`: [`Set`], what a set of meters must be able to do
//! * [`churn`]: who joined and who left between two windows · [`moments`]: what colluders learn from sums of squares
//! * [`cells`]: bins of consumption without small cells · [`readers`]: who has exact totals, and who noisy ones

mod answer;
mod bills;
pub mod cells;
pub mod churn;
mod decision;
mod dominance;
pub mod moments;
pub mod readers;
mod rests;
mod rules;
mod set;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Kind, Level};
pub use decision::{Decision, Withheld};
pub use dominance::Dominance;
pub use rules::{Rule, Rules};
pub use set::Set;
